"""A docking network asked about receptors and ligands as they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from eqcli.data.complex_batches import conformer_graph, cropped, joined_rigid, judged
from eqcli.data.complex_set import LigandEntry, ReceptorEntry
from eqcli.data.ligand_features import heavy_ligand, receptor_codes
from eqcli.engine.pose_network import FLEXIBLE, RIGID, UNCORRECTED
from eqcli.errors import InputError
from eqcli.geometry.kabsch import align
from eqcli.geometry.torsions import fitted_angles, torsion_tables, turned
from eqcli.graph.complex_batch import ComplexBatch, joined_sides
from eqcli.graph.residue_graph import residue_graph

if TYPE_CHECKING:
    from eqcli.engine.docking_box import Box
    from eqcli.engine.docking_receptor import PreparedReceptor
    from eqcli.graph.complex_batch import Side
    from eqcli.io.ligand import Ligand
    from eqcli.io.receptor import Receptor
    from eqcli.models.docking.base import DockingNetwork

FloatArray = NDArray[np.float64]

NODES = 4000
"""Residues and ligand atoms in one pass: as many as stay in the caches of a processor."""

REACH = 20.0
"""Å; residues within this of the centre of a box are shown, as in the crops of training."""

BEYOND = 8.0
"""Å; residues this far outside a large box are shown too."""


@dataclass(frozen=True)
class _Shape:
    """A ligand in one conformer, ready for the network; `topology` counts all atoms, `entry` heavy ones."""

    ligand: Ligand
    entry: LigandEntry
    heavy: NDArray[np.int64]
    rotatable: NDArray[np.int64]
    moved: NDArray[np.bool_]
    conformer: FloatArray


class NetworkPoses:
    """The poses and confidences of a docking network; see :class:`eqcli.engine.pose_network.PoseNetwork`."""

    def __init__(self, network: DockingNetwork) -> None:
        self.network = network.eval()
        self.device = next(network.parameters()).device

    def encode(self, receptor: Receptor) -> ReceptorEntry:
        """The receptor's residues and atoms as the network is shown them. Raises InputError without amino acids."""
        residues = receptor.residues
        if not len(residues.ca):
            raise InputError(
                f"the receptor {receptor.name} has no amino acids that the network could look at",
                hint="Use --physics-only.",
            )
        config = self.network.config
        graph = residue_graph(
            torch.as_tensor(np.asarray(residues.amino_acid), dtype=torch.int64),
            *(torch.as_tensor(np.asarray(x), dtype=torch.float64) for x in (residues.n, residues.ca, residues.c)),
            neighbours=config.neighbours,
            reach=config.reach,
        )
        heavy = receptor.heavy
        codes = receptor_codes(receptor.structure)[heavy]
        return ReceptorEntry(receptor.name, receptor.name, graph, receptor.structure.positions[heavy], codes)

    @torch.no_grad()
    def poses(
        self, prepared: PreparedReceptor, ligands: Sequence[tuple[Ligand, FloatArray]], site: Box | None
    ) -> list[dict[str, FloatArray]]:
        """Positions `[N, 3]` in Å by output for each ligand with its conformer `[N, 3]`."""
        graph = _near(prepared.encoded.graph, site)
        found: list[dict[str, FloatArray]] = []
        for shapes in _packs(_shapes(ligands), len(graph.codes)):
            sides = [conformer_graph(x.entry, x.conformer[x.heavy]) for x in shapes]
            batch = ComplexBatch(
                joined_sides([graph] * len(shapes)),
                joined_sides(sides),
                joined_rigid([(x.entry.rigid, x.conformer[x.heavy]) for x in shapes]),
            )
            bound = self.network.poses(batch.to(self.device, self.network.dtype))
            clouds = bound.uncorrected.double().cpu().split([len(x.heavy) for x in shapes])
            found += [_outputs(shape, cloud) for shape, cloud in zip(shapes, clouds, strict=True)]
        return found

    @torch.no_grad()
    def confidences(self, prepared: PreparedReceptor, ligand: Ligand, positions: FloatArray) -> FloatArray | None:
        """A number from 0 to 1 for each pose `[P, N, 3]`, higher for better; None where none was learned."""
        judge = self.network.config.confidence
        if judge is None:
            return None
        told = heavy_ligand(ligand.structure)
        poses = np.asarray(positions, dtype=np.float64)[:, told.heavy]
        asked = judged(told.codes, told.bonds, prepared.encoded, poses, judge.reach)
        said = self.network.confidence(asked.to(self.device, self.network.dtype))
        return None if said is None else said.double().cpu().numpy()


