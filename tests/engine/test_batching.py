"""What a batch may hold: by estimate, by what was learned, by what did not fit."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
import torch

from eqcli.engine import memory_budget
from eqcli.engine.batching import BatchBudget, sampling_budget, training_budget
from eqcli.engine.halving import in_halves
from eqcli.engine.memory_budget import LESSONS, MAX_ATOMS, MemoryBudget
from eqcli.engine.memory_limit import Limit
from tests.listener import Listener
from tests.toy_model import toy_model

CPU = torch.device("cpu")
GB = 10**9


def estimate(atoms: int, edges: int) -> float:
    return 1e4 * (atoms + edges)


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A machine with 10 GB to give."""
    monkeypatch.setattr(memory_budget, "memory_limit", lambda device: Limit(10 * GB, "a test"))


def largest(budget: MemoryBudget, per_atom: int = 20) -> int:
    """Most atoms, each with so many edges, that a batch may have."""
    low, high = 0, MAX_ATOMS + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if budget.admits(middle, per_atom * middle) else (low, middle)
    return low


def test_a_given_number_of_atoms_is_the_whole_law():
    budget = MemoryBudget(CPU, estimate, atoms=70)
    assert budget.admits(70, 10**9)
    assert not budget.admits(71, 0)
    budget.observe(70, 0, 1e12)
    assert budget.admits(70, 0)


def test_batches_grow_fourfold_at_most_until_the_memory_is_used():
    budget = MemoryBudget(CPU, estimate)
    seen = [largest(budget)]
    for _ in range(6):
        n = seen[-1]
        budget.observe(n, 20 * n, 0.1 * estimate(n, 20 * n))
        seen.append(largest(budget))
    assert seen[0] == pytest.approx(0.1 * 10 * GB / 21e4, rel=0.01)
    assert all(later <= 4.01 * former for former, later in pairwise(seen))
    # 1.25 times a tenth of the estimate of 210 kB for an atom, in half of 10 GB; or the most atoms there may ever be.
    assert seen[-1] == min(MAX_ATOMS, int(5 * GB / (1.25 * 21e3)))


def test_models_that_take_more_than_estimated_get_smaller_batches():
    budget = MemoryBudget(CPU, estimate)
    n = largest(budget)
    budget.observe(n, 20 * n, 8 * estimate(n, 20 * n))
    assert largest(budget) == pytest.approx(5 * GB / (1.25 * 8 * 21e4), rel=0.01)


def test_a_frozen_budget_learns_nothing():
    budget = MemoryBudget(CPU, estimate)
    budget.freeze()
    before = largest(budget)
    budget.observe(before, 20 * before, 50 * estimate(before, 20 * before))
    assert largest(budget) == before


def test_learning_ends_by_itself():
    budget = MemoryBudget(CPU, estimate)
    for k in range(LESSONS):
        assert budget.learning
        budget.observe(100 + k, 2_000, estimate(100 + k, 2_000))
    assert budget.frozen
    assert not budget.learning


def test_a_budget_with_the_same_facts_makes_the_same_batches():
    budget = MemoryBudget(CPU, estimate, most_bytes=3e9)
    for n in (200, 900, 3_000):
        budget.observe(n, 20 * n, 1.7 * estimate(n, 20 * n))
    budget.halve(3_000, 60_000)
    facts = json.loads(json.dumps(budget.facts()))
    other = MemoryBudget(CPU, estimate)
    other.take_up(facts)
    assert [other.admits(n, 20 * n) for n in range(50, 9_000, 50)] == [
        budget.admits(n, 20 * n) for n in range(50, 9_000, 50)
    ]
    assert other.facts() == budget.facts()


def test_what_did_not_fit_bounds_later_batches_and_is_told_once():
    listener = Listener()
    budget = MemoryBudget(CPU, estimate, report=listener)
    budget.halve(1_000, 20_000)
    assert largest(budget) == 500
    # A smaller one of the same batch fails too: nothing changes that was not so already.
    told = len(listener.warnings)
    budget.halve(1_500, 30_000)
    assert largest(budget) == 500
    assert len(listener.warnings) == told == 1
    assert "1000 atoms did not fit the memory of cpu" in listener.warnings[0]


def test_a_given_number_of_atoms_is_halved_by_what_did_not_fit():
    listener = Listener()
    budget = MemoryBudget(CPU, estimate, atoms=4_000, report=listener)
    budget.halve(2_000, 0)
    budget.halve(2_000, 0)
    assert [budget.admits(n, 0) for n in (1_000, 1_001)] == [True, False]
    assert len(listener.warnings) == 1


