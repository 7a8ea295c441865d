"""Samplers with exact networks: what comes out has the density that was put in."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from scipy import stats
from torch import Tensor

from eqcli.diffusion import gaussian, wrapped
from eqcli.diffusion.integrate import Method, State, integrate
from eqcli.diffusion.likelihood import log_likelihood
from eqcli.diffusion.schedules import cosine_alpha_bar, geometric_sigmas
from eqcli.geometry.lattice import from_log_symmetric, lattice_parameters, volume
from eqcli.geometry.torus import torus_exp, torus_log, wrap
from eqcli.geometry.wrapped_normal import log_density, score

SAMPLES = 500


class Draws:
    """Random numbers from one seed."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=self.generator)

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(*shape, dtype=torch.float64, generator=self.generator)


def p_value(one: Tensor, other: Tensor, seed: int = 0, permutations: int = 300) -> float:
    """Permutation test of the energy distance of two samples in R^n (Szekely and Rizzo, J. Stat. Plan. Infer. 2013)."""
    both = torch.cat([one, other])
    distances = torch.cdist(both, both)
    sign = torch.cat([torch.ones(len(one)) / len(one), -torch.ones(len(other)) / len(other)]).double()
    generator = torch.Generator().manual_seed(seed)
    orders = torch.stack([torch.randperm(len(both), generator=generator) for _ in range(permutations)])
    signs = torch.cat([sign[None], sign[orders]])
    energies = -((signs @ distances) * signs).sum(1)
    return float((energies[1:] >= energies[0]).double().mean())


def embedded(x: Tensor) -> Tensor:
    """Points of the torus as points of R^2n, so that distances know no boundary."""
    return torch.cat([torch.cos(2 * math.pi * x), torch.sin(2 * math.pi * x)], -1)


class TorusMixture:
    """Three wrapped normals on a torus of two dimensions, across its boundary."""

    centres = torch.tensor([[0.98, 0.05], [0.5, 0.95], [0.3, 0.4]], dtype=torch.float64)
    widths = torch.tensor([0.05, 0.1, 0.03], dtype=torch.float64)
    weights = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)

    def draw(self, n: int, draws: Draws) -> Tensor:
        chosen = torch.bucketize(draws.uniform(n), self.weights.cumsum(0)).clamp(max=2)
        return wrap(self.centres[chosen] + self.widths[chosen, None] * draws.normal(n, 2))

    def score(self, x: Tensor, sigma: float) -> Tensor:
        """Of the mixture after noise of width sigma."""
        apart = x[:, None] - self.centres
        widths = (self.widths**2 + sigma**2).sqrt()[:, None]
        parts = log_density(apart, widths).sum(-1) + self.weights.log()
        return (torch.softmax(parts, 1)[..., None] * score(apart, widths)).sum(1)


@pytest.fixture(scope="module")
def mixture() -> TorusMixture:
    return TorusMixture()


def predictor_corrector(mixture: TorusMixture, steps: int, draws: Draws, factor: float = 1.0) -> Tensor:
    table = geometric_sigmas(steps, 0.005, 0.8)
    x = draws.uniform(SAMPLES, 2)
    for t in range(steps, 0, -1):
        late, early = float(table[t]), float(table[t - 1])
        x = wrapped.langevin_step(x, factor * mixture.score(x, late), 0.05 * late**2, draws.normal(SAMPLES, 2))
        x = wrapped.reverse_step(x, factor * mixture.score(x, late), late, early, draws.normal(SAMPLES, 2))
    return x


@pytest.mark.parametrize("steps", [40, 80])
def test_predictor_and_corrector_sample_a_mixture_on_the_torus(mixture: TorusMixture, steps: int) -> None:
    reference = embedded(mixture.draw(SAMPLES, Draws(1)))
    assert p_value(embedded(predictor_corrector(mixture, steps, Draws(2))), reference) > 0.01


def test_the_comparison_sees_a_wrong_score_and_a_wrong_density(mixture: TorusMixture) -> None:
    reference = embedded(mixture.draw(SAMPLES, Draws(1)))
    assert p_value(embedded(predictor_corrector(mixture, 40, Draws(2), factor=0.3)), reference) == 0
    assert p_value(embedded(Draws(3).uniform(SAMPLES, 2)), reference) == 0
    assert p_value(embedded(mixture.draw(SAMPLES, Draws(4))), reference) > 0.01


