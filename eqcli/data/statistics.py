"""What a model is told of its training data: reference energies, scale, shift and number of neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from eqcli.data.frames import BLOCK, FrameTable
from eqcli.data.split import Indices
from eqcli.elements import NUMBERS, SYMBOLS
from eqcli.errors import InputError, Where

if TYPE_CHECKING:
    from eqcli.models.potentials.properties import Property

KEY = "data.reference_energies"
ISOLATED_TOLERANCE = 1e-3
"""Isolated-atom frames of one element that differ by more than this (eV) are worth a warning."""

Wanted = Literal["auto", "isolated", "lstsq", "zero"] | Mapping[str, float]


@dataclass(frozen=True)
class ReferenceEnergies:
    """Energies of the isolated atoms.

    Attributes
    ----------
    energies
        eV by element symbol.
    source
        Where each came from: `explicit`, `isolated`, `lstsq` or `zero`.
    notes
        What a person should know about the choice.
    """

    energies: dict[str, float]
    source: dict[str, str]
    notes: list[str] = field(default_factory=list)

    @property
    def true_atoms(self) -> bool:
        """Whether any of them is the energy of an isolated atom, so that what is left is a binding energy."""
        return bool({"explicit", "isolated"} & set(self.source.values()))


@dataclass(frozen=True)
class DataStatistics:
    """Figures of the training frames.

    Attributes
    ----------
    avg_num_neighbors
        Mean number of neighbours per atom.
    shift
        Mean interaction energy per atom, eV.
    scale
        Root mean square force component, eV/Å; without forces the standard deviation of the energy per atom, eV.
    properties
        Shift and scale of each property that has labels, see :func:`property_scales`.
    """

    elements: list[int]
    reference: ReferenceEnergies
    avg_num_neighbors: float
    shift: float
    scale: float
    properties: dict[str, tuple[float, float]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> DataStatistics:
        properties = {name: (float(a), float(b)) for name, (a, b) in values.get("properties", {}).items()}
        return cls(**{**values, "reference": ReferenceEnergies(**values["reference"]), "properties": properties})


def measure_statistics(
    table: FrameTable, train: Indices, wanted: Wanted, properties: Sequence[Property] = ()
) -> DataStatistics:
    """Statistics of the frames `train`; isolated atoms are looked for in the whole table.

    Raises
    ------
    InputError
        When the wanted reference energies cannot be had.
    """
    elements = table.elements(train)
    reference = find_references(table, train, elements, wanted)
    atoms = table.n_atoms[train]
    interaction = interaction_per_atom(table, train, reference)
    known = interaction[np.isfinite(interaction)]
    shift = float(known.mean()) if len(known) else 0.0
    components = int(table.force_count[train].sum())
    if components:
        scale = float(np.sqrt(np.nansum(table.force_square[train]) / components))
    else:
        scale = float(known.std()) if len(known) else 1.0
    return DataStatistics(
        elements=elements,
        reference=reference,
        # A model divides by it, so frames of lone atoms must not make it zero.
        avg_num_neighbors=float(table.n_edges[train].sum() / atoms.sum()) or 1.0,
        shift=shift,
        scale=scale if scale > 0 else 1.0,
        properties=property_scales(table, train, properties),
    )


def property_scales(
    table: FrameTable, train: Indices, properties: Sequence[Property]
) -> dict[str, tuple[float, float]]:
    """Shift and scale of each property that training frames have labels of, in the unit of the predictions.

    Of scalars the mean and the standard deviation; of charges and vectors zero and the root mean square of the
    components; of tensors the mean of the diagonal, and the root mean square of what is left of all components.
    Properties that grow with the number of atoms are taken per atom. A scale is 1 where it would be 0.
    """
    found = {}
    for wanted in properties:
        figures = table.properties[wanted.name]
        count = int(figures.count[train].sum())
        if not count:
            continue
        kind, square = wanted.quantity.kind, float(figures.square[train].sum())
        shifted = count // 3 if kind == "tensor" else count
        centred = kind != "vector" and wanted.config.kind != "charges"
        shift = float(figures.total[train].sum()) / shifted if centred else 0.0
        scale = float(np.sqrt(max(square - shifted * shift**2, 0.0) / count))
        # Equal labels leave rounding behind.
        found[wanted.name] = (shift, scale if scale > 1e-7 * abs(shift) else 1.0)
    return found


def interaction_per_atom(table: FrameTable, frames: Indices, reference: ReferenceEnergies) -> np.ndarray:
    """(E - sum of E0) / N of each frame, eV; NaN where there is no energy."""
    atomic = table.sum_over_atoms({NUMBERS[s]: energy for s, energy in reference.energies.items()})
    per_atom: np.ndarray = (table.energy[frames] - atomic[frames]) / table.n_atoms[frames]
    return per_atom


def find_references(table: FrameTable, train: Indices, elements: list[int], wanted: Wanted) -> ReferenceEnergies:
    """Reference energies of `elements`, from the source that the recipe names."""
    if not isinstance(wanted, str):
        return _explicit(elements, wanted)
    if wanted == "zero":
        return ReferenceEnergies({SYMBOLS[z]: 0.0 for z in elements}, {SYMBOLS[z]: "zero" for z in elements})
    energies, notes = ({}, []) if wanted == "lstsq" else isolated_energies(table)
    energies = {z: energy for z, energy in energies.items() if z in elements}
    missing = [z for z in elements if z not in energies]
    if wanted == "isolated" and missing:
        raise InputError(
            f"no isolated-atom frame with an energy for {_names(missing)}",
            Where(key=KEY),
            "Add single-atom frames with config_type=IsolatedAtom, give the energies, or use auto or lstsq.",
        )
    source = dict.fromkeys(energies, "isolated")
    if missing:
        fitted, note = fit_references(table, train, missing, energies)
        energies |= fitted
        source |= dict.fromkeys(missing, "lstsq")
        notes.append(note)
    return ReferenceEnergies(
        {SYMBOLS[z]: energies[z] for z in elements}, {SYMBOLS[z]: source[z] for z in elements}, notes
    )


def _explicit(elements: list[int], given: Mapping[str, float]) -> ReferenceEnergies:
    wrong = sorted(set(given) - set(NUMBERS))
    missing = [z for z in elements if SYMBOLS[z] not in given]
    if wrong or missing:
        problems = ([f"no such element: {', '.join(wrong)}"] if wrong else []) + (
            [f"no energy for {_names(missing)}, which the training data contain"] if missing else []
        )
        raise InputError("; ".join(problems), Where(key=KEY), "Give the energy of each element in eV, e.g. {H: -13.6}.")
    unused = sorted(set(given) - {SYMBOLS[z] for z in elements})
    notes = [f"reference energies of {', '.join(unused)} are not needed: no such atoms in training"] if unused else []
    symbols = [SYMBOLS[z] for z in elements]
    return ReferenceEnergies({s: float(given[s]) for s in symbols}, dict.fromkeys(symbols, "explicit"), notes)


def isolated_energies(table: FrameTable) -> tuple[dict[int, float], list[str]]:
    """Energies in eV of the isolated atoms of a table by atomic number, and notes on what is odd about them."""
    found: dict[int, list[float]] = {}
    for i in np.flatnonzero(table.isolated & np.isfinite(table.energy)):
        found.setdefault(int(table.species[table.species_start[i]]), []).append(float(table.energy[i]))
    notes = [
        f"{len(values)} isolated-atom frames of {SYMBOLS[z]} differ by {max(values) - min(values):.3g} eV; "
        "their lowest energy is taken"
        for z, values in found.items()
        if max(values) - min(values) > ISOLATED_TOLERANCE
    ]
    return {z: min(values) for z, values in found.items()}, notes


def fit_references(
    table: FrameTable, train: Indices, elements: list[int], fixed: dict[int, float]
) -> tuple[dict[int, float], str]:
    """Least squares of the energy per atom over the composition, with the energies in `fixed` held.

    Where the compositions do not determine the energies, those of least norm are
    taken: they give the same total energies.
    """
    frames = train[np.isfinite(table.energy[train])]
    if not len(frames):
        raise InputError(
            "reference energies cannot be fitted: no training frame has an energy",
            Where(key=KEY),
            "Give them explicitly, or use zero.",
        )
    size = len(elements)
    normal, right = np.zeros((size, size)), np.zeros(size)
    for start in range(0, len(frames), BLOCK):
        block = frames[start : start + BLOCK]
        atoms = table.n_atoms[block]
        share = table.composition(block, elements) / atoms[:, None]
        held = table.composition(block, list(fixed)) @ np.array(list(fixed.values())) if fixed else 0.0
        normal += share.T @ share
        right += share.T @ ((table.energy[block] - held) / atoms)
    values, vectors = np.linalg.eigh(normal)
    kept = values > 1e-10 * values[-1]
    solution = vectors[:, kept] @ ((vectors[:, kept].T @ right) / values[kept])
    note = f"reference energies of {_names(elements)} are fitted by least squares to {len(frames)} training energies"
    if not kept.all():
        note += (
            "; the compositions do not determine each of them, the smallest that fit are taken "
            "(the energies of isolated atoms will be meaningless)"
        )
    return {z: float(e) for z, e in zip(elements, solution, strict=True)}, note


def _names(elements: list[int]) -> str:
    return ", ".join(SYMBOLS[z] for z in elements)
