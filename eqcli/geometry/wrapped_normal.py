"""The normal distribution wrapped onto the circle of circumference 1, at any width.

Up to the width 1/sqrt(2 pi) it is summed over its images, above over its Fourier modes; there both converge
alike (Poisson summation: the width s of one sum is 1/(2 pi s) of the other), and nine images or four modes are
exact to float64. Mardia and Jupp, Directional Statistics (Wiley 2000), section 3.5.7; the score as the target of
diffusion on the torus is that of Jing et al., NeurIPS 2022.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_SWITCH = 1 / math.sqrt(2 * math.pi)
_IMAGES = 4
_MODES = 4
_POINTS = 512


def log_density(x: Tensor, sigma: Tensor | float) -> Tensor:
    """Logarithm of the density at `x` (any real number; the circle is that of x modulo 1).

    `sigma` (> 0) is the width of the normal distribution before it is wrapped, broadcast against `x`.
    """
    x, narrow, wide, small = _reduced(x, sigma)
    exponents = -0.5 * (_images(x) / narrow.unsqueeze(-1)).square()
    of_images = torch.logsumexp(exponents, -1) - (narrow * math.sqrt(2 * math.pi)).log()
    of_modes = torch.log1p(_modes(x, wide)[0])
    return torch.where(small, of_images, of_modes)


def score(x: Tensor, sigma: Tensor | float) -> Tensor:
    """Derivative of `log_density` by `x`.

    In wide distributions it falls as exp(-2 pi^2 sigma^2), to zero where that is no longer a number of the type
    of `x` (sigma above 2.2 in float32, 6 in float64).
    """
    x, narrow, wide, small = _reduced(x, sigma)
    images = _images(x)
    width = narrow.unsqueeze(-1)
    weights = torch.softmax(-0.5 * (images / width).square(), -1)
    of_images = -(weights * images).sum(-1) / narrow.square()
    rest, slope = _modes(x, wide)
    return torch.where(small, of_images, slope / (1 + rest))


def mean_square_score(sigma: Tensor | float) -> Tensor:
    """Mean of the squared score under the distribution itself, in float64, with the shape of `sigma`.

    It is 1/sigma^2 for narrow distributions and 8 pi^2 exp(-4 pi^2 sigma^2) for wide ones, where it is zero above
    sigma = 4.3. The trapezoidal rule converges exponentially here: the integrand is periodic, or has no ends.
    """
    width = torch.as_tensor(sigma, dtype=torch.float64).unsqueeze(-1)
    reach = (12 * width).clamp(max=0.5)
    nodes = torch.arange(_POINTS, dtype=torch.float64, device=width.device) * (2 / _POINTS) - 1
    x = reach * nodes
    integrand = log_density(x, width).exp() * score(x, width).square()
    return integrand.sum(-1) * (2 / _POINTS) * reach.squeeze(-1)


def _reduced(x: Tensor, sigma: Tensor | float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`x` in [-1/2, 1/2], the width for either sum kept where it converges, and where the images are the ones."""
    width = torch.as_tensor(sigma, dtype=x.dtype, device=x.device)
    x, width = torch.broadcast_tensors(x, width)
    return x - x.round(), width.clamp(max=_SWITCH), width.clamp(min=_SWITCH), width < _SWITCH


def _images(x: Tensor) -> Tensor:
    """x + n for the nearest images, `[..., images]`."""
    return x.unsqueeze(-1) + torch.arange(-_IMAGES, _IMAGES + 1, dtype=x.dtype, device=x.device)


def _modes(x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """The density less 1, and its derivative, from the Fourier modes."""
    k = torch.arange(1, _MODES + 1, dtype=x.dtype, device=x.device)
    weights = 2 * torch.exp(-2 * math.pi**2 * (sigma.unsqueeze(-1) * k).square())
    phases = 2 * math.pi * k * x.unsqueeze(-1)
    return (weights * phases.cos()).sum(-1), -2 * math.pi * (k * weights * phases.sin()).sum(-1)
