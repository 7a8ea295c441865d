from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from eqcli.graph.all_pairs import pair_blocks, pair_count

sizes = st.lists(st.integers(1, 7), min_size=1, max_size=6)


def slow_pairs(counts: list[int]) -> list[tuple[int, int]]:
    """(receiver, sender) of every crystal, receivers in order."""
    found, first = [], 0
    for count in counts:
        atoms = range(first, first + count)
        found += [(receiver, sender) for receiver in atoms for sender in atoms]
        first += count
    return found


@given(sizes, st.integers(1, 60) | st.none())
def test_blocks_are_all_pairs_in_order(counts: list[int], limit: int | None) -> None:
    blocks = list(pair_blocks(torch.tensor(counts), limit))
    pairs = [(r, s) for block in blocks for r, s in zip(block.receiver.tolist(), block.sender.tolist(), strict=True)]
    assert pairs == slow_pairs(counts)
    assert pair_count(torch.tensor(counts)) == len(pairs)
    assert [block.first for block in blocks] == [0, *[block.last for block in blocks[:-1]]]
    assert blocks[-1].last == sum(counts)
    for block in blocks:
        assert block.receiver.unique().tolist() == list(range(block.first, block.last))


@given(sizes, st.integers(1, 60))
def test_blocks_are_as_large_as_they_may_be(counts: list[int], limit: int) -> None:
    blocks = list(pair_blocks(torch.tensor(counts), limit))
    for block in blocks:
        assert len(block.receiver) <= limit or block.last == block.first + 1
    for block, following in pairwise(blocks):
        first_of_next = int((following.receiver == following.first).sum())
        assert len(block.receiver) + first_of_next > limit


@pytest.mark.parametrize("limit", [None, 1000])
def test_one_block_where_that_is_enough(limit: int | None) -> None:
    assert len(list(pair_blocks(torch.tensor([5, 1, 20]), limit))) == 1