def test_halving_without_a_size_halves_what_there_was():
    budget = MemoryBudget(CPU, estimate, atoms=9)
    budget.halve()
    assert [budget.admits(n, 0) for n in (4, 5)] == [True, False]
    free = MemoryBudget(CPU, estimate, most_bytes=1e9)
    before = largest(free)
    free.halve()
    assert largest(free) == pytest.approx(before / 2, abs=1)


def test_models_that_take_one_at_a_time_get_one_at_a_time():
    assert not MemoryBudget(CPU, estimate, one_by_one=True).admits(1, 0)


def test_what_surely_does_not_fit_is_not_tried_where_that_would_end_the_process():
    budget = MemoryBudget(CPU, estimate)
    assert not budget.hopeless(10, 100)
    assert not budget.hopeless(40_000, 20 * 40_000)  # by estimate 8.4 GB: it may well fit
    assert budget.hopeless(10**6, 20 * 10**6)


def test_batches_do_not_depend_on_measurements_where_memory_is_plenty():
    """Else two runs of one command would differ in the last digits."""
    potential = toy_model().potential
    one, other = BatchBudget(potential), BatchBudget(potential)
    for k, n in enumerate((10, 200, 1_000)):
        one.observe(n, 20 * n, (1 + k) * 1e6)
        other.observe(n, 20 * n, (5 - k) * 1e7)
    assert largest(one) == largest(other) == largest(BatchBudget(potential))


def test_measured_batches_are_learned_from_and_failed_ones_are_not():
    budget = MemoryBudget(CPU, estimate)
    with budget.watch(100, 2_000):
        torch.ones(10**6)
    if not budget.model.measured:
        pytest.skip("this system does not reset the largest resident size")
    assert budget.model.measured[0][:2] == (100, 2_000)
    with pytest.raises(MemoryError), budget.watch(200, 4_000):
        raise MemoryError
    assert len(budget.model.measured) == 1


class TestHalves:
    def parts(self, sizes, limit, budget=None):
        """Sums of sizes, where no more than `limit` fits together."""
        budget = budget or MemoryBudget(CPU, estimate)

        def total(items):
            if sum(items) > limit:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return sum(items)

        return list(in_halves(sizes, total, lambda items: (sum(items), 0), budget))

    def test_what_fits_is_done_at_once(self):
        assert self.parts([1, 2, 3], 10) == [([1, 2, 3], 6)]

    def test_what_does_not_is_done_in_parts_and_in_order(self):
        found = self.parts([3, 1, 4, 1, 5, 9, 2, 6], 10)
        assert [item for part, _ in found for item in part] == [3, 1, 4, 1, 5, 9, 2, 6]
        assert all(sum(part) == made for part, made in found)

    def test_parts_that_the_budget_rules_out_by_then_are_not_tried(self):
        tried = []

        def total(items):
            tried.append(len(items))
            if len(items) > 4:
                raise MemoryError
            return len(items)

        budget = MemoryBudget(CPU, estimate)
        list(in_halves([1] * 32, total, lambda items: (len(items), 0), budget))
        assert tried == [32, 16, 8, 4, 4, 4, 4, 4, 4, 4, 4]

    def test_what_fits_not_even_alone_is_left_out_of_nothing(self):
        found = self.parts([3, 50, 4], 10)
        assert [part for part, made in found if made is None] == [[50]]
        assert sum(made for _, made in found if made is not None) == 7

    def test_one_giant_does_not_make_batches_of_its_companions_tiny(self):
        budget = MemoryBudget(CPU, estimate)
        self.parts([1] * 63 + [1000], 100, budget)
        assert budget.admits(100, 0)

    def test_other_faults_are_not_taken_for_lack_of_memory(self):
        with pytest.raises(RuntimeError, match="shapes"):
            list(in_halves([1], lambda items: _fail(), lambda items: (1, 0), MemoryBudget(CPU, estimate)))


def _fail():
    raise RuntimeError("shapes do not fit")


def test_networks_of_pairs_and_training_have_budgets_of_their_own():
    network = torch.nn.Linear(300, 7)
    assert sampling_budget(network, 12).atoms == 12
    budget = sampling_budget(network, None)
    assert budget.model.estimate(0, 1000) == 3 * 300 * 4 * 1000
    potential = toy_model().potential
    step = training_budget(potential.config, CPU, torch.float64)
    single = training_budget(potential.config, CPU, torch.float32)
    assert step.model.estimate(100, 2_000) == 2 * single.model.estimate(100, 2_000)
    assert step.model.estimate(100, 2_000) > BatchBudget(potential).model.estimate(100, 2_000)


def test_the_batch_of_a_recipe_is_bounded_by_memory_alone():
    step = training_budget(toy_model().potential.config, CPU, torch.float32)
    most = next(n for n in range(10_000, 10**7, 10_000) if not step.admits(n, 0))
    assert most > MAX_ATOMS
    assert step.model.estimate(most, 0) == pytest.approx(5 * GB, rel=0.05)
