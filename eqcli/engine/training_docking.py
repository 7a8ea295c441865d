"""What a docking network brings to training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from eqcli.data.batches import Budget
from eqcli.data.complex_batches import Augmentation, ComplexLoader, Judging
from eqcli.data.ligand_features import LIGAND_CODES, RECEPTOR_CODES
from eqcli.engine.device import PRECISIONS
from eqcli.engine.training_held_out import HeldOut
from eqcli.geometry.torsions import torsion_fit, torsion_tables
from eqcli.models.docking.build import make_docking_network

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eqcli.data.complex_set import ComplexSet, LigandEntry
    from eqcli.data.prepared_sets import PreparedSets
    from eqcli.engine.training_objective import Objective
    from eqcli.graph.complex_batch import ComplexBatch
    from eqcli.models.docking.base import DockingNetwork


class DockingObjective:
    """The loss of a docking network, and how far its flexible poses are from the crystal's."""

    means = 2

    def loss(self, model: nn.Module, batch: ComplexBatch) -> Tensor:
        terms: dict[str, Tensor] = model.losses(batch)  # type: ignore[operator]
        return terms["loss"]

    def counts(self, batch: ComplexBatch) -> Tensor:
        """Complexes and judged poses."""
        return torch.tensor([len(batch), 0 if batch.judged is None else len(batch.judged.counts)], dtype=torch.float64)

    def share(self, model: nn.Module, batch: ComplexBatch, counts: Tensor) -> Tensor:
        """The confidence is learned as a mean over poses, all else as means over the complexes."""
        terms: dict[str, Tensor] = model.losses(batch)  # type: ignore[operator]
        of_complexes, of_poses = (self.counts(batch) / counts.cpu()).tolist()
        if "confidence" not in terms:
            return of_complexes * terms["loss"]
        judged = model.config.weights.confidence * terms["confidence"]  # type: ignore[union-attr, operator]
        return of_complexes * (terms["loss"] - judged) + of_poses * judged

    @torch.no_grad()
    def measure(self, model: nn.Module, batches: Iterable[ComplexBatch]) -> dict[str, float]:
        """Terms of the loss, means over the complexes, and figures of the flexible poses by plain RMSD."""
        sums: dict[str, float] = {}
        errors: list[tuple[float, float]] = []
        confidence: list[tuple[float, bool]] = []
        device = next(model.parameters()).device
        held_out = HeldOut.of(batches)
        ligands = held_out.batches.complexes.ligands  # type: ignore[attr-defined]
        for _, batch in held_out.numbered():
            moved = batch.to(device)
            for name, term in model.losses(moved).items():  # type: ignore[operator]
                sums[name] = sums.get(name, 0.0) + float(term) * len(batch)
            errors += _errors(model, moved, ligands)
            confidence += _confidences(model, moved)
        errors, confidence = held_out.every(errors), held_out.every(confidence)
        sums, _ = held_out.means(sums, 0)
        total = max(len(errors), 1)
        figures = {name if name == "loss" else f"{name}_loss": value / total for name, value in sums.items()}
        return figures | summary(np.array(errors).reshape(-1, 2)) | _auc(confidence)


def _errors(model: Any, batch: ComplexBatch, ligands: tuple[LigandEntry, ...]) -> list[tuple[float, float]]:
    """RMSD and distance of centroids of each complex of a batch, Å."""
    assert batch.truth is not None
    assert batch.rows is not None
    counts = batch.ligand.counts.tolist()
    clouds = model.poses(batch).uncorrected.double().cpu().split(counts)
    shapes = batch.ligand.positions.double().cpu().split(counts)
    truths = batch.truth.poses.double().cpu().split(counts)
    found = []
    for row, cloud, shape, truth in zip(batch.rows.tolist(), clouds, shapes, truths, strict=True):
        pose = flexible(ligands[row], shape, cloud)
        found.append(
            (float((pose - truth).square().sum(1).mean().sqrt()), float((pose.mean(0) - truth.mean(0)).norm()))
        )
    return found


def flexible(ligand: LigandEntry, shape: Tensor, cloud: Tensor) -> Tensor:
    """The conformer with the torsions and the place of a cloud, heavy atoms alone."""
    tables = torsion_tables(
        torch.from_numpy(ligand.rotatable),
        torch.from_numpy(np.ascontiguousarray(ligand.bonds[:, :2])),
        len(shape),
        torch.from_numpy(ligand.moved),
    )
    return torsion_fit(shape, cloud, tables)


