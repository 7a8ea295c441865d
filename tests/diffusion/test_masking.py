from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from eqcli.diffusion.masking import drawn, hidden, uncovered

MASK = 3
MANY = 40_000


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_share_that_is_hidden() -> None:
    tokens = torch.randint(3, (MANY,), generator=torch.Generator().manual_seed(0))
    found = hidden(tokens, torch.full((MANY,), 0.3), uniform(MANY), MASK)
    assert float((found == MASK).double().mean()) == pytest.approx(0.3, abs=0.01)
    assert torch.equal(found[found != MASK], tokens[found != MASK])
    assert bool((hidden(tokens, torch.ones(MANY), uniform(MANY), MASK) == MASK).all())
    assert torch.equal(hidden(tokens, torch.zeros(MANY), uniform(MANY), MASK), tokens)


@pytest.mark.parametrize("times", [[1.0, 0.0], [1.0, 0.5, 0.0], [1.0, 0.9, 0.3, 0.25, 0.0]])
def test_all_are_uncovered_on_time_and_as_the_network_says(times: list[float]) -> None:
    """At each share about so many are hidden, whatever the steps; what is uncovered stays."""
    probabilities = torch.tensor([0.5, 0.2, 0.3])
    logits = probabilities.log().expand(MANY, 3) + 7.0
    tokens = torch.full((MANY,), MASK)
    for n, (now, later) in enumerate(pairwise(times)):
        before = tokens
        tokens = uncovered(before, logits, now, later, uniform(MANY, 2, seed=n), MASK)
        assert float((tokens == MASK).double().mean()) == pytest.approx(later, abs=0.01)
        assert torch.equal(tokens[before != MASK], before[before != MASK])
    shares = torch.bincount(tokens, minlength=4).double() / MANY
    torch.testing.assert_close(shares, torch.tensor([0.5, 0.2, 0.3, 0.0]).double(), atol=0.015, rtol=0)


def test_only_what_is_allowed_is_drawn() -> None:
    allowed = torch.zeros(MANY, 3, dtype=torch.bool)
    allowed[:, 1] = True
    allowed[::2, 0] = True
    # The forbidden category is by far the likeliest.
    logits = torch.tensor([0.0, 0.0, 60.0]).expand(MANY, 3)
    found = uncovered(torch.full((MANY,), MASK), logits, 0.5, 0.0, uniform(MANY, 2), MASK, allowed)
    assert set(found[1::2].tolist()) == {1}
    assert float((found[::2] == 0).double().mean()) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_ends_of_the_unit_interval(dtype: torch.dtype) -> None:
    """No category without probability, and none beyond the last."""
    logits = torch.tensor([[-torch.inf, 0.0, 0.0, -torch.inf]] * 3, dtype=dtype)
    ends = torch.tensor([0.0, 0.5, 1.0 - torch.finfo(dtype).eps / 2], dtype=dtype)
    assert drawn(logits, ends).tolist() == [1, 2, 2]
