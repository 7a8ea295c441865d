"""What a network of registration brings to training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from eqcli.data.batches import Budget
from eqcli.data.pair_batches import PyramidSettings
from eqcli.data.pair_set import PairLoader
from eqcli.engine.device import PRECISIONS
from eqcli.engine.training_held_out import HeldOut
from eqcli.engine.training_sets import TrainableSets
from eqcli.geometry.motions import rotation_error
from eqcli.models.pointcloud.build import make_registration_network

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eqcli.data.pair_set import PairSet
    from eqcli.engine.training_objective import Objective
    from eqcli.graph.pair_batch import PairBatch
    from eqcli.models.pointcloud.base import MatchedPoints, RegistrationNetwork

SOLVED = 15.0
"""Degrees: the best hypothesis of one match is near enough for refinement to end in the true motion."""

TRIED = 500
"""Matches, the most likely ones, whose hypotheses are tried."""


class RegistrationObjective:
    """The loss of a network of registration, and how good its matches are."""

    means = 1

    def loss(self, model: nn.Module, batch: PairBatch) -> Tensor:
        terms: dict[str, Tensor] = model.losses(batch)  # type: ignore[operator]
        return terms["loss"]

    def counts(self, batch: PairBatch) -> Tensor:
        """Pairs."""
        return torch.tensor([len(batch)], dtype=torch.float64)

    def share(self, model: nn.Module, batch: PairBatch, counts: Tensor) -> Tensor:
        """Every term is a mean over the pairs."""
        return self.loss(model, batch) * (len(batch) / float(counts[0]))

    @torch.no_grad()
    def measure(self, model: nn.Module, batches: Iterable[PairBatch]) -> dict[str, float]:
        """Terms of the loss and figures of the matches, means over the pairs."""
        rows: list[dict[str, float]] = []
        device = next(model.parameters()).device
        radius: Any = model.config.inlier_radius  # type: ignore[union-attr]
        held_out = HeldOut.of(batches)
        for _, batch in held_out.numbered():
            moved = batch.to(device)
            terms = {k if k == "loss" else f"{k}_loss": float(v) for k, v in model.losses(moved).items()}  # type: ignore[operator]
            assert moved.truth is not None
            truths = zip(moved.truth.rotation, moved.truth.translation, strict=True)
            for matched, truth in zip(model.matches(moved), truths, strict=True):  # type: ignore[operator]
                rows.append(terms | match_figures(matched, *truth, float(radius)))
        rows = held_out.every(rows)
        return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]} if rows else {}


def match_figures(matched: MatchedPoints, rotation: Tensor, translation: Tensor, radius: float) -> dict[str, float]:
    """Number of matches, their inlier ratio, and whether the hypothesis of one of them is near the true motion.

    Parameters
    ----------
    rotation, translation
        The true motion, `[3, 3]` and voxels `[3]`.
    radius
        Voxels; matches nearer than this in a pose are its inliers.
    """
    index = matched.index
    if not len(index):
        return {"matches": 0.0, "inlier_ratio": 0.0, "solved": 0.0}
    source, target = matched.source.points[index[:, 0]], matched.target.points[index[:, 1]]
    inliers = (source @ rotation.T + translation - target).norm(dim=1) < radius
    turns = matched.rotations[:TRIED]
    shifts = target[:TRIED] - torch.einsum("mij,mj->mi", turns, source[:TRIED])
    moved = torch.einsum("hij,mj->hmi", turns, source) + shifts.unsqueeze(1)
    best = int(((moved - target).norm(dim=2) < radius).sum(1).argmax())
    error = float(rotation_error(turns[best].double(), rotation.double()))
    return {
        "matches": float(len(index)),
        "inlier_ratio": float(inliers.double().mean()),
        "solved": float(error < SOLVED),
    }


class TrainableRegistration(TrainableSets):
    """A network of registration and the pairs that it is trained on; see :class:`Trainable`.

    Parameters
    ----------
    recipe
        A training recipe.
    prepared
        Its pairs: `train`, `valid`, and perhaps `test`.
    """

    what = "pairs"
    objective: Objective = RegistrationObjective()
    parts: dict[str, PairSet]

    def new_model(self) -> RegistrationNetwork:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.recipe.seed)
            model = make_registration_network(self.recipe.model)
        return model.to(PRECISIONS[self.recipe.training.precision])

    def budget(self, part: str, section: Any) -> tuple[Budget, NDArray[np.int64]]:
        return Budget.of(section), np.ones(len(self.parts[part]), dtype=np.int64)

    def lengths(self, part: str) -> None:
        return None

    def batches(self, part: str, indices: Iterable[list[int]], workers: int) -> PairLoader:
        """With workers, whatever their number, one thread makes pairs while others are trained on."""
        settings = PyramidSettings.of(self.recipe.model)
        return PairLoader(
            self.parts[part], indices, settings, PRECISIONS[self.recipe.training.precision], workers=workers
        )

    def largest_batch_edges(self) -> int:
        members = self.recipe.training.batch.structures or 1
        generated = self.recipe.data.generated
        points = generated.voxels[1] if generated is not None else self.recipe.data.max_points
        return int(2 * members * points * self.recipe.model.neighbours)

    def describe(self, batch: PairBatch) -> str:
        points = len(batch.source.levels[0].points) + len(batch.target.levels[0].points)
        return f"{len(batch)} pairs, {points} points"
