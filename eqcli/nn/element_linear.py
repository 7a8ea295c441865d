"""Linear maps of spherical tensors that mix channels and nothing else."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqcli.graph.layout import Layout


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
        degrees = x.split([2 * degree + 1 for degree in range(self.lmax + 1)], dim=1)
        return torch.cat([part @ w for part, w in zip(degrees, weight.unbind(), strict=True)], dim=1)


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