def summary(errors: NDArray[np.float64]) -> dict[str, float]:
    """Medians and shares of RMSD and centroid distance, `[S, 2]`."""
    if not len(errors):
        return {}
    rmsd, centroid = errors.T
    return {
        "rmsd_median": float(np.median(rmsd)),
        "centroid_median": float(np.median(centroid)),
        "rmsd_below_2": float((rmsd < 2.0).mean()),
        "rmsd_below_5": float((rmsd < 5.0).mean()),
    }


def _confidences(model: Any, batch: ComplexBatch) -> list[tuple[float, bool]]:
    if batch.judged is None or batch.judged.near is None:
        return []
    said = model.confidence(batch.judged)
    return [] if said is None else list(zip(said.tolist(), batch.judged.near.tolist(), strict=True))


def _auc(confidence: list[tuple[float, bool]]) -> dict[str, float]:
    """How often a near-native pose is trusted more than a displaced one."""
    near = np.array([value for value, is_near in confidence if is_near])
    far = np.array([value for value, is_near in confidence if not is_near])
    if not len(near) or not len(far):
        return {}
    order = near[:, None] - far[None, :]
    return {"confidence_auc": float((order > 0).mean() + 0.5 * (order == 0).mean())}


class TrainableDocking:
    """A docking network and the complexes that it is trained on; see :class:`Trainable`.

    Parameters
    ----------
    recipe
        A training recipe.
    prepared
        Its complexes: `train`, `valid`, and perhaps `test` and `seen`.
    leak
        What the model file says of proteins that the parts share.
    """

    objective: Objective = DockingObjective()

    def __init__(self, recipe: Any, prepared: PreparedSets[ComplexSet], leak: dict[str, Any]) -> None:
        self.recipe = recipe
        self.prepared = prepared
        self.parts = prepared.parts
        self.leak = leak
        self.held_out: tuple[str, ...] = tuple(name for name in ("valid", "seen", "test") if name in self.parts)
        self.notes: list[str] = []

    def new_model(self) -> DockingNetwork:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.recipe.seed)
            model = make_docking_network(self.recipe.model, ligand_codes=LIGAND_CODES, receptor_codes=RECEPTOR_CODES)
        return model.to(PRECISIONS[self.recipe.training.precision])

    def budget(self, part: str, section: Any) -> tuple[Budget, NDArray[np.int64]]:
        complexes = self.parts[part]
        each = {
            "structures": np.ones(len(complexes), dtype=np.int64),
            "atoms": complexes.counts,
            "edges": complexes.edges,
        }
        budget = Budget.of(section)
        return budget, each[budget.unit]

    def lengths(self, part: str) -> NDArray[np.int64]:
        """Receptors are filled up to the largest in their batch where the two sides hear each other."""
        return self.parts[part].counts

    def batches(self, part: str, indices: Iterable[list[int]], workers: int) -> ComplexLoader:
        """All data lie in memory, whatever the number of workers."""
        recipe = self.recipe
        judge = recipe.model.confidence
        augmentation = Augmentation(**recipe.data.augmentation.model_dump()) if part == "train" else None
        return ComplexLoader(
            self.parts[part],
            indices,
            PRECISIONS[recipe.training.precision],
            seed=recipe.seed,
            augmentation=augmentation,
            judging=Judging(judge.decoys, judge.near, judge.reach) if judge is not None else None,
        )

    def largest_batch_edges(self) -> int:
        budget, sizes = self.budget("train", self.recipe.training.batch)
        members = max(1, min(int(budget.limit // max(1.0, float(sizes.mean()))), len(sizes)))
        return int(members * float(self.parts["train"].edges.mean()))

    def part_that_fits(self, device: torch.device, machines: int) -> float:
        return 1.0

    def facts(self) -> dict[str, Any]:
        sizes = {name: len(part) for name, part in self.parts.items()}
        return {
            "data": self.prepared.inputs,
            "settings": self.prepared.settings,
            "complexes": sizes,
            **self.leak,
        }

    def finish(self, model: nn.Module) -> dict[str, Any]:
        return {}

    def describe(self, batch: ComplexBatch) -> str:
        return f"{len(batch)} complexes, {int(batch.receptor.counts.sum())} residues"