def circle_modes() -> tuple[Tensor, Tensor, Tensor]:
    """Amplitude, wave number and centre of the modes of a mixture of two wrapped normals on the circle."""
    k = torch.arange(1, 13, dtype=torch.float64)
    modes = [(w * 2 * torch.exp(-2 * (math.pi * k * s) ** 2), k, torch.full_like(k, m)) for w, m, s in CIRCLE]
    a, b, c = zip(*modes, strict=True)
    return torch.cat(a), torch.cat(b), torch.cat(c)


CIRCLE = ((0.6, 0.95, 0.08), (0.4, 0.4, 0.12))
"""Weight, centre and width."""


def circle_log_density(x: Tensor) -> Tensor:
    return torch.logsumexp(torch.stack([log_density(x - m, s) + math.log(w) for w, m, s in CIRCLE]), 0)


def circle_cumulative(x: Tensor) -> Tensor:
    amplitudes, k, centres = circle_modes()
    waves = torch.sin(2 * math.pi * k * (x[..., None] - centres)) + torch.sin(2 * math.pi * k * centres)
    return x + (amplitudes * waves / (2 * math.pi * k)).sum(-1)


def marginal_velocity(state: State, t: float) -> State:
    """The exact field of geodesic flow matching from the uniform density to q on the circle.

    Given its end x + d a point at x moves at d / (1 - t), and all ends within h = (1 - t)/2 are as likely as q says:
    v(x) = int_{-h}^{h} d q(x + d) dd / ((1 - t) int_{-h}^{h} q(x + d) dd).
    """
    h = 0.5 * max(1 - t, 1e-3)
    amplitudes, k, centres = circle_modes()
    phase = 2 * math.pi * k * (state[0][..., None] - centres)
    turn = 2 * math.pi * k * h
    mass = 2 * h + (amplitudes * phase.cos() * turn.sin() / (math.pi * k)).sum(-1)
    moment = -(amplitudes * phase.sin() * 2 * (turn.sin() - turn * turn.cos()) / (2 * math.pi * k) ** 2).sum(-1)
    return (moment / (2 * h * mass),)


def around(state: State, tangent: State) -> State:
    return (torus_exp(state[0], tangent[0]),)


@pytest.mark.parametrize(("method", "steps"), [("euler", 200), ("heun", 40), ("adaptive", 20)])
def test_flow_matching_carries_the_uniform_density_to_a_mixture_on_the_circle(method: Method, steps: int) -> None:
    start = (torch.arange(2000, dtype=torch.float64)[:, None] + 0.5) / 2000
    (x,), _ = integrate(marginal_velocity, (start,), move=around, steps=steps, method=method, tolerance=1e-4)
    # Evenly spaced points stay evenly spaced in probability: no noise of sampling hides an error.
    levels = circle_cumulative(x[:, 0]).sort().values
    uniform = (torch.arange(2000, dtype=torch.float64) + 0.5) / 2000
    assert float((levels - uniform - (levels - uniform).mean()).abs().max()) < (1e-2 if method == "euler" else 3e-3)
    drawn = Draws(5).uniform(SAMPLES, 1)
    (x,), _ = integrate(marginal_velocity, (drawn,), move=around, steps=steps, method=method, tolerance=1e-4)
    assert stats.kstest(circle_cumulative(x[:, 0]).numpy(), "uniform").pvalue > 0.01
    assert stats.kstest(circle_cumulative(drawn[:, 0]).numpy(), "uniform").pvalue < 1e-6


def test_the_likelihood_of_the_flow_is_the_density_of_the_mixture() -> None:
    x = torch.linspace(0, 0.98, 50, dtype=torch.float64)[:, None]
    found, _ = log_likelihood(
        marginal_velocity,
        (x,),
        lambda s: torch.zeros(len(s[0]), dtype=torch.float64),
        move=around,
        owners=(torch.arange(50),),
        count=50,
        steps=100,
    )
    torch.testing.assert_close(found, circle_log_density(x[:, 0]), atol=0.02, rtol=0)


