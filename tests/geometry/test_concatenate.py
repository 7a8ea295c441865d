from __future__ import annotations

import pytest
import torch

from eqcli.geometry.concatenate import concatenate


@pytest.mark.parametrize("dim", [0, 1])
def test_is_a_concatenation_to_second_order(dim: int) -> None:
    parts = [torch.randn(2, 2, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    assert torch.equal(concatenate(parts, dim), torch.cat(parts, dim))
    assert torch.autograd.gradcheck(lambda *p: concatenate(list(p), dim).sin(), parts, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(lambda *p: concatenate(list(p), dim).sin(), parts)


def test_second_derivatives_write_no_zeros_for_each_part() -> None:
    parts = [torch.randn(1, dtype=torch.float64, requires_grad=True) for _ in range(8)]
    gradients = torch.autograd.grad(concatenate(parts, 0).square().sum(), parts, create_graph=True)
    assert len({gradient.grad_fn for gradient in gradients}) == 1, "all parts are cut in one operation"
