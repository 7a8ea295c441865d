"""The contract of `models/generators/base.py`: every generator, form of species, chart of lattices and network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from eqcli.diffusion.noise import Noise
from eqcli.engine.model_file import load_model, read_header, save_model
from eqcli.errors import InputError
from eqcli.geometry.torus import torus_log
from eqcli.graph.crystal_batch import CrystalBatch
from eqcli.models.generators import pairs
from eqcli.models.generators.base import CrystalGenerator, Sampled, Start
from eqcli.models.generators.config import DENOISERS, GENERATORS
from eqcli.models.generators.denoiser import DenoiserOutput
from eqcli.models.generators.species import CodedSpecies, HiddenSpecies
from tests.generator_case import (
    COUNTS,
    ELEMENTS,
    NETWORKS,
    VARIANTS,
    Permuted,
    Shifted,
    Turned,
    crystals,
    generator,
    seeded,
    wanted,
)
from tests.rotations import random_rotation

EXACT = 1e-10
"""Error allowed to a symmetry in float64, for numbers of about 1."""
ORDER = torch.tensor([2, 0, 1, 3, 5, 7, 6, 4, 9, 8])
"""A permutation of the atoms within their crystals."""
DRAWN = {name: options for name, options in VARIANTS.items() if options["species"] != "given"}


def test_every_generator_and_network_is_here() -> None:
    assert {options["name"] for options in VARIANTS.values()} == set(GENERATORS)
    assert set(NETWORKS) == set(DENOISERS)


@pytest.fixture(scope="module", params=list(VARIANTS))
def model(request: pytest.FixtureRequest) -> CrystalGenerator:
    return generator(VARIANTS[request.param])


@torch.no_grad()
def looked(
    model: CrystalGenerator,
    batch: CrystalBatch,
    order: Tensor | None = None,
    shift: Tensor | float = 0.0,
    cell: Tensor | None = None,
) -> DenoiserOutput:
    """What the network says of noisy states, which are the same each time but for what is asked for."""
    draw = torch.Generator().manual_seed(3)
    rows = torch.arange(len(batch.numbers)) if order is None else order
    species = model.species
    if isinstance(species, CodedSpecies):
        state = torch.randn(len(rows), species.output_size, generator=draw, dtype=torch.float64)
    else:
        state = species.index(batch.numbers)
        if isinstance(species, HiddenSpecies):
            state = torch.where(torch.arange(len(state)) % 3 == 0, species.mask, state)
    time = torch.tensor([3.0, 500.0, 40.0, 999.0], dtype=torch.float64)
    lattice = model.chart.encode(batch.cell if cell is None else cell)
    withheld = torch.ones(len(batch), 2, dtype=torch.bool)
    return model.look(batch, state[rows], (batch.fractional + shift)[rows], lattice, time, withheld)


def assert_close(found: DenoiserOutput, expected: DenoiserOutput, order: Tensor | None = None) -> None:
    rows = slice(None) if order is None else order
    for name in ("coordinates", "species"):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name)[rows], atol=EXACT, rtol=EXACT)
    torch.testing.assert_close(found.lattice, expected.lattice, atol=EXACT, rtol=EXACT)


def test_shifted_crystals(model: CrystalGenerator) -> None:
    """Together, by another vector for each crystal; and any atom by whole numbers."""
    batch = crystals()
    together = torch.randn(len(batch), 3, dtype=torch.float64)[batch.batch]
    whole = torch.randint(-200, 200, batch.fractional.shape).double()
    assert_close(looked(model, batch, shift=together), looked(model, batch))
    assert_close(looked(model, batch, shift=whole), looked(model, batch))
    one = torch.zeros_like(together)
    one[0, 0] = 0.1
    moved = looked(model, batch, shift=one).coordinates - looked(model, batch).coordinates
    assert float(moved[:3].abs().max()) > 1e-5
    assert float(moved[3:].abs().max()) == 0.0


def test_permuted_atoms(model: CrystalGenerator) -> None:
    assert_close(looked(model, crystals(), order=ORDER), looked(model, crystals()), ORDER)


@pytest.mark.parametrize("reflected", [False, True])
def test_turned_and_reflected_cells(model: CrystalGenerator, reflected: bool) -> None:
    """The direction of a matrix turns with it; everything else, other charts of lattices included, does not see it."""
    batch = crystals()
    turn = random_rotation(4) * (-1.0 if reflected else 1.0)
    before, after = looked(model, batch), looked(model, batch, cell=batch.cell @ turn)
    lattice = before.lattice
    if model.config.lattice == "matrix":
        lattice = (lattice.unflatten(1, (3, 3)) @ turn).flatten(1)
    assert_close(after, DenoiserOutput(before.coordinates, lattice, before.species))


def settings(model: CrystalGenerator, **changes: Any) -> Any:
    return model.config.sampling.model_copy(update={"steps": 5, **changes})


@torch.no_grad()
def sampled(
    model: CrystalGenerator, batch: CrystalBatch, noise: Noise, guidance: float = 1.0, **changes: Any
) -> CrystalBatch:
    found: Sampled = model.sample(batch, noise, settings(model, **changes), guidance=guidance)
    return found.crystals


def assert_same(found: CrystalBatch, expected: CrystalBatch, order: Tensor | None = None, shift: Any = 0.0) -> None:
    rows = slice(None) if order is None else order
    assert torch.equal(found.numbers, expected.numbers[rows])
    apart = torus_log((expected.fractional + shift)[rows], found.fractional)
    assert float(apart.abs().max()) < EXACT
    torch.testing.assert_close(found.cell, expected.cell, atol=10 * EXACT, rtol=EXACT)


def test_noise_carried_along(model: CrystalGenerator) -> None:
    """Permuted noise makes the permuted structures, a shifted start the shifted ones, turned noise turned cells."""
    request = wanted(crystals())
    expected = sampled(model, request, seeded(request))
    permuted = CrystalBatch(request.numbers[ORDER], request.fractional, request.cell, request.counts)
    assert_same(sampled(model, permuted, Permuted(seeded(request), ORDER)), expected, order=ORDER)
    shift = torch.rand(len(request), 3, dtype=torch.float64)[request.batch]
    assert_same(sampled(model, request, Shifted(seeded(request), shift)), expected, shift=shift)
    if model.config.lattice == "matrix":
        turn = -random_rotation(4)
        found = sampled(model, request, Turned(seeded(request), turn, len(request.numbers)))
        assert_same(found, expected.with_structure(expected.numbers, expected.fractional, expected.cell @ turn))


def ways(model: CrystalGenerator) -> list[dict[str, Any]]:
    """Settings of the sampling whose steps are the same for every structure."""
    if model.config.name == "flowmm":
        return [{"method": "euler"}, {"method": "heun", "slope": 0.0}]
    return [{"eta": 1.0, "corrector": 1e-3}, {"eta": 0.0, "corrector": 0.0}]


def test_a_structure_is_the_same_in_every_batch(model: CrystalGenerator) -> None:
    request = wanted(crystals())
    for way in ways(model):
        together = sampled(model, request, seeded(request), **way)
        for row in range(len(request)):
            own = request.batch == row
            alone = CrystalBatch(
                request.numbers[own], request.fractional[own], request.cell[:1], request.counts[row : row + 1]
            )
            found = sampled(model, alone, seeded(alone, first=row), **way)
            assert_same(
                found,
                CrystalBatch(together.numbers[own], together.fractional[own], together.cell[row : row + 1], own),
            )


def test_what_comes_out(model: CrystalGenerator) -> None:
    """Finite numbers, coordinates in the cell, known species, none of them hidden; the same for the same seed."""
    request = wanted(crystals())
    found, again = (sampled(model, request, seeded(request, seed=5)) for _ in range(2))
    for name in ("numbers", "fractional", "cell"):
        assert torch.equal(getattr(found, name), getattr(again, name))
    assert bool(found.cell.isfinite().all())
    assert bool(((found.fractional >= 0) & (found.fractional < 1)).all())
    assert set(found.numbers.tolist()) <= set(ELEMENTS)
    if not model.gives_species:
        assert torch.equal(found.numbers, request.numbers)
    other = sampled(model, request, seeded(request, seed=6))
    assert float((other.fractional - found.fractional).abs().max()) > 1e-3


def test_single_precision(model: CrystalGenerator) -> None:
    single = generator(model.config.model_dump()).to(torch.float32)
    request = wanted(crystals(dtype=torch.float32))
    noise = seeded(request, dtype=torch.float32)
    found = sampled(single, request, noise)
    assert found.fractional.dtype == found.cell.dtype == torch.float32
    assert bool(found.cell.isfinite().all())
    terms = single.losses(crystals(dtype=torch.float32), seeded(request, dtype=torch.float32))
    exact = model.losses(crystals(), seeded(request))
    assert terms["loss"].dtype == torch.float32
    # Coordinates that are noised less than their rounding would have no score to learn.
    assert float(terms["loss"].detach()) == pytest.approx(float(exact["loss"].detach()), rel=1e-3)


@pytest.mark.parametrize("counts", [COUNTS, [1], [1, 1, 1]])
def test_losses_reach_every_parameter(model: CrystalGenerator, counts: list[int]) -> None:
    model.zero_grad()
    batch = crystals(counts)
    terms = model.losses(batch, seeded(batch))
    assert all(bool(term.isfinite()) for term in terms.values())
    assert all(float(term.detach()) > 0 for term in terms.values()) or counts != COUNTS
    terms["loss"].backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not bool(p.grad.isfinite().all())] == []
    if counts == COUNTS:
        assert [n for n, p in model.named_parameters() if not bool(p.grad.abs().max() > 0)] == []  # type: ignore[union-attr]
    model.zero_grad()


def test_losses_do_not_know_the_order_of_atoms(model: CrystalGenerator) -> None:
    batch = crystals()
    permuted = CrystalBatch(batch.numbers[ORDER], batch.fractional[ORDER], batch.cell, batch.counts)
    found = model.losses(permuted, Permuted(seeded(batch), ORDER))
    for name, term in model.losses(batch, seeded(batch)).items():
        assert float(found[name].detach()) == pytest.approx(float(term.detach()), rel=EXACT, abs=EXACT)


def test_blocks_of_pairs(model: CrystalGenerator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few pairs at a time give the losses, the gradients and the structures of all at once."""
    batch, request = crystals(), wanted(crystals())

    def everything() -> tuple[CrystalBatch, list[Tensor]]:
        model.zero_grad()
        model.losses(batch, seeded(batch))["loss"].backward()
        gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
        return sampled(model, request, seeded(request)), gradients

    structures, gradients = everything()
    monkeypatch.setattr(pairs, "PAIR_LIMIT", 5)
    in_blocks, of_blocks = everything()
    assert_same(in_blocks, structures)
    torch.testing.assert_close(of_blocks, gradients, atol=EXACT, rtol=EXACT)


