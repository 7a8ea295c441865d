"""Functions of one number with unit second moment, and what they do to parity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log, pi, sqrt

import torch
from torch import Tensor

SILU_SCALE = 1.6765324703310907
"""1 / sqrt(E[silu(z)^2]) for z ~ N(0, 1): keeps the variance of activations at one."""

NODES, WIDTH = 561, 14.0
"""Of the trapezoidal rule against a Gaussian: its error falls exponentially for functions analytic near the axis."""


@dataclass(frozen=True)
class Activation:
    """A function of one number.

    Attributes
    ----------
    function
        Elementwise, as it stands in the papers.
    parity
        1 when even, -1 when odd, 0 when neither: such a function may act on true scalars alone.
    scale
        1 / sqrt(E[f(z)^2]) for z ~ N(0, 1).
    """

    name: str
    function: Callable[[Tensor], Tensor]
    parity: int
    scale: float

    def __call__(self, x: Tensor) -> Tensor:
        """The function with unit second moment for standard normal input."""
        return self.scale * self.function(x)

    def result_parity(self, parity: int) -> int:
        """Parity of the result for a scalar of the given parity.

        Raises ValueError when an odd scalar meets a function that is neither even nor odd.
        """
        if parity == 1:
            return 1
        if self.parity == 0:
            raise ValueError(
                f"{self.name} is neither even nor odd, so it has no parity on odd scalars (0o); "
                f"use one of {', '.join(name for name, act in ACTIVATIONS.items() if act.parity)}"
            )
        return self.parity


def scaled_silu(x: Tensor) -> Tensor:
    """SiLU with unit second moment for standard normal input."""
    return SILU_SCALE * torch.nn.functional.silu(x)


def smooth_abs(x: Tensor) -> Tensor:
    """x tanh(x): even, and smooth where |x| has its kink."""
    return x * torch.tanh(x)


def gaussian(x: Tensor) -> Tensor:
    """exp(-x^2 / 2), even."""
    return torch.exp(-0.5 * x * x)


def shifted_softplus(x: Tensor) -> Tensor:
    """ln(1/2 + exp(x)/2), the activation of SchNet."""
    return torch.nn.functional.softplus(x) - log(2.0)


def smooth_leaky_relu(x: Tensor) -> Tensor:
    """0.6 x + 0.4 x (2 sigmoid(x) - 1): slopes 1 and 0.2 far out (Equiformer, appendix)."""
    return 0.6 * x + 0.4 * x * (2.0 * torch.sigmoid(x) - 1.0)


def normal_mean(values: Tensor, z: Tensor) -> Tensor:
    """Mean over z ~ N(0, 1) of what has the given `values` at the nodes of :func:`normal_nodes`, last dimension."""
    return (values * torch.exp(-0.5 * z * z)).sum(-1) * (2.0 * WIDTH / (NODES - 1) / sqrt(2.0 * pi))


def normal_nodes() -> Tensor:
    """Nodes for :func:`normal_mean`, float64."""
    return torch.linspace(-WIDTH, WIDTH, NODES, dtype=torch.float64)


def unit_scale(function: Callable[[Tensor], Tensor]) -> float:
    """1 / sqrt(E[f(z)^2]) for z ~ N(0, 1), to rounding."""
    z = normal_nodes()
    return float(normal_mean(function(z) ** 2, z) ** -0.5)


_KINDS: list[tuple[str, Callable[[Tensor], Tensor], int]] = [
    ("silu", torch.nn.functional.silu, 0),
    ("softplus", shifted_softplus, 0),
    ("leaky-relu", smooth_leaky_relu, 0),
    ("sigmoid", torch.sigmoid, 0),
    ("tanh", torch.tanh, -1),
    ("abs", smooth_abs, 1),
    ("gaussian", gaussian, 1),
    ("identity", torch.clone, -1),
]

ACTIVATIONS: dict[str, Activation] = {
    name: Activation(name, function, parity, unit_scale(function)) for name, function, parity in _KINDS
}
"""Smooth activations by name."""


def activation(name: str) -> Activation:
    """The activation of that name. Raises ValueError when there is none."""
    if name not in ACTIVATIONS:
        raise ValueError(f"there is no activation {name!r}; there are {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]
