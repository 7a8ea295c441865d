"""Likelihoods of FlowMM against closed forms."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from eqcli.errors import InputError
from eqcli.geometry.lattice import lattice_matrix, lattice_parameters
from eqcli.graph.crystal_batch import CrystalBatch
from eqcli.models.generators import pairs
from eqcli.models.generators.charts import LARGEST_ANGLE, SMALLEST_ANGLE, LogSymmetricChart, ParameterChart
from eqcli.models.generators.denoiser import Denoiser, DenoiserInput, DenoiserOutput
from eqcli.models.generators.flowmm import FlowMM
from tests.generator_case import NETWORKS, crystals, generator, seeded

LATTICES = ["parameters", "log-symmetric"]


def flow(lattice: str = "parameters", **options: Any) -> FlowMM:
    made = generator({"name": "flowmm", "lattice": lattice, "denoiser": NETWORKS["cspnet"], **options})
    assert isinstance(made, FlowMM)
    return made.requires_grad_(False)


def cells(angles: list[list[float]], lengths: float = 4.0) -> CrystalBatch:
    """Crystals of two atoms with these angles in degrees."""
    n = len(angles)
    cell = lattice_matrix(
        torch.full((n, 3), lengths, dtype=torch.float64), torch.deg2rad(torch.tensor(angles, dtype=torch.float64))
    )
    places = torch.rand(2 * n, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    return CrystalBatch(torch.full((2 * n,), 8), places, cell, torch.full((n,), 2))


BATCH = cells([[80.0, 95.0, 101.0], [65.0, 72.0, 90.0], [90.0, 90.0, 90.0]])


class Field(Denoiser):
    """A network that says what a function of its input says."""

    def __init__(self, coordinates: Any, lattice: Any) -> None:
        super().__init__()
        self.functions = coordinates, lattice
        self.nothing = nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def forward(self, inputs: DenoiserInput) -> DenoiserOutput:
        coordinates, lattice = self.functions
        return DenoiserOutput(
            coordinates(inputs.fractional), lattice(inputs.lattice), inputs.fractional.new_zeros(len(inputs.batch), 0)
        )


def base(model: FlowMM, batch: CrystalBatch) -> Tensor:
    """The density of cells at the start of the flow, from its definition."""
    chart = model.chart
    lengths, angles = lattice_parameters(batch.cell)
    if isinstance(chart, ParameterChart):
        normal = torch.distributions.LogNormal(chart.mean[:3], chart.spread[:3])
        width = math.radians(LARGEST_ANGLE - SMALLEST_ANGLE)
        return normal.log_prob(lengths).sum(1) - 3 * math.log(width)
    assert isinstance(chart, LogSymmetricChart)
    normal = torch.distributions.Normal(chart.mean, chart.spread)

    def raw(parameters: Tensor) -> Tensor:
        return chart.raw(lattice_matrix(parameters[None, :3], parameters[None, 3:]))[0]

    stretch = []
    for row in torch.cat([lengths, angles], dim=1):  # by finite differences
        steps = 1e-5 * torch.eye(6, dtype=torch.float64)
        columns = [(raw(row + step) - raw(row - step)) / 2e-5 for step in steps]
        stretch.append(torch.linalg.slogdet(torch.stack(columns))[1])
    return normal.log_prob(chart.raw(batch.cell)).sum(1) + torch.stack(stretch)


@pytest.mark.parametrize("lattice", LATTICES)
@pytest.mark.parametrize("divergence", ["exact", "hutchinson"])
def test_a_network_that_says_nothing_gives_the_base_density(lattice: str, divergence: Any) -> None:
    model = flow(lattice)
    model.denoiser = Field(torch.zeros_like, torch.zeros_like)
    found = model.log_likelihood(BATCH, seeded(BATCH), steps=2, divergence=divergence)
    # Finite differences are exact to nine digits.
    torch.testing.assert_close(found, base(model, BATCH), atol=1e-8, rtol=1e-8)


def test_the_base_density_of_cells_is_one() -> None:
    """Its integral over lengths, at angles whose density is known to be uniform, by a sum over a grid."""
    model = flow()
    model.denoiser = Field(torch.zeros_like, torch.zeros_like)
    edges = torch.linspace(math.log(1.3), math.log(12.0), 41, dtype=torch.float64)
    middle = 0.5 * (edges[1:] + edges[:-1])
    grid = torch.cartesian_prod(middle, middle, middle).exp()
    angles = torch.full_like(grid, math.radians(85.0))
    chart = model.chart
    cell = lattice_matrix(grid, angles)
    density = (chart.base_log_density(chart.encode(cell)) + chart.log_volume_element(cell)).exp()  # type: ignore[operator]
    total = float((density * grid.prod(1)).sum() * (edges[1] - edges[0]) ** 3)
    width = math.radians(LARGEST_ANGLE - SMALLEST_ANGLE)
    assert total * width**3 == pytest.approx(1.0, rel=1e-3)


@pytest.mark.parametrize("lattice", LATTICES)
@pytest.mark.parametrize("divergence", ["exact", "hutchinson"])
def test_closed_forms(lattice: str, divergence: Any) -> None:
    """Two atoms that repel each other on the circle, and a lattice that grows in its chart.

    With d the difference of two atoms, d' = a sin(2 pi d) / 2 pi takes tan(pi d) to exp(a) tan(pi d).
    """
    rate, growth = 0.9, 0.3

    def repel(fractional: Tensor) -> Tensor:
        one, other = fractional[0::2], fractional[1::2]
        half = rate * torch.sin(2 * math.pi * (one - other)) / (4 * math.pi)
        drift = torch.cos(fractional.sum())  # what all atoms share is taken out
        return torch.stack([half, -half], dim=1).flatten(0, 1) + drift

    model = flow(lattice)
    model.denoiser = Field(repel, lambda state: growth * state)
    found = model.log_likelihood(BATCH, seeded(BATCH), steps=60, method="heun", divergence=divergence)
    apart = BATCH.fractional[0::2] - BATCH.fractional[1::2]
    cosine, sine = torch.cos(math.pi * apart), torch.sin(math.pi * apart)
    shrink = math.exp(-rate)
    relative = math.log(shrink) - (cosine.square() + shrink**2 * sine.square()).log()
    state = model.chart.encode(BATCH.cell)
    cell = model.chart.base_log_density(math.exp(-growth) * state) - 6 * growth
    expected = relative.sum(1) + cell + model.chart.log_volume_element(BATCH.cell)  # type: ignore[operator]
    # One random direction is exact for the lattice, and for the coordinates only in the mean.
    if divergence == "exact":
        torch.testing.assert_close(found, expected, atol=2e-3, rtol=0)
        adaptive = model.log_likelihood(BATCH, tolerance=1e-3, divergence="exact")
        torch.testing.assert_close(adaptive, expected, atol=0.01, rtol=0)
    else:
        draws = [model.log_likelihood(BATCH, seeded(BATCH, seed=n), steps=20, method="heun") for n in range(60)]
        values = torch.stack(draws)
        spread = values.std(0) / len(draws) ** 0.5
        assert bool(((values.mean(0) - expected).abs() < 4 * spread + 0.02).all())


@pytest.mark.parametrize("network", list(NETWORKS))
def test_symmetries_of_the_density(network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shifted and rotated crystals are equally likely, and crystals do not see each other; so in blocks of pairs."""
    model = flow(denoiser=NETWORKS[network])
    batch, cell = crystals([3, 1, 2]), cells([[80.0, 95, 101], [65, 72, 90], [90, 91, 92]]).cell
    batch = CrystalBatch(batch.numbers, batch.fractional, cell, batch.counts)
    options: dict[str, Any] = {"steps": 4, "method": "heun", "divergence": "exact"}
    expected = model.log_likelihood(batch, **options)
    shift = torch.rand(3, 3, dtype=torch.float64)[batch.batch]
    turned = CrystalBatch(batch.numbers, batch.fractional + shift, -batch.cell[:, :, [2, 0, 1]], batch.counts)
    torch.testing.assert_close(model.log_likelihood(turned, **options), expected, atol=1e-9, rtol=1e-9)
    alone = CrystalBatch(batch.numbers[4:], batch.fractional[4:], batch.cell[2:], batch.counts[2:])
    torch.testing.assert_close(model.log_likelihood(alone, **options), expected[2:], atol=1e-9, rtol=1e-9)
    monkeypatch.setattr(pairs, "PAIR_LIMIT", 4)
    torch.testing.assert_close(model.log_likelihood(batch, **options), expected, atol=1e-9, rtol=1e-9)


def test_cells_that_no_flow_makes_have_no_density() -> None:
    found = flow().log_likelihood(cells([[90.0, 90.0, 125.0], [90.0, 90.0, 90.0]]), steps=2, divergence="exact")
    assert float(found[0]) == -math.inf
    assert bool(found[1].isfinite())


def test_what_cannot_be_asked_for() -> None:
    with pytest.raises(InputError, match="given species"):
        flow(species="bits").log_likelihood(BATCH, seeded(BATCH))
    with pytest.raises(ValueError, match="needs noise"):
        flow().log_likelihood(BATCH)
