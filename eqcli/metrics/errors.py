"""Errors of a model on labelled structures, in total and by element, configuration type and file."""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eqcli.elements import SYMBOLS
from eqcli.io.structure import FloatArray, Structure, formula
from eqcli.metrics.accumulate import ErrorStatistics, Highest, Reservoir
from eqcli.metrics.measures import COSINE_FLOOR, MEAN_SHIFT_LIMIT, MEASURES

if TYPE_CHECKING:
    from eqcli.models.potentials.properties import Property

MOST_GROUPS = 100
"""Groups of one kind; what comes later is counted as `(other)`."""

UPPER = np.triu_indices(3)
"""The six independent components of a stress."""

Pairs = dict[str, tuple[FloatArray, FloatArray]]


class Errors:
    """Takes pairs of labelled and predicted structures one by one; memory does not grow with the structures.

    (Eight bytes per structure are kept, for the mean absolute energy error about its mean.)

    Parameters
    ----------
    worst
        How many of the worst structures are listed.
    sample
        Size of the random samples that plots are made from.
    seed
        Of the samples.
    properties
        What the model gives beside energy, forces and stress.
    """

    def __init__(
        self, *, worst: int = 10, sample: int = 20000, seed: int = 0, properties: Sequence[Property] = ()
    ) -> None:
        self.properties = properties
        self.structures = 0
        self.atoms = 0
        self.labelled: dict[str, int] = {"energy": 0, "forces": 0, "stress": 0, **{p.name: 0 for p in properties}}
        self.samples = {
            name: Reservoir(sample, 2, seed) for name in ("energy_per_atom", "forces", "force_magnitude", "stress")
        } | {_key(p.name): Reservoir(sample, 2, seed) for p in properties}
        self.worst = {"energy": Highest(worst), "forces": Highest(worst)}
        self._groups: dict[str, dict[str, dict[str, ErrorStatistics]]] = {
            "total": {},
            "by_element": {},
            "by_config_type": {},
            "by_file": {},
        }
        self._cosine = [0.0, 0.0]
        self._energy_errors = array("d")

    def add(self, labelled: Structure, predicted: Structure) -> None:
        """Takes one structure with its labels and the same structure with predictions. Absent labels do not count.

        Raises InputError, and takes nothing, where the label of a property cannot be what it should be.
        """
        pairs = _pairs(labelled, predicted) | self._property_pairs(labelled, predicted)
        self.structures += 1
        self.atoms += len(labelled)
        for name in self.labelled:
            self.labelled[name] += name in pairs or _key(name) in pairs
        for kind, name in self._memberships(labelled):
            for quantity, (reference, found) in pairs.items():
                self._statistics(kind, name, quantity).add(reference, found)
        if "forces" in pairs:
            self._add_elements(labelled, *pairs["forces"])
            self._add_cosines(*pairs["forces"])
        for quantity, reservoir in self.samples.items():
            if quantity in pairs:
                reservoir.add(_rows(*pairs[quantity]))
        self._note_worst(labelled, pairs)

    def figures(self) -> dict[str, Any]:
        """Everything measured, JSON-able; energies in meV, forces in meV/Å, stresses in meV/Å^3 and GPa.

        Properties stand under `properties`, in total and by configuration type and file, in their units.
        """
        units = {p.name: p.unit for p in self.properties}
        groups = {
            kind: {
                name: _measures(statistics) | _of_properties(statistics, units)
                for name, statistics in sorted(groups.items())
            }
            for kind, groups in self._groups.items()
        }
        total = groups.pop("total").get("", {})
        if self._cosine[1]:
            total["force_cosine"] = {"count": int(self._cosine[1]), "mean": self._cosine[0] / self._cosine[1]}
        if set(groups["by_config_type"]) <= {"(none)"}:
            groups["by_config_type"] = {}
        return {
            "structures": self.structures,
            "atoms": self.atoms,
            "labelled": dict(self.labelled),
            "total": total,
            **groups,
            "energy_shift": self.energy_shift(),
            "worst": {name: highest.entries for name, highest in self.worst.items()},
        }

    def energy_shift(self) -> dict[str, Any] | None:
        """The mean energy error per atom, and the errors left when it is taken away; None without energy labels."""
        statistics = self._groups["total"].get("", {}).get("energy_per_atom")
        if statistics is None or not statistics.count:
            return None
        errors = np.frombuffer(self._energy_errors, dtype=np.float64)
        return {
            "mean_error_eV_per_atom": statistics.bias,
            "mae_without_shift": 1e3 * float(np.abs(errors - statistics.bias).mean()),
            "rmse_without_shift": 1e3 * statistics.rmse_without_bias,
            "unit": "meV/atom",
            "suspicious": abs(statistics.bias) > MEAN_SHIFT_LIMIT,
        }

    def _property_pairs(self, labelled: Structure, predicted: Structure) -> Pairs:
        pairs: Pairs = {}
        for wanted in self.properties:
            reference, found = wanted.label(labelled, reference=True), wanted.predicted(predicted)
            if reference is not None and found is not None:
                if wanted.tail == (3, 3):
                    reference, found = reference[..., *UPPER], found[..., *UPPER]
                pairs[_key(wanted.name)] = np.atleast_1d(reference), np.atleast_1d(found)
        return pairs

    def _memberships(self, structure: Structure) -> list[tuple[str, str]]:
        config_type = structure.info.get("config_type")
        file = structure.where.file
        return [
            ("total", ""),
            ("by_config_type", "(none)" if config_type is None else str(config_type)),
            ("by_file", "(none)" if file is None else str(file)),
        ]

    def _statistics(self, kind: str, name: str, quantity: str) -> ErrorStatistics:
        groups = self._groups[kind]
        if name not in groups:
            name = name if len(groups) < MOST_GROUPS else "(other)"
            groups.setdefault(name, defaultdict(ErrorStatistics))
        return groups[name][quantity]

    def _add_elements(self, structure: Structure, reference: FloatArray, found: FloatArray) -> None:
        for z in np.unique(structure.numbers):
            chosen = structure.numbers == z
            self._statistics("by_element", SYMBOLS[int(z)], "forces").add(reference[chosen], found[chosen])

    def _add_cosines(self, reference: FloatArray, found: FloatArray) -> None:
        lengths = np.linalg.norm(reference, axis=1)
        chosen = lengths > COSINE_FLOOR
        norms = lengths[chosen] * np.linalg.norm(found[chosen], axis=1)
        products = (reference[chosen] * found[chosen]).sum(axis=1)
        self._cosine[0] += float(np.divide(products, norms, out=np.zeros_like(norms), where=norms > 0).sum())
        self._cosine[1] += int(chosen.sum())

    def _note_worst(self, structure: Structure, pairs: Pairs) -> None:
        entry = {
            "place": structure.name,
            "file": str(structure.where.file) if structure.where.file is not None else None,
            "frame": structure.where.frame,
            "formula": formula(structure.numbers),
            "config_type": structure.info.get("config_type"),
        }
        if "energy_per_atom" in pairs:
            reference, found = pairs["energy_per_atom"]
            error = float(found[0] - reference[0])
            self._energy_errors.append(error)
            self.worst["energy"].add(abs(error), {**entry, "error": 1e3 * error, "unit": "meV/atom"})
        if "forces" in pairs:
            self._note_forces(entry, structure, *pairs["forces"])

    def _note_forces(
        self, entry: dict[str, Any], structure: Structure, reference: FloatArray, found: FloatArray
    ) -> None:
        errors = np.abs(found - reference)
        rmse = math.sqrt(float(np.nanmean(errors**2)))
        atom = int(np.nanargmax(np.nanmax(np.where(np.isnan(errors), -1.0, errors), axis=1)))
        self.worst["forces"].add(
            rmse,
            {
                **entry,
                "rmse": 1e3 * rmse,
                "max": 1e3 * float(np.nanmax(errors)),
                "atom": atom,
                "element": SYMBOLS[int(structure.numbers[atom])],
                "unit": "meV/Å",
            },
        )


