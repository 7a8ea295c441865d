"""Requests in batches, and what is made of what a model gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from eqcli.data.crystals import crystal_set
from eqcli.engine.crystal_sampler import CrystalSampler, SamplerSettings, Wish, drawn_sizes, require_known
from eqcli.errors import InputError
from eqcli.io.structure import Structure
from eqcli.models.generators.base import CrystalGenerator, Sampled
from tests.generator_case import NETWORKS, SIZES, generator
from tests.listener import Listener


@pytest.fixture(scope="module")
def model() -> CrystalGenerator:
    return generator({"name": "flowmm", "denoiser": NETWORKS["cspnet"]})


def sampler(model: CrystalGenerator, **options: Any) -> CrystalSampler:
    return CrystalSampler(model, SamplerSettings(3, model.config.sampling.model_copy(update={"steps": 3}), **options))


def wishes(*sizes: int) -> list[Wish]:
    return [Wish(sample, np.full(size, 8)) for sample, size in enumerate(sizes)]


def made(found: CrystalSampler, asked: list[Wish]) -> tuple[list[list[Structure]], list[tuple[int, str]]]:
    failures: list[tuple[int, str]] = []
    return list(found.sample(asked, lambda *failure: failures.append(failure))), failures


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(8, [[3, 4, 1], [6], [9], [2]]), (1, [[3], [4], [1], [6], [9], [2]]), (99, [[3, 4, 1, 6, 9, 2]])],
)
def test_batches_hold_what_they_may(model: CrystalGenerator, limit: int, expected: list[list[int]]) -> None:
    batches = sampler(model, batch_atoms=limit).batches(wishes(3, 4, 1, 6, 9, 2))
    assert [[len(wish.numbers) for wish in batch] for batch in batches] == expected


def test_pairs_fill_a_batch_too(model: CrystalGenerator) -> None:
    sizes = [len(batch) for batch in sampler(model).batches(wishes(*[100] * 14, 600, 5))]
    assert sizes == [6, 6, 2, 1, 1]


def test_without_its_first_batches_the_rest_is_what_it_was(model: CrystalGenerator) -> None:
    """To the last bit."""
    asked = wishes(2, 3, 1, 2, 3, 4)
    whole, _ = made(sampler(model, batch_atoms=6), asked)
    assert [[s.info["sample"] for s in batch] for batch in whole] == [[0, 1, 2], [3, 4], [5]]
    rest, _ = made(sampler(model, batch_atoms=6), asked[3:])
    assert [[s.info["sample"] for s in batch] for batch in rest] == [[3, 4], [5]]
    for one, other in zip(rest[0] + rest[1], whole[1] + whole[2], strict=True):
        assert np.array_equal(one.positions, other.positions)
        assert np.array_equal(one.cell, other.cell)


def test_what_a_structure_says_of_itself(model: CrystalGenerator) -> None:
    asked = [Wish(7, np.array([3, 8]), target=4, value=-1.5), Wish(8, np.array([22]))]
    ((one, other),), _ = made(sampler(model), asked)
    assert one.info == {"sample": 7, "seed": 3, "model": "flowmm", "target": 4, "wanted_value": -1.5}
    assert other.info == {"sample": 8, "seed": 3, "model": "flowmm"}
    assert one.numbers.tolist() == [3, 8]
    assert bool(one.pbc.all())


def answering(model: CrystalGenerator, monkeypatch: pytest.MonkeyPatch, cells: Tensor, places: Tensor) -> None:
    """Makes a model give these cells and coordinates."""

    def sample(request: Any, *rest: Any, **options: Any) -> Sampled:
        return Sampled(request.with_structure(request.numbers, places, cells), 1)

    monkeypatch.setattr(model, "sample", sample)


def test_left_handed_cells_are_turned(model: CrystalGenerator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same distances, in a right-handed cell, with the same fractional coordinates."""
    cell = torch.tensor([[3.0, 0.2, 0.0], [0.1, 0.3, 4.0], [0.0, 5.0, 0.4]])
    places = torch.tensor([[0.1, 0.2, 0.3], [0.7, 0.9, 0.4]])
    answering(model, monkeypatch, cell[None], places)
    ((found,),), failures = made(sampler(model), wishes(2))
    assert failures == []
    assert float(np.linalg.det(cell.numpy())) < 0 < float(np.linalg.det(found.cell))
    np.testing.assert_allclose(found.cell @ found.cell.T, (cell @ cell.T).numpy(), rtol=1e-6)
    np.testing.assert_allclose(crystal_set([found]).fractional, places.numpy(), atol=1e-6)


