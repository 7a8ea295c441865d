"""Message of an edge by a convolution in its own frame."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqcli.geometry.edge_rotation import EdgeRotation
from eqcli.geometry.products.so2 import SO2Product
from eqcli.nn.radial import RadialNetwork


class SO2Convolution(nn.Module):
    """D^T W (f(r) * D x) with the rotation D into the frame of the edge (Passaro and Zitnick, ICML 2023, eSCN).

    The weights W are the same for all edges; the radial factors f, one for each degree, order and channel,
    are linear in a bias-free perceptron of the radial basis, so that messages vanish where the basis does.

    Parameters
    ----------
    product
        Degrees, channels and highest order.
    radial_size, hidden
        Functions in the radial basis, and widths of the hidden layers.
    """

    def __init__(self, product: SO2Product, radial_size: int, hidden: tuple[int, ...] = (64,)) -> None:
        super().__init__()
        self.product = product
        self.irreps_in, self.irreps_out = product.irreps_in1, product.irreps_out
        self.weight = nn.Parameter(torch.randn(product.weight_numel))
        self.radial = RadialNetwork(radial_size, hidden)
        width = hidden[-1] if hidden else radial_size
        self.radial_weight = nn.Parameter(torch.randn(width, product.factor_numel))

    def rotation(self, directions: Tensor) -> EdgeRotation:
        """The rotation of edges along unit vectors `[E, 3]`; layers of the same degrees and orders share it."""
        return self.product.rotation(directions)

    def forward(self, x: Tensor, rotation: EdgeRotation, basis: Tensor) -> Tensor:
        """Features of each edge `[E, irreps_in.dim]` and its radial basis `[E, N]` -> `[E, irreps_out.dim]`."""
        hidden = self.radial(basis)
        factor = hidden @ (self.radial_weight * self.radial_weight.shape[0] ** -0.5)
        return self.product.convolve(x, rotation, self.weight, factor)