def _pairs(labelled: Structure, predicted: Structure) -> Pairs:
    """Reference and prediction of every quantity that has a label."""
    pairs: Pairs = {}
    if labelled.energy is not None and not math.isnan(labelled.energy) and predicted.energy is not None:
        energies = np.array([labelled.energy]), np.array([predicted.energy])
        pairs["energy"] = energies
        pairs["energy_per_atom"] = energies[0] / len(labelled), energies[1] / len(labelled)
    if _has_numbers(labelled.forces) and predicted.forces is not None:
        assert labelled.forces is not None
        pairs["forces"] = labelled.forces, predicted.forces
        pairs["force_magnitude"] = np.linalg.norm(labelled.forces, axis=1), np.linalg.norm(predicted.forces, axis=1)
    if _has_numbers(labelled.stress) and predicted.stress is not None:
        assert labelled.stress is not None
        pairs["stress"] = labelled.stress[UPPER], predicted.stress[UPPER]
    return pairs


def _has_numbers(values: FloatArray | None) -> bool:
    return values is not None and bool((~np.isnan(values)).any())


def _rows(reference: FloatArray, found: FloatArray) -> FloatArray:
    """Pairs as rows, those without a label left out."""
    rows = np.stack([np.ravel(reference), np.ravel(found)], axis=1)
    kept: FloatArray = rows[~np.isnan(rows[:, 0])]
    return kept


def _measures(statistics: dict[str, ErrorStatistics]) -> dict[str, Any]:
    return {
        name: statistics[measure.source].figures(measure.factor, measure.unit)
        for name, measure in MEASURES.items()
        if measure.source in statistics and statistics[measure.source].count
    }


def _key(name: str) -> str:
    """Name of a property among the quantities, which may be called as it is called."""
    return f"property:{name}"


def _of_properties(statistics: dict[str, ErrorStatistics], units: dict[str, str]) -> dict[str, Any]:
    found = {
        name: statistics[_key(name)].figures(1.0, unit)
        for name, unit in units.items()
        if _key(name) in statistics and statistics[_key(name)].count
    }
    return {"properties": found} if found else {}