def test_model_file(model: CrystalGenerator, tmp_path: Path) -> None:
    request = wanted(crystals())
    save_model(tmp_path / "m.safetensors", model, training={}, provenance={})
    assert read_header(tmp_path / "m.safetensors")["family"] == "generators"
    loaded = load_model(tmp_path / "m.safetensors")
    assert isinstance(loaded.model, CrystalGenerator)
    assert loaded.model.sizes.tolist() == model.sizes.tolist()
    found, expected = (sampled(m, request, seeded(request)) for m in (loaded.model, model))
    for name in ("numbers", "fractional", "cell"):
        assert torch.equal(getattr(found, name), getattr(expected, name))
    with pytest.raises(InputError, match="no interatomic potential"):
        _ = loaded.potential


def refined(model: CrystalGenerator, known: CrystalBatch, strength: float, **changes: Any) -> CrystalBatch:
    request = wanted(known)
    start = Start(known.fractional, known.cell, strength)
    with torch.no_grad():
        return model.sample(request, seeded(request, seed=2), settings(model, **changes), start=start).crystals


@pytest.mark.parametrize("name", [name for name, options in VARIANTS.items() if options["name"] == "flowmm"])
def test_a_flow_refines_from_all_to_nothing(name: str) -> None:
    model, known = generator(VARIANTS[name]), crystals()
    found = refined(model, known, 1e-6)
    assert torch.equal(found.numbers, known.numbers)
    assert float(torus_log(known.fractional, found.fractional).abs().max()) < 1e-4
    metric, wanted_metric = (cell @ cell.mT for cell in (found.cell, known.cell))
    torch.testing.assert_close(metric, wanted_metric, rtol=1e-4, atol=1e-3)
    other = crystals(seed=8)
    forgotten = CrystalBatch(known.numbers, other.fractional, other.cell, known.counts)
    assert_same(refined(model, forgotten, 1.0), refined(model, known, 1.0))


