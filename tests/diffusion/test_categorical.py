"""Categorical diffusion against Bayes' rule with dense transition matrices."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from eqcli.diffusion.categorical import (
    from_probabilities,
    noised_categories,
    posterior_probabilities,
    reverse_categories,
)
from eqcli.diffusion.masking import hidden, uncovered

MANY = 40_000
PRIORS = {
    "uniform": torch.full((4,), 0.25, dtype=torch.float64),
    "marginal": torch.tensor([0.7, 0.2, 0.08, 0.02], dtype=torch.float64),
    "one state is never drawn": torch.tensor([0.6, 0.0, 0.3, 0.1], dtype=torch.float64),
    "absorbing": torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64),
}
SIGNALS = [(0.3, 0.6), (0.0, 0.4), (0.5, 0.5000001), (0.2, 1.0), (0.0, 1.0), (0.999, 0.9999)]
"""Shares of the signal now and after the step."""


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def probabilities(rows: int, prior: Tensor, seed: int = 0) -> Tensor:
    """What may be behind a state: anything but the mask."""
    found = uniform(rows, len(prior), seed=seed) + 0.05
    if float(prior.max()) == 1.0:
        found[:, -1] = 0.0
    return found / found.sum(dim=1, keepdim=True)


def transition(kept: float, prior: Tensor) -> Tensor:
    """q(b | a), a row for each a."""
    return kept * torch.eye(len(prior), dtype=torch.float64) + (1.0 - kept) * prior


def by_bayes(z: int, clean: Tensor, late: float, early: float, prior: Tensor) -> Tensor:
    """sum_x p(x) q(z_t | z_s) q(z_s | x) / q(z_t | x), state by state."""
    first, second = transition(early, prior), transition(late / early, prior)
    whole = first @ second
    found = torch.zeros(len(prior), dtype=torch.float64)
    for x in range(len(prior)):
        if clean[x] > 0 and whole[x, z] > 0:
            found += clean[x] * second[:, z] * first[x] / whole[x, z]
    return found / found.sum()


@pytest.mark.parametrize("kind", PRIORS)
@pytest.mark.parametrize(("late", "early"), SIGNALS)
def test_the_posterior_is_that_of_bayes_rule(kind: str, late: float, early: float) -> None:
    prior = PRIORS[kind]
    for z in range(4):
        if late == 0.0 and prior[z] == 0:
            continue  # such a state has no past
        clean = probabilities(5, prior, seed=z)
        found = posterior_probabilities(torch.full((5,), z), clean, late, early, prior)
        expected = torch.stack([by_bayes(z, row, late, early, prior) for row in clean])
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-9)


def test_signals_of_each_row_and_more_axes() -> None:
    """Pairs of atoms of molecules that are at different times."""
    prior = PRIORS["marginal"]
    z = (uniform(2, 3, 3) * 4).long()
    clean = probabilities(18, prior).reshape(2, 3, 3, 4)
    late, early = torch.tensor([0.1, 0.5]), torch.tensor([0.3, 0.8])
    found = posterior_probabilities(z, clean, late, early, prior)
    for row in range(2):
        alone = posterior_probabilities(z[row], clean[row], float(late[row]), float(early[row]), prior)
        torch.testing.assert_close(found[row], alone)
    torch.testing.assert_close(found.sum(dim=-1), torch.ones(2, 3, 3, dtype=torch.float64))


@pytest.mark.parametrize("kind", PRIORS)
def test_steps_take_the_state_along_the_forward_process(kind: str) -> None:
    """With the data known, z_t from q(z_t | x) and the posterior give z_s from q(z_s | x), for any strides."""
    prior = PRIORS[kind]
    known = range(3 if kind == "absorbing" else 4)
    for x in known:
        clean = torch.nn.functional.one_hot(torch.tensor([x] * 4), 4).double()
        times = [0.0, 0.2, 0.25, 0.8, 1.0]
        marginal = transition(0.0, prior)[x]
        for late, early in pairwise(times):
            step = posterior_probabilities(torch.arange(4), clean, late, early, prior)
            marginal = marginal @ step
            torch.testing.assert_close(marginal, transition(early, prior)[x], atol=1e-12, rtol=0.0)


def test_many_draws_follow_it() -> None:
    prior = PRIORS["marginal"]
    x = torch.full((MANY,), 3)
    states = noised_categories(x, 0.0, prior, uniform(MANY, 2))
    clean = torch.nn.functional.one_hot(x, 4).double()
    for n, (late, early) in enumerate(pairwise([0.0, 0.3, 0.7, 1.0])):
        shares = torch.bincount(states, minlength=4).double() / MANY
        torch.testing.assert_close(shares, transition(late, prior)[3], atol=0.01, rtol=0.0)
        states = reverse_categories(states, clean, late, early, prior, uniform(MANY, seed=n + 1))
    assert bool((states == 3).all())


def test_noise_keeps_as_much_as_it_says() -> None:
    prior = PRIORS["one state is never drawn"]
    x = torch.ones(2, MANY, dtype=torch.int64)
    found = noised_categories(x, torch.tensor([0.9, 0.2]), prior, uniform(2, MANY, 2))
    for row, kept in enumerate((0.9, 0.2)):
        shares = torch.bincount(found[row], minlength=4).double() / MANY
        torch.testing.assert_close(shares, transition(kept, prior)[1], atol=0.01, rtol=0.0)
    assert torch.equal(noised_categories(x, 1.0, prior, uniform(2, MANY, 2)), x)
    assert not bool((noised_categories(x, 0.0, prior, uniform(2, MANY, 2)) == 1).any())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_ends_of_the_way(dtype: torch.dtype) -> None:
    """A step to the data draws what is predicted, one from pure noise forgets the state, one of no length stays."""
    prior = PRIORS["marginal"].to(dtype)
    z, clean = torch.arange(4), probabilities(4, prior).to(dtype)
    tight: dict[str, Any] = {"atol": 1e-6, "rtol": 0.0}
    torch.testing.assert_close(posterior_probabilities(z, clean, 0.0, 1.0, prior), clean, **tight)
    forgotten = posterior_probabilities(z, clean, 0.0, 0.4, prior)
    torch.testing.assert_close(forgotten, 0.4 * clean + 0.6 * prior, **tight)
    torch.testing.assert_close(posterior_probabilities(z, clean, 0.0, 0.0, prior), prior.expand(4, 4), **tight)
    for signal in (0.5, 1.0):
        stays = posterior_probabilities(z, clean, signal, signal, prior)
        torch.testing.assert_close(stays, torch.eye(4, dtype=dtype), **tight)


def test_absorbing_diffusion_is_that_of_the_mask() -> None:
    """In distribution: uncovered are as many, and the same categories; what is uncovered stays."""
    prior, mask = PRIORS["absorbing"], 3
    clean = torch.tensor([0.5, 0.2, 0.3, 0.0], dtype=torch.float64)
    late, early = 0.3, 0.55
    found = posterior_probabilities(torch.arange(4), clean.expand(4, 4), late, early, prior)
    torch.testing.assert_close(found[:3], torch.eye(4, dtype=torch.float64)[:3])
    gone = (early - late) / (1 - late)
    torch.testing.assert_close(found[mask], torch.tensor([0.5 * gone, 0.2 * gone, 0.3 * gone, 1 - gone]).double())
    masked = torch.full((MANY,), mask)
    shares = [
        torch.bincount(drawn, minlength=4).double() / MANY
        for drawn in (
            reverse_categories(masked, clean.expand(MANY, 4), late, early, prior, uniform(MANY)),
            uncovered(masked, clean[:3].log().expand(MANY, 3), 1 - late, 1 - early, uniform(MANY, 2), mask),
        )
    ]
    torch.testing.assert_close(*shares, atol=0.015, rtol=0.0)
    x = (3 * uniform(MANY, seed=5)).long()
    noised = [
        torch.bincount(drawn, minlength=4).double() / MANY
        for drawn in (
            noised_categories(x, late, prior, uniform(MANY, 2)),
            hidden(x, torch.full((MANY,), 1 - late), uniform(MANY), mask),
        )
    ]
    torch.testing.assert_close(*noised, atol=0.015, rtol=0.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_state_that_the_prediction_rules_out_stays(dtype: torch.dtype) -> None:
    """A network that is certain of something else does not bring back the mask, nor anything that is no number."""
    prior = PRIORS["absorbing"].to(dtype)
    clean = torch.tensor([[0.0, 1.0, 0.0, 0.0]], dtype=dtype)
    found = posterior_probabilities(torch.tensor([0]), clean, 0.4, 0.9, prior)
    torch.testing.assert_close(found, torch.tensor([[1.0, 0.0, 0.0, 0.0]], dtype=dtype))
    assert reverse_categories(torch.tensor([0]), clean, 0.4, 0.9, prior, torch.tensor([0.5])).tolist() == [0]


def test_short_steps_keep_their_digits_in_single_precision() -> None:
    """1 - alpha_bar of the last steps has two digits left if it is taken in single precision."""
    prior, z = PRIORS["uniform"], torch.tensor([0])
    clean = torch.tensor([[0.2, 0.4, 0.3, 0.1]], dtype=torch.float64)
    late, early = 1.0 - 3e-6, 1.0 - 1e-6
    exact = posterior_probabilities(z, clean, late, early, prior)
    single = posterior_probabilities(z, clean.float(), late, early, prior.float()).double()
    torch.testing.assert_close(single, exact, rtol=1e-4, atol=0.0)


def test_drawn_by_the_inverse_of_the_distribution_function() -> None:
    shares = torch.tensor([0.0, 0.5, 0.25, 0.0, 0.25, 0.0])
    ends = torch.tensor([0.0, 0.49, 0.5, 0.74, 0.75, 1.0 - 2.0**-53], dtype=torch.float64)
    assert from_probabilities(shares.expand(6, 6), ends).tolist() == [1, 1, 2, 2, 4, 4]
    # Weights need not add up to one.
    assert from_probabilities(7.0 * shares.expand(6, 6), ends).tolist() == [1, 1, 2, 2, 4, 4]