def _near(graph: Side, site: Box | None) -> Side:
    if site is None:
        return graph
    radius = max(REACH, max(site.size) / 2 + BEYOND)
    return cropped(graph, torch.tensor(site.centre, dtype=torch.float64), radius)


def _shapes(ligands: Sequence[tuple[Ligand, FloatArray]]) -> Iterator[_Shape]:
    """Every ligand in its conformer; what does not depend on the shape is computed once for equal neighbours."""
    last: _Shape | None = None
    for ligand, conformer in ligands:
        made = last if last is not None and last.ligand is ligand else _described(ligand)
        last = _Shape(ligand, made.entry, made.heavy, made.rotatable, made.moved, conformer)
        yield last


def _described(ligand: Ligand) -> _Shape:
    from eqcli.io.ligand_topology import topology

    shape, told = topology(ligand), heavy_ligand(ligand.structure)
    nothing = np.zeros((0, 3))
    entry = LigandEntry(
        ligand.name, 0, told.codes, told.bonds, told.rigid, nothing, nothing[None],
        told.place[shape.rotatable].reshape(-1, 2), shape.moved[:, told.heavy], nothing, np.zeros(0, dtype=np.int64),
    )  # fmt: skip
    return _Shape(ligand, entry, told.heavy, shape.rotatable, shape.moved, ligand.structure.positions)


def _packs(shapes: Iterator[_Shape], residues: int) -> Iterator[list[_Shape]]:
    """Shapes in batches of up to `NODES` nodes."""
    pack: list[_Shape] = []
    nodes = 0
    for shape in shapes:
        size = residues + len(shape.heavy)
        if pack and nodes + size > NODES:
            yield pack
            pack, nodes = [], 0
        pack.append(shape)
        nodes += size
    if pack:
        yield pack


def _outputs(shape: _Shape, cloud: torch.Tensor) -> dict[str, FloatArray]:
    """The three outputs of a network with hydrogens: in the cloud, these lie as in the rigid conformer."""
    conformer = torch.from_numpy(np.ascontiguousarray(shape.conformer))
    heavy = torch.from_numpy(shape.heavy)
    rigid = _laid(conformer, heavy, cloud)
    tables = torsion_tables(
        torch.from_numpy(shape.entry.rotatable),
        torch.from_numpy(np.ascontiguousarray(shape.entry.bonds[:, :2])),
        len(heavy),
        torch.from_numpy(shape.entry.moved),
    )
    angles = fitted_angles(conformer[heavy], cloud, tables)
    bent = turned(conformer, torch.from_numpy(shape.rotatable), torch.from_numpy(shape.moved), angles)
    uncorrected = rigid.clone()
    uncorrected[heavy] = cloud
    outputs = {FLEXIBLE: _laid(bent, heavy, cloud), RIGID: rigid, UNCORRECTED: uncorrected}
    return {name: positions.numpy() for name, positions in outputs.items()}


def _laid(positions: torch.Tensor, heavy: torch.Tensor, cloud: torch.Tensor) -> torch.Tensor:
    """All atoms after the motion that lays the heavy ones onto a cloud."""
    return align(positions[heavy][None], cloud[None]).apply(positions[None])[0]
