from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eqcli.data.batches import WINDOW, BatchPlan, BatchStream, Budget

SIZES = st.lists(st.integers(1, 30), min_size=1, max_size=40)


@given(sizes=SIZES, limit=st.integers(1, 50), epoch=st.integers(0, 5))
def test_every_frame_is_taken_once_and_the_budget_holds(sizes: list[int], limit: int, epoch: int) -> None:
    plan = BatchPlan(np.array(sizes), Budget("atoms", limit), seed=3)
    batches = [plan.batch(epoch, i) for i in range(plan.count(epoch))]
    assert sorted(i for batch in batches for i in batch) == list(range(len(sizes)))
    for batch in batches:
        assert sum(sizes[i] for i in batch) <= limit or len(batch) == 1


@given(sizes=SIZES, limit=st.integers(1, 50), data=st.data())
def test_a_stream_can_start_anywhere(sizes: list[int], limit: int, data: st.DataObject) -> None:
    budget = Budget("atoms", limit)
    whole = list(BatchStream(BatchPlan(np.array(sizes), budget, seed=1), 3))
    plan = BatchPlan(np.array(sizes), budget, seed=1)
    epoch = data.draw(st.integers(0, 2))
    batch = data.draw(st.integers(0, plan.count(epoch) - 1))
    before = sum(plan.count(e) for e in range(epoch)) + batch
    assert list(BatchStream(plan, 3, start=(epoch, batch))) == whole[before:]


def test_order_depends_on_seed_and_epoch() -> None:
    ones, budget = np.ones(50), Budget("structures", 50)
    orders = {tuple(BatchPlan(ones, budget, seed=seed).batch(epoch, 0)) for seed in (0, 1) for epoch in (0, 1)}
    assert len(orders) == 4
    assert BatchPlan(ones, budget, seed=None).batch(1, 0) == list(range(50))


LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=120)


def by_length(lengths: list[int], limit: int, unit: str, seed: int | None) -> BatchPlan:
    each = np.array(lengths)
    sizes = np.ones_like(each) if unit == "structures" else each
    return BatchPlan(sizes, Budget(unit, limit), seed=seed, lengths=each)


@given(
    lengths=LENGTHS,
    limit=st.integers(1, 12),
    unit=st.sampled_from(["structures", "atoms"]),
    seed=st.sampled_from([0, 7, None]),
    epoch=st.integers(0, 3),
)
def test_frames_of_like_length_are_all_taken_once(
    lengths: list[int], limit: int, unit: str, seed: int | None, epoch: int
) -> None:
    plan = by_length(lengths, limit, unit, seed)
    batches = [plan.batch(epoch, i) for i in range(plan.count(epoch))]
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        assert batch
        assert sum(int(plan.sizes[i]) for i in batch) <= limit or len(batch) == 1


@given(lengths=LENGTHS, limit=st.integers(1, 12), data=st.data())
def test_a_stream_by_length_can_start_anywhere(lengths: list[int], limit: int, data: st.DataObject) -> None:
    """Another process comes to the same batches, whatever it has looked at before."""
    whole = list(BatchStream(by_length(lengths, limit, "atoms", 1), 3))
    plan = by_length(lengths, limit, "atoms", 1)
    epoch = data.draw(st.integers(0, 2))
    batch = data.draw(st.integers(0, plan.count(epoch) - 1))
    before = sum(plan.count(e) for e in range(epoch)) + batch
    assert list(BatchStream(plan, 3, start=(epoch, batch))) == whole[before:]


def test_batches_are_of_like_length_and_come_in_any_order() -> None:
    lengths = np.random.default_rng(0).integers(5, 30, size=40 * WINDOW).tolist()
    plan = by_length(lengths, 10, "structures", 0)
    batches = [plan.batch(0, i) for i in range(plan.count(0))]
    ranges = [np.ptp([lengths[i] for i in batch]) for batch in batches]
    assert np.mean(ranges) < 3
    means = np.array([np.mean([lengths[i] for i in batch]) for batch in batches])
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.5
    again = [plan.batch(1, i) for i in range(plan.count(1))]
    assert len({frozenset(b) for b in batches} & {frozenset(b) for b in again}) < 2
