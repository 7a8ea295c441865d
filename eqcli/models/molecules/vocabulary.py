"""The elements, charges, hybridisations and bonds that a generator of molecules knows, and how frequent they are."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

AROMATIC = 4
"""Bond code of an aromatic bond; 0 is none, and 1, 2, 3 are orders."""


@dataclass(frozen=True)
class Vocabulary:
    """Codes that occur in the training molecules, ascending.

    Attributes
    ----------
    elements
        Atomic numbers.
    charges
        Formal charges, 0 among them.
    hybridisations
        RDKit's numbers.
    bonds
        Codes of bonds, 0 among them.
    """

    elements: tuple[int, ...]
    charges: tuple[int, ...] = (0,)
    hybridisations: tuple[int, ...] = (0,)
    bonds: tuple[int, ...] = (0, 1, 2, 3)

    def as_dict(self) -> dict[str, list[int]]:
        """As plain data, for headers of files."""
        return {name: list(getattr(self, name)) for name in ("elements", "charges", "hybridisations", "bonds")}


@dataclass(frozen=True)
class MoleculeStatistics:
    """What a generator takes from its training molecules.

    Attributes
    ----------
    spread
        Root mean square of a coordinate about the centre of its molecule, Å.
    frequencies
        Of each entry of the vocabulary, by the name of its list; bonds over pairs of different atoms.
    values
        The properties of all molecules, `[S, P]`; NaN where unknown.
    """

    spread: float
    frequencies: dict[str, Tensor]
    values: Tensor
