"""Scaffolds that a model was trained to complete, and how categories are drawn anew."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from eqcli.diffusion.categorical import posterior_probabilities
from eqcli.diffusion.dense_noise import seeded_noise
from eqcli.models.molecules.categories import Categories
from eqcli.models.molecules.scaffold import drawn_scaffolds
from tests.molecule_case import NETWORKS, generator, molecules, with_core


def noise(batch, seed: int = 0):  # type: ignore[no-untyped-def]
    return seeded_noise(seed, torch.arange(len(batch)), batch.width, torch.float64)


def test_training_gives_some_heavy_atoms_of_every_molecule_that_has_any() -> None:
    batch = molecules([12, 9, 5, 1] * 50, seed=3)
    heavy = batch.mask & (batch.numbers > 1)
    given = drawn_scaffolds(batch, noise(batch))
    assert not (given & ~heavy).any()
    some = heavy.any(dim=1)
    assert given[some].any(dim=1).all()
    share = given[some].sum(1) / heavy[some].sum(1)
    assert (share == 1).any()
    assert (share < 0.5).any()


def test_what_is_given_lies_together() -> None:
    """Given atoms are nearer to each other than the rest is to them."""
    batch = molecules([20] * 200, seed=4)
    given = drawn_scaffolds(batch, noise(batch))
    heavy = batch.numbers > 1
    between = torch.cdist(batch.positions, batch.positions)
    pairs = given.unsqueeze(2) & given.unsqueeze(1) & batch.pairs
    others = given.unsqueeze(2) & (heavy & ~given).unsqueeze(1)
    assert between[pairs].mean() < 0.95 * between[others].mean()


@pytest.mark.parametrize("name", ["flow-matching", "eqgat-diff"])
@pytest.mark.parametrize("network", NETWORKS)
def test_given_atoms_are_not_part_of_the_loss(name: str, network: str) -> None:
    """Where all but one atom is given, the loss is that of this atom alone, however wrong the rest is said to be."""
    options = {"name": name, "scaffolds": 1.0, "denoiser": NETWORKS[network]}
    model = generator(options)
    batch = with_core(molecules([6]), [5])
    state = model.framed(batch)  # type: ignore[operator]
    assert state[0, :5].mean(dim=0).abs().max() < 1e-12
    found = state.clone()
    found[:, :5] += 7.0
    torch.testing.assert_close(model._position_error(found, state, batch), torch.zeros(1, dtype=torch.float64))  # type: ignore[operator]
    found[:, 5] += torch.tensor([3.0, 0.0, 0.0])
    torch.testing.assert_close(model._position_error(found, state, batch), torch.full((1,), 3.0, dtype=torch.float64))  # type: ignore[operator]


@pytest.mark.parametrize("name", ["flow-matching", "eqgat-diff"])
def test_scaffolds_stay_and_the_rest_turns_with_them(name: str) -> None:
    options = {"name": name, "scaffolds": 0.5, "denoiser": NETWORKS["eqgat"]}
    model = generator(options)
    request = with_core(molecules([7, 5], seed=5), [3, 2])
    request = replace(request, positions=request.positions + torch.tensor([5.0, -3.0, 1.0]))
    settings = model.config.sampling.model_copy(update={"steps": 12})
    made = model.sample(request, noise(request), settings).molecules
    known, pairs = request.known, request.known_pairs
    assert known is not None
    torch.testing.assert_close(made.positions[known], request.positions[known], rtol=0, atol=0)
    assert torch.equal(made.numbers[known], request.numbers[known])
    assert torch.equal(made.bonds[pairs], request.bonds[pairs])
    moved = replace(request, positions=request.positions + 2.0)
    again = model.sample(moved, noise(request), settings).molecules
    torch.testing.assert_close(again.positions[request.mask], made.positions[request.mask] + 2.0, rtol=0, atol=1e-9)
    assert (made.positions[request.mask & ~known] - request.positions[known].mean(0)).norm(dim=1).max() < 100.0


@pytest.mark.parametrize("prior", ["marginal", "uniform", "absorbing"])
def test_drawing_anew_gives_the_distribution_of_a_step_over_all_states(prior: str) -> None:
    """Averaged over the states that the noise may have left, both ways lead to the noise of the later time."""
    kinds = Categories((1, 6, 8), prior).double()
    kinds.fit(torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64))
    now, later, n = 0.3, 0.55, 60_000
    draw = torch.Generator().manual_seed(0)
    clean = torch.full((1, n), 1)
    logits = torch.full((1, n, 3), -40.0, dtype=torch.float64)
    logits[..., 1] = 0.0
    states = kinds.noised(clean, torch.tensor([now]), torch.rand(1, n, 2, generator=draw))
    stepped = kinds.stepped(states, logits, now, later, torch.rand(1, n, generator=draw))
    anew = kinds.drawn_anew(logits, later, torch.rand(1, n, 3, generator=draw))
    one = torch.nn.functional.one_hot(torch.tensor(1), kinds.states)
    exact = later * one + (1 - later) * kinds.prior
    for found in (stepped, anew):
        shares = torch.bincount(found.flatten(), minlength=kinds.states) / n
        assert (shares - exact).abs().max() < 0.01
    assert posterior_probabilities(
        states[:, :1], torch.eye(kinds.states)[1][None, None], now, later, kinds.prior
    ).sum() == pytest.approx(1.0)
