"""Small complexes for tests of docking networks: a coiled chain of residues and zigzag ligands beside it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from eqcli.data.ligand_features import LIGAND_CODES, RECEPTOR_CODES
from eqcli.graph.complex_batch import ComplexBatch, Judged, Rigid, Side, Truth, joined_sides
from eqcli.graph.ligand_graph import ligand_graph
from eqcli.graph.residue_graph import residue_graph


def chain(residues: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Kinds and backbone (N, CA, C) of a helix-like coil that winds about a sphere."""
    random = np.random.default_rng(seed)
    t = np.arange(residues)
    ca = np.stack([8 * np.cos(0.5 * t), 8 * np.sin(0.5 * t), 1.2 * t], 1) + random.normal(scale=0.4, size=(residues, 3))
    n = ca + random.normal(size=(residues, 3))
    c = ca + random.normal(size=(residues, 3))
    kinds = random.integers(0, 20, residues)
    return torch.from_numpy(kinds), *(torch.from_numpy(x) for x in (n, ca, c))


def zigzag(atoms: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Categories, positions and bonds of a bent chain of atoms."""
    random = np.random.default_rng(seed)
    steps = random.normal(size=(atoms, 3))
    steps[:, 0] = np.abs(steps[:, 0]) + 1
    positions = np.cumsum(1.5 * steps / np.linalg.norm(steps, axis=1, keepdims=True), axis=0)
    codes = np.stack([random.integers(0, size, atoms) for size in LIGAND_CODES], axis=1)
    bonds = np.stack([np.arange(atoms - 1), np.arange(1, atoms), np.ones(atoms - 1, dtype=np.int64)], axis=1)
    return torch.from_numpy(codes), torch.from_numpy(positions), torch.from_numpy(bonds).reshape(-1, 3)


def complex_of(residues: int, atoms: int, seed: int) -> ComplexBatch:
    """One complex without truth, in float64."""
    codes, positions, bonds = zigzag(atoms, seed)
    return batch_of([residue_graph(*chain(residues, seed))], [(ligand_graph(codes, positions, bonds), bonds)])


def batch_of(receptors: list[Side], ligands: list[tuple[Side, Tensor]]) -> ComplexBatch:
    """Receptors and ligands, each with its bonds, in one batch."""
    starts = np.cumsum([0, *[len(side.positions) for side, _ in ligands]])[:-1].tolist()
    pairs = torch.cat([bonds[:, :2].T + start for (_, bonds), start in zip(ligands, starts, strict=True)], dim=1)
    joined = joined_sides([side for side, _ in ligands])
    lengths = (joined.positions[pairs[0]] - joined.positions[pairs[1]]).norm(dim=1)
    return ComplexBatch(joined_sides(receptors), joined, Rigid(pairs, lengths))


def truth_of(batch: ComplexBatch, seed: int = 0) -> Truth:
    """Crystal poses that are the conformers, moved, with points of the pocket about them."""
    random = torch.Generator().manual_seed(seed)
    poses = batch.ligand.positions + torch.randn(3, generator=random, dtype=torch.float64)
    starts, counts = batch.ligand.starts, batch.ligand.counts
    atoms = torch.cat([start + torch.arange(min(5, int(n))) for start, n in zip(starts, counts, strict=True)])
    points = poses[atoms] + torch.randn(len(atoms), 3, generator=random, dtype=torch.float64)
    return Truth(poses, points, atoms, counts.clamp(max=5))


def judged_of(poses: int, atoms: int, seed: int) -> Judged:
    """Poses with receptor atoms scattered near them."""
    random = np.random.default_rng(seed)
    lengths = random.uniform(1.5, 6.0, poses * atoms * 4)
    receiver = np.repeat(np.arange(poses * atoms), 4)
    sender = random.integers(0, 9, len(receiver))
    ends = np.array([(i, i + 1) for i in range(atoms - 1)] + [(i + 1, i) for i in range(atoms - 1)])
    bonds = (ends[None] + atoms * np.arange(poses)[:, None, None]).reshape(-1, 2)
    bonds = bonds[np.argsort(bonds[:, 1], kind="stable")]
    codes = np.stack([random.integers(0, size, atoms) for size in LIGAND_CODES], axis=1)
    receptor = np.stack([random.integers(0, size, 9) for size in RECEPTOR_CODES], axis=1)
    return Judged(
        torch.from_numpy(np.tile(codes, (poses, 1))),
        torch.from_numpy(receptor),
        torch.full((poses,), atoms),
        torch.from_numpy(np.stack([sender, receiver])),
        torch.from_numpy(lengths),
        torch.from_numpy(np.ascontiguousarray(bonds.T)),
        torch.arange(poses) == 0,
    )
