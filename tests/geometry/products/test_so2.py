"""Convolution in the frame of the edge, against slow references and e3nn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from e3nn import o3
from torch import Tensor

from eqcli.geometry.edge_frame import align
from eqcli.geometry.edge_rotation import EdgeRotation, FrameMatrices, groups
from eqcli.geometry.irreps import from_e3nn, natural, to_e3nn
from eqcli.geometry.products.so2 import SO2Product, build, build_truncated
from eqcli.geometry.products.so2_weights import weights_from_clebsch_gordan
from eqcli.geometry.spherical_harmonics import SphericalHarmonics
from eqcli.geometry.wigner import WignerD, representation
from tests.rotations import random_rotation

EXACT = 1e-12

AXES = torch.cat([torch.eye(3), -torch.eye(3)]).double()


def directions(n: int = 6) -> Tensor:
    drawn = torch.randn(n, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    return torch.nn.functional.normalize(torch.cat([AXES, drawn]), dim=1)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def reference(
    product: SO2Product, x: Tensor, r: Tensor, weight: Tensor, factor: Tensor | None = None, roll: Tensor | None = None
) -> Tensor:
    """Edge by edge and order by order, with differentiable frames and complex numbers."""
    s = product.shape
    wigner = WignerD(max(s.lmax_in, s.lmax_out)).double()(align(r, roll))
    out = []
    for e in range(len(x)):
        w = (weight if weight.dim() == 1 else weight[e]) * product.scale
        features = x[e].view(-1, s.channels_in)
        inside = [wigner[n][e] @ features[n * n : (n + 1) ** 2] for n in range(s.lmax_in + 1)]
        mixed = [x.new_zeros(2 * n + 1, s.channels_out) for n in range(s.lmax_out + 1)]
        start = start_factor = 0
        for m in range(s.mmax + 1):
            rows, columns = s.size(m)
            real = w[start : start + rows * columns].view(rows, columns)
            start += rows * columns
            plus = torch.cat([inside[n][n + m] for n in range(m, s.lmax_in + 1)])
            minus = torch.cat([inside[n][n - m] for n in range(m, s.lmax_in + 1)])
            if factor is not None:
                plus, minus = (v * factor[e, start_factor : start_factor + rows] for v in (plus, minus))
                start_factor += rows
            if m and not s.real:
                imag = w[start : start + rows * columns].view(rows, columns)
                start += rows * columns
                turned = torch.complex(plus, minus) @ torch.complex(real, imag)
                plus, minus = turned.real, turned.imag
            else:
                plus, minus = plus @ real, minus @ real
            for i, n in enumerate(range(m, s.lmax_out + 1)):
                channels = slice(i * s.channels_out, (i + 1) * s.channels_out)
                mixed[n] = mixed[n].index_copy(0, torch.tensor([n + m]), plus[None, channels])
                mixed[n] = mixed[n].index_copy(0, torch.tensor([n - m]), minus[None, channels])
        out.append(torch.cat([(wigner[n][e].T @ mixed[n]).flatten() for n in range(s.lmax_out + 1)]))
    return torch.stack(out)


PRODUCTS = {
    "plain": SO2Product(3, 2),
    "small to large": SO2Product(2, 3, lmax_out=5, channels_out=2),
    "large to small, truncated": SO2Product(6, 2, lmax_out=3, channels_out=1, mmax=2),
    "without parity": SO2Product(5, 2, channels_out=3, mmax=4, parity=False),
    "scalars": SO2Product(0, 2, lmax_out=2, channels_out=3),
}


@pytest.mark.parametrize("per_row", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("name", PRODUCTS)
def test_agrees_with_the_reference(name: str, scaled: bool, per_row: bool) -> None:
    product, r = PRODUCTS[name].double(), directions()
    x = normal(len(r), product.irreps_in1.dim)
    weight = normal(len(r), product.weight_numel) if per_row else normal(product.weight_numel)
    factor = normal(len(r), product.factor_numel, seed=1) if scaled else None
    rotation = EdgeRotation(r, product.shape.lmax_in, product.shape.mmax)
    found = product.convolve(x, rotation, weight, factor)
    expected = reference(product, x, r, weight, factor, roll=normal(len(r), seed=2))
    assert torch.allclose(found, expected, rtol=0, atol=EXACT * 10)


@pytest.mark.parametrize("name", ["small to large", "without parity"])
@pytest.mark.parametrize("per_row", [False, True])
def test_derivatives_are_those_of_the_reference(name: str, per_row: bool) -> None:
    """First and second, of everything; those of the direction come without derivatives of the matrices."""
    product, r = PRODUCTS[name].double(), directions(2)
    r = r[torch.tensor([0, 1, 2, 4, 6, 7])]
    weight = normal(len(r), product.weight_numel) if per_row else normal(product.weight_numel)
    arguments = [r, normal(len(r), product.irreps_in1.dim), weight, normal(len(r), product.factor_numel, seed=1)]
    probe, second = normal(len(r), product.irreps_out.dim, seed=3), [normal(*a.shape, seed=4) for a in arguments]

    def fast(r: Tensor, x: Tensor, w: Tensor, f: Tensor) -> Tensor:
        unit = torch.nn.functional.normalize(r, dim=1)
        return product.convolve(x, EdgeRotation(unit, product.shape.lmax_in), w, f)

    def slow(r: Tensor, x: Tensor, w: Tensor, f: Tensor) -> Tensor:
        return reference(product, x, torch.nn.functional.normalize(r, dim=1), w, f)

    results = []
    for function in (fast, slow):
        leaves = [a.clone().requires_grad_() for a in arguments]
        first = torch.autograd.grad((function(*leaves) * probe).sum(), leaves, create_graph=True)
        scalar = sum((g * s).sum() for g, s in zip(first, second, strict=True))
        twice = torch.autograd.grad(scalar, leaves, create_graph=True)
        thrice = torch.autograd.grad(sum((t**2).sum() for t in twice), leaves)
        results.append([*first, *twice, *thrice])
    for found, expected in zip(*results, strict=True):
        assert torch.allclose(found, expected, rtol=0, atol=1e-10 * float(expected.detach().abs().max()))


@pytest.mark.parametrize("lmax", [2, 3, 8])
@pytest.mark.parametrize("name", ["all orders", "truncated", "without parity"])
def test_is_equivariant_at_the_poles_too(lmax: int, name: str) -> None:
    product = {
        "all orders": build(lmax, 2),
        "truncated": build_truncated(lmax, 2),
        "without parity": SO2Product(lmax, 2, parity=False),
    }[name].double()
    r, weight = directions(), normal(product.weight_numel)
    x = normal(len(r), product.irreps_in1.dim)
    plain = product(x, r, weight)
    for matrix in (random_rotation(1), -random_rotation(2)) if product.parity else (random_rotation(1),):
        d = representation(product.irreps_in1, matrix)
        turned = product(x @ d.T, r @ matrix.T, weight)
        assert float((turned - plain @ d.T).abs().max() / plain.abs().max()) < EXACT


def test_without_parity_reflections_are_not_respected() -> None:
    product = SO2Product(2, 2, parity=False).double()
    r, weight = directions(), normal(product.weight_numel)
    x = normal(len(r), product.irreps_in1.dim)
    d = representation(product.irreps_in1, -torch.eye(3).double())
    assert float((product(x @ d.T, -r, weight) - product(x, r, weight) @ d.T).abs().max()) > 1e-2


@pytest.fixture
def double_by_default() -> Iterator[None]:
    """e3nn rounds coupling coefficients to the default precision."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.usefixtures("double_by_default")
