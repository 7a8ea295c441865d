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
        weight = self._scaled()
        x = x[:, : (self.lmax + 1) ** 2]
        dims = [2 * degree + 1 for degree in range(self.lmax + 1)]
        out = []
        for element, start, stop in layout.elements:
            parts = x[start:stop].split(dims, dim=1)
            out.append(torch.cat([p @ weight[element, degree] for degree, p in enumerate(parts)], dim=1))
        return torch.cat(out) if out else x.new_zeros(0, x.shape[1], self.weight.shape[3])

    def each_element(self, scalars: Tensor) -> Tensor:
        """The map of degree 0 for one feature vector per element, `[n_elements, C] -> [n_elements, C']`."""
        return torch.bmm(scalars.unsqueeze(1), self._scaled()[:, 0]).squeeze(1)

    def _scaled(self) -> Tensor:
        return self.weight * (self.weight.shape[0] * self.weight.shape[2]) ** -0.5
