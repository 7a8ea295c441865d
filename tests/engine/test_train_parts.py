"""Loss, average, learning rate, checkpoints and logs, each by itself."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from eqcli.data.graphs import structure_graph
from eqcli.engine.training_checkpoint import (
    SafeCheckpointIO,
    checkpoint_path,
    list_checkpoints,
    read_checkpoint,
    write_checkpoint,
)
from eqcli.engine.training_ema import WeightAverage
from eqcli.engine.training_figures import measure
from eqcli.engine.training_log import CSVLog
from eqcli.engine.training_loss import Loss
from eqcli.engine.training_schedule import LearningRate
from eqcli.errors import InputError
from eqcli.graph.atom_graph import batch_graphs
from eqcli.models.potentials.derive import evaluate
from eqcli.recipe.schema import LossSection, ScheduleSection
from tests.engine.training_case import BASE, labelled, molecules
from tests.toy import ToyPotential

CRYSTAL = [1, 6, 8, 1, 6]


def potential() -> ToyPotential:
    return ToyPotential(elements=[1, 6, 8]).double()


def graphs(stress: bool = False) -> list:
    structures = [*molecules(3), labelled(CRYSTAL, BASE, cell=4.5)]
    return [structure_graph(s, 4.0) for s in structures]


@pytest.mark.parametrize("kind", ["mse", "mae", "huber"])
def test_loss_is_the_weighted_sum_of_means_over_labels(kind: str) -> None:
    """Against numpy, with an energy, a force and a stress missing."""
    batch = batch_graphs(graphs())
    batch.energy[1] = np.nan
    batch.forces[2] = np.nan
    batch.weight[0] = 2.5
    section = LossSection(kind=kind, huber_delta=0.3, energy=2, forces=3, stress=5)
    prediction = evaluate(potential(), batch, stress=True, training=True)
    shape = {
        "mse": np.square,
        "mae": np.abs,
        "huber": lambda x: np.where(np.abs(x) < 0.3, 0.5 * x**2, 0.3 * (np.abs(x) - 0.15)),
    }[kind]
    atoms = np.bincount(batch.batch)
    weight = batch.weight.numpy()
    expected = 0.0
    for term, factor, per_entry, per_row in (
        ("energy", 2, atoms, weight),
        ("forces", 3, 1, weight[batch.batch][:, None]),
        ("stress", 5, 1, weight[:, None, None]),
    ):
        error = (prediction[term].detach().numpy() - getattr(batch, term).numpy()) / per_entry
        expected += factor * np.nanmean(shape(error) * per_row)
    assert Loss(section)(prediction, batch).item() == pytest.approx(expected, rel=1e-12)


def test_molecules_beside_crystals_leave_gradients_finite() -> None:
    """A molecule has no volume; the stress of the crystal in the same batch must still be learnt."""
    model, batch = potential(), batch_graphs(graphs())
    loss = Loss(LossSection(energy=0, forces=0, stress=1))
    loss(evaluate(model, batch, forces=False, stress=True, training=True), batch).backward()
    gradients = [p.grad for p in model.parameters()]
    assert all(torch.isfinite(g) and g != 0 for g in gradients)
    crystal = batch_graphs(graphs()[-1:])
    alone = potential()
    loss(evaluate(alone, crystal, forces=False, stress=True, training=True), crystal).backward()
    torch.testing.assert_close(gradients, [p.grad for p in alone.parameters()], rtol=1e-10, atol=0)


def test_a_batch_without_any_label_of_a_term_counts_nothing() -> None:
    batch = batch_graphs(graphs()[:2])
    loss = Loss(LossSection(energy=0, forces=0, stress=1))(
        evaluate(potential(), batch, stress=True, training=True), batch
    )
    assert loss.item() == 0.0
    loss.backward()


def test_figures_do_not_depend_on_the_batches() -> None:
    loss, members = Loss(LossSection()), graphs()
    together = measure(potential(), [batch_graphs(members)], loss, stress=True)
    apart = measure(potential(), members, loss, stress=True)
    assert together == pytest.approx(apart, rel=1e-12)
    assert {"energy_mae", "forces_rmse", "stress_mae", "loss"} <= together.keys()


def test_average_follows_and_leaves_the_weights_alone() -> None:
    model = potential()
    average = WeightAverage(model, 0.5)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    with torch.no_grad():
        model.depth.add_(1.0)
    average.update()
    decay = min(0.5, 2 / 11)
    live = float(model.depth)
    with average.applied():
        assert float(model.depth) == pytest.approx(float(before["depth"]) * decay + live * (1 - decay))
        assert torch.equal(model.width, before["width"])
    assert float(model.depth) == live


def test_learning_rates() -> None:
    def rate(**section: object) -> LearningRate:
        return LearningRate(0.1, ScheduleSection.model_validate(section), 10)

    cosine = rate(name="cosine", warmup_steps=4, min_lr=0.02)
    assert cosine.at(1, 0.0) == pytest.approx(0.05)
    assert cosine.at(100, 5.0) == pytest.approx(0.06)
    assert cosine.at(100, 10.0) == pytest.approx(0.02)
    assert rate(name="exponential", factor=0.5).at(9, 2.0) == pytest.approx(0.025)
    plateau = rate(name="plateau", factor=0.5, patience=1)
    rates = []
    for loss in (1.0, 0.9, 0.95, 0.95, 0.95, 0.95):
        plateau.after_epoch(loss)
        rates.append(plateau.at(9, 1.0))
    assert rates == pytest.approx([0.1, 0.1, 0.1, 0.05, 0.05, 0.025])


TREE = {
    "none": None,
    "numbers": [1, 2.5, True, math.inf, 1e-300, 0.1],
    7: ("tuple", {"inner": torch.arange(3)}),
    "7": torch.tensor([[1.0]], dtype=torch.float64),
    "scalar": torch.tensor(3.0),
    "shared": [torch.ones(4)[:2], torch.zeros(2, 3).T],
    "empty": {},
}


def test_checkpoints_hold_any_tree(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "step-1.safetensors", TREE)
    found = read_checkpoint(tmp_path / "step-1.safetensors")
    assert list(found) == list(TREE)
    assert found["numbers"] == TREE["numbers"]
    assert isinstance(found[7], tuple)
    assert torch.equal(found[7][1]["inner"], torch.arange(3))
    assert found["7"].dtype == torch.float64
    assert found["scalar"].shape == ()
    assert torch.equal(found["shared"][1], torch.zeros(3, 2))
    assert found["none"] is None
    assert found["empty"] == {}


def test_checkpoints_refuse_what_needs_code(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="at /deep/0"):
        write_checkpoint(tmp_path / "step-1.safetensors", {"deep": [Path()]})
    assert not list(tmp_path.iterdir())
    torch.save({"a": 1}, tmp_path / "pickle.safetensors")
    with pytest.raises(InputError, match="damaged or no checkpoint"):
        read_checkpoint(tmp_path / "pickle.safetensors")


def test_two_checkpoints_stay_and_the_step_decides(tmp_path: Path) -> None:
    for step in (10, 9, 100, 11):
        SafeCheckpointIO().save_checkpoint({"step": step}, checkpoint_path(tmp_path, step))
    assert [read_checkpoint(path)["step"] for path in list_checkpoints(tmp_path)] == [100, 11]


def test_log_drops_what_comes_after_the_resumed_step(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    log = CSVLog(path, after_step=0)
    for step in (10, 20, 30):
        log.write({"epoch": step / 10, "step": step, "loss": 0.1})
    whole = path.read_text()
    path.write_text(whole + "4.0,40,0.")  # cut off by a kill
    log = CSVLog(path, after_step=20)
    assert path.read_text().splitlines() == whole.splitlines()[:3]
    log.write({"epoch": 3.0, "step": 30, "loss": 0.1})
    assert path.read_text() == whole