CENTRE = torch.tensor([0.1, -0.2, 0.05, 0.3, -0.1, 2.4], dtype=torch.float64)
SPREAD = torch.tensor([0.2, 0.1, 0.15, 0.3, 0.2, 0.4], dtype=torch.float64)


def exact_noise(x: Tensor, signal: float) -> Tensor:
    """The mean of the noise in x_t where the data are normal."""
    return (1 - signal) ** 0.5 * (x - signal**0.5 * CENTRE) / (signal * SPREAD**2 + 1 - signal)


def lattices(strides: list[int], step: Callable[[Tensor, Tensor, float, float, Tensor], Tensor], seed: int) -> Tensor:
    table = cosine_alpha_bar(strides[0])
    draws = Draws(seed)
    k = draws.normal(SAMPLES, 6)
    for t, s in zip(strides, [*strides[1:], 0], strict=True):
        late, early = float(table[t]), float(table[s])
        k = step(k, exact_noise(k, late), late, early, draws.normal(SAMPLES, 6))
    return k


def ancestral(x: Tensor, eps: Tensor, late: float, early: float, noise: Tensor) -> Tensor:
    return gaussian.ancestral_step(*gaussian.posterior_from_noise(x, eps, late, early), noise)


def deterministic(x: Tensor, eps: Tensor, late: float, early: float, noise: Tensor) -> Tensor:
    return gaussian.ddim_step(x, eps, late, early)


EVERY = list(range(1000, 0, -1))
TENTH = list(range(1000, 0, -10))


@pytest.mark.parametrize(
    ("strides", "step"),
    [(EVERY, ancestral), (TENTH, ancestral), (TENTH, deterministic)],
    ids=["every", "strided", "ode"],
)
def test_diffusion_of_lattices_reproduces_a_normal_distribution_of_the_chart(
    strides: list[int], step: Callable[[Tensor, Tensor, float, float, Tensor], Tensor]
) -> None:
    k = lattices(strides, step, seed=7)
    for n in range(6):
        assert stats.kstest(((k[:, n] - CENTRE[n]) / SPREAD[n]).numpy(), "norm").pvalue > 0.002
    reference = CENTRE + SPREAD * Draws(8).normal(SAMPLES, 6)
    assert p_value(k, reference) > 0.01
    assert p_value(k, reference + 0.3 * SPREAD) < 0.01
    cells, others = from_log_symmetric(k), from_log_symmetric(reference)
    logarithms = (volume(cells).log() / math.sqrt(3) - CENTRE[5]) / SPREAD[5]
    assert stats.kstest(logarithms.numpy(), "norm").pvalue > 0.002
    pairs = [torch.cat([a.log(), b], 1) for a, b in (lattice_parameters(cells), lattice_parameters(others))]
    assert p_value(pairs[0], pairs[1]) > 0.01


def test_long_strides_with_a_wrong_network_stay_bounded_when_clipped() -> None:
    table = cosine_alpha_bar(1000)
    largest = {}
    for clip in (None, 4.0):
        draws = Draws(9)
        x = draws.normal(200, 6)
        for t, s in ((1000, 500), (500, 100), (100, 0)):
            late, early = float(table[t]), float(table[s])
            eps = exact_noise(x, late) + 0.05 * draws.normal(200, 6)
            mean, variance = gaussian.posterior_from_noise(x, eps, late, early, clip=clip)
            x = gaussian.ancestral_step(mean, variance, draws.normal(200, 6))
            largest[clip] = max(largest.get(clip, 0.0), float(x.abs().max()))
    assert largest[None] > 100
    assert largest[4.0] < 6


def test_the_score_of_one_point_is_what_training_would_regress_on(mixture: TorusMixture) -> None:
    # E[score(x_t | x_0) | x_t] is the score of the mixture: their difference is orthogonal to functions of x_t.
    draws, sigma = Draws(10), 0.15
    x0 = mixture.draw(30_000, draws)
    x_t = wrapped.noised(x0, sigma, draws.normal(30_000, 2))
    apart = score(torus_log(x0, x_t), sigma) - mixture.score(x_t, sigma)
    for function in (torch.ones_like(x_t), torch.sin(2 * math.pi * x_t), torch.cos(4 * math.pi * x_t)):
        products = apart * function
        assert bool((products.mean(0).abs() < 4 * products.std(0) / 30_000**0.5).all())
