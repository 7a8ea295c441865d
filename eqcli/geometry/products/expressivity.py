"""How much freedom a product has: counts that tell a fast product from a poor one.

Speed can be bought with freedom (Xie, Daigavane, Kotak and Smidt, "The Price of Freedom", 2025): the counts
here are of the product as it is, probed with random numbers in float64, and need to know nothing of how it works.

- Expressivity: the dimension of the space that the bilinear maps (x, y) -> z span when the weights run
  through all values; at most :func:`full_expressivity`, reached when every path between every channel has
  a weight of its own.
- Degrees of freedom: the dimension of the set of maps that the product reaches. Equal to the expressivity where
  weights enter linearly, smaller where they enter multiplied with one another: then the set is curved and spans more
  than it holds.
- Interactability: the triples of irreps that meet at all.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor

from eqcli.geometry.irreps import Irrep, Irreps, blocks
from eqcli.geometry.products.base import Product

LARGEST_DIMENSION = 1024
"""Spaces of more dimensions are not counted: time grows with the third power."""
VANISHING = 1e-9
"""Singular values and results below this, relative to the largest, are rounding."""

Triple = tuple[Irrep, Irrep, Irrep]
"""Irreps of first factor, second factor and result."""


def expressivity(product: Product, seed: int = 0) -> int:
    """Dimension of the space of bilinear maps that the product reaches.

    The rank of random members of the space, each known by its values at random arguments, as many as it takes for
    the rank to stay below their number. With probability one it is exact, also where weights enter multiplied with
    one another. Take few channels, since the space grows with their third power in a fully connected product.
    Raises ValueError where the space has more than 1024 dimensions.
    """
    product = _in_float64(product)
    generator = torch.Generator().manual_seed(seed)
    if product.weight_numel == 0:
        return int(bool(_values(product, 1, 4, generator).abs().max() > 0))
    members = min(32, product.weight_numel + 1)
    while members <= 2 * LARGEST_DIMENSION:
        points = 2 * members // product.irreps_out.dim + 8
        rank = _rank(_values(product, members, points, generator))
        if rank > LARGEST_DIMENSION:
            break
        if rank < members:
            return rank
        members *= 2
    raise ValueError(f"{product.name} spans more than {LARGEST_DIMENSION} dimensions: take fewer channels or degrees")


def degrees_of_freedom(product: Product, seed: int = 0) -> int:
    """Dimension of the set of bilinear maps that the product reaches, at a general point of it.

    The rank of the derivative of the map with respect to the weights, at random weights. Raises ValueError for more
    than 1024 weights.
    """
    if product.weight_numel > LARGEST_DIMENSION:
        raise ValueError(f"{product.name} has more than {LARGEST_DIMENSION} weights: take fewer channels or degrees")
    product = _in_float64(product)
    generator = torch.Generator().manual_seed(seed)
    x, y, weight = _arguments(product, 2 * product.weight_numel // product.irreps_out.dim + 8, generator)
    if weight is None:
        return 0
    weight.requires_grad_()
    z = product(x, y, weight).flatten()
    return _rank(torch.stack([torch.autograd.grad(value, weight, retain_graph=True)[0] for value in z]))


def full_expressivity(product: Product) -> int:
    """Dimension of the space of all bilinear equivariant maps between the irreps of the product.

    Of O(3) for a product that respects reflections, of SO(3) for one that does not. A product that takes a
    direction in place of its harmonics is not linear in it and may exceed this.
    """
    return sum(
        mul1 * mul2 * mul3
        for mul1, ir1 in product.irreps_in1
        for mul2, ir2 in product.irreps_in2
        for mul3, ir3 in product.irreps_out
        if _may_interact(ir1, ir2, ir3, product.parity)
    )


def interactability(product: Product, seed: int = 0) -> list[Triple]:
    """The triples of irreps for which the product couples the first two to the third, sorted.

    Found with one irrep of each factor filled at a time and random weights.
    """
    product = _in_float64(product)
    generator = torch.Generator().manual_seed(seed)
    x, y, weight = _arguments(product, 4, generator)
    largest = float(product(x, y, weight).abs().max())
    found: set[Triple] = set()
    for ir1, part1 in _filled(x, product.irreps_in1):
        for ir2, part2 in _filled(y, product.irreps_in2):
            z = product(part1, part2, weight)
            for (_, ir3), block in zip(product.irreps_out, blocks(z, product.irreps_out), strict=True):
                if float(block.abs().max()) > VANISHING * largest:
                    found.add((ir1, ir2, ir3))
    return sorted(found)


def full_interactability(product: Product) -> list[Triple]:
    """The triples that symmetry allows between the irreps of the product, sorted."""
    return sorted(
        {
            (ir1, ir2, ir3)
            for _, ir1 in product.irreps_in1
            for _, ir2 in product.irreps_in2
            for _, ir3 in product.irreps_out
            if _may_interact(ir1, ir2, ir3, product.parity)
        }
    )


def _may_interact(ir1: Irrep, ir2: Irrep, ir3: Irrep, parity: bool) -> bool:
    triangle = abs(ir1.l - ir2.l) <= ir3.l <= ir1.l + ir2.l
    return triangle and (not parity or ir3.p == ir1.p * ir2.p)


def _in_float64(product: Product) -> Product:
    """A copy whose constants are exact, as the random numbers are, whatever the precision of the product."""
    return deepcopy(product).to("cpu", torch.float64)


def _values(product: Product, members: int, points: int, generator: torch.Generator) -> Tensor:
    """`[members, points * components]`: results for as many random weights, at the same random arguments."""
    x, y, _ = _arguments(product, points, generator)
    weights = torch.randn(members, product.weight_numel, generator=generator, dtype=torch.float64)
    return torch.stack([product(x, y, weight if product.weight_numel else None).flatten() for weight in weights])


def _arguments(product: Product, rows: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor | None]:
    """Random factors and one set of weights; a second factor that is one vector has unit length, as an edge has."""
    x = torch.randn(rows, product.irreps_in1.dim, generator=generator, dtype=torch.float64)
    y = torch.randn(rows, product.irreps_in2.dim, generator=generator, dtype=torch.float64)
    if product.irreps_in2 == Irreps("1o"):
        y = torch.nn.functional.normalize(y, dim=-1)
    weight = torch.randn(product.weight_numel, generator=generator, dtype=torch.float64)
    return x, y, weight if product.weight_numel else None


def _filled(x: Tensor, irreps: Irreps) -> list[tuple[Irrep, Tensor]]:
    """For each entry, the tensor with zeros everywhere else."""
    found, start = [], 0
    for mul, ir in irreps:
        part = torch.zeros_like(x)
        part[:, start : start + mul * ir.dim] = x[:, start : start + mul * ir.dim]
        found.append((ir, part))
        start += mul * ir.dim
    return found


def _rank(rows: Tensor) -> int:
    values = torch.linalg.svdvals(rows)
    return int((values > VANISHING * values[0]).sum()) if float(values[0]) > 0 else 0
