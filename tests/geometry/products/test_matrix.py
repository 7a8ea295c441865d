from __future__ import annotations

import pytest
import torch
from torch import Tensor

from eqcli.geometry.clebsch_gordan import clebsch_gordan
from eqcli.geometry.irreps import Irrep, Irreps, blocks, natural
from eqcli.geometry.products.expressivity import interactability
from eqcli.geometry.products.matrix import MatrixProduct, build


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def matrices(x: Tensor, irreps: Irreps, j: int) -> dict[int, Tensor]:
    """One matrix for each row and parity, summed component by component; a single channel."""
    found = {
        1: torch.zeros(len(x), 2 * j + 1, 2 * j + 1).double(),
        -1: torch.zeros(len(x), 2 * j + 1, 2 * j + 1).double(),
    }
    for (_, ir), block in zip(irreps, blocks(x, irreps), strict=True):
        for k in range(ir.dim):
            found[ir.p] += block[:, k, :, None] * clebsch_gordan(j, j, ir.l)[:, :, k] * ir.dim**0.5
    return found


@pytest.mark.parametrize("irreps", ["0e+1o+2e", "0e+1o+2e+3o", "0e+0o+1e+1o", "1o", "0e"])
def test_is_the_product_of_the_matrices(irreps: str) -> None:
    inputs = Irreps(irreps)
    j = (inputs.lmax + 1) // 2
    result = Irreps([(1, (degree, p)) for degree in range(inputs.lmax + 1) for p in (1, -1)])
    product = MatrixProduct(inputs, inputs, result).double()
    x, y = normal(3, inputs.dim, seed=1), normal(3, inputs.dim, seed=2)
    one, two = matrices(x, inputs, j), matrices(y, inputs, j)
    expected = {1: one[1] @ two[1] + one[-1] @ two[-1], -1: one[1] @ two[-1] + one[-1] @ two[1]}
    for (_, ir), block in zip(result, blocks(product(x, y), result), strict=True):
        slow = torch.einsum("nab,abk->nk", expected[ir.p], clebsch_gordan(j, j, ir.l))
        if float(slow.abs().max()) < 1e-12:
            assert float(block.abs().max()) < 1e-12
        else:
            ratio = block.squeeze(-1) / slow
            torch.testing.assert_close(ratio, ratio[0, 0].expand_as(ratio), atol=0, rtol=1e-9)
            assert float(ratio[0, 0]) > 0


@pytest.mark.parametrize("lmax", [1, 2, 5])
def test_keeps_the_variance(lmax: int) -> None:
    product = build(lmax, 1).double()
    z = product(normal(20000, product.irreps_in1.dim, seed=1), normal(20000, product.irreps_in2.dim, seed=2))
    for block in blocks(z, product.irreps_out):
        assert 0.9 < float(block.square().mean()) < 1.1


def test_keeps_the_cross_product() -> None:
    product = build(2, 1).double()
    assert (Irrep("1o"), Irrep("1o"), Irrep("1e")) in interactability(product)
    only = MatrixProduct(Irreps("1o"), Irreps("1o"), Irreps("1e")).double()
    x, y = normal(4, 3, seed=1), normal(4, 3, seed=2)
    ratio = only(x, y) / torch.linalg.cross(x, y)
    torch.testing.assert_close(ratio, ratio[0, 0].expand_as(ratio))


def test_weights_scale_degrees_and_channels_of_factors_and_result() -> None:
    product = build(2, 2).double()
    x, y = normal(2, product.irreps_in1.dim, seed=1), normal(2, product.irreps_in2.dim, seed=2)
    n, total = len(product.irreps_in1), len(product.irreps_in1) * 2 + len(product.irreps_out)
    weight = torch.ones(total, 2).double()
    torch.testing.assert_close(product(x, y, weight.flatten()), product(x, y))
    weight[n + 1, 1] = 0.0  # the vector of the second factor in channel 1
    silent = y.clone()
    blocks(silent, product.irreps_in2)[1][..., 1] = 0.0
    torch.testing.assert_close(product(x, y, weight.flatten()), product(x, silent))


def test_one_channel_meets_all_of_the_first_factor() -> None:
    spread = MatrixProduct(natural(3, 4), natural(3), natural(3, 4)).double()
    alike = MatrixProduct(natural(3, 4), natural(3, 4), natural(3, 4)).double()
    x, y = normal(2, spread.irreps_in1.dim, seed=1), normal(2, spread.irreps_in2.dim, seed=2)
    torch.testing.assert_close(spread(x, y), alike(x, y.repeat_interleave(4, dim=1)))


@pytest.mark.parametrize("irreps", ["0e+0e", "2x0e+1o", ""])
def test_tensors_that_are_no_matrices_are_refused(irreps: str) -> None:
    with pytest.raises(ValueError, match="irrep"):
        MatrixProduct(Irreps(irreps), Irreps(irreps), Irreps("0e"))


def test_degrees_beyond_the_matrices_are_refused() -> None:
    with pytest.raises(ValueError, match="degrees to 2"):
        MatrixProduct(Irreps("0e+1o"), Irreps("0e+1o"), Irreps("3o"))
