from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import Tensor

from eqcli.geometry.irreps import Irreps, natural, to_e3nn
from eqcli.nn import edge_pieces
from eqcli.nn.message_maps import MessageEdges
from eqcli.nn.message_pass import MessagePass, message_irreps
from tests.nn.message_reference import E3nnMessages, random_arguments, random_edges, slow_messages
from tests.rotations import random_rotation, representation

EXACT = 1e-12

IRREPS = [
    (natural(2, 3), natural(3), natural(3)),
    (Irreps("3x0e"), natural(2), None),
    (Irreps("2x1e+2x1o+2x0o"), Irreps("1o+0e+2e"), None),
    (Irreps("2x1o+2x1o"), Irreps("1o"), Irreps("1e+0e")),
]
"""Features, harmonics and results: natural parity, scalars alone, mixed parities, two features of one kind."""

DEGREES = [[3] * 7, [5, 0, 2, 1, 0, 4, 4], [0, 0], [1]]


@pytest.fixture(params=[6, 2**16], ids=["pieces", "whole"], autouse=True)
def piece_size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything here holds for many small pieces and for one."""
    monkeypatch.setattr(edge_pieces, "NUMBERS_AT_ONCE", request.param)


@pytest.mark.parametrize("degrees", DEGREES)
@pytest.mark.parametrize("irreps", IRREPS, ids=str)
def test_equals_the_sum_over_edges(irreps: tuple[Irreps, Irreps, Irreps | None], degrees: list[int]) -> None:
    layer, edges = MessagePass.from_irreps(*irreps), random_edges(degrees)
    arguments = random_arguments(layer.form, edges, irreps[0][0].mul)
    expected = slow_messages(layer.form, *arguments, edges)
    torch.testing.assert_close(layer(*arguments, edges), expected, atol=EXACT, rtol=EXACT)


@pytest.mark.parametrize("irreps", IRREPS, ids=str)
def test_equals_the_tensor_product_of_e3nn(irreps: tuple[Irreps, Irreps, Irreps | None]) -> None:
    layer, edges = MessagePass.from_irreps(*irreps), random_edges([4, 0, 1, 7, 2])
    irreps_out = message_irreps(*irreps)
    h, w, harmonics = random_arguments(layer.form, edges, irreps[0][0].mul)
    theirs = E3nnMessages(layer.form, irreps[0], irreps[1], irreps_out, torch.float64)
    expected = theirs(to_e3nn(h.flatten(1), irreps[0]), w * theirs.signs, harmonics, edges)
    found = to_e3nn(layer(h, w, harmonics, edges).flatten(1), irreps_out)
    torch.testing.assert_close(found, expected, atol=EXACT, rtol=EXACT)


@pytest.mark.parametrize("reflect", [False, True])
@pytest.mark.parametrize("irreps", IRREPS, ids=str)
def test_is_equivariant(irreps: tuple[Irreps, Irreps, Irreps | None], reflect: bool) -> None:
    layer, edges = MessagePass.from_irreps(*irreps), random_edges([4, 0, 1, 3])
    h, w, harmonics = random_arguments(layer.form, edges, irreps[0][0].mul)
    d_in, d_edge, d_out = (action(i, reflect) for i in (irreps[0], irreps[1], message_irreps(*irreps)))
    turned = layer((h.flatten(1) @ d_in.T).view_as(h), w, harmonics @ d_edge.T, edges).flatten(1)
    expected = layer(h, w, harmonics, edges).flatten(1) @ d_out.T
    torch.testing.assert_close(turned, expected, atol=EXACT * float(expected.abs().max()), rtol=0)


def action(irreps: Irreps, reflect: bool) -> Tensor:
    """Of a rotation, followed by the inversion if `reflect`, on tensors whose channels lie last."""
    parts = [
        torch.kron(representation(random_rotation(1), ir.l), torch.eye(mul, dtype=torch.float64))
        * (ir.p if reflect else 1)
        for mul, ir in irreps
    ]
    return torch.block_diag(*parts)


@pytest.mark.parametrize("degrees", [[3, 3], [2, 0, 3]])
@pytest.mark.parametrize("formed", [False, True])
def test_derivatives_are_those_of_the_sum_over_edges(degrees: list[int], formed: bool) -> None:
    """First, second and third derivatives by every argument, against autograd through the slow sum."""
    layer, edges = MessagePass.from_irreps(natural(1, 2), natural(2), natural(2)), random_edges(degrees)
    h, w, harmonics = random_arguments(layer.form, edges, 2)
    generator = torch.Generator().manual_seed(5)
    radial = torch.randn(len(w), 3, generator=generator, dtype=torch.float64)
    matrix = torch.randn(3, w.shape[1], generator=generator, dtype=torch.float64)
    arguments = [h, radial, harmonics, matrix] if formed else [h, w, harmonics]

    def slow(h: Tensor, w: Tensor, harmonics: Tensor, matrix: Tensor | None = None) -> Tensor:
        return slow_messages(layer.form, h, w if matrix is None else w @ matrix, harmonics, edges)

    def fast(h: Tensor, w: Tensor, harmonics: Tensor, matrix: Tensor | None = None) -> Tensor:
        return layer(h, w, harmonics, edges, matrix)

    for found, expected in zip(derivatives(fast, arguments), derivatives(slow, arguments), strict=True):
        torch.testing.assert_close(found, expected, atol=EXACT * float(expected.abs().max()), rtol=0)


def derivatives(function: object, arguments: list[Tensor]) -> list[Tensor]:
    """Gradients of a sum of squares, of squares of those, and once more; the last order is taken both ways."""
    inputs = [x.clone().requires_grad_(True) for x in arguments]
    found, value = [], function(*inputs).square().sum()  # type: ignore[operator]
    for order in range(3):
        last = order == 2
        if order:
            # Without a graph the second derivatives come from a kernel of their own.
            found += torch.autograd.grad(value, inputs, retain_graph=True, materialize_grads=True)
        first = torch.autograd.grad(value, inputs, create_graph=not last, materialize_grads=True)
        found += [x.detach() for x in first]
        value = sum(x.square().sum() * scale for scale, x in enumerate(first, start=1))  # type: ignore[assignment]
    return found


def test_a_matrix_that_is_not_trained_gets_no_gradient_and_changes_no_other() -> None:
    layer, edges = MessagePass.from_irreps(natural(1, 2), natural(2), natural(2)), random_edges([2, 0, 3])
    h, w, harmonics = random_arguments(layer.form, edges, 2)
    radial, matrix = w[:, :3].clone(), w[:3].clone()

    def second_derivatives(train_matrix: bool) -> list[Tensor]:
        inputs = [x.clone().requires_grad_(True) for x in (h, radial, harmonics)]
        weight = matrix.clone().requires_grad_(train_matrix)
        value = layer(*inputs, edges, weight).square().sum()
        first = torch.autograd.grad(value, inputs, create_graph=True)
        return [*first, *torch.autograd.grad(sum(x.square().sum() for x in first), inputs)]

    for fixed, trained in zip(second_derivatives(False), second_derivatives(True), strict=True):
        torch.testing.assert_close(fixed, trained, atol=1e-10, rtol=EXACT)


def test_arguments_may_lie_anyhow_in_memory() -> None:
    layer, edges = MessagePass.from_irreps(natural(1, 2), natural(2)), random_edges([2, 0, 3])
    h, w, harmonics = random_arguments(layer.form, edges, 2)
    turned = [x.transpose(0, -1).contiguous().transpose(0, -1) for x in (h, w, harmonics)]
    assert not any(x.is_contiguous() for x in turned)
    assert torch.equal(layer(*turned, edges), layer(h, w, harmonics, edges))


def test_repeats_to_the_last_bit() -> None:
    layer, edges = MessagePass.from_irreps(natural(2, 8), natural(3)), random_edges([30, 2, 0, 17, 30, 9])
    h, w, harmonics = random_arguments(layer.form, edges, 8, torch.float32)

    def gradients() -> tuple[Tensor, ...]:
        inputs = [x.clone().requires_grad_(True) for x in (h, w, harmonics)]
        return torch.autograd.grad(layer(*inputs, edges).square().sum(), inputs)

    for first, second in zip(gradients(), gradients(), strict=True):
        assert torch.equal(first, second)


def test_edges_know_their_order_by_sender() -> None:
    edges = random_edges([3, 0, 2, 4])
    for j in range(edges.n_atoms):
        sent = edges.by_sender[edges.sender_pointer[j] : edges.sender_pointer[j + 1]]
        assert sent.tolist() == (edges.sender == j).nonzero().flatten().tolist()
    assert edges.receiver_pointer.tolist() == [0, 3, 3, 5, 9]


def test_other_multiplicities_are_refused() -> None:
    with pytest.raises(ValueError, match="same multiplicity"):
        MessagePass.from_irreps(Irreps("2x0e+1o"), natural(1))
    with pytest.raises(ValueError, match="one copy"):
        MessagePass.from_irreps(natural(1, 2), Irreps("2x0e"))


def test_what_mace_loads_leaves_e3nn_alone() -> None:
    code = "import sys, eqcli.nn.message_pass, eqcli.models.potentials.mace; sys.exit('e3nn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_edges_at_all() -> None:
    layer = MessagePass.from_irreps(natural(1, 2), natural(1))
    none = torch.zeros(0, dtype=torch.int64)
    edges = MessageEdges(none, none, 2)
    inputs = [x.requires_grad_(True) for x in random_arguments(layer.form, edges, 2)]
    messages = layer(*inputs, edges)
    assert not messages.any()
    assert not torch.autograd.grad(messages.sum(), inputs)[0].any()


@pytest.mark.parametrize("spoilt", ["features", "weights", "harmonics"])
def test_wrong_shapes_are_refused(spoilt: str) -> None:
    layer = MessagePass.from_irreps(natural(1, 2), natural(1), natural(1))
    edges = MessageEdges(torch.tensor([1, 0]), torch.tensor([0, 1]), n_atoms=2)
    arguments = {
        "features": torch.zeros(2, 4, 2),
        "weights": torch.zeros(2, len(layer.form.paths) * 2),
        "harmonics": torch.zeros(2, 4),
    }
    layer(**arguments, edges=edges)
    arguments[spoilt] = torch.cat([arguments[spoilt]] * 2, dim=1)
    with pytest.raises(ValueError, match=f"takes {spoilt}"):
        layer(**arguments, edges=edges)