@pytest.mark.parametrize("name", [name for name in VARIANTS if name.startswith("diffcsp") and name.endswith("cspnet")])
def test_a_diffusion_refines_next_to_nothing(name: str) -> None:
    """Its first step has noise of half a hundredth of a period on coordinates, and as much in Å on a lattice."""
    model, known = generator({**VARIANTS[name], "timesteps": 1000}), crystals()
    found = refined(model, known, 1e-6, corrector=0.0)
    assert torch.equal(found.numbers, known.numbers)
    assert float(torus_log(known.fractional, found.fractional).abs().max()) < 0.05
    metric, wanted_metric = (cell @ cell.mT for cell in (found.cell, known.cell))
    torch.testing.assert_close(metric, wanted_metric, rtol=0.1, atol=1.0)
    farther = refined(model, known, 0.5, corrector=0.0)
    assert float(torus_log(known.fractional, farther.fractional).abs().max()) > 0.05


@pytest.mark.parametrize("name", list(DRAWN))
@pytest.mark.parametrize("strength", [None, 0.2])
def test_only_elements_of_the_system_come_out(name: str, strength: float | None) -> None:
    model, known = generator(DRAWN[name]), crystals([3] * 12)
    plain = wanted(known)
    system = torch.zeros(12, 119, dtype=torch.bool)
    system[:6, [3, 22]] = True
    system[6:, 8] = True
    request = CrystalBatch(plain.numbers, plain.fractional, plain.cell, plain.counts, None, system)
    start = None if strength is None else Start(known.fractional, known.cell, strength)
    found = model.sample(request, seeded(request), settings(model), start=start).crystals
    assert set(found.numbers[:18].tolist()) <= {3, 22}
    assert set(found.numbers[18:].tolist()) == {8}
    free = model.sample(plain, seeded(plain), settings(model), start=start).crystals
    assert not set(free.numbers[18:].tolist()) <= {8}


