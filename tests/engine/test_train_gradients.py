"""Gradients of batches that are divided are those of the whole batch, for the objectives of all families."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from eqcli.data.batch_shares import Division, Step
from eqcli.data.graphs import structure_graph
from eqcli.engine.training_gradients import Gradients, Whole
from eqcli.engine.training_loss import Loss
from eqcli.engine.training_potential import PotentialObjective
from eqcli.engine.training_processes import Processes
from eqcli.engine.training_steps import Reloader, StepBatch
from eqcli.engine.training_world import World
from eqcli.errors import InputError
from eqcli.graph.atom_graph import batch_graphs
from eqcli.progress import Silent
from eqcli.recipe.schema import BatchSection, LossSection
from eqcli.tasks.train import train
from tests.engine.training_case import BASE, isolated_atoms, labelled, make_recipe, molecules, register_toy, write
from tests.stopping import assert_same_end
from tests.toy import ToyPotential


class Heard(Silent):
    """Keeps warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, text: str) -> None:
        self.warnings.append(text)


def mixed_graphs() -> list[Any]:
    """Molecules and crystals of different sizes, with an energy, forces, parts of forces and a stress missing."""
    structures = [*molecules(5, seed=3), *(labelled([1, 6, 8, 1, 6][:n], BASE[:n], cell=4.5) for n in (3, 5, 4))]
    made = [structure_graph(s, 4.0, weight) for s, weight in zip(structures, (1, 2, 1, 0.5, 1, 3, 1, 1), strict=True)]
    made[1].energy[:] = np.nan
    made[2].forces[:] = np.nan
    made[4].forces[1, 2] = np.nan
    made[6].stress[:] = np.nan
    return made


class Memory:
    """An objective whose device holds no more than so many atoms."""

    def __init__(self, objective: PotentialObjective, atoms: int) -> None:
        self.objective = objective
        self.means = objective.means
        self.atoms = atoms

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        self._look(batch)
        return self.objective.loss(model, batch)

    def counts(self, batch: Any) -> Tensor:
        return self.objective.counts(batch)

    def share(self, model: nn.Module, batch: Any, counts: Tensor) -> Tensor:
        self._look(batch)
        return self.objective.share(model, batch, counts)

    def _look(self, batch: Any) -> None:
        if batch.num_nodes > self.atoms:
            raise torch.OutOfMemoryError("CUDA out of memory.")


def gradients_of(
    parts: list[list[int]] | None = None, *, kind: str = "mse", memory: int | None = None
) -> tuple[Tensor, list[Tensor], Gradients]:
    """Loss and gradients of all graphs, in these parts or as one."""
    made = mixed_graphs()
    model = ToyPotential(elements=[1, 6, 8]).double()
    objective: Any = PotentialObjective(Loss(LossSection(kind=kind, energy=2.0, forces=3.0, stress=5.0)))
    objective = Memory(objective, memory) if memory is not None else objective
    trainable: Any = SimpleNamespace(objective=objective, describe=lambda batch: f"{batch.num_nodes} atoms")
    processes = Processes(World())
    sizes = np.array([len(g.positions) for g in made])
    division = Division(sizes, sizes)

    def load(stream: Any) -> Any:
        class Again:
            def __iter__(self) -> Any:
                return (batch_graphs([made[i] for i in rows]) for rows in stream)

        return Again()

    gradients = Gradients(
        model, trainable, processes, division, Reloader(division, load), Whole(model, trainable, processes),
        automatic=True, unit="atoms", section=BatchSection, device=torch.device("cpu"), report=Heard(),
    )  # fmt: skip
    parts = parts or [list(range(len(made)))]
    step = Step(0, list(range(len(made))), parts, len(parts))
    loss = gradients.take(StepBatch(step, [batch_graphs([made[i] for i in part]) for part in parts]))
    return loss, [p.grad for p in model.parameters() if p.grad is not None], gradients


@pytest.mark.parametrize("kind", ["mse", "mae", "huber"])
@pytest.mark.parametrize("parts", [[[0, 1, 2, 3, 4, 5, 6], [7]], [[1], [2], [4, 6], [0, 3, 5], [7]]])
def test_uneven_micro_batches_with_missing_labels(kind: str, parts: list[list[int]]) -> None:
    whole_loss, whole, _ = gradients_of(kind=kind)
    loss, found, _ = gradients_of(parts, kind=kind)
    assert float(loss) == pytest.approx(float(whole_loss), rel=1e-13)
    assert len(found) == len(whole) > 0
    for one, other in zip(found, whole, strict=True):
        assert float(other.abs().max()) > 0
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_the_mean_of_the_parts_would_be_another_gradient() -> None:
    """What the exact sum differs from: parts that are weighted alike."""
    parts = [[0, 1, 2, 3, 4, 5, 6], [7]]
    whole = gradients_of()[1]
    means = [gradients_of([part])[1] for part in parts]
    assert any(not torch.allclose(0.5 * (a + b), c, rtol=1e-3) for a, b, c in zip(*means, whole, strict=True))


