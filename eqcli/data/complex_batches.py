"""Batches of complexes, with what training changes about them at random."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from eqcli.data.batches import BatchStream
from eqcli.data.decoys import judged_poses
from eqcli.graph.complex_batch import ComplexBatch, Judged, Rigid, Side, Truth, joined_sides
from eqcli.graph.ligand_graph import ligand_graph

if TYPE_CHECKING:
    from eqcli.data.complex_set import ComplexSet, Floats, Integers, LigandEntry, ReceptorEntry


@dataclass(frozen=True)
class Augmentation:
    """What differs each time that a complex is shown.

    Attributes
    ----------
    crop
        Share of the complexes whose receptor is cut down to the neighbourhood of the pocket.
    radius, jitter
        Å: residues within `radius` of the ligand's centre stay, after a random shift of the centre by `jitter`.
    noise
        Å: standard deviation of random shifts of residues.
    hidden
        Share of residues whose kind is not told.
    """

    crop: float = 0.0
    radius: float = 20.0
    jitter: float = 4.0
    noise: float = 0.0
    hidden: float = 0.0


@dataclass(frozen=True)
class Judging:
    """What poses are judged with: see `ConfidenceConfig`."""

    decoys: int
    near: float
    reach: float


class ComplexLoader:
    """Batches in the order of `indices`, as often as it is iterated over.

    What is random is drawn from the seed, the epoch and the complexes of a batch: a resumed run sees the same, and a
    held-out part the same every time.

    Parameters
    ----------
    complexes
        The data.
    indices
        The complexes of each batch.
    dtype
        Precision of the tensors.
    seed
        Of everything random.
    augmentation
        None shows every complex as it is, with its first conformer.
    judging
        None leaves out the poses to judge.
    """

    def __init__(
        self,
        complexes: ComplexSet,
        indices: Iterable[list[int]],
        dtype: torch.dtype,
        *,
        seed: int = 0,
        augmentation: Augmentation | None = None,
        judging: Judging | None = None,
    ) -> None:
        self.complexes = complexes
        self.indices = indices
        self.dtype = dtype
        self.seed = seed
        self.augmentation = augmentation
        self.judging = judging

    def __iter__(self) -> Iterator[ComplexBatch]:
        for epoch, rows in self._with_epochs():
            code = zlib.crc32(np.asarray(rows, dtype=np.int64).tobytes())
            random = np.random.default_rng([self.seed, epoch, code])
            batch = complex_batch(self.complexes, rows, random, self.augmentation, self.judging)
            yield batch.to(dtype=self.dtype)

    def _with_epochs(self) -> Iterator[tuple[int, list[int]]]:
        """Few complexes, or batches of one, come together again in every epoch: they are to look different then."""
        batches = self.indices
        return batches.with_epochs() if isinstance(batches, BatchStream) else ((0, rows) for rows in batches)


def complex_batch(
    complexes: ComplexSet,
    rows: Sequence[int],
    random: np.random.Generator,
    augmentation: Augmentation | None = None,
    judging: Judging | None = None,
) -> ComplexBatch:
    """These complexes in one batch, in float64."""
    ligands = [complexes.ligands[row] for row in rows]
    receptors = [complexes.receptors[x.receptor] for x in ligands]
    shapes = [_conformer(x, random, augmentation) for x in ligands]
    sides = [_shown(r.graph, x.pose.mean(0), random, augmentation) for r, x in zip(receptors, ligands, strict=True)]
    judged = None
    if judging is not None:
        parts = [_judged(x, r, judging, random) for x, r in zip(ligands, receptors, strict=True)]
        judged = joined_judged(parts)
    return ComplexBatch(
        joined_sides(sides),
        joined_sides([conformer_graph(x, shape) for x, shape in zip(ligands, shapes, strict=True)]),
        joined_rigid([(x.rigid, shape) for x, shape in zip(ligands, shapes, strict=True)]),
        _truth(ligands),
        judged,
        torch.tensor(list(rows)),
    )


def conformer_graph(ligand: LigandEntry, shape: Floats) -> Side:
    """The graph of a ligand in one shape."""
    return ligand_graph(torch.from_numpy(ligand.codes), torch.from_numpy(shape), torch.from_numpy(ligand.bonds))


def joined_rigid(ligands: Sequence[tuple[Integers, Floats]]) -> Rigid:
    """Rigid pairs of several ligands, each with its shape."""
    pairs, lengths, start = [], [], 0
    for own, shape in ligands:
        pairs.append(torch.from_numpy(own.T.reshape(2, -1) + start))
        lengths.append(torch.from_numpy(np.linalg.norm(shape[own[:, 0]] - shape[own[:, 1]], axis=1)))
        start += len(shape)
    return Rigid(torch.cat(pairs, dim=1), torch.cat(lengths))


def _conformer(ligand: LigandEntry, random: np.random.Generator, augmentation: Augmentation | None) -> Floats:
    number = 0 if augmentation is None else int(random.integers(len(ligand.conformers)))
    shape: Floats = ligand.conformers[number]
    return shape


def _shown(graph: Side, centre: Floats, random: np.random.Generator, augmentation: Augmentation | None) -> Side:
    if augmentation is None:
        return graph
    if random.random() < augmentation.crop:
        around = torch.from_numpy(centre + random.normal(scale=augmentation.jitter / 3**0.5, size=3))
        graph = cropped(graph, around, augmentation.radius)
    positions, codes = graph.positions, graph.codes
    if augmentation.noise:
        positions = positions + torch.from_numpy(random.normal(scale=augmentation.noise, size=positions.shape))
    if augmentation.hidden:
        hide = torch.from_numpy(random.random(len(codes)) < augmentation.hidden)
        codes = torch.where(hide.unsqueeze(1), torch.full_like(codes, UNKNOWN), codes)
    return Side(codes, graph.scalars, positions, graph.counts, graph.edges, graph.edge_features)


UNKNOWN = 20
"""The kind of a residue that is no common amino acid."""

FEWEST = 20
"""Residues that a crop leaves at least: the nearest ones."""


def cropped(graph: Side, centre: Tensor, radius: float) -> Side:
    """One receptor without the residues beyond `radius` Å of a point; what is left keeps its features."""
    distance = (graph.positions - centre).norm(dim=1)
    keep = distance <= max(radius, float(distance.sort().values[min(FEWEST, len(distance)) - 1]))
    place = keep.cumsum(0) - 1
    edges = keep[graph.edges].all(0)
    return Side(
        graph.codes[keep],
        graph.scalars[keep],
        graph.positions[keep],
        keep.sum().reshape(1),
        place[graph.edges[:, edges]],
        graph.edge_features[edges],
    )


def _truth(ligands: Sequence[LigandEntry]) -> Truth:
    starts = np.cumsum([0, *[len(x.pose) for x in ligands]])[:-1]
    return Truth(
        torch.from_numpy(np.concatenate([x.pose for x in ligands])),
        torch.from_numpy(np.concatenate([x.contacts for x in ligands])),
        torch.from_numpy(np.concatenate([x.contact_atoms + s for x, s in zip(ligands, starts, strict=True)])),
        torch.tensor([len(x.contacts) for x in ligands]),
    )


def _judged(ligand: LigandEntry, receptor: ReceptorEntry, judging: Judging, random: np.random.Generator) -> Judged:
    poses, near = judged_poses(ligand, receptor, judging.decoys, judging.near, random)
    return judged(ligand.codes, ligand.bonds, receptor, poses, judging.reach, torch.from_numpy(near))


def judged(
    codes: Integers,
    bonds: Integers,
    receptor: ReceptorEntry,
    poses: Floats,
    reach: float,
    near: Tensor | None = None,
) -> Judged:
    """Poses `[P, n, 3]` of one ligand as a network judges them."""
    count, n = poses.shape[:2]
    flat = poses.reshape(-1, 3)
    found = receptor.tree.query_ball_point(flat, reach)
    atom = np.repeat(np.arange(len(flat)), [len(x) for x in found])
    other = np.concatenate([np.asarray(x, dtype=np.int64) for x in found]) if len(found) else atom
    lengths = np.linalg.norm(flat[atom] - receptor.positions[other], axis=1)
    both = np.concatenate([bonds[:, :2], bonds[:, 1::-1]])
    both = both[np.argsort(both[:, 1], kind="stable")]
    every = (both[None] + n * np.arange(count)[:, None, None]).reshape(-1, 2)
    used, place = np.unique(other, return_inverse=True)
    return Judged(
        torch.from_numpy(np.tile(codes, (count, 1))),
        torch.from_numpy(receptor.codes[used]),
        torch.full((count,), n),
        torch.from_numpy(np.stack([place.reshape(-1), atom])),
        torch.from_numpy(lengths),
        torch.from_numpy(np.ascontiguousarray(every.T)),
        near,
    )


def joined_judged(parts: Sequence[Judged]) -> Judged:
    """Poses of several ligands in one."""
    atoms = np.cumsum([0, *[len(p.ligand_codes) for p in parts]])[:-1].tolist()
    others = np.cumsum([0, *[len(p.receptor_codes) for p in parts]])[:-1].tolist()
    shifts = [torch.tensor([[o], [a]]) for o, a in zip(others, atoms, strict=True)]
    near = [p.near for p in parts if p.near is not None]
    return Judged(
        torch.cat([p.ligand_codes for p in parts]),
        torch.cat([p.receptor_codes for p in parts]),
        torch.cat([p.counts for p in parts]),
        torch.cat([p.edges + s for p, s in zip(parts, shifts, strict=True)], dim=1),
        torch.cat([p.lengths for p in parts]),
        torch.cat([p.bonds + a for p, a in zip(parts, atoms, strict=True)], dim=1),
        torch.cat(near) if len(near) == len(parts) else None,
    )
