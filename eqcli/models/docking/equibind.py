"""EquiBind: where and how a ligand binds, in one pass.

Stärk, Ganea, Pattanaik, Barzilay and Jaakkola, ICML 2022. The third output of the paper, the conformer with the
torsions of the cloud, needs no weights and is `eqcli.geometry.torsions.torsion_fit`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from eqcli.geometry.kabsch import align
from eqcli.graph.complex_batch import RESIDUE_KINDS, ComplexBatch, Judged, Side
from eqcli.graph.ligand_graph import EDGE_FEATURES as LIGAND_EDGES
from eqcli.graph.residue_graph import EDGE_FEATURES as RESIDUE_EDGES
from eqcli.graph.residue_graph import SCALARS
from eqcli.models.docking.base import BoundPoses, DockingNetwork
from eqcli.models.docking.codes import CodeEmbedding
from eqcli.models.docking.confidence import PoseJudge
from eqcli.models.docking.docking_losses import intersection_loss, position_loss, shape_loss, transport_loss
from eqcli.models.docking.graph_matching import GraphMatchingLayer, Known, Padding, SideLayer
from eqcli.models.docking.key_points import KeyPoints
from eqcli.models.docking.projection import projected


@dataclass(frozen=True)
class Evolved:
    """What the layers leave: ligand positions in their own frame, and key points of both sides."""

    ligand: Tensor
    own: Tensor
    other: Tensor


class EquiBind(DockingNetwork):
    """Independent graph matching of receptor and ligand, key points, and the motion between them."""

    def __init__(self, config: Any, *, ligand_codes: tuple[int, ...], receptor_codes: tuple[int, ...]) -> None:
        super().__init__(config, ligand_codes=ligand_codes, receptor_codes=receptor_codes)
        c, first = config.channels, config.channels + SCALARS
        self.ligand = CodeEmbedding(ligand_codes, c)
        self.residues = CodeEmbedding((RESIDUE_KINDS,), c)
        self.enter_ligand, self.enter_receptor = nn.Linear(first, c), nn.Linear(first, c)
        count = min(config.num_layers, 2) if config.shared_layers else config.num_layers
        self.layers = nn.ModuleList(
            GraphMatchingLayer(
                SideLayer(config, edge_features=LIGAND_EDGES, first=first, scale=1.0),
                SideLayer(config, edge_features=RESIDUE_EDGES, first=first, scale=config.receptor_scale),
            )
            for _ in range(count)
        )
        self.own = KeyPoints(c, config.key_points)
        self.other = KeyPoints(c, config.key_points)
        codes = {"ligand_codes": ligand_codes, "receptor_codes": receptor_codes}
        self.judge = PoseJudge(config.confidence, **codes) if config.confidence is not None else None

    def losses(self, batch: ComplexBatch) -> dict[str, Tensor]:
        truth = batch.truth
        assert truth is not None, "training needs true poses"
        centred, shift = _centred(batch.receptor)
        moved = batch.receptor.at(centred)
        evolved = self.evolve(batch)
        cloud = self.placed(evolved, batch)
        weights = self.config.weights
        local = replace(
            truth,
            poses=truth.poses - shift[batch.ligand.batch],
            contacts=truth.contacts - shift.repeat_interleave(truth.contact_counts, 0),
        )
        terms = {
            "positions": position_loss(cloud, batch.ligand, local),
            "shape": shape_loss(evolved.ligand, batch.ligand, local),
            "transport": transport_loss(evolved.own, evolved.other, batch.ligand, local, evolved.ligand),
            "intersection": intersection_loss(
                cloud, batch.ligand, moved, sigma=self.config.sigma, gamma=self.config.gamma
            ),
        }
        if self.judge is not None and batch.judged is not None and batch.judged.near is not None:
            near = batch.judged.near.to(self.dtype)
            terms["confidence"] = nn.functional.binary_cross_entropy_with_logits(self.judge(batch.judged), near)
        total = sum(getattr(weights, name) * term for name, term in terms.items())
        assert isinstance(total, Tensor)
        return {"loss": total, **terms}

    def poses(self, batch: ComplexBatch) -> BoundPoses:
        _, shift = _centred(batch.receptor)
        own = batch.ligand.batch
        cloud = self.placed(self.evolve(batch), batch) + shift[own]
        motion = align(batch.ligand.positions, cloud, batch=own, n_structures=len(batch))
        return BoundPoses(motion.apply(batch.ligand.positions, own), cloud, motion.rotation, motion.translation)

    def confidence(self, judged: Judged) -> Tensor | None:
        return None if self.judge is None else self.judge(judged).sigmoid()

    def placed(self, evolved: Evolved, batch: ComplexBatch) -> Tensor:
        """The evolved ligands where the key points say, Å, `[n, 3]`, about the centres of the receptors."""
        return align(evolved.own, evolved.other).apply(evolved.ligand, batch.ligand.batch)

    def evolve(self, batch: ComplexBatch) -> Evolved:
        """All layers; both sides about their own centres."""
        known = self._known(batch)
        h: tuple[Tensor, Tensor] = (self.enter_ligand(known[0].features), self.enter_receptor(known[1].features))
        x = (known[0].positions, known[1].positions)
        for layer in self._applied():
            h, x = layer(known, h, x)
            steps = self.config.projection_steps
            x = (projected(x[0], batch.rigid, steps=steps, rate=self.config.projection_rate), x[1])
        own = self.own(known[0], h[0], x[0], known[1], h[1])
        other = self.other(known[1], h[1], x[1], known[0], h[0])
        return Evolved(x[0], own, other)

    def _applied(self) -> list[nn.Module]:
        """The layers in order, as often as they are applied."""
        layers = list(self.layers)
        return layers + layers[-1:] * (self.config.num_layers - len(layers))

    def _known(self, batch: ComplexBatch) -> tuple[Known, Known]:
        found = []
        for side, table in ((batch.ligand, self.ligand), (batch.receptor, self.residues)):
            scalars = torch.log(side.scalars.clamp(min=1e-6))
            features = torch.cat([table(side.codes), scalars], dim=1)
            found.append(Known(side, Padding.of(side), features, _centred(side)[0]))
        return found[0], found[1]


def _centred(side: Side) -> tuple[Tensor, Tensor]:
    """Positions about the mean of each member, and the means, `[B, 3]`."""
    sums = side.positions.new_zeros(len(side), 3).index_add(0, side.batch, side.positions)
    mean = sums / side.counts.unsqueeze(1)
    return side.positions - mean[side.batch], mean
