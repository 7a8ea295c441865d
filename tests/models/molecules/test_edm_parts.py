"""The schedules of EDM, and elements as numbers."""

from __future__ import annotations

import math

import pytest
import torch

from eqcli.models.molecules.configs.edm import EDMConfig
from eqcli.models.molecules.edm_features import ElementCodes
from eqcli.models.molecules.edm_schedule import LearnedSchedule, make_schedule

CPU = torch.device("cpu")
ELEMENTS = (1, 6, 7, 8)


@pytest.mark.parametrize("schedule", ["polynomial", "cosine", "learned"])
def test_the_noise_rises_from_the_precision_to_nearly_all(schedule: str) -> None:
    config = EDMConfig(schedule=schedule, loss="bound", timesteps=100)  # type: ignore[arg-type]
    gamma = make_schedule(config).to(torch.float32).table(CPU).detach()
    assert gamma.shape == (101,)
    assert gamma.dtype == torch.float64
    assert (gamma.diff() > 0).all()
    assert float(torch.sigmoid(gamma[0])) == pytest.approx(1e-5, rel=1e-4)
    assert float(torch.sigmoid(-gamma[-1])) < 3e-5


def test_the_polynomial_schedule_is_the_published_one() -> None:
    gamma = make_schedule(EDMConfig(timesteps=1000)).table(CPU)
    for step in (1, 250, 900):
        signal = (1 - 2e-5) * (1 - (step / 1000) ** 2) ** 2 + 1e-5
        assert float(torch.sigmoid(-gamma[step])) == pytest.approx(signal, rel=1e-10)


def test_a_learned_schedule_stays_monotone_whatever_its_weights() -> None:
    torch.manual_seed(0)
    for _ in range(5):
        schedule = LearnedSchedule(50, 1e-4)
        with torch.no_grad():
            for parameter in schedule.parameters():
                parameter.add_(3.0 * torch.randn_like(parameter))
        gamma = schedule.table(CPU)
        assert (gamma.diff() > 0).all()
        gamma[25].backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in schedule.parameters())


@pytest.mark.parametrize("number_scale", [None, 10.0])
def test_elements_come_back_and_what_is_far_off_is_kept_near(number_scale: float | None) -> None:
    codes = ElementCodes(ELEMENTS, 4.0, number_scale)
    numbers = torch.tensor([[1, 8], [7, 6]])
    found = codes.encode(numbers)
    assert found.shape == (2, 2, 4 + (number_scale is not None))
    assert torch.equal(codes.decode(found), numbers)
    assert torch.equal(codes.clipped(found), found)
    assert torch.equal(codes.decode(codes.clipped(1e3 * found)), numbers)
    assert codes.clipped(1e3 * found).abs().max() < 1.0
    assert codes.knows(torch.tensor([6, 9])).tolist() == [True, False]


def test_probabilities_add_up_over_elements_and_over_atomic_numbers() -> None:
    torch.manual_seed(0)
    drawn = torch.randn(6, 5, dtype=torch.float64)
    ones = torch.ones(6, dtype=torch.float64)
    for width in (0.3, 0.01):
        one_hot = ElementCodes(ELEMENTS, 4.0, None)
        each = torch.tensor(ELEMENTS).unsqueeze(1).expand(4, 6)
        found = one_hot.log_probability(each, drawn[:, :4].expand(4, 6, 4), torch.tensor(width))
        torch.testing.assert_close(found.exp().sum(dim=0), ones)
        every = tuple(range(-200, 200))
        both = ElementCodes(every, 4.0, 10.0)
        # Equal one-hot entries give each of the 400 the same probability; that of the atomic number is left.
        codes = torch.cat([drawn[:, :1].expand(6, 400), drawn[:, 4:]], dim=1).expand(400, 6, 401)
        each = torch.tensor(every).unsqueeze(1).expand(400, 6)
        found = both.log_probability(each, codes, torch.tensor(width))
        torch.testing.assert_close(found.exp().sum(dim=0), ones / 400)


def test_probabilities_stay_finite_far_in_the_tails() -> None:
    codes = ElementCodes(ELEMENTS, 4.0, 10.0)
    wrong = codes.encode(torch.tensor([1]))
    found = codes.log_probability(torch.tensor([8]), wrong, torch.tensor(1e-5, dtype=torch.float64).sqrt())
    # The atomic number is 7 - 1/2 off at a width of 0.0316; the one-hot entry 1 - 1/2 at 0.0126.
    wanted = -0.5 * ((6.5 / 0.0316228) ** 2 + (0.5 / 0.0126491) ** 2)
    assert float(found) == pytest.approx(wanted, rel=2e-3)
    right = codes.log_probability(torch.tensor([1]), wrong, torch.tensor(1e-5, dtype=torch.float64).sqrt())
    assert float(right) == pytest.approx(0.0, abs=1e-12)
    unknown = codes.log_probability(torch.tensor([9]), wrong, torch.tensor(0.1))
    assert float(unknown) == -math.inf
