"""The parts of a batch add up to its loss and its gradient, for the objectives of every family."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from eqcli.data.batches import BatchPlan, BatchStream, Budget
from eqcli.engine.training_held_out import HeldOut, dealt
from eqcli.progress import Silent

PARTS = [[0], [1, 2, 3, 4], [5, 6]]
WHOLE = [i for part in PARTS for i in part]

Case = tuple[Any, nn.Module, Callable[[list[list[int]]], list[Any]]]
"""An objective, a model, and what makes batches."""


def seeded(trainable: Any) -> Case:
    """A generator whose noise is a function of the structure, so that parts see what the whole batch sees."""
    objective = type(trainable.objective)()
    rows: dict[int, list[int]] = {}

    def batches(indices: list[list[int]]) -> list[Any]:
        made = list(trainable.batches("train", indices, 0))
        rows.update({id(batch): own for batch, own in zip(made, indices, strict=True)})
        return made

    objective.state_noise = lambda batch: objective.seeded_noise(3, torch.tensor(rows[id(batch)]), batch)
    return objective, trainable.new_model(), batches


def crystals_case(folder: Path, **model: Any) -> Case:
    from eqcli.engine.training_generator import TrainableGenerator
    from eqcli.tasks import train_generator
    from tests.generator_case import NETWORKS
    from tests.tasks.train_generator_case import crystals, make_recipe, write

    made = crystals(30)
    triples = [s for n, s in enumerate(made) if n % 3 == 0]
    for structure in triples:
        structure.numbers, structure.positions = structure.numbers[:1], structure.positions[:1]
    config = {"denoiser": NETWORKS["cspnet"], **model}
    recipe = make_recipe(write(folder / "data.h5", made), model=config, training={"precision": "float64"})
    parts, _ = train_generator.read_crystals(recipe, Silent())
    return seeded(TrainableGenerator(recipe, train_generator._prepared(recipe, parts, [])))


def flow(folder: Path) -> Case:
    return crystals_case(folder, name="flowmm", species="bits")


def diffusion(folder: Path) -> Case:
    return crystals_case(folder, name="diffcsp", species="one-hot", coordinates_weight=3.0)


def molecules(folder: Path) -> Case:
    from eqcli.engine.training_molecules import TrainableMolecules
    from eqcli.tasks import train_molecules
    from tests.tasks.train_molecules_case import make_recipe, write
    from tests.tasks.train_molecules_case import molecules as some

    data = write(folder / "data.h5", some(18))
    recipe = make_recipe(data, model={"self_conditioning": False}, training={"precision": "float64"})
    parts, _ = train_molecules.read_molecules(recipe, Silent())
    return seeded(TrainableMolecules(recipe, train_molecules._prepared(recipe, parts, [])))


def motion(folder: Path) -> Case:
    from eqcli.engine.training_dynamics import TrainableDynamics
    from eqcli.tasks.train_dynamics import make
    from tests.tasks.test_dynamics import recipe

    wanted: Any = recipe(data={"train": 8, "valid": 2, "test": 2}, training={"precision": "float64"})
    trainable = TrainableDynamics(wanted, make(wanted, Silent()))
    return (
        trainable.objective,
        trainable.new_model(),
        lambda indices: list(trainable.batches("train", indices, 0)),
    )


def docking(folder: Path) -> Case:
    """Poses to judge are drawn in the order of the complexes."""
    from eqcli.data.complex_batches import Judging, complex_batch
    from eqcli.data.complex_set import complex_set
    from eqcli.data.ligand_features import LIGAND_CODES, RECEPTOR_CODES
    from eqcli.engine.training_docking import DockingObjective
    from eqcli.io import read_structures
    from eqcli.io.structure import Structure
    from eqcli.models.docking.build import make_docking_network
    from eqcli.tasks.train import train
    from tests.docking_folder import series_folder
    from tests.tasks.train_docking_case import SEEN, make_recipe

    recipe = make_recipe(series_folder(folder / "series"), training={"precision": "float64", "max_epochs": 1}, **SEEN)
    train(recipe, folder / "run", device="cpu")
    structures: list[Structure] = []
    for name in ("train", "valid"):
        structures += read_structures(folder / "run" / "data" / f"{name}.h5")
    complexes = complex_set(structures, neighbours=6, reach=30.0)
    torch.manual_seed(0)
    model = make_docking_network(recipe.model, ligand_codes=LIGAND_CODES, receptor_codes=RECEPTOR_CODES).double()

    def batches(indices: list[list[int]]) -> list[Any]:
        random = np.random.default_rng(0)
        return [complex_batch(complexes, rows, random, None, Judging(2, 2.0, 6.0)) for rows in indices]

    return DockingObjective(), model, batches


def registration(folder: Path) -> Case:
    from eqcli.engine.training_pointcloud import TrainableRegistration
    from eqcli.tasks.train_pointcloud import make_pairs
    from tests.tasks.train_pointcloud_case import MADE, make_recipe

    recipe = make_recipe({"generated": {**MADE, "pairs": 7}}, training={"precision": "float64"})
    trainable = TrainableRegistration(recipe, make_pairs(recipe, [])[0])
    return (
        trainable.objective,
        trainable.new_model(),
        lambda indices: list(trainable.batches("train", indices, 0)),
    )


def shares(objective: Any, model: nn.Module, batches: list[Any]) -> tuple[float, list[Tensor]]:
    """Loss and gradients of a batch that is divided into these."""
    model.zero_grad()
    counts = torch.stack([objective.counts(batch) for batch in batches]).sum(0)
    assert len(counts) == objective.means
    total = 0.0
    for batch in batches:
        loss = objective.share(model, batch, counts)
        loss.backward()
        total += float(loss.detach())
    return total, [p.grad.clone() for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize("case", [flow, diffusion, molecules, motion, docking, registration])
def test_shares_add_up(case: Callable[[Path], Case], tmp_path: Path) -> None:
    objective, model, batches = case(tmp_path)
    (whole,) = batches([WHOLE])
    model.zero_grad()
    loss = objective.loss(model, whole)
    loss.backward()
    expected = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    for indices in ([WHOLE], PARTS):
        total, found = shares(objective, model, batches(indices))
        assert total == pytest.approx(float(loss.detach()), rel=1e-9)
        assert len(found) == len(expected)
        scale = max(float(g.abs().max()) for g in expected)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9 * scale)


@pytest.mark.parametrize("world", [2, 3])
def test_every_held_out_batch_is_measured_once_by_its_number(world: int) -> None:
    plan = BatchPlan(np.arange(1, 8), Budget("atoms", 9), seed=None)
    batches = [plan.batch(0, i) for i in range(plan.count(0))]
    assert batches == list(BatchStream(plan, 1))
    seen: dict[int, list[int]] = {}
    for rank in range(world):
        numbers, firsts = dealt(batches, rank, world)
        seen |= dict(HeldOut([batches[n] for n in numbers], firsts).numbered())
    assert seen == {batch[0]: batch for batch in batches}
    assert [first for first, _ in HeldOut.of(batches).numbered()] == sorted(seen)
