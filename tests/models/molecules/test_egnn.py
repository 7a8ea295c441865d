"""The contract of networks inside generators of molecules, for EGNN."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from eqcli.models.molecules.configs.common import EGNNDenoiserConfig
from eqcli.models.molecules.denoiser import (
    DenoiserInput,
    DenoiserOutput,
    DenoiserSizes,
    MoleculeDenoiser,
    make_denoiser,
)
from tests.rotations import random_rotation

COUNTS = [5, 1, 3]
SIZES = {
    "atoms alone": DenoiserSizes(atoms=4, pairs=0, context=3, atoms_out=6, pairs_out=0),
    "bonds": DenoiserSizes(atoms=4, pairs=2, context=3, atoms_out=6, pairs_out=5),
    "bonds out": DenoiserSizes(atoms=4, pairs=0, context=3, atoms_out=6, pairs_out=5),
    "vectors": DenoiserSizes(atoms=4, pairs=2, context=3, atoms_out=6, pairs_out=5, vectors=2),
}
TOLERANCE = {"rtol": 0.0, "atol": 1e-10}
SMALL = {"channels": 12, "num_layers": 3, "pair_channels": 4, "coordinates_range": 1.5}


def network(sizes: DenoiserSizes, **options: object) -> MoleculeDenoiser:
    """A small network in float64 with weights that are all at work."""
    torch.manual_seed(0)
    config = EGNNDenoiserConfig.model_validate({**SMALL, **options})
    made = make_denoiser(config, sizes).to(torch.float64)
    with torch.no_grad():  # what is nearly zero at first would hide mistakes
        for parameter in made.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return made


def inputs(sizes: DenoiserSizes, counts: list[int] = COUNTS, seed: int = 0) -> DenoiserInput:
    draw = torch.Generator().manual_seed(seed)
    b, n = len(counts), max(counts)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    mask = torch.arange(n) < torch.tensor(counts).unsqueeze(1)
    pair_mask = mask.unsqueeze(2) & mask.unsqueeze(1) & ~torch.eye(n, dtype=torch.bool)
    pairs = normal(b, n, n, sizes.pairs)
    return DenoiserInput(
        2.0 * normal(b, n, 3) * mask.unsqueeze(-1),
        normal(b, n, sizes.atoms),
        pairs + pairs.transpose(1, 2) if sizes.pairs else None,
        normal(b, sizes.context),
        mask,
        pair_mask,
        normal(b, n, 3, sizes.vectors) if sizes.vectors else None,
    )


def parts(out: DenoiserOutput, where: DenoiserInput) -> list[Tensor]:
    """What an output says of atoms and of pairs that there are."""
    found = [out.vectors * where.mask.unsqueeze(-1), out.atoms * where.mask.unsqueeze(-1)]
    return found if out.pairs is None else [*found, out.pairs * where.pair_mask.unsqueeze(-1)]


def turned(given: DenoiserInput, matrix: Tensor) -> DenoiserInput:
    vectors = None if given.vectors is None else torch.einsum("xy,bnyv->bnxv", matrix, given.vectors)
    return replace(given, positions=given.positions @ matrix.T, vectors=vectors)


@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize("mirror", [1.0, -1.0])
def test_rotations_and_reflections_turn_the_vectors_alone(kind: str, mirror: float) -> None:
    model, given = network(SIZES[kind]), inputs(SIZES[kind])
    matrix = mirror * random_rotation(3)
    plain, after = parts(model(given), given), parts(model(turned(given, matrix)), given)
    assert plain[0].abs().max() > 0.1
    torch.testing.assert_close(after[0], plain[0] @ matrix.T, **TOLERANCE)
    for found, wanted in zip(after[1:], plain[1:], strict=True):
        torch.testing.assert_close(found, wanted, **TOLERANCE)


@pytest.mark.parametrize("kind", SIZES)
def test_translations_change_nothing(kind: str) -> None:
    model, given = network(SIZES[kind]), inputs(SIZES[kind])
    shift = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
    moved = replace(given, positions=given.positions + shift * given.mask.unsqueeze(-1))
    for found, wanted in zip(parts(model(moved), given), parts(model(given), given), strict=True):
        torch.testing.assert_close(found, wanted, **TOLERANCE)


@pytest.mark.parametrize("kind", SIZES)
def test_permuted_atoms_give_permuted_rows(kind: str) -> None:
    model, given = network(SIZES[kind]), inputs(SIZES[kind], [5, 5, 5])
    order = torch.tensor([3, 0, 4, 2, 1])
    permuted = replace(
        given,
        positions=given.positions[:, order],
        atoms=given.atoms[:, order],
        pairs=None if given.pairs is None else given.pairs[:, order][:, :, order],
        vectors=None if given.vectors is None else given.vectors[:, order],
    )
    plain, after = parts(model(given), given), parts(model(permuted), permuted)
    for found, wanted in zip(after[:2], plain[:2], strict=True):
        torch.testing.assert_close(found, wanted[:, order], **TOLERANCE)
    for found, wanted in zip(after[2:], plain[2:], strict=True):
        torch.testing.assert_close(found, wanted[:, order][:, :, order], **TOLERANCE)


@pytest.mark.parametrize("kind", SIZES)
def test_a_batch_gives_what_its_molecules_give(kind: str) -> None:
    model, given = network(SIZES[kind]), inputs(SIZES[kind])
    whole = parts(model(given), given)
    for row, count in enumerate(COUNTS):

        def cut(t: Tensor | None, axes: int, row: int = row, count: int = count) -> Tensor | None:
            found = None if t is None else t[row : row + 1, :count]
            return found if found is None or axes == 1 else found[:, :, :count]

        alone = DenoiserInput(
            *(cut(given.positions, 1), cut(given.atoms, 1), cut(given.pairs, 2), given.context[row : row + 1]),
            *(cut(given.mask, 1), cut(given.pair_mask, 2), cut(given.vectors, 1)),  # type: ignore[arg-type]
        )
        for place, found in enumerate(parts(model(alone), alone)):
            torch.testing.assert_close(found, cut(whole[place], 2 if place == 2 else 1), **TOLERANCE)


@pytest.mark.parametrize("kind", ["bonds", "vectors"])
def test_numbers_of_pairs_are_symmetric_and_depend_on_those_given(kind: str) -> None:
    model, given = network(SIZES[kind]), inputs(SIZES[kind])
    pairs = model(given).pairs
    assert pairs is not None
    assert given.pairs is not None
    torch.testing.assert_close(pairs, pairs.transpose(1, 2), **TOLERANCE)
    other = model(replace(given, pairs=2.0 * given.pairs)).pairs
    assert other is not None
    assert (other - pairs).abs().max() > 1e-3


def test_all_weights_are_trained() -> None:
    for sizes in SIZES.values():
        model, given = network(sizes), inputs(sizes)
        out = model(given)
        sum(part.square().sum() for part in parts(out, given)).backward()  # type: ignore[union-attr]
        assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().any()] == []


def test_a_fresh_network_hardly_moves_atoms_and_a_step_is_bounded() -> None:
    sizes = SIZES["atoms alone"]
    torch.manual_seed(0)
    fresh = make_denoiser(EGNNDenoiserConfig(channels=12, num_layers=3), sizes).double()
    given = inputs(sizes)
    assert fresh(given).vectors.abs().max() < 0.05
    reach = 0.3
    wild = network(sizes, coordinates_range=reach)
    with torch.no_grad():
        for parameter in wild.parameters():
            parameter.mul_(10.0)
    lengths = wild(given).vectors.norm(dim=-1)
    assert reach / 10 < lengths.max() <= reach * (max(COUNTS) - 1)


def test_gates_and_the_normalisation_of_sums_matter() -> None:
    sizes = SIZES["atoms alone"]
    given = inputs(sizes)
    plain = network(sizes)(given).vectors
    assert (network(sizes, normalization=100.0)(given).vectors - plain).abs().max() > 1e-2
    ungated = network(sizes, attention=False)
    assert not any("gate" in name for name, _ in ungated.named_parameters())
    assert ungated(given).vectors.isfinite().all()
