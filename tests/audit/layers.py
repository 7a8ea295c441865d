"""Layers that are right, and layers that are wrong in one way each, in every way a layer can be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from eqcli.audit.laws import Law, law
from eqcli.geometry.clebsch_gordan import clebsch_gordan
from eqcli.geometry.spherical_harmonics import SphericalHarmonics
from tests.rotations import random_rotation, representation

ATOMS, CHANNELS = 5, 3
VECTORS = f"{CHANNELS}x1o"
TENSORS = f"{CHANNELS}x2e"

Function = Callable[..., Tensor]


@dataclass
class Layer:
    """A function with the laws of its inputs and its output."""

    function: Function
    inputs: list[Law]
    output: Law
    values: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(1)
        sizes = {"point": 3, VECTORS: 3 * CHANNELS, TENSORS: 5 * CHANNELS}
        self.values = [
            torch.randn(ATOMS, sizes[str(each).removesuffix(" per atom")], generator=generator, dtype=torch.float64)
            for each in self.inputs
        ]

    @property
    def arguments(self) -> list[tuple[Tensor, Law]]:
        return list(zip(self.values, self.inputs, strict=True))


def components(x: Tensor) -> Tensor:
    """`[N, components, channels]`."""
    return x.unflatten(-1, (-1, CHANNELS))


def coupled(x: Tensor, y: Tensor, coupling: Tensor) -> Tensor:
    return torch.einsum("nic,njc,ijk->nkc", components(x), components(y), coupling.to(x)).flatten(1)


def product(coupling: Tensor, output: str = VECTORS) -> Layer:
    """Vectors times tensors of degree 2, channel by channel."""
    laws = [law(VECTORS, per_atom=True), law(TENSORS, per_atom=True)]
    return Layer(lambda x, y: coupled(x, y, coupling), laws, law(output, per_atom=True))


def sound() -> Layer:
    return product(clebsch_gordan(1, 2, 1))


def rounded_constants() -> Layer:
    """Coefficients that were kept in float32."""
    return product(clebsch_gordan(1, 2, 1).float().double())


def wrong_parity() -> Layer:
    """The product of a vector and a tensor to degree 2 is odd, and is said to be even."""
    return product(clebsch_gordan(1, 2, 2), TENSORS)


def hidden_axis() -> Layer:
    """A hundred-millionth more along the polar axis."""
    coupling = clebsch_gordan(1, 2, 1).clone()
    coupling[:, :, 1] *= 1 + 1e-8
    return product(coupling)


def in_a_frame(sign: float) -> Layer:
    """Turns features into a frame made of the positions, weights their components there, and turns them back.

    With `sign` -1 the way back has the wrong sign in the m = +-1 entries of the Wigner matrix.
    """

    def apply(positions: Tensor, x: Tensor) -> Tensor:
        frame = gram_schmidt(positions)
        wigner = representation(frame, 2).to(x)
        back = wigner.T.clone()
        back[1], back[3] = sign * back[1], sign * back[3]
        weights = torch.linspace(0.5, 1.5, 5, dtype=x.dtype)[:, None]
        return (back @ (weights * (wigner @ components(x)))).flatten(1)

    return Layer(apply, [law("point", per_atom=True), law(TENSORS, per_atom=True)], law(TENSORS, per_atom=True))


def gram_schmidt(positions: Tensor) -> Tensor:
    """A right-handed frame of three moments of the positions, `[3, 3]`, blind to order and place."""
    r = positions - positions.mean(dim=0)
    first, second = (r * r.norm(dim=1, keepdim=True) ** k for k in (1, 3))
    a = torch.nn.functional.normalize(first.sum(dim=0), dim=0)
    b = second.sum(dim=0)
    b = torch.nn.functional.normalize(b - (a @ b) * a, dim=0)
    return torch.stack([a, b, torch.linalg.cross(a, b)])


def stochastic_frame(bias: float = 0.0) -> Layer:
    """Scales each vector by what its components are in a random frame: equivariant on average, plus a bias."""
    seeds = iter(range(10**9))

    def apply(x: Tensor) -> Tensor:
        frame = random_rotation(next(seeds))
        turned = frame @ components(x)
        return (frame.T @ (turned * torch.tensor([0.5, 1.0, 1.5]).to(x)[:, None])).flatten(1) + bias

    return Layer(apply, [law(VECTORS, per_atom=True)], law(VECTORS, per_atom=True))


def on_a_grid(points: int = 50) -> Layer:
    """A nonlinearity on points of the sphere: signals of degree 1 in, projected back on degree 1."""
    from eqcli.audit.orbit import fibonacci_sphere

    harmonics = SphericalHarmonics(1).double()(torch.from_numpy(fibonacci_sphere(points)))[:, 1:]  # [points, 3]

    def apply(x: Tensor) -> Tensor:
        signal = torch.einsum("pi,nic->npc", harmonics, components(x))
        return (torch.einsum("pi,npc->nic", harmonics, torch.tanh(signal)) / points).flatten(1)

    return Layer(apply, [law(VECTORS, per_atom=True)], law(VECTORS, per_atom=True))


def far_from_home() -> Layer:
    """Distances to the origin of space in place of distances to the centre."""

    def apply(positions: Tensor) -> Tensor:
        return positions.norm(dim=1, keepdim=True)

    return Layer(apply, [law("point", per_atom=True)], law("scalar", per_atom=True))


def first_atom() -> Layer:
    """The first atom counts twice."""

    def apply(x: Tensor) -> Tensor:
        return torch.cat([2 * x[:1], x[1:]])

    return Layer(apply, [law(VECTORS, per_atom=True)], law(VECTORS, per_atom=True))
