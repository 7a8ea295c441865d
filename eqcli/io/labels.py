"""From what a file says to labels in the tool's units: the one place where conventions are applied."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from eqcli.errors import InputError
from eqcli.io.conventions import ENERGY_KEYS, FORCES_KEYS, STRESS_KEYS, VIRIAL_KEYS, LabelConvention
from eqcli.io.frame import Frame, first_bad_row
from eqcli.io.layout import UNKNOWN, Layout
from eqcli.io.periodicity import decide_pbc
from eqcli.io.structure import FloatArray, Structure
from eqcli.units import ENERGY, LENGTH, STRESS, force_factor

CHARGE_KEYS = ("charge", "total_charge")
"""Entries taken as the total charge in e."""

LABEL_NAMES = frozenset(ENERGY_KEYS + FORCES_KEYS + STRESS_KEYS + VIRIAL_KEYS)
"""Every name that a reader may take for a label."""

ASYMMETRY = (1e-2, 1e-4)
"""Largest asymmetry of a stress: relative to its largest component, and in eV/Å^3 whatever its size."""


@dataclass(frozen=True)
class Taken:
    """What was taken for what in one frame: names of the file's entries, None where there is no label."""

    energy: str | None
    forces: str | None
    stress: str | None
    virial: str | None
    pbc: str
    unused: tuple[str, ...] = ()
    """Entries with well-known label names that were not used."""
    notes: tuple[str, ...] = ()
    """Labels left out, with the reason."""
    layout: Layout = UNKNOWN
    """What the layout of the file says about names and units."""


def interpret(frame: Frame, labels: LabelConvention) -> tuple[Structure, Taken]:
    """The structure of a frame, with its labels found, converted and checked.

    Raises
    ------
    InputError
        Positions or labels are not finite, or have the wrong shape; names frame and line.
    """
    length = 1.0 if frame.angstrom else LENGTH[frame.layout.lengths(labels)]
    _check_finite(frame, frame.positions, "positions")
    positions = frame.positions * length
    cell = None if frame.cell is None else frame.cell * length
    if cell is not None and not np.isfinite(cell).all():
        raise InputError("the cell holds NaN or infinity", frame.at())
    pbc, reason = decide_pbc(cell, frame.pbc, positions, labels.pbc, frame.at())

    entries = _Entries(frame)
    energy_key, energy = _energy(entries, labels)
    forces_key, forces = _forces(entries, labels)
    stress_key, virial_key, stress, notes = _stress(entries, labels, cell, bool(pbc.all()))
    charge = frame.charge if frame.charge is not None else entries.charge()
    structure = Structure(
        numbers=frame.numbers,
        positions=positions,
        cell=np.zeros((3, 3)) if cell is None else cell,
        pbc=pbc,
        energy=energy,
        forces=forces,
        stress=stress,
        charge=charge,
        fixed=frame.fixed,
        info=entries.info,
        arrays=entries.arrays,
        where=frame.where,
    )
    unused = _unused(structure)
    return structure, Taken(energy_key, forces_key, stress_key, virial_key, reason, unused, notes, frame.layout)


def choose_stored(structure: Structure, labels: LabelConvention) -> tuple[Structure, Taken]:
    """A structure from a dataset, with the entries that the convention names in place of the stored labels.

    A dataset has its labels apart, in the tool's units; an entry that is not there leaves them as they are.
    Where nothing is changed it is the structure itself.
    """
    if labels.energy is None and labels.forces is None and labels.stress is None and labels.pbc == "auto":
        return structure, _stored(structure)
    info, arrays = dict(structure.info), dict(structure.arrays)
    names: dict[str, str | None] = {}
    chosen: dict[str, Any] = {}
    for name, entries in (("energy", info), ("forces", arrays), ("stress", info)):
        named = getattr(labels, name)
        if named is not None and entries.get(named) is not None:
            value = entries.pop(named)
            chosen[name] = float(value) if name == "energy" else np.asarray(value, dtype=np.float64).reshape(-1, 3)
            names[name] = named
        else:
            names[name] = name if getattr(structure, name) is not None else None
    structure = replace(structure, info=info, arrays=arrays, **chosen)
    reason = "stored in the dataset"
    if labels.pbc != "auto":
        reason = f"switched {labels.pbc}"
        structure.pbc, _ = decide_pbc(structure.cell, structure.pbc, structure.positions, labels.pbc, structure.where)
        structure.stress = structure.stress if structure.pbc.all() else None
    taken = Taken(names["energy"], names["forces"], names["stress"], None, reason, _unused(structure))
    return structure, taken


def _stored(structure: Structure) -> Taken:
    """What there is of labels that are stored as such."""
    energy, forces, stress = (
        name if getattr(structure, name) is not None else None for name in ("energy", "forces", "stress")
    )
    return Taken(energy, forces, stress, None, "stored in the dataset", _unused(structure))


def _unused(structure: Structure) -> tuple[str, ...]:
    return tuple(sorted(name for name in (*structure.info, *structure.arrays) if name in LABEL_NAMES))


