from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eqcli.data.batches import BatchPlan, BatchStream, Budget

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


@pytest.mark.parametrize("world", [2, 3, 7])
def test_processes_share_an_epoch(world: int) -> None:
    """Together they see every frame, and each has the same number of batches."""
    plans = [BatchPlan(np.ones(20), Budget("structures", 3), seed=0, rank=r, world=world) for r in range(world)]
    assert len({plan.count(0) for plan in plans}) == 1
    seen = [i for plan in plans for b in range(plan.count(0)) for i in plan.batch(0, b)]
    assert set(seen) == set(range(20))
    assert len(seen) < 20 + 3 * world