@pytest.mark.parametrize("memory", [32, 20, 9, 5])
def test_a_batch_that_does_not_fit_is_done_again_in_parts(memory: int) -> None:
    whole = gradients_of()[1]
    _, found, gradients = gradients_of(memory=memory)
    for one, other in zip(found, whole, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    report = gradients.report
    assert isinstance(report, Heard)
    assert gradients.division.limit is not None
    assert gradients.division.limit < 33
    assert "does not fit" in report.warnings[0]
    assert f"at most {gradients.division.limit} atoms" in report.warnings[-1]


def test_a_structure_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(InputError, match="5 atoms does not fit into the memory of cpu"):
        gradients_of(memory=4)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    register_toy()
    return write(tmp_path / "frames.h5", molecules(30) + isolated_atoms())


def test_training_in_micro_batches(data: Path, tmp_path: Path) -> None:
    """The same figures up to rounding, whatever the size of the parts, which may change on the way."""
    schedule = {"name": "constant"}
    section = {"max_epochs": 2, "batch": {"atoms": 16}, "precision": "float64", "schedule": schedule}
    whole = train(make_recipe(data, training=section), tmp_path / "whole", device="cpu")
    recipe = make_recipe(data, training={**section, "micro_batch": {"structures": 1}})
    train(make_recipe(data, training={**section, "max_epochs": 1}), tmp_path / "parts", device="cpu")
    parts = train(recipe, tmp_path / "parts", device="cpu", resume=True)
    assert parts.steps == whole.steps
    assert parts.metrics["valid"] == pytest.approx(whole.metrics["valid"], rel=1e-9)


def test_a_training_that_ran_out_of_memory_resumes_as_it_was(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = PotentialObjective.loss

    def short(self: PotentialObjective, model: nn.Module, batch: Any) -> Tensor:
        if batch.num_nodes > 11:
            raise torch.OutOfMemoryError
        return plain(self, model, batch)

    monkeypatch.setattr(PotentialObjective, "loss", short)
    report = Heard()
    recipe = make_recipe(data, training={"max_epochs": 2, "schedule": {"name": "constant"}})
    train(recipe, tmp_path / "whole", device="cpu", report=report)
    assert len([text for text in report.warnings if "does not fit" in text]) == 1
    half = recipe.model_copy(update={"training": recipe.training.model_copy(update={"max_epochs": 1})})
    train(half, tmp_path / "run", device="cpu")
    train(recipe, tmp_path / "run", device="cpu", resume=True)
    assert_same_end(tmp_path / "run", tmp_path / "whole")


def test_the_estimate_divides_a_batch_that_memory_cannot_hold(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eqcli.engine import training_potential

    class Small:
        def admits(self, atoms: int, edges: int) -> bool:
            return atoms <= 8

    monkeypatch.setattr(training_potential, "training_budget", lambda *args, **kwargs: Small())
    section = {"max_epochs": 1, "batch": {"atoms": 20}, "precision": "float64"}
    divided = train(make_recipe(data, training=section), tmp_path / "divided", device="cpu")
    monkeypatch.undo()
    whole = train(make_recipe(data, training=section), tmp_path / "whole", device="cpu")
    assert divided.metrics["valid"] == pytest.approx(whole.metrics["valid"], rel=1e-9)


def test_a_validation_that_does_not_fit_is_done_in_smaller_batches(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = PotentialObjective.measure

    def short(self: PotentialObjective, model: nn.Module, batches: Any) -> dict[str, float]:
        def looked() -> Any:
            for batch in batches:
                if batch.num_nodes > atoms:
                    raise torch.OutOfMemoryError
                yield batch

        return plain(self, model, looked())

    section = {"max_epochs": 1, "precision": "float64", "valid_batch": {"structures": 8}}
    whole = train(make_recipe(data, training=section), tmp_path / "whole", device="cpu")
    monkeypatch.setattr(PotentialObjective, "measure", short)
    atoms, report = 11, Heard()
    parts = train(make_recipe(data, training=section), tmp_path / "parts", device="cpu", report=report)
    assert parts.metrics["valid"] == pytest.approx(whole.metrics["valid"], rel=1e-9)
    assert any("halved to 2" in text for text in report.warnings)
    atoms = 2
    with pytest.raises(InputError, match="does not fit into memory"):
        train(make_recipe(data, training=section), tmp_path / "none", device="cpu")
