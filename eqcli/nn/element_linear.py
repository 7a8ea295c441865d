"""Linear maps of spherical tensors that mix channels and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from eqcli.graph.layout import Layout


def mix_channels(x: Tensor, weights: Sequence[Tensor], dims: Sequence[int]) -> Tensor:
    """One matrix `[C, C']` over channels for each group of `dims` components, `[N, sum(dims), C] -> [N, .., C']`.

    One batched product with the component as the batch: it reads the channels of every
    atom where they lie, while a product for each degree would first copy its slice.
    """
    each = [weight.expand(dim, -1, -1) for weight, dim in zip(weights, dims, strict=True)]
    weight = torch.cat(each) if len(each) > 1 else each[0]
    return torch.bmm(x.transpose(0, 1), weight).transpose(0, 1).contiguous()


class DegreeLinear(nn.Module):
    """One matrix over channels for each degree l, `[N, (lmax+1)^2, C] -> [N, (lmax+1)^2, C']`."""

    def __init__(self, channels_in: int, channels_out: int, lmax: int) -> None:
        super().__init__()
        self.lmax = lmax
        self.weight = nn.Parameter(torch.randn(lmax + 1, channels_in, channels_out))

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight * self.weight.shape[1] ** -0.5
        if self.lmax == 0:
            return x @ weight[0]
        return mix_channels(x, weight.unbind(), [2 * degree + 1 for degree in range(self.lmax + 1)])


class ElementLinear(nn.Module):
    """One matrix over channels for each element and degree; atoms in layout order.

    The normalisation counts the elements as inputs (they are, as one-hot vectors), as the
    fully connected tensor product of MACE does.
    """

    def __init__(self, n_elements: int, channels_in: int, channels_out: int, lmax: int) -> None:
        super().__init__()
        self.lmax = lmax
        self.weight = nn.Parameter(torch.randn(n_elements, lmax + 1, channels_in, channels_out))

    def forward(self, x: Tensor, layout: Layout) -> Tensor:
        """`[N, (l+1)^2, C] -> [N, (lmax+1)^2, C']`; degrees of `x` beyond lmax are left out."""
        n_degrees = self.lmax + 1
        # Unbinding and splitting, unlike indexing, put no zeros around each part in the backward pass.
        weight = self._scaled().flatten(0, 1).unbind()
        dims = [2 * degree + 1 for degree in range(n_degrees)]
        if x.shape[1] > n_degrees**2:
            x = x[:, : n_degrees**2]
        out = []
        for (element, _, _), atoms in zip(layout.elements, x.split(layout.element_counts), strict=True):
            parts = atoms.split(dims, dim=1)
            out.append(torch.cat([p @ weight[element * n_degrees + i] for i, p in enumerate(parts)], dim=1))
        return torch.cat(out)

    def each_element(self, scalars: Tensor) -> Tensor:
        """The map of degree 0 for one feature vector per element, `[n_elements, C] -> [n_elements, C']`."""
        return torch.bmm(scalars.unsqueeze(1), self._scaled()[:, 0]).squeeze(1)

    def _scaled(self) -> Tensor:
        return self.weight * (self.weight.shape[0] * self.weight.shape[2]) ** -0.5
