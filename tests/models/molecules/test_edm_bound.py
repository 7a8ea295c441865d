"""The variational bound of EDM: its constants, its estimates and what it does not depend on."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from eqcli.diffusion.dense_noise import seeded_noise
from eqcli.geometry.centred import centred
from eqcli.graph.molecule_batch import MoleculeBatch
from eqcli.models.molecules.bound import TERMS, bound_losses, variational_bound
from tests.models.molecules import edm_case
from tests.models.molecules.edm_case import SIZES, SPREAD, edm, known, molecules, noise_for
from tests.rotations import random_rotation


class GivenNoise:
    """Noise of another source, turned or permuted."""

    def __init__(self, batch: MoleculeBatch, matrix: Tensor | None = None, order: Tensor | None = None) -> None:
        self.inner = noise_for(batch, seed=3)
        self.matrix = torch.eye(3, dtype=torch.float64) if matrix is None else matrix
        self.order = torch.arange(batch.width) if order is None else order

    def normal_atoms(self, width: int) -> Tensor:
        found = self.inner.normal_atoms(width)[:, self.order]
        return found @ self.matrix.T if width == 3 else found

    def uniform_molecules(self, width: int) -> Tensor:
        return self.inner.uniform_molecules(width)


def test_of_a_gaussian_the_bound_is_above_its_entropy_and_reaches_it_with_steps() -> None:
    counts = [4] * 2000
    batch = molecules(counts)
    dimensions = 3 * (4 - 1)
    entropy = 0.5 * dimensions * (1 + math.log(2 * math.pi * SPREAD**2))
    gaps = []
    # Steps near the data are long in gamma: even a thousand lie a third of a nat per dimension above.
    for steps in (20, 100, 1000, 10000):
        model = known(batch, timesteps=steps)
        found = variational_bound(model, batch, noise_for(batch), steps=min(steps, 100))
        mean = float((found["total"] - found["size"]).mean())
        error = float((found["total"] - found["size"]).std()) / len(batch) ** 0.5
        gaps.append(mean - entropy)
        assert gaps[-1] > -3 * error
    assert gaps[0] > gaps[1] > gaps[2] > 1.0
    assert abs(gaps[3]) < 0.6


def test_the_bound_of_single_molecules_is_their_negative_log_density() -> None:
    """With many steps and exact predictions every molecule has its own number, not the mean alone."""
    batch = molecules([5] * 6)
    many = MoleculeBatch(*(getattr(batch, name).repeat_interleave(600, 0) for name in _FIELDS))
    factors = torch.linspace(0.4, 1.6, 6, dtype=torch.float64).repeat_interleave(600)
    many = replace(many, positions=many.positions * factors[:, None, None])
    found = variational_bound(known(many, timesteps=10000), many, noise_for(many), steps=60)
    density = 0.5 * many.positions.square().sum(dim=(1, 2)) / SPREAD**2 + 6 * math.log(2 * math.pi * SPREAD**2)
    gaps = (found["total"] - found["size"] - density).reshape(6, 600)
    errors = gaps.std(dim=1) / 600**0.5
    assert (gaps.mean(dim=1).abs() < 3.5 * errors + 0.3).all()
    assert density.max() - density.min() > 5.0


_FIELDS = ("numbers", "positions", "counts", "charges", "hybridisations", "bonds")


def test_drawn_steps_agree_with_all_steps() -> None:
    batch = molecules([3] * 400)
    one = MoleculeBatch(*(getattr(batch, name)[:1].expand_as(getattr(batch, name)) for name in _FIELDS))
    model = edm(timesteps=30)
    whole = variational_bound(model, one, noise_for(one, 1))["total"]
    for steps in (1, 7):
        drawn = variational_bound(model, one, noise_for(one, 2), steps=steps)["total"]
        error = ((whole.var() + drawn.var()) / len(one)).sqrt()
        assert error < 0.05 * whole.mean().abs()
        assert (whole.mean() - drawn.mean()).abs() < 4 * error


def test_terms_add_up_and_the_loss_is_their_mean() -> None:
    batch = molecules([3] * 3000)
    for schedule in ("polynomial", "learned"):
        model = edm(timesteps=30, loss="bound", schedule=schedule)
        found = variational_bound(model, batch, noise_for(batch, 1), steps=10)
        torch.testing.assert_close(found["total"], torch.stack([found[name] for name in TERMS]).sum(dim=0))
        with torch.no_grad():
            loss = bound_losses(model, batch, noise_for(batch, 2), None)
        wanted = found["total"] - found["size"]
        numbers = 3 * (3 + model.codes.width)
        assert float(loss["bound"]) == pytest.approx(float(wanted.mean()), abs=float(wanted.std()) / 10)
        assert float(loss["loss"]) == pytest.approx(float(loss["bound"]) / numbers)


def test_turned_and_permuted_molecules_have_the_same_bound() -> None:
    batch = molecules([5, 5, 5])
    model = edm(timesteps=12)
    plain = variational_bound(model, batch, GivenNoise(batch))["total"]  # type: ignore[arg-type]
    matrix, order = -random_rotation(1), torch.tensor([2, 0, 4, 1, 3])
    turned = replace(batch, positions=batch.positions @ matrix.T + 1.5)
    found = variational_bound(model, turned, GivenNoise(batch, matrix))["total"]  # type: ignore[arg-type]
    torch.testing.assert_close(found, plain, rtol=0.0, atol=1e-8)
    permuted = replace(batch, numbers=batch.numbers[:, order], positions=batch.positions[:, order])
    found = variational_bound(model, permuted, GivenNoise(batch, order=order))["total"]  # type: ignore[arg-type]
    torch.testing.assert_close(found, plain, rtol=0.0, atol=1e-8)


def test_the_unit_of_length_shifts_the_bound_by_the_volume_alone() -> None:
    """Data and Gaussian that are both twice as large are less dense by 2 to the number of dimensions."""
    batch = molecules([4] * 4000)
    wide = replace(batch, positions=2.0 * batch.positions)
    narrow_model, wide_model = known(batch, timesteps=1000), known(wide, timesteps=1000)
    narrow = variational_bound(narrow_model, batch, noise_for(batch), steps=50)["total"].mean()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edm_case, "SPREAD", 2.0 * SPREAD)
        found = variational_bound(wide_model, wide, noise_for(wide), steps=50)["total"].mean()
    assert float(found - narrow) == pytest.approx(9 * math.log(2.0), abs=0.25)


def test_one_atom_has_no_position_and_the_size_term_is_the_histogram() -> None:
    batch = molecules([1, 2, 5])
    found = variational_bound(known(batch, timesteps=200), batch, noise_for(batch))
    share = torch.tensor([SIZES[1], SIZES[2], SIZES[5]]).double() / sum(SIZES)
    torch.testing.assert_close(found["size"], -share.log())
    # Elements are known, and there is nothing else: the prior at the end of a finite schedule is what is left.
    assert 0 <= float(found["total"][0] - found["size"][0]) < 0.01


def test_sizes_and_elements_that_did_not_occur_have_an_infinite_bound() -> None:
    model = edm(timesteps=5)
    large = molecules([6, 2])
    found = variational_bound(model, large, noise_for(large))
    assert found["size"].isinf().tolist() == [True, False]
    strange = molecules([3, 2])
    numbers = strange.numbers.clone()
    numbers[0, 0] = 7
    strange = replace(strange, numbers=numbers)
    found = variational_bound(model, strange, noise_for(strange))
    assert found["total"].isinf().tolist() == [True, False]
    assert found["diffusion"].isfinite().all()


def test_molecules_do_not_depend_on_their_batch() -> None:
    batch = molecules([5, 2, 3])
    model = edm(timesteps=8)
    whole = variational_bound(model, batch, noise_for(batch))["total"]
    cut = MoleculeBatch(
        batch.numbers[1:2, :2],
        batch.positions[1:2, :2],
        batch.counts[1:2],
        batch.charges[1:2, :2],
        batch.hybridisations[1:2, :2],
        batch.bonds[1:2, :2, :2],
    )
    alone = variational_bound(model, cut, seeded_noise(0, torch.tensor([1]), 2, torch.float64))["total"]
    torch.testing.assert_close(alone, whole[1:2], rtol=0.0, atol=1e-9)


def test_training_lowers_the_bound() -> None:
    batch = molecules([3] * 64)
    # One shape of molecule, turned: there is something to learn.
    shape = centred(batch.positions[:1], batch.mask[:1])
    turns = torch.stack([random_rotation(n) for n in range(64)])
    positions = torch.einsum("bxy,ny->bnx", turns, shape[0])
    batch = replace(batch, positions=positions, numbers=batch.numbers[:1].expand(64, 3))
    for loss, schedule in (("simple", "polynomial"), ("bound", "learned")):
        model = edm(timesteps=100, loss=loss, schedule=schedule, shake=0.0)
        before = variational_bound(model, batch, noise_for(batch, 1), steps=10)["total"].mean()
        optimizer = torch.optim.Adam(model.parameters(), 3e-3)
        for number in range(120):
            optimizer.zero_grad()
            model.losses(batch, noise_for(batch, 10 + number))["loss"].backward()
            optimizer.step()
        after = variational_bound(model, batch, noise_for(batch, 1), steps=10)["total"].mean()
        assert after < before - 5.0
