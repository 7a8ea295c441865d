"""How a batch is divided among processes and into micro-batches."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eqcli.data.batch_shares import Division, StepStream, shares
from eqcli.data.batches import BatchPlan, BatchStream, Budget

COSTS = st.lists(st.integers(1, 50), min_size=1, max_size=40)


@given(costs=COSTS, count=st.integers(1, 9))
def test_shares_are_the_batch_in_order_and_of_like_cost(costs: list[int], count: int) -> None:
    frames = [7 * i for i in range(len(costs))]
    found = shares(frames, np.array(costs), count)
    assert len(found) == count
    assert sorted(frame for share in found for frame in share) == frames
    loads = []
    for share in found:
        assert share == sorted(share)
        loads.append(sum(costs[frame // 7] for frame in share))
    assert max(loads) - min(loads) <= max(costs)


@given(costs=COSTS, limit=st.integers(1, 80), world=st.integers(1, 4), in_step=st.booleans())
def test_micro_batches_hold_the_limit_and_every_frame_once(
    costs: list[int], limit: int, world: int, in_step: bool
) -> None:
    sizes, frames = np.array(costs), list(range(len(costs)))
    steps = [Division(sizes, sizes, limit, rank, world, in_step).step(3, frames) for rank in range(world)]
    assert sorted(f for step in steps for part in step.parts[: step.real] for f in part) == frames
    for step in steps:
        assert step.epoch == 3
        for part in step.parts:
            assert part
            assert len(part) == 1 or sizes[part].sum() <= limit
    if in_step:
        assert len({len(step.parts) for step in steps}) == 1
    else:
        assert all(len(step.parts) == step.real for step in steps)


def test_a_lowered_limit_makes_two_of_one() -> None:
    sizes = np.array([4, 3, 2, 1])
    division = Division(sizes, sizes)
    (whole,) = division.step(0, [0, 1, 2, 3]).parts
    division.limit = division.lower(whole)
    assert len(division.step(0, [0, 1, 2, 3]).parts) == 2
    assert division.lower([0]) is None


@given(sizes=COSTS, world=st.integers(1, 5), epochs=st.integers(1, 3))
def test_processes_take_the_same_steps_whatever_their_number(sizes: list[int], world: int, epochs: int) -> None:
    each = np.array(sizes)
    plan = BatchPlan(each, Budget("atoms", 60), seed=5)
    whole = [sorted(batch) for batch in BatchStream(plan, epochs)]
    streams = [StepStream(plan, epochs, Division(each, each, None, rank, world)) for rank in range(world)]
    handed = [list(stream) for stream in streams]
    steps = [list(stream.steps) for stream in streams]
    assert [sorted(step.frames) for step in steps[0]] == whole
    for number, batch in enumerate(whole):
        assert sorted(f for own in steps for part in own[number].parts for f in part) == batch
    for own, parts in zip(steps, handed, strict=True):
        assert [part for step in own for part in step.parts] == parts


def test_one_process_without_a_limit_takes_batches_as_they_are() -> None:
    """Order within a batch decides how sums are rounded."""
    each = np.ones(30, dtype=np.int64)
    plan = BatchPlan(each, Budget("structures", 4), seed=1)
    assert list(StepStream(plan, 2, Division(each, each))) == list(BatchStream(plan, 2))
