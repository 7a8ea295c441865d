"""The contract of `models/molecules/base.py`: every system with every network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from eqcli.diffusion.dense_noise import DenseNoise
from eqcli.engine.model_file import load_model, read_header, save_model
from eqcli.errors import InputError
from eqcli.geometry.centred import centred
from eqcli.graph.molecule_batch import MoleculeBatch
from eqcli.models.molecules.base import MoleculeGenerator
from eqcli.models.molecules.config import MOLECULE_DENOISERS, MOLECULE_GENERATORS
from eqcli.models.molecules.edm import EDM
from eqcli.models.molecules.eqgat import EQGAT
from eqcli.models.molecules.joint import JointGenerator
from eqcli.models.molecules.joint_states import Clean, State
from eqcli.models.molecules.joint_walk import Walk
from eqcli.models.molecules.scaffold import Scaffold
from tests.molecule_case import (
    COUNTS,
    NETWORKS,
    SPREAD,
    SYSTEMS,
    VARIANTS,
    VOCABULARY,
    Carried,
    alone,
    filled_up,
    generator,
    molecules,
    noise_for,
    of_pairs,
    permuted,
    shuffle,
    turned,
    wanted,
    with_core,
)
from tests.rotations import random_rotation

EXACT = 1e-10
"""Error allowed to a symmetry in float64, for numbers of about 1."""
OF_SAMPLES = 1e-8
"""That of several steps, each of which may enlarge the rounding of the one before."""
TOLD = {"conditions": {"values": ["gap", "dipole"], "dropout": 0.5}}
BOTH = torch.tensor([[1.0, 5.0], [-2.0, torch.nan], [torch.nan, torch.nan], [0.5, 9.0]], dtype=torch.float64)
MAPS = {"rotation": random_rotation(4), "reflection": -random_rotation(4)}


def test_every_system_and_network_is_here() -> None:
    assert {options["name"] for options in VARIANTS.values()} == set(MOLECULE_GENERATORS)
    assert set(NETWORKS) == set(MOLECULE_DENOISERS)


@pytest.fixture(scope="module", params=list(VARIANTS))
def model(request: pytest.FixtureRequest) -> MoleculeGenerator:
    return generator(VARIANTS[request.param])


Seen = dict[str, Tensor]
"""What a network says: `vectors`, and numbers of atoms and of pairs."""


@torch.no_grad()
def looked(model: MoleculeGenerator, batch: MoleculeBatch) -> Seen:
    """What is said of molecules as they stand, with earlier predictions where the system looks at them."""
    time = torch.tensor([0.1, 0.5, 0.93, 0.7], dtype=torch.float64)[: len(batch)]
    if isinstance(model, EDM):
        codes = model.codes.encode(batch.numbers) * batch.mask.unsqueeze(-1)
        steps = (time * model.config.timesteps).long()
        out = model.predict(batch, torch.cat([batch.positions, codes], dim=-1), steps, None)
        return {"vectors": out[..., :3], "elements": out[..., 3:]}
    assert isinstance(model, JointGenerator)
    fields = {"elements": "numbers", "charges": "charges", "hybridisations": "hybridisations", "bonds": "bonds"}
    states = {name: model.kind(name).index(getattr(batch, fields[name])) for name in model.kinds}
    # Earlier predictions that turn and change places with the molecules.
    logits = {
        name: model.kind(name).features(s, model.dtype)[..., : model.kind(name).count] for name, s in states.items()
    }
    seen = Clean(centred(batch.positions * batch.numbers.unsqueeze(-1).sqrt(), batch.mask), logits)
    found = model.look(batch, State(batch.positions, states), time, None, seen)
    return {"vectors": found.positions - batch.positions, **found.logits}


def assert_said(found: Seen, expected: Seen, batch: MoleculeBatch, order: Tensor | None = None) -> None:
    """Equal wherever there are atoms and pairs of them."""
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        where = batch.pairs if values.dim() == 4 else batch.mask
        if order is not None:
            moved = of_pairs(values, order) if values.dim() == 4 else values[torch.arange(len(values))[:, None], order]
            values = moved
        torch.testing.assert_close(found[name][where], values[where], atol=EXACT, rtol=EXACT)


@pytest.mark.parametrize("kind", MAPS)
def test_turned_and_mirrored_molecules(model: MoleculeGenerator, kind: str) -> None:
    batch, matrix = molecules(), MAPS[kind]
    expected = looked(model, batch)
    assert float(expected["vectors"].abs().max()) > 1e-3
    assert_said(looked(model, turned(batch, matrix)), {**expected, "vectors": expected["vectors"] @ matrix.T}, batch)


def test_shifted_molecules_have_the_same_losses(model: MoleculeGenerator) -> None:
    batch = molecules()
    moved = replace(batch, positions=batch.positions + torch.randn(len(batch), 1, 3, dtype=torch.float64))
    assert_losses(model, moved, noise_for(batch), batch)


def test_permuted_atoms(model: MoleculeGenerator) -> None:
    batch = molecules()
    order = shuffle(batch)
    assert_said(looked(model, permuted(batch, order)), looked(model, batch), batch, order)


def test_a_batch_says_what_its_molecules_say(model: MoleculeGenerator) -> None:
    """However far they are filled up, and whatever stands there."""
    batch = molecules()
    expected = looked(model, batch)
    wide = looked(model, filled_up(batch))
    assert_said({name: v[:, :5, :5] if v.dim() == 4 else v[:, :5] for name, v in wide.items()}, expected, batch)
    batch = molecules([4, 5])
    one = alone(batch, 0)
    pair = looked(model, batch)
    own = {name: v[:1, :4, :4] if v.dim() == 4 else v[:1, :4] for name, v in pair.items()}
    assert_said(looked(model, one), own, one)


def assert_losses(model: MoleculeGenerator, batch: MoleculeBatch, noise: DenseNoise, plain: MoleculeBatch) -> None:
    """Those of `batch` are the ones of `plain` with its own noise."""
    with torch.no_grad():
        found, expected = model.losses(batch, noise), model.losses(plain, noise_for(plain))
    for name, term in expected.items():
        assert float(found[name]) == pytest.approx(float(term), rel=1e-9, abs=1e-9), name


@pytest.mark.parametrize("kind", MAPS)
def test_losses_turn_with_the_noise(model: MoleculeGenerator, kind: str) -> None:
    batch = molecules()
    assert_losses(model, turned(batch, MAPS[kind]), Carried(noise_for(batch), matrix=MAPS[kind]), batch)


def test_losses_do_not_know_the_order_of_atoms(model: MoleculeGenerator) -> None:
    batch = molecules()
    order = shuffle(batch)
    assert_losses(model, permuted(batch, order), Carried(noise_for(batch), order=order), batch)


def test_losses_are_means_over_molecules(model: MoleculeGenerator) -> None:
    """A batch filled up further has the same ones, and that of two equal halves is that of either."""
    batch = molecules()
    assert_losses(model, filled_up(batch), noise_for(filled_up(batch)), batch)


@pytest.mark.parametrize("counts", [COUNTS, [1], [2], [1, 1, 2]])
def test_losses_reach_every_parameter(model: MoleculeGenerator, counts: list[int]) -> None:
    model.zero_grad()
    batch = molecules(counts)
    seeds = range(4) if counts == COUNTS else range(1)
    for seed in seeds:  # earlier predictions are shown in half of the batches
        terms = model.losses(batch, noise_for(batch, seed))
        assert all(bool(term.isfinite()) for term in terms.values())
        terms["loss"].backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not bool(p.grad.isfinite().all())] == []
    if counts == COUNTS:
        idle = [n for n, p in model.named_parameters() if not bool(p.grad.abs().max() > 0)]  # type: ignore[union-attr]
        assert set(idle) <= without_work(model)
    model.zero_grad()


def without_work(model: MoleculeGenerator) -> set[str]:
    """Of a first layer that is given no features of pairs, or no vectors: zeros, however they are scaled."""
    network = model.denoiser
    if not isinstance(network, EQGAT):
        return set()
    given = {"pair_norm.weight": network.pair_in, "products.weight": network.vector_in}
    return {f"denoiser.layers.0.{name}" for name, module in given.items() if module is None}


def settings(model: MoleculeGenerator, **changes: Any) -> Any:
    return model.config.sampling.model_copy(update={"steps": 6, **changes})


@torch.no_grad()
def sampled(
    model: MoleculeGenerator, request: MoleculeBatch, noise: DenseNoise, guidance: float = 1.0, **changes: Any
) -> MoleculeBatch:
    return model.sample(request, noise, settings(model, **changes), guidance=guidance).molecules


def assert_same(found: MoleculeBatch, expected: MoleculeBatch, atol: float = OF_SAMPLES) -> None:
    for name in ("numbers", "charges", "bonds"):
        assert torch.equal(getattr(found, name), getattr(expected, name)), name
    torch.testing.assert_close(found.positions, expected.positions, atol=atol, rtol=0.0)


def ways(model: MoleculeGenerator) -> list[dict[str, Any]]:
    """Settings of the sampling whose steps differ."""
    known: dict[str, list[dict[str, Any]]] = {
        "edm": [{}, {"method": "ddim", "eta": 0.5}, {"method": "heun", "spacing": "signal"}],
        "flow-matching": [{}, {"jitter": 0.5, "spacing": "uniform", "temperature": 0.5}],
        "eqgat-diff": [{}, {"eta": 0.3, "temperature": 0.5}],
    }
    return known[model.config.name]


@pytest.mark.parametrize("kind", MAPS)
def test_turned_noise_gives_the_turned_molecules(model: MoleculeGenerator, kind: str) -> None:
    request, matrix = wanted(), MAPS[kind]
    for way in ways(model):
        found = sampled(model, request, Carried(noise_for(request), matrix=matrix), **way)
        assert_same(found, turned(sampled(model, request, noise_for(request), **way), matrix))


def test_permuted_noise_gives_the_permuted_molecules(model: MoleculeGenerator) -> None:
    request = wanted()
    order = shuffle(request)
    expected = permuted(sampled(model, request, noise_for(request)), order)
    assert_same(sampled(model, request, Carried(noise_for(request), order=order)), expected)


def test_a_molecule_is_the_same_in_every_batch(model: MoleculeGenerator) -> None:
    request = wanted()
    for way in ways(model):
        together = sampled(model, request, noise_for(request), **way)
        wide = filled_up(request)
        assert_same(sampled(model, wide, noise_for(wide), **way), filled_up(together))
        for row in range(len(request)):
            one = alone(request, row)
            assert_same(sampled(model, one, noise_for(one, first=row), **way), alone(together, row))


def test_what_comes_out(model: MoleculeGenerator) -> None:
    """Known codes where there are atoms, zeros elsewhere, symmetric bonds; the same for the same seed alone."""
    request = wanted()
    found, again = (sampled(model, request, noise_for(request, 5)) for _ in range(2))
    assert_same(again, found, atol=0.0)
    assert bool(found.positions.isfinite().all())
    assert set(found.numbers[found.mask].tolist()) <= set(VOCABULARY.elements)
    assert set(found.charges.flatten().tolist()) <= set(VOCABULARY.charges)
    assert set(found.bonds.flatten().tolist()) <= set(VOCABULARY.bonds)
    assert torch.equal(found.bonds, found.bonds.transpose(1, 2))
    for values, where in ((found.numbers, found.mask), (found.charges, found.mask), (found.bonds, found.pairs)):
        assert not values[~where].any()
    assert not found.positions[~found.mask].any()
    assert bool(found.bonds.any()) == model.makes_bonds
    other = sampled(model, request, noise_for(request, 6))
    assert float((other.positions - found.positions).abs().max()) > 1e-3


def test_steps_and_calls(model: MoleculeGenerator) -> None:
    request, seen = wanted([3, 2]), list[int]()
    with torch.no_grad():
        made = model.sample(request, noise_for(request), settings(model), on_step=seen.append)
    assert seen == [1, 2, 3, 4, 5, 6]
    # EDM asks once more, for the data behind the last state.
    assert made.calls == 6 + isinstance(model, EDM)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("edm-egnn", torch.float32),
        ("edm-egnn", torch.float64),
        ("flow-eqgat", torch.float32),
        ("diffusion-eqgat", torch.float32),
    ],
)
def test_positions_do_not_drift(name: str, dtype: torch.dtype) -> None:
    options = {**VARIANTS[name], "timesteps": 1000}
    if name.startswith("flow"):
        options.pop("timesteps")
    if not name.startswith("edm"):
        options["bonds"] = False
    options["denoiser"] = {**options["denoiser"], "num_layers": 1}
    # Molecules of the size of molecules: the rounding of larger numbers is larger.
    model = generator(options, shake=0.02).to(dtype)
    request = wanted([5, 3], dtype)
    found = sampled(model, request, noise_for(request, dtype=dtype), steps=1000)
    assert found.positions.dtype == dtype
    assert float(found.positions.abs().max()) < 20 * SPREAD
    assert float(found.positions.double().sum(dim=1).div(request.counts.unsqueeze(1)).abs().max()) < 1e-6


def test_single_precision(model: MoleculeGenerator) -> None:
    single = generator(model.config.model_dump()).to(torch.float32)
    batch = molecules(dtype=torch.float32)
    terms = single.losses(batch, noise_for(batch, dtype=torch.float32))
    exact = model.losses(molecules(), noise_for(batch))
    assert terms["loss"].dtype == torch.float32
    assert float(terms["loss"].detach()) == pytest.approx(float(exact["loss"].detach()), rel=1e-3)
    request = wanted(dtype=torch.float32)
    found = sampled(single, request, noise_for(request, dtype=torch.float32))
    assert bool(found.positions.isfinite().all())


def test_model_file(model: MoleculeGenerator, tmp_path: Path) -> None:
    request = wanted()
    save_model(tmp_path / "m.safetensors", model, training={}, provenance={})
    header = read_header(tmp_path / "m.safetensors")
    assert header["family"] == "molecules"
    loaded = load_model(tmp_path / "m.safetensors")
    assert isinstance(loaded.model, MoleculeGenerator)
    assert loaded.model.vocabulary == model.vocabulary
    assert loaded.model.sizes.tolist() == model.sizes.tolist()
    found, expected = (sampled(m, request, noise_for(request)) for m in (loaded.model, model))
    assert_same(found, expected, atol=0.0)
    with pytest.raises(InputError, match="no interatomic potential"):
        _ = loaded.potential


CORE = [3, 0, 4, 1]
"""Given atoms of the molecules of `COUNTS`: some, none, all and one."""


def with_scaffolds(seed: int = 0, shift: float = 20.0) -> MoleculeBatch:
    batch = with_core(molecules(seed=seed), CORE)
    return replace(batch, positions=batch.positions + shift * batch.mask.unsqueeze(-1))


def test_given_atoms_come_back_as_they_were(model: MoleculeGenerator) -> None:
    request = with_scaffolds()
    assert request.known is not None
    assert request.known_pairs is not None
    for way in ways(model):
        found = sampled(model, request, noise_for(request), **way)
        for name in ("positions", "numbers", "charges"):
            assert torch.equal(getattr(found, name)[request.known], getattr(request, name)[request.known]), name
        assert torch.equal(found.bonds[request.known_pairs], request.bonds[request.known_pairs])
        assert torch.equal(found.bonds, found.bonds.transpose(1, 2))
        assert bool(found.positions.isfinite().all())
        # The rest stands about what is given.
        away = (found.positions - request.positions[:, :1])[[0, 3]][request.mask[[0, 3]]]
        assert float(away.norm(dim=-1).max()) < 15 * SPREAD


def test_the_rest_takes_notice_of_what_is_given(model: MoleculeGenerator) -> None:
    """Wider scaffolds, other elements and other bonds: other positions of the rest."""
    request = with_scaffolds()
    rest = request.mask & ~request.known  # type: ignore[operator]
    rest[1:] = False
    before = sampled(model, request, noise_for(request)).positions[rest]
    changes: dict[str, Tensor] = {"positions": 1.5 * request.positions, "numbers": 7 - (request.numbers == 7).long()}
    if model.makes_bonds:
        changes["bonds"] = (request.bonds + 1) % 4 * request.pairs
    for name, values in changes.items():
        other = replace(request, **{name: values})
        if name == "positions":
            other = replace(other, positions=other.positions - 10.0 * other.mask.unsqueeze(-1))
        after = sampled(model, other, noise_for(request)).positions[rest]
        assert float((after - before).abs().max()) > 1e-4, name


@pytest.mark.parametrize("kind", ["rotation of the scaffold", "rotation of the noise"])
def test_completed_molecules_turn_with_their_scaffold(model: MoleculeGenerator, kind: str) -> None:
    """And with it alone, however the noise is turned, where a model is held to it; in its frame they turn together."""
    request = with_core(molecules([5]), [4])
    expected = sampled(model, request, noise_for(request))
    matrix = MAPS["rotation"]
    if model.holds(request):
        found = sampled(model, turned(request, matrix), Carried(noise_for(request), matrix=matrix))
        assert_same(found, turned(expected, matrix), atol=1e-7)
        return
    if kind == "rotation of the scaffold":
        found = sampled(model, turned(request, matrix), noise_for(request))
        assert_same(found, turned(expected, matrix), atol=1e-7)
    else:
        assert_same(sampled(model, request, Carried(noise_for(request), matrix=matrix)), expected, atol=1e-7)


def test_mirrored_scaffolds_are_not_mirrored() -> None:
    """What is predicted of them may have the other hand: they keep theirs, in every step and at the end."""
    request = with_core(molecules([5]), [4])
    mirror = torch.diag(torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64))
    predicted = turned(request, mirror @ random_rotation(1)).positions
    fitted = Scaffold(request).fitted(predicted)
    assert torch.sign(volume(fitted)) == torch.sign(volume(request.positions))
    torch.testing.assert_close(volume(fitted), volume(request.positions))
    torch.testing.assert_close(torch.cdist(fitted[0, :4], fitted[0, :4]), _distances(request))
    torch.testing.assert_close(fitted.sum(dim=1), torch.zeros(1, 3, dtype=torch.float64), atol=1e-12, rtol=0.0)
    # Where what is predicted is the scaffold itself, only moved, it stays in its place.
    moved = centred(turned(request, random_rotation(2)).positions, request.mask)
    torch.testing.assert_close(Scaffold(request).fitted(moved), moved)


def volume(positions: Tensor) -> Tensor:
    """Signed volume of the first four atoms."""
    a, b, c, d = positions[0, :4]
    return torch.linalg.det(torch.stack([b - a, c - a, d - a]))


def _distances(request: MoleculeBatch) -> Tensor:
    return torch.cdist(request.positions[0, :4], request.positions[0, :4])


STEERED = [f"{system}-{network}" for system in ("edm", "flow", "diffusion") for network in NETWORKS]


@pytest.fixture(scope="module", params=STEERED)
def steered(request: pytest.FixtureRequest) -> MoleculeGenerator:
    return generator({**VARIANTS[request.param], **TOLD})


def test_weights_of_conditions(steered: MoleculeGenerator) -> None:
    """0 is the model without them, 1 as learned, and calls that need both are counted."""
    told, other = wanted(values=BOTH), wanted(values=BOTH + 1.0)
    plain = wanted(values=torch.full_like(BOTH, torch.nan))
    without, ignored, heard, more = (
        sampled(steered, request, noise_for(request), guidance)
        for request, guidance in ((plain, 1.0), (told, 0.0), (told, 1.0), (told, 2.0))
    )
    assert_same(ignored, without, atol=0.0)
    assert_same(sampled(steered, wanted(), noise_for(told)), without, atol=0.0)
    assert_same(sampled(steered, other, noise_for(told), 0.0), without, atol=0.0)
    for one, two in ((heard, without), (more, heard), (sampled(steered, other, noise_for(told)), heard)):
        assert float((one.positions - two.positions).abs().max()) > 1e-4
    # The third molecule has no wishes.
    assert torch.equal(heard.positions[2], without.positions[2])
    assert_same(sampled(steered, plain, noise_for(told), 3.0), without)
    with torch.no_grad():
        calls = [steered.sample(told, noise_for(told), settings(steered), guidance=w).calls for w in (0.0, 1.0, 2.0)]
    assert calls[0] == calls[1] == 6 + isinstance(steered, EDM)
    assert calls[2] == 2 * calls[0]


def test_conditions_reach_every_parameter(steered: MoleculeGenerator) -> None:
    batch = replace(molecules(), values=BOTH)
    steered.zero_grad()
    for seed in range(6):
        steered.losses(batch, noise_for(batch, seed))["loss"].backward()
    found = {n: p.grad for n, p in steered.named_parameters() if n.startswith("conditions.")}
    assert len(found) == 9
    assert [n for n, grad in found.items() if grad is None or not bool(grad.abs().max() > 0)] == []


def test_hidden_properties_change_nothing(steered: MoleculeGenerator) -> None:
    batch = replace(molecules(), values=BOTH)
    hidden = torch.ones(4, 2, dtype=torch.bool)
    with torch.no_grad():
        one, same, shown = (
            float(steered.losses(replace(batch, values=values), noise_for(batch), where)["loss"])
            for values, where in ((BOTH, hidden), (BOTH + 3.0, hidden), (BOTH, ~hidden))
        )
    assert one == same
    assert one != shown


def test_properties_are_hidden_as_often_as_the_recipe_says() -> None:
    model = generator({**VARIANTS["flow-eqgat"], **TOLD})
    batch = wanted([1] * 4000)
    hidden = model.withheld(batch, noise_for(batch))
    assert hidden is not None
    assert hidden.double().mean(dim=0).tolist() == pytest.approx([0.5, 0.5], abs=0.04)
    # Each on its own, or a model would know a property only beside the other.
    assert float((hidden[:, 0] & hidden[:, 1]).double().mean()) == pytest.approx(0.25, abs=0.04)


@pytest.mark.parametrize("system", [name for name in SYSTEMS if "absorbing" in name])
def test_nothing_stays_masked(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end of the way every category is one that there is, in the few steps that are taken."""
    model = generator(VARIANTS[f"{system}-egnn"])
    assert isinstance(model, JointGenerator)
    ends: list[State] = []
    read = Walk._read
    monkeypatch.setattr(Walk, "_read", lambda walk, state: (ends.append(state), read(walk, state))[1])  # type: ignore[func-returns-value]
    request = wanted([5] * 60)
    for steps in (1, 7):
        sampled(model, request, noise_for(request), steps=steps)
    assert len(ends) == 2
    for state in ends:
        for name, states in state.categories.items():
            assert int(states.max()) < model.kind(name).count, name
    for name in model.kinds:
        assert float(model.signal(name, torch.ones(1, dtype=torch.float64))) == 1.0
