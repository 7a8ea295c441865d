"""What a file's columns were taken for, in sentences and figures that a person can check."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from eqcli.errors import InputError
from eqcli.files import require_file
from eqcli.io.conventions import LabelConvention
from eqcli.io.formats import Format, readable_format
from eqcli.io.frame import Frame, Item
from eqcli.io.labels import Taken, choose_stored, interpret
from eqcli.io.layout import UNKNOWN, Layout
from eqcli.io.reading import read_items
from eqcli.io.structure import Structure

FRAMES = 1000
"""Frames examined by default."""

HIGH_FORCE = 10.0
"""eV/Å. A root mean square above this is more often a wrong unit than a hot structure."""

HIGH_STRESS = 1.0
"""eV/Å^3, that is 160 GPa; components above this are more often kbar or GPa."""

QUANTITIES = ("energy", "forces", "stress", "virial")


@dataclass
class LabelReport:
    """Labels found in the first frames of a file.

    Attributes
    ----------
    path, labels
        The file and the convention it was read with.
    frames, malformed
        Frames examined, and how many of them could not be read.
    complete
        Whether that is the whole file.
    taken
        For energy, forces, stress and virial: name of the entry -> number of frames.
    pbc
        Reason for the periodicity -> number of frames.
    unused
        Entries with well-known label names that were not taken -> number of frames.
    notes
        Labels left out, with the reason -> number of frames.
    layout
        What the layout of the file says about names and units.
    """

    path: Path
    labels: LabelConvention
    frames: int = 0
    malformed: int = 0
    complete: bool = True
    taken: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in QUANTITIES})
    pbc: Counter[str] = field(default_factory=Counter)
    periodic: Counter[str] = field(default_factory=Counter)
    unused: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    own_units: bool = False
    layout: Layout = UNKNOWN
    energies: list[float] = field(default_factory=list)
    """eV per atom."""
    force_squares: list[float] = field(default_factory=list)
    """Mean square component of each frame, (eV/Å)^2."""
    stresses: list[float] = field(default_factory=list)
    """Largest component of each frame, eV/Å^3."""

    def add(self, structure: Structure, taken: Taken) -> None:
        """Counts one frame."""
        for name in QUANTITIES:
            if (key := getattr(taken, name)) is not None:
                self.taken[name][key] += 1
        self.pbc[taken.pbc] += 1
        self.periodic["".join("T" if p else "F" for p in structure.pbc)] += 1
        self.unused.update(taken.unused)
        self.notes.update(taken.notes)
        self.layout = taken.layout
        if structure.energy is not None:
            self.energies.append(structure.energy / len(structure))
        if structure.forces is not None:
            self.force_squares.append(float(np.mean(structure.forces**2)))
        if structure.stress is not None:
            self.stresses.append(float(np.abs(structure.stress).max()))

    @property
    def has(self) -> dict[str, bool]:
        """Whether any examined frame has an energy, forces and a stress."""
        stress = self.taken["stress"] or self.taken["virial"]
        return {"energy": bool(self.taken["energy"]), "forces": bool(self.taken["forces"]), "stress": bool(stress)}

    def lines(self) -> list[str]:
        """Sentences, one per label, then the periodicity and the warnings."""
        seen = f"{'all' if self.complete else 'the first'} {self.frames} frames"
        lines = [f"{self.path.name}: labels in {seen}"]
        if self.layout.name:
            lines.append(f"  layout: {'; '.join(filter(None, (self.layout.name, self.layout.remark)))}")
        lines += [f"  {sentence}" for sentence in self.sentences()]
        periodic = ", ".join(f"{k} in {n}" for k, n in self.periodic.items())
        reasons = ", ".join(f"{k} ({n})" for k, n in self.pbc.items())
        lines.append(f"  periodic (a b c): {periodic or 'unknown'}; {reasons or 'no frame was read'}")
        return lines + [f"  warning: {text}" for text in self.warnings()]

    def sentences(self) -> list[str]:
        """What was taken as energy, forces and stress, in which units; one sentence each."""
        return [self._sentence(name) for name in ("energy", "forces", "stress")]

    def warnings(self) -> list[str]:
        """What looks wrong."""
        found = [f"{self.malformed} of {self.frames} frames are malformed"] if self.malformed else []
        found += [f"{text} ({n} frames)" for text, n in self.notes.items()]
        found += [f"'{name}' is also in {n} frames and was not used" for name, n in self.unused.items()]
        return found + self.suspicious()

    def suspicious(self) -> list[str]:
        """Named labels that are nowhere, and sizes that a wrong unit gives more often than an unusual structure."""
        found = self.missing()
        if self.force_squares and np.mean(self.force_squares) > HIGH_FORCE**2:
            rms = float(np.sqrt(np.mean(self.force_squares)))
            found.append(f"the forces have an RMS of {rms:.1f} eV/Angstrom: is labels.energy_unit right (kcal/mol)?")
        if self.stresses and max(self.stresses) > HIGH_STRESS:
            found.append(
                f"stresses reach {max(self.stresses):.3g} eV/Angstrom^3: is labels.stress_unit right (kbar, GPa)?"
            )
        return found

    def as_dict(self) -> dict[str, Any]:
        """The report as plain data, for `--json`."""
        return {
            "file": str(self.path),
            "frames": self.frames,
            "complete": self.complete,
            "taken": {name: dict(counts) for name, counts in self.taken.items()},
            "periodic": dict(self.periodic),
            "pbc": dict(self.pbc),
            "labels": self.labels.model_dump(mode="json"),
            "units": {name: self._unit(name) for name in ("energy", "forces", "stress") if self.has[name]},
            "layout": self.layout.name or None,
            "warnings": self.warnings(),
        }

    def missing(self) -> list[str]:
        """Labels that the convention names and no frame has."""
        if self.own_units or self.frames == self.malformed:
            return []
        named = {name: getattr(self.labels, name) for name in QUANTITIES}
        return [
            f"no frame has the entry '{key}' named as labels.{name}"
            for name, key in named.items()
            if key is not None and not self.taken[name]
        ]

    def _sentence(self, name: str) -> str:
        names = [f"'{key}' in {n}" for key, n in self.taken[name].items()]
        if name == "stress":
            names += [f"'{key}' (virial, stress = -virial/V) in {n}" for key, n in self.taken["virial"].items()]
        if not names:
            return f"{name}: none found"
        return f"{name}: {', '.join(names)} of {self.frames - self.malformed} frames; {self._unit(name)}"

    def _unit(self, name: str) -> str:
        labels, layout = self.labels, self.layout
        if self.own_units:
            return "in the tool's units (eV, Angstrom), which this format fixes"
        if name != "stress":
            return self._energy_unit(name)
        if not self.taken["stress"]:
            return f"unit {layout.energy_unit(next(iter(self.taken['virial']), ''), labels)}"
        positive = "tensile" if labels.stress_sign == "ase" else "compressive"
        return f"unit {labels.stress_unit}, {positive} positive, six numbers as {labels.stress_order}"

    def _energy_unit(self, name: str) -> str:
        """The unit of energy or forces, and whether the file or the user fixed it."""
        labels, layout = self.labels, self.layout
        entry = next(iter(self.taken[name]), "")
        fixed = [labels.energy_unit is None and entry in layout.units]
        text = f"unit {layout.energy_unit(entry, labels)}"
        if name == "forces":
            text += f"/{layout.lengths(labels)}"
            fixed.append(labels.length_unit is None and layout.length_unit not in (None, "Angstrom"))
        elif labels.energy_per_atom:
            text += " per atom"
        return f"{text}, fixed by the layout" if any(fixed) else text


def label_report(path: str | Path, labels: LabelConvention | None = None, *, frames: int = FRAMES) -> LabelReport:
    """Which entries of the first `frames` frames are taken as labels, and how they are read.

    Raises InputError where the file is missing or of an unknown format; malformed frames are counted.
    """
    source = require_file(path)
    own = readable_format(source) is Format.DATASET
    report = LabelReport(source, labels or LabelConvention(), own_units=own)
    items = read_items(source)
    for item in islice(items, frames):
        report.frames += 1
        try:
            report.add(*_interpret(item, report.labels))
        except InputError:
            report.malformed += 1
    report.complete = next(items, None) is None
    return report


def _interpret(item: Item, labels: LabelConvention) -> tuple[Structure, Taken]:
    if isinstance(item, Frame):
        return interpret(item, labels)
    if isinstance(item, Structure):
        return choose_stored(item, labels)
    raise item
