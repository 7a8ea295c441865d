"""Orders and signs of real spherical tensors, and their Cartesian forms.

Codes agree on the real functions of one degree and disagree on their order, on signs and on the
polar axis. Every convention here is a signed order of the standard real harmonics: z polar, no
Condon-Shortley phase, m < 0 for sin(|m| phi) and m > 0 for cos(m phi), so that degree 1 is (y, z, x)
for m = -1, 0, 1. e3nn's basis has the same form with (y, z, x) in place of (x, y, z).
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from math import sqrt

import torch
from torch import Tensor

from eqcli.geometry.clebsch_gordan import clebsch_gordan


class AxisOrder(StrEnum):
    """Conventions for the 2l+1 components of degree l."""

    E3NN = "e3nn"
    """m = -l..l about the axis y: degree 1 is (x, y, z). The basis of this program."""
    STANDARD = "standard"
    """m = -l..l about z: degree 1 is (y, z, x). Wikipedia's table of real harmonics, sphericart."""
    PYSCF = "pyscf"
    """(x, y, z) for degree 1, m = -l..l otherwise."""
    ORCA = "orca"
    """m = 0, 1, -1, 2, -2, ..; |m| = 3 and 4 negative. Known to degree 5."""
    GAUSSIAN = "gaussian"
    """(x, y, z) for degree 1, m = 0, 1, -1, 2, -2, .. otherwise."""
    PSI4 = "psi4"
    """m = 0, 1, -1, 2, -2, ..: degree 1 is (z, x, y)."""
    FHI_AIMS = "fhi-aims"
    """m = -l..l about z, odd m > 0 negative: degree 1 is (y, z, -x)."""
    CONDON_SHORTLEY = "condon-shortley"
    """m = -l..l about z with the phase (-1)^m: degree 1 is (-y, z, -x). scipy's harmonics, real forms."""


ORCA_MAX_DEGREE = 5
"""ORCA's signs beyond h functions are not documented."""


@cache
def translation(source: AxisOrder | str, target: AxisOrder | str, degree: int) -> Tensor:
    """The orthogonal matrix M with `target = M @ source`, `[2l+1, 2l+1]` float64.

    It translates the components of a tensor (or the values of the harmonics), given in the same
    axes of space. Raises ValueError for an unknown convention and for ORCA beyond degree 5.
    """
    return _from_standard(AxisOrder(target), degree) @ _from_standard(AxisOrder(source), degree).T


def _from_standard(order: AxisOrder, degree: int) -> Tensor:
    """`[2l+1, 2l+1]`: rows in the convention, columns m = -l..l of the standard."""
    if order is AxisOrder.E3NN:
        return _standard_to_e3nn(degree)
    matrix = torch.zeros(2 * degree + 1, 2 * degree + 1, dtype=torch.float64)
    for row, m in enumerate(_sequence(order, degree)):
        matrix[row, m + degree] = _sign(order, degree, m)
    return matrix


def _sequence(order: AxisOrder, degree: int) -> list[int]:
    """m of each component."""
    if degree == 1 and order in (AxisOrder.PYSCF, AxisOrder.GAUSSIAN):
        return [1, -1, 0]
    if order in (AxisOrder.ORCA, AxisOrder.GAUSSIAN, AxisOrder.PSI4):
        return [0] + [sign * m for m in range(1, degree + 1) for sign in (1, -1)]
    return list(range(-degree, degree + 1))


def _sign(order: AxisOrder, degree: int, m: int) -> int:
    if order is AxisOrder.ORCA:
        if degree > ORCA_MAX_DEGREE:
            raise ValueError(f"ORCA's signs are known to degree {ORCA_MAX_DEGREE}, not for {degree}")
        return -1 if abs(m) in (3, 4) else 1
    if order is AxisOrder.FHI_AIMS:
        return -1 if m > 0 and m % 2 else 1
    if order is AxisOrder.CONDON_SHORTLEY:
        return (-1) ** m if m >= 0 else (-1) ** -m
    return 1


