"""A summary of every frame of a data set, small enough to hold for millions of frames."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eqcli.elements import SYMBOLS
from eqcli.files import atomic_path
from eqcli.graph.neighbours import neighbour_list

if TYPE_CHECKING:
    from eqcli.io.structure import FloatArray, Structure
    from eqcli.models.potentials.properties import Property

ISOLATED_NAMES = ("isolatedatom", "isolatedatoms")
"""Values of `config_type` that mark an isolated atom, without case, spaces, dashes and underscores."""

BLOCK = 65536
"""Frames worked on at a time where something wider than a row is formed."""

COLUMNS = {
    "n_atoms": "i",
    "n_edges": "i",
    "lonely": "i",
    "energy": "d",
    "force_square": "d",
    "force_count": "i",
    "stress_square": "f",
    "stress_trace": "f",
    "volume": "f",
    "charge": "f",
    "fingerprint": "Q",
    "config": "i",
}
"""Columns and their types, as narrow as their use allows: a million frames should take less than 100 MB."""


LABEL_COLUMNS = {"count": "i", "total": "d", "square": "d"}
"""Columns for each property, and their types."""

LABEL_PREFIX = "label/"


@dataclass(frozen=True)
class LabelFigures:
    """What is kept of the labels of one property, a row per frame.

    Attributes
    ----------
    count
        Number of components; zero without a label.
    total
        Sum of the values: of scalars, and of the diagonal of tensors.
    square
        Sum of the squares of all components.

    Properties that grow with the number of atoms are taken per atom.
    """

    count: NDArray[np.int32]
    total: NDArray[np.float64]
    square: NDArray[np.float64]


@dataclass
class FrameTable:
    """One row per frame; about 80 bytes each.

    Attributes
    ----------
    n_atoms, n_edges, lonely
        Atoms, directed neighbour pairs, and atoms without any neighbour.
    energy
        eV; NaN without a label.
    force_square, force_count
        Sum of squares (eV/Å)^2 and number of the labelled force components.
    stress_square, stress_trace
        Sum of squares and trace of the stress, eV/Å^3; NaN without a label.
    volume
        Å^3; NaN unless periodic in three directions.
    charge
        Total charge, e; zero where a structure states none.
    fingerprint
        Equal for frames with the same atoms at the same places.
    config
        Index into `config_types`.
    species, species_count, species_start
        Elements of each frame and how often they occur, ragged: frame i owns `species_start[i]:species_start[i + 1]`.
    properties
        Figures of the labels of each property.
    """

    n_atoms: NDArray[np.int32]
    n_edges: NDArray[np.int32]
    lonely: NDArray[np.int32]
    energy: NDArray[np.float64]
    force_square: NDArray[np.float64]
    force_count: NDArray[np.int32]
    stress_square: NDArray[np.float32]
    stress_trace: NDArray[np.float32]
    volume: NDArray[np.float32]
    charge: NDArray[np.float32]
    fingerprint: NDArray[np.uint64]
    config: NDArray[np.int32]
    species: NDArray[np.uint8]
    species_count: NDArray[np.int32]
    species_start: NDArray[np.int64]
    config_types: list[str]
    properties: dict[str, LabelFigures] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.n_atoms)

    @property
    def isolated(self) -> NDArray[np.bool_]:
        """Frames that hold one atom and nothing near it: reference energies, not training data."""
        named = np.array([_plain(name) in ISOLATED_NAMES for name in self.config_types], dtype=bool)
        alone: NDArray[np.bool_] = (self.n_atoms == 1) & ((self.n_edges == 0) | named[self.config])
        return alone

    def labelled(self, term: str) -> NDArray[np.bool_]:
        """Which frames have a label: `energy`, `forces`, `stress` or the name of a property."""
        if term in self.properties:
            return np.asarray(self.properties[term].count > 0)
        if term == "forces":
            return np.asarray(self.force_count > 0)
        return np.isfinite(self.energy if term == "energy" else self.stress_square)

    def elements(self, frames: NDArray[Any]) -> list[int]:
        """Atomic numbers that occur in these frames, ascending."""
        wanted = np.zeros(len(self), dtype=bool)
        wanted[frames] = True
        occurring = np.bincount(self.species[np.repeat(wanted, np.diff(self.species_start))])
        return [int(z) for z in np.flatnonzero(occurring)]

    def composition(self, frames: NDArray[Any], elements: list[int]) -> NDArray[np.float64]:
        """How many atoms of each of `elements` each frame has, `[len(frames), len(elements)]`."""
        column = np.full(int(self.species.max(initial=0)) + 1, -1)
        for i, z in enumerate(elements):
            if z < len(column):
                column[z] = i
        lengths = np.diff(self.species_start)[frames]
        rows = np.repeat(np.arange(len(frames)), lengths)
        within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        entries = np.repeat(self.species_start[:-1][frames], lengths) + within
        columns = column[self.species[entries]]
        counts = np.zeros((len(frames), len(elements)))
        known = columns >= 0
        counts[rows[known], columns[known]] = self.species_count[entries][known]
        return counts

    def sum_over_atoms(self, values: Mapping[int, float]) -> NDArray[np.float64]:
        """The sum of a value per element over the atoms of every frame; elements without a value count zero."""
        by_number = np.zeros(len(SYMBOLS))
        by_number[list(values)] = list(values.values())
        sums = np.zeros(len(self))
        # In blocks, so that a million frames need little memory.
        for first in range(0, len(self), BLOCK):
            start = self.species_start[first : first + BLOCK + 1]
            entries = slice(start[0], start[-1])
            terms = by_number[self.species[entries]] * self.species_count[entries]
            rows = np.repeat(np.arange(len(start) - 1), np.diff(start))
            sums[first : first + BLOCK] = np.bincount(rows, terms, minlength=len(start) - 1)
        return sums

    def save(self, path: Path) -> None:
        """Writes the table as plain arrays."""
        columns = {name: getattr(self, name) for name in (*COLUMNS, "species", "species_count", "species_start")}
        for name, figures in self.properties.items():
            columns |= {f"{LABEL_PREFIX}{column}/{name}": getattr(figures, column) for column in LABEL_COLUMNS}
        with atomic_path(path) as temporary:
            np.savez(temporary, **columns, config_types=np.array(self.config_types, dtype=np.str_))

    @classmethod
    def load(cls, path: Path) -> FrameTable:
        """Reads what `save` wrote; objects that would run code are refused by numpy."""
        with np.load(path, allow_pickle=False) as file:
            columns = {name: file[name] for name in file.files}
        columns.setdefault("charge", np.zeros(len(columns["n_atoms"]), dtype=np.float32))
        labels = {key: columns.pop(key) for key in list(columns) if key.startswith(LABEL_PREFIX)}
        names = [key.rpartition("/")[2] for key in labels if key.startswith(f"{LABEL_PREFIX}count/")]
        properties = {
            name: LabelFigures(*(labels[f"{LABEL_PREFIX}{column}/{name}"] for column in LABEL_COLUMNS))
            for name in names
        }
        rest: dict[str, Any] = {
            **columns,
            "config_types": [str(name) for name in columns["config_types"]],
            "properties": properties,
        }
        return cls(**rest)


class Survey:
    """Collects the rows of a `FrameTable` from structures that pass by.

    `properties` are those whose labels are looked at.
    """

    def __init__(self, cutoff: float, properties: Sequence[Property] = ()) -> None:
        self.cutoff = cutoff
        self.properties = properties
        self._labels: dict[str, dict[str, array[Any]]] = {
            p.name: {name: array(code) for name, code in LABEL_COLUMNS.items()} for p in properties
        }
        self._columns = {name: array(code) for name, code in COLUMNS.items()}
        self._species = array("B")
        self._count = array("i")
        self._start = array("q", [0])
        self._configs: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._columns["n_atoms"])

    def watch(self, structures: Iterable[Structure]) -> Iterator[Structure]:
        """Passes the structures on, taking note of each."""
        for structure in structures:
            self.add(structure)
            yield structure

    def add(self, structure: Structure) -> None:
        """Takes note of one frame. Raises InputError, and takes none, where a label cannot be what it should be."""
        labels = {p.name: _label_figures(p, structure) for p in self.properties}
        edges, _ = neighbour_list(structure.positions, structure.cell, structure.pbc, self.cutoff)
        row = {
            "n_atoms": len(structure),
            "n_edges": edges.shape[1],
            "lonely": len(structure) - len(np.unique(edges[1])),
            "energy": np.nan if structure.energy is None else float(structure.energy),
            "volume": structure.volume if structure.pbc.all() else np.nan,
            "charge": structure.charge or 0.0,
            "fingerprint": fingerprint(structure),
            "config": self._configs.setdefault(config_type(structure), len(self._configs)),
            **_force_figures(structure),
            **_stress_figures(structure),
        }
        for name, value in row.items():
            self._columns[name].append(value)
        for name, figures in labels.items():
            for column, figure in figures.items():
                self._labels[name][column].append(figure)
        elements, counts = np.unique(structure.numbers, return_counts=True)
        self._species.extend(int(z) for z in elements)
        self._count.extend(int(c) for c in counts)
        self._start.append(len(self._species))

    def table(self) -> FrameTable:
        """The table of the frames seen so far; it shares their memory, so nothing can be added afterwards."""
        columns = {name: _as_numpy(values) for name, values in self._columns.items()}
        return FrameTable(
            **columns,
            species=_as_numpy(self._species),
            species_count=_as_numpy(self._count),
            species_start=_as_numpy(self._start),
            config_types=list(self._configs),
            properties={
                name: LabelFigures(*(_as_numpy(columns[column]) for column in LABEL_COLUMNS))
                for name, columns in self._labels.items()
            },
        )


def config_type(structure: Structure) -> str:
    """The `config_type` of a frame; `default` where it has none."""
    return str(structure.info.get("config_type", "default"))


def fingerprint(structure: Structure) -> int:
    """64 bits that agree for frames with the same atoms at the same places to 1e-6 Å."""
    digest = hashlib.blake2b(digest_size=8)
    digest.update(structure.numbers.tobytes())
    # Adding zero turns -0.0 into 0.0, which has other bytes.
    digest.update((np.round(structure.positions, 6) + 0.0).tobytes())
    digest.update((np.round(structure.cell * structure.pbc[:, None], 6) + 0.0).tobytes())
    return int.from_bytes(digest.digest(), "little")


def _force_figures(structure: Structure) -> dict[str, float]:
    if structure.forces is None:
        return {"force_square": np.nan, "force_count": 0}
    known = structure.forces[np.isfinite(structure.forces)]
    return {"force_square": float((known**2).sum()), "force_count": known.size}


def _stress_figures(structure: Structure) -> dict[str, float]:
    if structure.stress is None:
        return {"stress_square": np.nan, "stress_trace": np.nan}
    return {"stress_square": float((structure.stress**2).sum()), "stress_trace": float(np.trace(structure.stress))}


def _label_figures(wanted: Property, structure: Structure) -> dict[str, float]:
    label = wanted.label(structure)
    if label is None:
        return {"count": 0, "total": 0.0, "square": 0.0}
    values: FloatArray = label / len(structure) if wanted.extensive else label
    kind = wanted.quantity.kind
    total = np.trace(values, axis1=-2, axis2=-1).sum() if kind == "tensor" else values.sum()
    return {"count": values.size, "total": float(total), "square": float((values**2).sum())}


def _as_numpy(values: array[Any]) -> NDArray[Any]:
    return np.frombuffer(values, dtype=values.typecode) if len(values) else np.zeros(0, dtype=values.typecode)


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")
