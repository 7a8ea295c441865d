"""A batch of graphs taken apart."""

from __future__ import annotations

from itertools import pairwise

import torch

from eqcli.graph.atom_graph import AtomGraph
from eqcli.graph.segments import segment_counts

STRUCTURES = ("cell", "pbc", "charge", "spin", "energy", "stress")
ATOMS = ("positions", "numbers", "forces")


def parts_of(graph: AtomGraph, count: int) -> list[AtomGraph]:
    """At most `count` batches of consecutive structures, of as equal work as whole structures allow.

    Joined again they are the graph. Only what :class:`AtomGraph` names is kept; edges must be sorted by receiver, as
    neighbour lists give them.
    """
    atoms = graph.atom_counts
    edges = segment_counts(graph.batch[graph.edge_index[1]], graph.n_structures)
    work = (edges + atoms).cumsum(0)
    wanted = work[-1] * torch.arange(1, count, device=work.device) / count
    cuts = [0, *(torch.searchsorted(work, wanted) + 1).tolist(), graph.n_structures]
    cuts = sorted({min(cut, graph.n_structures) for cut in cuts})
    atom_ends = [0, *atoms.cumsum(0).tolist()]
    edge_ends = [0, *edges.cumsum(0).tolist()]
    return [
        _part(graph, slice(a, b), slice(atom_ends[a], atom_ends[b]), slice(edge_ends[a], edge_ends[b]))
        for a, b in pairwise(cuts)
    ]


def single(graph: AtomGraph, k: int) -> AtomGraph:
    """The structure k of a batch on its own; as of :func:`parts_of`, only what :class:`AtomGraph` names is kept."""
    atoms, edges = (graph.batch == k).nonzero().squeeze(1), graph.edge_index[1]
    own = (graph.batch[edges] == k).nonzero().squeeze(1)
    return _part(graph, slice(k, k + 1), _range(atoms), _range(own))


def _range(places: torch.Tensor) -> slice:
    """The range that consecutive places fill."""
    start = int(places[0]) if len(places) else 0
    return slice(start, start + len(places))


def _part(graph: AtomGraph, structures: slice, atoms: slice, edges: slice) -> AtomGraph:
    there = graph.to_dict()
    return AtomGraph(
        batch=graph.batch[atoms] - structures.start,
        edge_index=graph.edge_index[:, edges] - atoms.start,
        edge_shift=graph.edge_shift[edges],
        **{name: there[name][structures] for name in STRUCTURES if name in there},
        **{name: there[name][atoms] for name in ATOMS if name in there},
    )