@cache
def _standard_to_e3nn(degree: int) -> Tensor:
    """The two bases differ by the cyclic change of axes alone, a rotation by 120 degrees about (1, 1, 1).

    Both evaluate the same function of three arguments: e3nn(x, y, z) = standard(z, x, y). The matrix
    follows from the raising of degree l - 1 by degree 1, whose coupling tensor is the same for both.
    """
    if degree == 0:
        return torch.ones(1, 1, dtype=torch.float64)
    # Rows in e3nn's order (x, y, z), columns y, z, x.
    vector = torch.tensor([[0, 0, 1], [1, 0, 0], [0, 1, 0]], dtype=torch.float64)
    if degree == 1:
        return vector
    coupling = clebsch_gordan(degree - 1, 1, degree)
    lower = _standard_to_e3nn(degree - 1)
    return (2 * degree + 1) * torch.einsum("ijk,ia,jb,abc->kc", coupling, lower, vector, coupling)


@cache
def cartesian_basis(rank: int) -> Tensor:
    """Orthonormal tensors of irreducible degree, `[3^rank, 3, .., 3]` float64, for rank 1, 2 or 3.

    Rank 2: trace, antisymmetric, traceless symmetric (degrees 0, 1, 2). Rank 3: the degrees of
    :func:`cartesian_degrees`, by the degree of the first two indices, then their own. Each component
    is in e3nn's order, so that the tensor r r^T has the harmonics of r as its components of degree 2.
    """
    identity = torch.eye(3, dtype=torch.float64)
    basis = [(1, identity)]
    for _ in range(rank - 1):
        grown = []
        for degree, tensors in basis:
            for result in range(abs(degree - 1), degree + 2):
                coupled = sqrt(2 * result + 1) * clebsch_gordan(degree, 1, result)
                grown.append((result, torch.einsum("ijk,i...->k...j", coupled, tensors)))
        basis = grown
    return torch.cat([tensors for _, tensors in basis])


def cartesian_degrees(rank: int) -> list[int]:
    """Degrees of the irreducible parts of a tensor of this rank, in the order of :func:`cartesian_basis`."""
    degrees = [1]
    for _ in range(rank - 1):
        degrees = [result for degree in degrees for result in range(abs(degree - 1), degree + 2)]
    return degrees


def cartesian_to_spherical(tensor: Tensor, rank: int = 2) -> Tensor:
    """Irreducible components of tensors, `[.., 3, .., 3] -> [.., 3^rank]`; norms are kept."""
    basis = cartesian_basis(rank).reshape(3**rank, -1).to(tensor)
    return tensor.flatten(-rank) @ basis.T


def spherical_to_cartesian(components: Tensor, rank: int = 2) -> Tensor:
    """The inverse of :func:`cartesian_to_spherical`."""
    basis = cartesian_basis(rank).reshape(3**rank, -1).to(components)
    return (components @ basis).unflatten(-1, (3,) * rank)


def symmetric_to_spherical(tensor: Tensor) -> Tensor:
    """Degrees 0 and 2 of symmetric tensors such as a stress, `[.., 3, 3] -> [.., 6]`; an antisymmetric part is lost."""
    return tensor.flatten(-2) @ _symmetric_basis().to(tensor).T


def spherical_to_symmetric(components: Tensor) -> Tensor:
    """The symmetric tensor of degrees 0 and 2, `[.., 6] -> [.., 3, 3]`."""
    return (components @ _symmetric_basis().to(components)).unflatten(-1, (3, 3))


@cache
def _symmetric_basis() -> Tensor:
    return cartesian_basis(2)[[0, 4, 5, 6, 7, 8]].reshape(6, 9)


VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
"""xx, yy, zz, yz, xz, xy: the order of ASE."""


def to_voigt(tensor: Tensor, *, strain: bool = False) -> Tensor:
    """Voigt's six numbers of a symmetric tensor, `[.., 3, 3] -> [.., 6]`; shear strains are doubled with `strain`."""
    halves = torch.stack([0.5 * (tensor[..., i, j] + tensor[..., j, i]) for i, j in VOIGT], dim=-1)
    return torch.cat([halves[..., :3], 2 * halves[..., 3:]], dim=-1) if strain else halves


def from_voigt(numbers: Tensor, *, strain: bool = False) -> Tensor:
    """The symmetric tensor of Voigt's six numbers, `[.., 6] -> [.., 3, 3]`."""
    shear = 0.5 * numbers[..., 3:] if strain else numbers[..., 3:]
    xx, yy, zz = numbers[..., :3].unbind(-1)
    yz, xz, xy = shear.unbind(-1)
    return torch.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz], dim=-1).unflatten(-1, (3, 3))