STEERED = [f"{name}-{form}-{network}" for name in GENERATORS for form in ("given", "discrete") for network in NETWORKS]


@pytest.fixture(scope="module", params=STEERED)
def steered(request: pytest.FixtureRequest) -> CrystalGenerator:
    name, form, network = request.param.split("-", 2)
    conditions = {"value": "energy_per_atom", "system": True, "dropout": 0.5}
    denoiser = NETWORKS[network]
    return generator({"name": name, "species": form, "denoiser": denoiser, "conditions": conditions})


def test_weights_of_conditions(steered: CrystalGenerator) -> None:
    """0 is the model without them, 1 as learned, and calls that need both are counted."""
    batch = crystals()
    plain = wanted(batch)
    told = CrystalBatch(plain.numbers, plain.fractional, plain.cell, plain.counts, batch.value)
    changes = {"corrector": 0.0} if steered.config.name == "diffcsp" else {}
    without, ignored, heard, more = (
        sampled(steered, request, seeded(request), guidance, **changes)
        for request, guidance in ((plain, 1.0), (told, 0.0), (told, 1.0), (told, 2.0))
    )
    assert_same(ignored, without)
    for one, other in ((heard, without), (more, heard)):
        assert float((one.cell - other.cell).abs().max()) > 1e-4
    with torch.no_grad():
        calls = [
            steered.sample(told, seeded(told), settings(steered, **changes), guidance=weight).calls
            for weight in (0.0, 1.0, 2.0)
        ]
    assert calls == [5, 5, 10]
    # Twice the network says what it says once where the conditions change nothing.
    assert_same(sampled(steered, plain, seeded(plain), 3.0, **changes), without)


def test_conditions_reach_every_parameter(steered: CrystalGenerator) -> None:
    batch = crystals()
    steered.zero_grad()
    steered.losses(batch, seeded(batch, seed=1))["loss"].backward()
    assert [n for n, p in steered.named_parameters() if p.grad is None or not bool(p.grad.abs().max() > 0)] == []


@pytest.mark.parametrize("condition", [{"value": "energy_per_atom"}, {"system": True}])
def test_a_condition_that_is_not_asked_for_has_no_parameters(condition: dict[str, Any]) -> None:
    made = generator({"name": "flowmm", "denoiser": NETWORKS["cspnet"], "conditions": {**condition, "dropout": 0.0}})
    batch = crystals()
    made.losses(batch, seeded(batch))["loss"].backward()
    assert [n for n, p in made.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("lattice", ["matrix", "log-symmetric"])
def test_long_strides_keep_lattices_in_bounds(lattice: str) -> None:
    """20 steps in place of 1000 of a network that knows nothing, from where there is next to no signal."""
    made = generator({"name": "diffcsp", "lattice": lattice, "denoiser": NETWORKS["cspnet"]})
    request = wanted(crystals([4] * 16))
    found = sampled(made, request, seeded(request), steps=20)
    assert float(found.cell.norm(dim=2).max()) < 2.0 * float(crystals().cell.norm(dim=2).max())