@pytest.mark.parametrize("lmax", [1, 2, 3, 4])
def test_is_the_fully_connected_product_of_e3nn(lmax: int) -> None:
    product = SO2Product(lmax, 3, channels_out=2).double()
    r = directions()
    theirs = o3.FullyConnectedTensorProduct(natural(lmax, 3), natural(lmax), natural(lmax, 2))
    x = normal(len(r), natural(lmax, 3).dim)
    expected = theirs(to_e3nn(x, natural(lmax, 3)), SphericalHarmonics(lmax).double()(r))
    weight = weights_from_clebsch_gordan(product, theirs.weight.detach(), lmax)
    found = product(x, r, weight)
    assert torch.allclose(found, from_e3nn(expected, natural(lmax, 2)), rtol=0, atol=EXACT * 10)


def test_wrong_weights_are_refused() -> None:
    with pytest.raises(ValueError, match="weights are needed"):
        weights_from_clebsch_gordan(SO2Product(1, 2), torch.zeros(3), 1)
    with pytest.raises(ValueError, match="parity"):
        weights_from_clebsch_gordan(SO2Product(1, 2, parity=False), torch.zeros(3), 1)
    for lmax, channels, mmax in ((-1, 2, None), (1, 0, None), (1, 2, -1)):
        with pytest.raises(ValueError, match="begin at 0"):
            SO2Product(lmax, channels, mmax=mmax)
    five = SO2Product(2, 2)
    rotation, features, ones = five.rotation(torch.eye(3)), torch.zeros(3, 18), torch.ones(five.weight_numel)
    with pytest.raises(ValueError, match="rotation of 3 edges for rows of 5"):
        five.convolve(torch.zeros(5, 18), rotation, ones)
    with pytest.raises(ValueError, match="factor has shape"):
        five.convolve(features, rotation, ones, torch.ones(3, five.factor_numel + 1))
    with pytest.raises(ValueError, match="needs weights"):
        build(1, 1).float()(torch.zeros(4), torch.ones(3))


