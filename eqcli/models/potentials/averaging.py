"""Averages of any prediction over frames of the structures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from eqcli.errors import InputError
from eqcli.geometry.weighted_frames import Choice, WeightedFrames, weighted_frames
from eqcli.graph.atom_graph import AtomGraph
from eqcli.graph.segments import segment_counts
from eqcli.models.prediction import QUANTITIES, Quantity
from eqcli.nn.envelope import polynomial_cutoff

if TYPE_CHECKING:
    from eqcli.models.potentials.configs.frames import FramesConfig

Compute = Callable[[AtomGraph, Tensor], dict[str, Tensor]]

SMOOTHNESS = 5
"""Order of the polynomial envelope that weighs edges in the frames."""

EDGES_AT_ONCE = 262144
"""Edges of copies computed at a time."""


@dataclass
class TurnedStructures:
    """K copies of structures, each in its frame, as one batch.

    Attributes
    ----------
    frames
        One for each copy.
    graph, vectors
        The batch, and its edge vectors `[E', 3]` float64 Å.
    atom, copy
        Of which atom, and in which copy, each of the N' atoms is, `[N']`.
    """

    frames: WeightedFrames
    graph: AtomGraph
    vectors: Tensor
    atom: Tensor
    copy: Tensor

    def average(self, values: Tensor, quantity: Quantity, n: int) -> Tensor:
        """Values of atoms or copies turned back and averaged, for the n atoms or structures there were."""
        copy = self.copy if quantity.per_atom else torch.arange(len(values), device=values.device)
        target = self.atom if quantity.per_atom else self.frames.structure
        axes = self.frames.axes.index_select(0, copy)
        if quantity.kind == "vector":
            values = (values.unsqueeze(1) @ axes.transpose(1, 2)).squeeze(1)
        elif quantity.kind == "tensor":
            values = axes @ values @ axes.transpose(1, 2)
        weight = self.frames.weight.index_select(0, copy).view(-1, *[1] * (values.dim() - 1))
        return values.new_zeros(n, *values.shape[1:]).index_add(0, target, weight * values)


class FrameAverage:
    """Makes a function of graphs symmetric: it sees each structure in its frames, and its results are turned back.

    Frames come from the edge vectors of the whole structure, weighted by an envelope, or from positions. Both are
    differentiated through: forces and stress are the exact derivatives of the averaged energy.

    Parameters
    ----------
    config
        Which frames, and when.
    cutoff
        Å, where the weight of an edge ends.
    """

    def __init__(self, config: FramesConfig, cutoff: float) -> None:
        self.config, self.cutoff = config, cutoff

    def __call__(
        self,
        compute: Compute,
        graph: AtomGraph,
        vectors: Tensor,
        quantities: Mapping[str, Quantity],
        *,
        training: bool,
    ) -> dict[str, Tensor]:
        """What `compute` gives, averaged by the law of each quantity; `vectors` are those of edges, `[E, 3]` float64.

        Raises InputError for a periodic structure when frames come from positions.
        """
        if self.config.mode == "none":
            return compute(graph, vectors)
        laws = {**QUANTITIES, **quantities}

        def part(frames: WeightedFrames) -> dict[str, Tensor]:
            turned = turn(graph, vectors, frames)
            return {
                name: turned.average(values, laws[name], graph.num_nodes if laws[name].per_atom else graph.n_structures)
                for name, values in compute(turned.graph, turned.vectors).items()
            }

        parts = _blocks(self.frames(graph, vectors, self._choice(training)), graph)
        if len(parts) == 1:
            return part(parts[0])
        # The many frames of a large symmetric crystal do not fit memory at once: derivatives compute each part anew.
        results = [checkpoint(part, frames, use_reentrant=False) for frames in parts]
        return {name: torch.stack([result[name] for result in results]).sum(0) for name in results[0]}

    def frames(self, graph: AtomGraph, vectors: Tensor, choice: Choice = "all") -> WeightedFrames:
        """Frames of the structures of a graph."""
        if self.config.source == "positions":
            if bool(graph.pbc.any()):
                raise InputError(
                    "frames from positions are for molecules: in a crystal they depend on the choice of the cell",
                    hint="Use a model with `frames: {from: edges}`.",
                )
            points, batch, weights = graph.positions, graph.batch, None
        else:
            points, batch = vectors, graph.batch.index_select(0, graph.edge_index[1])
            weights = polynomial_cutoff(vectors.norm(dim=1) / self.cutoff, SMOOTHNESS)
        return weighted_frames(
            points,
            batch,
            graph.n_structures,
            group=self.config.group,
            weights=weights,
            resolution=self.config.resolution,
            choice=choice,
        )

    def _choice(self, training: bool) -> Choice:
        if self.config.mode == "full":
            return "all"
        if training:
            return "random"
        return "all" if self.config.inference == "all" else "first"


def _blocks(frames: WeightedFrames, graph: AtomGraph) -> list[WeightedFrames]:
    """Frames in blocks whose copies have about :data:`EDGES_AT_ONCE` edges; one block for what is small."""
    edges = segment_counts(graph.batch.index_select(0, graph.edge_index[1]), graph.n_structures)
    ends = edges.index_select(0, frames.structure).cumsum(0)
    if len(ends) == 0 or int(ends[-1]) <= EDGES_AT_ONCE:
        return [frames]
    counts = torch.bincount((ends - 1).clamp(min=0) // EDGES_AT_ONCE).tolist()
    split = [part.split([n for n in counts if n]) for part in (frames.structure, frames.axes, frames.weight)]
    return [WeightedFrames(*block) for block in zip(*split, strict=True)]


def turn(graph: AtomGraph, vectors: Tensor, frames: WeightedFrames) -> TurnedStructures:
    """A copy of its structure in each frame."""
    receiver = graph.edge_index[1]
    atoms = graph.atom_counts
    edges = segment_counts(graph.batch.index_select(0, receiver), graph.n_structures)
    atom, atom_copy = _members(atoms, frames.structure)
    edge, edge_copy = _members(edges, frames.structure)
    # By how much the atoms of each copy come later than those of its structure.
    counts = atoms.index_select(0, frames.structure)
    later = (counts.cumsum(0) - counts) - (atoms.cumsum(0) - atoms).index_select(0, frames.structure)
    parts = {
        "positions": _turned(graph.positions.index_select(0, atom), frames.axes.index_select(0, atom_copy)),
        "numbers": graph.numbers.index_select(0, atom),
        "cell": graph.cell.index_select(0, frames.structure) @ frames.axes,
        "pbc": graph.pbc.index_select(0, frames.structure),
        "edge_index": graph.edge_index.index_select(1, edge) + later.index_select(0, edge_copy),
        "edge_shift": graph.edge_shift.index_select(0, edge),
        "batch": atom_copy,
    }
    parts |= {name: graph[name].index_select(0, frames.structure) for name in ("charge", "spin") if name in graph}
    turned = _turned(vectors.index_select(0, edge), frames.axes.index_select(0, edge_copy))
    return TurnedStructures(frames, AtomGraph(**parts), turned, atom, atom_copy)


def _members(counts: Tensor, structure: Tensor) -> tuple[Tensor, Tensor]:
    """Index of each member of each copy, and its copy; the members of structure s are `counts[s]` in a row."""
    each = counts.index_select(0, structure)
    copy = torch.repeat_interleave(torch.arange(len(structure), device=counts.device), each)
    first = (counts.cumsum(0) - counts).index_select(0, structure) - (each.cumsum(0) - each)
    return torch.arange(len(copy), device=counts.device) + first.index_select(0, copy), copy


def _turned(rows: Tensor, axes: Tensor) -> Tensor:
    return (rows.unsqueeze(1) @ axes).squeeze(1)
