"""Stability against decomposition: the convex hull of formation energies over composition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from eqcli.elements import SYMBOLS
from eqcli.errors import InputError, MissingDependency

if TYPE_CHECKING:
    from pymatgen.analysis.phase_diagram import PhaseDiagram
    from pymatgen.core.composition import Composition

    from eqcli.io.structure import Structure

Counts = tuple[tuple[int, int], ...]
"""Atomic numbers and how many atoms of each, divided by their greatest common divisor."""


class Hull:
    """The convex hull of reference crystals: what a crystal of the same elements could decompose into.

    Only the energies of one method can be compared: those of the reference and of the structures that are asked
    about must come from the same potential or the same electronic-structure settings, and none is corrected here.
    The hull of each chemical system is made when first asked for, by pymatgen (S. P. Ong et al., Chem. Mater. 20,
    1798 (2008)).

    Parameters
    ----------
    reference
        Crystals with total energies in eV; of each composition the lowest counts.

    Raises
    ------
    InputError
        There are none, or one has no energy.
    MissingDependency
        pymatgen is not installed.

    Attributes
    ----------
    elements
        Atomic numbers that the reference has the pure element of.
    """

    def __init__(self, reference: Sequence[Structure]) -> None:
        try:
            from pymatgen.analysis import phase_diagram
        except ImportError as error:
            message = "energies above the hull need pymatgen, which is not installed"
            raise MissingDependency(message, hint="pip install 'eqcli[crystals]'") from error
        if not reference:
            raise InputError("the reference of the hull has no structures")
        _require_energies(reference)
        self._make = phase_diagram
        self._lowest: dict[Counts, float] = {}
        for structure in reference:
            counts, energy = _counts(structure), _energy_per_atom(structure)
            self._lowest[counts] = min(energy, self._lowest.get(counts, np.inf))
        self.elements = frozenset(counts[0][0] for counts in self._lowest if len(counts) == 1)
        self._systems: dict[frozenset[int], PhaseDiagram] = {}

    def energy_above_hull(self, structure: Structure) -> float:
        """Energy above the hull in eV per atom; negative for a crystal that is stabler than the whole reference.

        Raises
        ------
        InputError
            The structure has no finite energy, or an element of it is missing in the reference.
        """
        energy = _energy_per_atom(structure)
        return energy - float(self._diagram(structure).get_hull_energy_per_atom(_composition(_counts(structure))))

    def formation_energy(self, structure: Structure) -> float:
        """Energy in eV per atom against the pure elements of the reference, each in its stablest form.

        Raises
        ------
        InputError
            As for `energy_above_hull`.
        """
        energy = _energy_per_atom(structure)
        self._require_elements(structure)
        counts = _counts(structure)
        elements = sum(n * self._lowest[((z, 1),)] for z, n in counts) / sum(n for _, n in counts)
        return energy - elements

    def _diagram(self, structure: Structure) -> PhaseDiagram:
        self._require_elements(structure)
        system = frozenset(structure.numbers.tolist())
        if system not in self._systems:
            entries = [
                self._make.PDEntry(_composition(counts), energy * sum(n for _, n in counts))
                for counts, energy in self._lowest.items()
                if system.issuperset(z for z, _ in counts)
            ]
            self._systems[system] = self._make.PhaseDiagram(entries)
        return self._systems[system]

    def _require_elements(self, structure: Structure) -> None:
        missing = sorted(set(structure.numbers.tolist()) - self.elements)
        if missing:
            names = ", ".join(SYMBOLS[z] for z in missing)
            raise InputError(f"the reference of the hull has no pure {names}", structure.where)


def _require_energies(reference: Sequence[Structure]) -> None:
    lacking = [structure for structure in reference if structure.energy is None or not np.isfinite(structure.energy)]
    if lacking:
        raise InputError(
            f"{len(lacking)} of {len(reference)} structures of the hull's reference have no energy, the first of "
            f"them {lacking[0].name}",
            lacking[0].where,
            "Give files of crystals with total energies in eV, of the method that relaxes.",
        )


def _energy_per_atom(structure: Structure) -> float:
    if len(structure) == 0 or structure.energy is None or not np.isfinite(structure.energy):
        raise InputError("there is no energy to compare with the hull", structure.where)
    return structure.energy / len(structure)


def _counts(structure: Structure) -> Counts:
    numbers, counts = np.unique(structure.numbers, return_counts=True)
    counts = counts // np.gcd.reduce(counts)
    return tuple((int(z), int(n)) for z, n in zip(numbers, counts, strict=True))


def _composition(counts: Counts) -> Composition:
    from pymatgen.core.composition import Composition

    return Composition({SYMBOLS[z]: n for z, n in counts})