def test_components_have_unit_variance() -> None:
    product = SO2Product(3, 8).double()
    r = torch.nn.functional.normalize(normal(4000, 3), dim=1)
    found = product(normal(4000, product.irreps_in1.dim, seed=1), r, normal(4000, product.weight_numel, seed=2))
    assert 0.95 < float(found.var()) < 1.05


@pytest.mark.parametrize("lmax", [6, 12])
def test_frame_matrices_turn_the_direction_to_the_pole(lmax: int) -> None:
    r = directions()
    harmonics = SphericalHarmonics(lmax).double()(r)
    for group, matrix in zip(groups(lmax, lmax), FrameMatrices(lmax, lmax).double()(r), strict=True):
        identity = torch.eye(len(group.rows), dtype=torch.float64)
        assert torch.allclose(matrix @ matrix.transpose(1, 2), identity.expand_as(matrix), rtol=0, atol=EXACT)
        turned = (matrix @ harmonics[:, group.columns].unsqueeze(-1)).squeeze(-1)
        pole = torch.tensor(
            [(2 * degree + 1) ** 0.5 if m == 0 else 0.0 for degree, m in group.rows], dtype=torch.float64
        )
        assert torch.allclose(turned, pole.expand_as(turned), rtol=0, atol=EXACT * 10)


def test_layers_share_a_rotation() -> None:
    r = directions()
    rotation = EdgeRotation(r, 3)
    for product in (SO2Product(3, 2).double(), SO2Product(3, 1, lmax_out=2).double()):
        x, weight = normal(len(r), product.irreps_in1.dim), normal(product.weight_numel)
        assert torch.allclose(product.convolve(x, rotation, weight), product(x, r, weight), rtol=0, atol=EXACT)
    assert rotation.matrices(3, 3) is rotation.matrices(3, 3)


def test_frame_matrices_in_float32_are_as_exact_as_their_precision_allows() -> None:
    r = directions()
    exact, single = FrameMatrices(8, 8).double()(r), FrameMatrices(8, 8).float()(r.float())
    for a, b in zip(exact, single, strict=True):
        # The directions alone are rounded by 6e-8, and degree 8 turns eight times as fast.
        assert float((a - b).abs().max()) < 2e-6


def test_gradients_compile_without_graph_breaks() -> None:
    product, r = SO2Product(2, 2, parity=False).double(), directions(2)
    leaves = [normal(len(r), product.irreps_in1.dim), r, normal(product.weight_numel)]
    leaves = [leaf.requires_grad_() for leaf in leaves]
    torch.compiler.reset()
    compiled = torch.compile(product, fullgraph=True, backend="aot_eager")
    found, expected = (torch.autograd.grad(f(*leaves).square().sum(), leaves) for f in (compiled, product))
    for a, b in zip(found, expected, strict=True):
        assert torch.allclose(a, b, rtol=0, atol=EXACT * 100)
