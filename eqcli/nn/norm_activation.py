"""A nonlinearity of spherical tensors that acts on their length."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from eqcli.geometry.constants import ConstantModule
from eqcli.geometry.irreps import Irreps, join, shapes, split_blocks
from eqcli.nn.activation import ACTIVATIONS, activation

SOFTENING = 0.1
"""Root mean square components are rounded off below this, so that second derivatives at zero stay near 1/SOFTENING."""

NODES, LONGEST = 4000, 20.0
"""Of the rule over the length of a vector with normal components, whose density is nil beyond."""


class NormActivation(ConstantModule):
    """x f(|x| + b) for each channel (Thomas et al. 2018 (TFN)), scaled to unit variance for normal input.

    The length is that of a component, sqrt(|x|^2 / (2l+1) + s^2) with the softening s: smooth at zero.

    Parameters
    ----------
    irreps
        Of input and result; parity does not matter, since the function sees lengths alone.
    name
        In :data:`eqcli.nn.activation.ACTIVATIONS`.
    bias
        Learns b for each channel, zero at first.
    """

    scales: Tensor

    def __init__(self, irreps: Irreps | str, name: str = "sigmoid", *, bias: bool = False) -> None:
        super().__init__()
        self.irreps_in = self.irreps_out = Irreps(irreps)
        self._shapes = shapes(self.irreps_in)
        self.function = activation(name).function
        scales = [norm_scale(name, ir.l) for _, ir in self.irreps_in]
        self.register_constant("scales", torch.tensor(scales, dtype=torch.float64))
        self.bias = torch.nn.Parameter(torch.zeros(self.irreps_in.num_irreps)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """`[..., irreps.dim] -> [..., irreps.dim]`."""
        parts = split_blocks(x, self._shapes)
        lengths = torch.cat([soft_length(part) for part in parts], dim=-1)  # [..., num_irreps]
        factors = self.function(lengths if self.bias is None else lengths + self.bias)
        each = factors.split([mul for _, mul in self._shapes], dim=-1)
        return join(
            [part * (f * s).unsqueeze(-2) for part, f, s in zip(parts, each, self.scales.unbind(), strict=True)]
        )


def soft_length(x: Tensor) -> Tensor:
    """sqrt(|x|^2 / (2l+1) + SOFTENING^2) of each channel, `[..., 2l+1, C] -> [..., C]`."""
    return (x.square().mean(-2) + SOFTENING**2).sqrt()


@cache
def norm_scale(name: str, degree: int) -> float:
    """1 / sqrt(E[(x_m f(|x|))^2]) for normal components of that degree; the length has a chi distribution."""
    dim = 2 * degree + 1
    r = torch.linspace(0.0, LONGEST, NODES, dtype=torch.float64)[1:]
    log_density = (dim - 1) * r.log() - 0.5 * r * r
    density = torch.exp(log_density - log_density.max())
    factor = ACTIVATIONS[name].function((r * r / dim + SOFTENING**2).sqrt())
    return float(((r * r / dim * factor**2 * density).sum() / density.sum()) ** -0.5)
