"""Batches that are divided among threads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from eqcli.engine.model_file import make_potential
from eqcli.engine.on_cores import WORK_PER_PART, evaluate_on_cores
from eqcli.graph.atom_graph import AtomGraph, batch_graphs
from eqcli.graph.many import build_batch
from eqcli.graph.parts import parts_of
from eqcli.models.potentials.base import Potential, Statistics
from eqcli.models.potentials.config import POTENTIALS
from eqcli.models.potentials.derive import evaluate
from tests.benchmarks.mixed_crystals import mixed_crystals
from tests.contracts.test_potentials import VARIANTS


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def build(variant: str) -> Potential:
    torch.manual_seed(3)
    elements = [13, 28, 29, 46, 47, 78, 79]
    options = VARIANTS[variant]
    made = make_potential(POTENTIALS[options["name"]][2].model_validate(options), elements)
    made.initialise(Statistics(avg_num_neighbors=9.0, shift=0.3, scale=0.7))
    return made.to(torch.float64).eval()


def crystals(count: int = 12) -> AtomGraph:
    return build_batch(mixed_crystals(count, least=1, most=16), 4.0, labels=True)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 40])
def test_parts_joined_again_are_the_graph(count: int) -> None:
    graph = crystals()
    parts = parts_of(graph, count)
    assert len(parts) == min(count, graph.n_structures) or count > 3
    joined = batch_graphs(parts).to_dict()
    for name, value in graph.to_dict().items():
        assert torch.equal(joined[name].nan_to_num(), value.nan_to_num()), name


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_threads_give_is_what_one_gives(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eqcli.engine.on_cores.WORK_PER_PART", 10)
    potential = build(variant)
    graph = crystals()
    whole, divided = evaluate(potential, graph, stress=True), evaluate_on_cores(potential, graph, stress=True)
    assert divided.keys() == whole.keys()
    for name, value in whole.items():
        torch.testing.assert_close(divided[name], value, rtol=1e-10, atol=1e-10, equal_nan=True)
    assert torch.get_num_threads() == 3


def test_each_part_has_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    import eqcli.engine.on_cores as module

    seen: list[tuple[int, int]] = []

    def spy(potential: Potential, graph: AtomGraph, *, stress: bool) -> object:
        seen.append((graph.n_structures, torch.get_num_threads()))
        return evaluate(potential, graph, stress=stress)

    monkeypatch.setattr(module, "evaluate", spy)
    monkeypatch.setattr(module, "WORK_PER_PART", WORK_PER_PART // 100)
    graph = crystals(40)
    evaluate_on_cores(build("mace-scalar"), graph, stress=False)
    assert len(seen) == 3
    assert sum(count for count, _ in seen) == 40
    assert {threads for _, threads in seen} == {1}


def test_an_error_of_a_part_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    import eqcli.engine.on_cores as module

    def failing(potential: Potential, graph: AtomGraph, *, stress: bool) -> object:
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(module, "evaluate", failing)
    monkeypatch.setattr(module, "WORK_PER_PART", 10)
    with pytest.raises(torch.OutOfMemoryError):
        evaluate_on_cores(build("mace-scalar"), crystals(40), stress=False)
    assert torch.get_num_threads() == 3


def test_little_work_is_not_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    import eqcli.engine.on_cores as module

    monkeypatch.setattr(module, "parts_of", lambda *_: pytest.fail("divided"))
    evaluate_on_cores(build("mace-scalar"), crystals(4), stress=False)