GOOD = torch.eye(3) * 4.0


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (GOOD * torch.nan, "not finite"),
        (GOOD * torch.inf, "not finite"),
        (GOOD * 1e9, "longer"),
        (GOOD * 1e-5, "shorter"),
        (GOOD * torch.tensor([1.0, 1.0, 0.0]), "shorter"),
        (torch.tensor([[3.0, 0, 0], [0, 3.0, 0], [2.0, 1.0, 0]]), "no volume"),
    ],
)
def test_faults(model: CrystalGenerator, monkeypatch: pytest.MonkeyPatch, cell: Tensor, reason: str) -> None:
    """One of them does not stop the others."""
    answering(model, monkeypatch, torch.stack([GOOD, cell, GOOD]), torch.rand(3, 3))
    (found,), failures = made(sampler(model), wishes(1, 1, 1))
    assert [s.info["sample"] for s in found] == [0, 2]
    assert [sample for sample, _ in failures] == [1]
    assert reason in failures[0][1]


def test_coordinates_that_are_no_numbers(model: CrystalGenerator, monkeypatch: pytest.MonkeyPatch) -> None:
    places = torch.zeros(3, 3)
    places[2, 1] = torch.nan
    answering(model, monkeypatch, torch.stack([GOOD, GOOD]), places)
    (found,), failures = made(sampler(model), wishes(2, 1))
    assert (len(found), failures[0][0]) == (1, 1)


def test_requests_know_their_elements_and_values(model: CrystalGenerator) -> None:
    request = sampler(model, elements=(3, 8)).request([Wish(0, np.zeros(2, dtype=np.int64), value=2.0), *wishes(1)])
    assert request.system is not None
    assert request.system.nonzero()[:, 1].tolist() == [3, 8, 3, 8]
    assert request.value is not None
    assert request.value.isnan().tolist() == [False, True]
    assert sampler(model).request(wishes(1)).system is None


def test_sizes_are_as_frequent_as_in_training(model: CrystalGenerator) -> None:
    found = drawn_sizes(model, 1, range(20_000))
    shares = np.bincount(found, minlength=len(SIZES)) / 20_000
    np.testing.assert_allclose(shares, np.array(SIZES) / sum(SIZES), atol=0.015)
    assert found[500:510] == drawn_sizes(model, 1, range(500, 510))
    assert found != drawn_sizes(model, 2, range(20_000))


def test_unknown_elements_are_named(model: CrystalGenerator) -> None:
    require_known(model, np.array([0, 3, 8]), "this")
    with pytest.raises(InputError, match=r"this: the model was not trained on C, Au") as caught:
        require_known(model, np.array([79, 8, 6]), "this")
    assert "Li, O, Ti, Fe" in (caught.value.hint or "")


class Cramped:
    """A generator whose memory ends beyond so many atoms."""

    def __init__(self, model: CrystalGenerator, limit: int) -> None:
        self.plain, self.limit, self.sizes = model.sample, limit, []  # type: ignore[var-annotated]

    def __call__(self, request: Any, *args: Any, **options: Any) -> Sampled:
        self.sizes.append(len(request.numbers))
        if len(request.numbers) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return self.plain(request, *args, **options)


def test_batches_that_do_not_fit_are_halved_and_structures_stay_what_they_are(
    model: CrystalGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = wishes(2, 3, 1, 2, 3, 4, 2, 2)
    whole, _ = made(sampler(model), asked)
    cramped, listener = Cramped(model, 6), Listener()
    monkeypatch.setattr(model, "sample", cramped)
    options = {"update": {"steps": 3}}
    found = CrystalSampler(model, SamplerSettings(3, model.config.sampling.model_copy(**options)), report=listener)
    parts, failures = made(found, asked)
    assert not failures
    assert cramped.sizes[0] == 19
    assert len(listener.warnings) >= 1
    assert "19 atoms did not fit" in listener.warnings[0]
    one, other = ([s for batch in batches for s in batch] for batches in (whole, parts))
    assert [s.info["sample"] for s in other] == list(range(8))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a.positions, b.positions, atol=1e-4)
    # What was learned holds for later batches.
    assert max(cramped.sizes[-3:]) <= 9


def test_a_structure_too_large_alone_is_a_failure(model: CrystalGenerator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "sample", Cramped(model, 6))
    found, failures = made(sampler(model), wishes(2, 9, 3))
    assert [s.info["sample"] for batch in found for s in batch] == [0, 2]
    assert failures == [(1, "it needs more memory than there is")]