class _Entries:
    """Entries of a frame; those taken as labels are removed."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.info = dict(frame.info)
        self.arrays = dict(frame.arrays)
        self.layout = frame.layout

    def find(self, named: str | None, known: tuple[str, ...]) -> str | None:
        """The entry of that name, or the first with a known name; None when there is none."""
        counts = {"known": len(known), "standard": 1, "none": 0}
        names = known[: counts[self.frame.implicit_labels]]
        if named is not None:
            names = (named, self.layout.aliases.get(named, named))
        return next((n for n in names if self.info.get(n) is not None or n in self.arrays), None)

    def take(self, name: str) -> Any:
        return self.arrays.pop(name) if name in self.arrays else self.info.pop(name)

    def charge(self) -> float | None:
        for name in CHARGE_KEYS:
            value = self.info.get(name)
            if isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value):
                return float(self.info.pop(name))
        return None


def _energy(entries: _Entries, labels: LabelConvention) -> tuple[str | None, float | None]:
    name = entries.find(entries.layout.named("energy", labels), ENERGY_KEYS)
    if name is None:
        return None, None
    values = _numbers(entries, name)
    if values.size != 1:
        raise InputError(f"'{name}' holds {values.size} numbers; an energy is one", entries.frame.at(key=name))
    energy = float(values.item()) * ENERGY[entries.layout.energy_unit(name, labels)]
    if labels.energy_per_atom:
        energy *= len(entries.frame.numbers)
    return name, energy


def _forces(entries: _Entries, labels: LabelConvention) -> tuple[str | None, FloatArray | None]:
    name = entries.find(entries.layout.named("forces", labels), FORCES_KEYS)
    if name is None:
        return None, None
    values = _numbers(entries, name)
    expected = (len(entries.frame.numbers), 3)
    if values.shape != expected and values.size == 3 * expected[0]:
        values = values.reshape(expected)
    if values.shape != expected:
        found = " x ".join(str(n) for n in values.shape)
        raise InputError(f"'{name}' is {found}; forces are {expected[0]} x 3", entries.frame.at(key=name))
    layout = entries.layout
    return name, values * force_factor(layout.energy_unit(name, labels), layout.lengths(labels))


def _stress(
    entries: _Entries, labels: LabelConvention, cell: FloatArray | None, periodic: bool
) -> tuple[str | None, str | None, FloatArray | None, tuple[str, ...]]:
    """Name of the stress, name of the virial, the stress in eV/Å^3, and why there is none."""
    name = entries.find(labels.stress, STRESS_KEYS)
    virial = entries.find(labels.virial, VIRIAL_KEYS) if name is None else None
    if name is None and virial is None:
        return None, None, None, ()
    if not periodic or cell is None:
        return None, None, None, (f"'{name or virial}' left out: a stress needs three periodic directions",)
    tensor = _tensor(entries, str(name or virial), labels.stress_order)
    if name is not None:
        sign = -1.0 if labels.stress_sign == "vasp" else 1.0
        stress = tensor * (sign * STRESS[labels.stress_unit])
    else:
        unit = entries.layout.energy_unit(str(virial), labels)
        stress = tensor * (-ENERGY[unit] / abs(np.linalg.det(cell)))
    _check_symmetric(entries, str(name or virial), stress)
    return name, virial, 0.5 * (stress + stress.T), ()


def _tensor(entries: _Entries, name: str, order: str) -> FloatArray:
    """`[3, 3]` from nine numbers (row after row) or six in the given order."""
    values = _numbers(entries, name)
    if values.size == 9:
        return values.reshape(3, 3)
    if values.size != 6:
        message = f"'{name}' holds {values.size} numbers; expected 6 or 9"
        raise InputError(message, entries.frame.at(key=name))
    tensor = np.empty((3, 3))
    for value, component in zip(values.ravel(), order.split(), strict=True):
        i, j = ("xyz".index(c) for c in component)
        tensor[i, j] = tensor[j, i] = value
    return tensor


def _check_symmetric(entries: _Entries, name: str, stress: FloatArray) -> None:
    relative, absolute = ASYMMETRY
    if np.abs(stress - stress.T).max() > max(relative * np.abs(stress).max(), absolute):
        raise InputError(
            f"'{name}' is not symmetric", entries.frame.at(key=name), "Nine numbers are read row after row, as 3 x 3."
        )


def _numbers(entries: _Entries, name: str) -> FloatArray:
    """The entry as finite float64; it is removed from the entries."""
    raw = entries.take(name)
    try:
        if isinstance(raw, bool):
            raise TypeError
        values = np.asarray(raw, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"'{name}' is not a number: {str(raw)[:40]!r}", entries.frame.at(key=name)) from error
    _check_finite(entries.frame, values, f"'{name}'", name)
    return values


def _check_finite(frame: Frame, values: FloatArray, what: str, key: str | None = None) -> None:
    if np.isfinite(values).all():
        return
    per_atom = values.ndim == 2 and len(values) == len(frame.numbers)
    atom = first_bad_row(values) if per_atom else None
    of = f" of atom {atom + 1}" if atom is not None else ""
    raise InputError(
        f"{what}{of}: NaN or infinity is no value", frame.at(atom=atom, key=key), "Leave an absent label out."
    )
