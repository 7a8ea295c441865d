"""Graphs of stored frames, for the loop that trains on them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from eqcli.data.frames import FrameTable, config_type
from eqcli.graph.atom_graph import AtomGraph, batch_graphs
from eqcli.graph.many import build_batch
from eqcli.io import DatasetFile

if TYPE_CHECKING:
    from eqcli.io.structure import Structure
    from eqcli.models.potentials.properties import Property

CACHE_BYTES = 500_000_000
"""Graphs are kept in memory when those of the whole data set need less than this."""

EDGE_BYTES = 2 * 8 + 3 * 8
ATOM_BYTES = 3 * 8 + 3 * 8 + 2 * 8
GRAPH_BYTES = 6_000
"""Rough memory of a graph: per edge, per atom, and for the Python objects."""


def graph_bytes(table: FrameTable, frames: np.ndarray) -> int:
    """Memory that the graphs of these frames take."""
    edges, atoms = int(table.n_edges[frames].sum()), int(table.n_atoms[frames].sum())
    return edges * EDGE_BYTES + atoms * ATOM_BYTES + len(frames) * GRAPH_BYTES


TARGET = "target_"
"""Stands before the name of a property among the fields of a graph."""


def structure_graph(
    structure: Structure, cutoff: float, weight: float = 1.0, properties: Sequence[Property] = ()
) -> AtomGraph:
    """The graph of a structure with its labels; see :func:`structure_graphs`."""
    return structure_graphs([structure], cutoff, [weight], properties)


def structure_graphs(
    structures: Sequence[Structure], cutoff: float, weights: Sequence[float], properties: Sequence[Property] = ()
) -> AtomGraph:
    """One graph of structures with their labels.

    `weight [B]` are their factors in the loss; `target_<name>` holds the labels of each property, `[B, ...]` or
    `[N, ...]` float64 in the unit of the predictions, NaN where there is none.
    """
    graph = build_batch(structures, cutoff, labels=True)
    graph.weight = torch.tensor(weights, dtype=torch.float64)
    for wanted in properties:
        graph[TARGET + wanted.name] = torch.cat([_target(wanted, structure) for structure in structures])
    return graph


def _target(wanted: Property, structure: Structure) -> torch.Tensor:
    label = wanted.label(structure)
    shape = wanted.shape(len(structure))
    if label is None:
        label = np.full(shape, np.nan)
    return torch.as_tensor(label, dtype=torch.float64).reshape(shape if wanted.per_atom else (1, *shape))


class GraphDataset(Dataset[AtomGraph]):
    """Frames of a stored file as graphs; a list of frames is handed out as one batch.

    Parameters
    ----------
    path
        The stored file.
    frames
        Which of its frames, in the order of this data set.
    cutoff
        Å.
    weights
        Factor on the loss of each `config_type`; 1 where absent.
    keep
        Whether to keep each graph in memory once it is built.
    properties
        Those whose labels are targets.
    """

    def __init__(
        self,
        path: Path,
        frames: np.ndarray,
        cutoff: float,
        *,
        weights: Mapping[str, float] | None = None,
        keep: bool,
        properties: Sequence[Property] = (),
    ) -> None:
        self.file = DatasetFile(path)
        self.frames = frames
        self.cutoff = cutoff
        self.weights = dict(weights or {})
        self.keep = keep
        self.properties = properties
        self._kept: dict[int, AtomGraph] = {}

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> AtomGraph:
        if index in self._kept:
            return self._kept[index]
        structure = self.file[int(self.frames[index])]
        weight = self.weights.get(config_type(structure), 1.0)
        graph = structure_graph(structure, self.cutoff, weight, self.properties)
        if self.keep:
            self._kept[index] = graph
        return graph

    def __getitems__(self, indices: list[int]) -> AtomGraph:
        if self.keep:
            return batch_graphs([self[i] for i in indices])
        structures = [self.file[int(self.frames[i])] for i in indices]
        weights = [self.weights.get(config_type(structure), 1.0) for structure in structures]
        return structure_graphs(structures, self.cutoff, weights, self.properties)


class GraphLoader:
    """Batches in the order of `batches`; the number of workers changes neither order nor content."""

    def __init__(self, dataset: GraphDataset, batches: Iterable[list[int]], workers: int = 0) -> None:
        self.dataset = dataset
        self.batches = batches
        self.workers = workers

    def __iter__(self) -> Iterator[AtomGraph]:
        if not self.workers:
            return (self.dataset.__getitems__(batch) for batch in self.batches)
        loader: DataLoader[AtomGraph] = DataLoader(
            self.dataset,
            batch_sampler=self.batches,
            collate_fn=_as_arrays,  # type: ignore[arg-type]
            num_workers=self.workers,
            worker_init_fn=_ignore_signals,
            # Forked workers start at once; others would import everything again.
            multiprocessing_context="fork" if sys.platform == "linux" else None,
            # The loader draws worker seeds when it starts: not from the global generator, whose state is saved.
            generator=torch.Generator().manual_seed(0),
        )
        return (AtomGraph(**{name: torch.from_numpy(value) for name, value in batch.items()}) for batch in loader)


def _as_arrays(batch: AtomGraph) -> dict[str, np.ndarray]:
    """Arrays travel through the pipe as bytes; each tensor would need a file descriptor and a handshake."""
    return {name: value.numpy() for name, value in batch.to_dict().items()}


def _ignore_signals(_: int) -> None:
    """Batch systems signal every process; the main one still needs its workers to reach the end of its step."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
