"""Sampling of EDM: its distribution, its symmetry, drift, strides and given atoms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from eqcli.diffusion import gaussian
from eqcli.diffusion.dense_noise import seeded_noise
from eqcli.graph.molecule_batch import MoleculeBatch, empty_batch
from eqcli.models.molecules.base import Sampled
from eqcli.models.molecules.configs.edm import EDMSampling
from eqcli.models.molecules.edm import EDM
from eqcli.models.molecules.edm_sampling import Walk
from tests.models.molecules.edm_case import ELEMENTS, SPREAD, edm, known, molecules, noise_for

METHODS: dict[str, dict[str, Any]] = {
    "ancestral": {"method": "ancestral"},
    "ddim": {"method": "ddim"},
    "noisy ddim": {"method": "ddim", "eta": 0.7},
    "heun": {"method": "heun"},
}


def request(counts: list[int], dtype: torch.dtype = torch.float64, **changes: Tensor) -> MoleculeBatch:
    return replace(empty_batch(torch.tensor(counts), dtype), **changes)


@torch.no_grad()
def drawn(model: EDM, wanted: MoleculeBatch, seed: int = 0, guidance: float = 1.0, **settings: Any) -> Sampled:
    noise = noise_for(wanted, seed, model.dtype)
    return model.sample(wanted, noise, EDMSampling.model_validate(settings), guidance=guidance)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("spacing", "steps"), [("uniform", 40), ("signal", 40), ("uniform", 200)])
def test_exact_predictions_give_the_known_distribution(method: str, spacing: str, steps: int) -> None:
    batch = molecules([4] * 800)
    model = known(batch, timesteps=1000)
    made = drawn(model, batch, steps=steps, spacing=spacing, **METHODS[method]).molecules
    assert torch.equal(made.numbers, batch.numbers)
    # Without drift four atoms have three quarters of the variance.
    variance = float(made.positions.square().mean()) / 0.75
    # Long strides of first order, and of the posterior, narrow the distribution.
    allowed = 0.05 if steps == 200 or method == "heun" else 0.3
    assert abs(variance / SPREAD**2 - 1) < allowed


def test_the_ode_is_integrated_to_second_order() -> None:
    batch = molecules([4] * 20)
    model = known(batch, timesteps=10000)
    # Exact predictions: every coordinate is scaled by a number that is known.
    z = model.draw(batch, noise_for(batch))[..., :3]
    gamma = model.gamma()
    first, last = torch.sigmoid(gamma[-1]), torch.sigmoid(gamma[0])
    width = ((1 - last) * SPREAD**2 + last).sqrt() / ((1 - first) * SPREAD**2 + first).sqrt()
    clean = (1 - last).sqrt() * SPREAD**2 / ((1 - last) * SPREAD**2 + last)
    exact = clean * width * z
    errors = {}
    for method in ("ddim", "heun"):
        for steps in (20, 40):
            made = drawn(model, batch, method=method, steps=steps, spacing="signal").molecules
            errors[method, steps] = float((made.positions - exact).abs().max())
    assert 1.6 < errors["ddim", 20] / errors["ddim", 40] < 2.5
    assert errors["heun", 20] / errors["heun", 40] > 3.3
    assert errors["heun", 40] < errors["ddim", 40] / 10


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_positions_do_not_drift_over_a_thousand_steps(dtype: torch.dtype) -> None:
    model = edm(timesteps=1000).to(dtype)
    wanted = request([5, 1, 3], dtype)
    made = drawn(model, wanted, steps=1000)
    assert made.calls == 1001
    assert made.molecules.positions.dtype == dtype
    assert made.molecules.positions.isfinite().all()
    mean = made.molecules.positions.sum(dim=1) / wanted.counts.unsqueeze(1)
    assert mean.abs().max() < 1e-6
    assert not made.molecules.positions[~wanted.mask].any()
    assert torch.isin(made.molecules.numbers[wanted.mask], torch.tensor(ELEMENTS)).all()
    assert not made.molecules.numbers[~wanted.mask].any()


def test_an_ancestral_step_is_the_published_one() -> None:
    """From the noise that the network sees, as the paper writes it; nothing of it is cut off here."""
    batch = molecules([4, 3])
    model = known(batch, timesteps=50)
    walk = Walk(model, batch, noise_for(batch), EDMSampling(), 1.0)
    bar = walk.alpha_bar
    now, later = 30, 29
    steps = torch.full((2,), now)
    z = model.noised(model.data(batch), model.draw(batch, noise_for(batch, 5)), model.gamma()[steps])
    with torch.no_grad():
        eps = model.predict(batch, z, steps, None)
        clean = gaussian.clean_from_noise(z, eps, bar[now])
        torch.testing.assert_close(model.within(clean, batch), clean)
        found = walk._ancestral(z, now, later)
    kept = (bar[now] / bar[later]) ** 0.5
    sigma, sigma_later = (1 - bar[now]) ** 0.5, (1 - bar[later]) ** 0.5
    between = sigma**2 - kept**2 * sigma_later**2
    mean = z / kept - between / (kept * sigma) * eps
    wanted = mean + between**0.5 * sigma_later / sigma * model.draw(batch, noise_for(batch))
    torch.testing.assert_close(found, wanted, rtol=0.0, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_few_steps_of_a_wrong_network_keep_molecules_of_their_size(method: str) -> None:
    class Wrong(EDM):
        def predict(self, batch: MoleculeBatch, z: Tensor, step: Tensor, withheld: Tensor | None) -> Tensor:
            return 0.5 * super().predict(batch, z, step, withheld)

    model = edm(kind=Wrong, timesteps=1000)
    wanted = request([5, 4])
    for steps in (1, 3, 20):
        for spacing in ("uniform", "signal"):
            found = drawn(model, wanted, steps=steps, spacing=spacing, **METHODS[method]).molecules.positions
            assert found.abs().max() < 13 * SPREAD


@pytest.mark.parametrize("method", METHODS)
def test_samples_do_not_depend_on_their_batch(method: str) -> None:
    model = edm(timesteps=12)
    whole = drawn(model, request([5, 2, 3]), steps=6, **METHODS[method]).molecules
    settings = EDMSampling.model_validate({"steps": 6, **METHODS[method]})
    with torch.no_grad():
        noise = seeded_noise(0, torch.tensor([1]), 2, torch.float64)
        alone = model.sample(request([2]), noise, settings).molecules
    torch.testing.assert_close(alone.positions[0], whole.positions[1, :2], rtol=0.0, atol=1e-8)
    assert torch.equal(alone.numbers[0], whole.numbers[1, :2])


def test_steps_calls_and_reports() -> None:
    model = edm(timesteps=50)
    wanted = request([3])
    seen: list[int] = []
    with torch.no_grad():
        made = model.sample(wanted, noise_for(wanted), EDMSampling(steps=10), on_step=seen.append)
    assert made.calls == 11
    assert seen == list(range(1, 11))
    assert drawn(model, wanted, method="heun", steps=10).calls == 21
    assert drawn(model, wanted, steps=5000).calls == 51

    def stops(**settings: Any) -> list[int]:
        return Walk(model, wanted, noise_for(wanted), EDMSampling(**settings), 1.0).stops()

    assert stops(steps=5) == [50, 40, 30, 20, 10, 0]
    signal = stops(steps=5, spacing="signal")
    assert signal[0] == 50
    assert signal[-1] == 0
    assert signal != stops(steps=5)
    gamma = model.gamma()
    assert float(gamma[signal].diff().abs().max()) < float(gamma[stops(steps=5)].diff().abs().max())


@pytest.mark.parametrize("method", METHODS)
def test_given_atoms_come_back_where_they_were_and_shape_the_rest(method: str) -> None:
    model = edm(timesteps=30)
    given = molecules([5, 4, 1])
    known_atoms = torch.zeros(3, 5, dtype=torch.bool)
    known_atoms[0, :3] = known_atoms[1, :1] = True
    asked = replace(given, positions=given.positions + 4.0 * given.mask.unsqueeze(-1), known=known_atoms)
    made = drawn(model, asked, steps=10, **METHODS[method]).molecules
    assert torch.equal(made.positions[known_atoms], asked.positions[known_atoms])
    assert torch.equal(made.numbers[known_atoms], asked.numbers[known_atoms])
    assert made.positions.isfinite().all()
    # The others stand about them, not about the origin.
    others = made.positions[0, 3:] - asked.positions[0, :3].mean(dim=0)
    assert others.norm(dim=-1).max() < 13 * SPREAD
    farther = replace(asked, positions=asked.positions * 1.5)
    change = drawn(model, farther, steps=10, **METHODS[method]).molecules.positions - made.positions
    assert change[0, 3:].abs().max() > 0.1


def test_the_rest_of_a_scaffold_follows_it_when_it_is_turned() -> None:
    """Noise is the same in both: the given atoms are laid onto what is predicted, and back."""
    model = edm(timesteps=30)
    given = molecules([5])
    known_atoms = torch.zeros(1, 5, dtype=torch.bool)
    known_atoms[0, :3] = True
    asked = replace(given, known=known_atoms)
    made = drawn(model, asked, steps=10, method="ddim").molecules
    turn = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    turned = drawn(model, replace(asked, positions=asked.positions @ turn.T), steps=10, method="ddim").molecules
    torch.testing.assert_close(turned.positions, made.positions @ turn.T, rtol=0.0, atol=1e-8)


def test_guidance_weighs_what_conditions_change() -> None:
    model = edm(timesteps=20, conditions={"values": ["gap"]})
    asked = request([3, 4], values=torch.tensor([[2.0], [-1.0]], dtype=torch.float64))
    z = model.draw(asked, noise_for(asked))

    def seen(guidance: float) -> Tensor:
        with torch.no_grad():
            return Walk(model, asked, noise_for(asked), EDMSampling(), guidance)._clean(z, 5)

    without, told, more = seen(0.0), seen(1.0), seen(2.0)
    assert (told - without).abs().max() > 1e-4
    torch.testing.assert_close(more - told, told - without, rtol=0.0, atol=1e-9)
    assert drawn(model, asked, guidance=2.0, steps=5).calls == 12
    assert drawn(model, asked, guidance=1.0, steps=5).calls == 6


def test_losses_are_differentiated_in_every_weight_and_fall_where_the_noise_is_known() -> None:
    batch = molecules([5, 1, 3])
    model = edm(conditions={"values": ["gap"]})
    batch = replace(batch, values=torch.tensor([[1.0], [torch.nan], [0.0]], dtype=torch.float64))
    terms = model.losses(batch, noise_for(batch))
    torch.testing.assert_close(terms["loss"], terms["positions"] + terms["elements"])
    terms["loss"].backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
    exact = known(molecules([4] * 300))
    loose = edm(shake=0.0)
    plain = exact.wanted
    with torch.no_grad():
        found, untrained = (float(m.losses(plain, noise_for(plain))["loss"]) for m in (exact, loose))
    assert found < 0.3 * untrained
