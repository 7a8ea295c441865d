"""Tensor products with weights of their own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqcli.geometry.products.base import Product


class WeightedProduct(nn.Module):
    """A tensor product whose weights are parameters, the same for all rows, standard normal at first.

    Parameters
    ----------
    product
        Any; one that takes no weights is called as it is.
    """

    def __init__(self, product: Product) -> None:
        super().__init__()
        self.product = product
        self.irreps_in1, self.irreps_in2 = product.irreps_in1, product.irreps_in2
        self.irreps_out = product.irreps_out
        self.weight = nn.Parameter(torch.randn(product.weight_numel)) if product.weight_numel else None

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """`[..., irreps_in1.dim]`, `[..., irreps_in2.dim]` -> `[..., irreps_out.dim]`."""
        result: Tensor = self.product(x, y, self.weight)
        return result
