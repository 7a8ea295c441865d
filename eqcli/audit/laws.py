"""How quantities follow a motion of space: the transformation laws that audits compare with.

A motion is an element of E(3), and an order of the atoms. What a function takes and
gives is declared by its law: a scalar stays, a vector turns, a spherical tensor turns
with the Wigner matrices of its irreps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from eqcli.io.structure import FloatArray

if TYPE_CHECKING:
    from eqcli.models.prediction import Quantity

DIRECTIONS = 200
"""Directions that representations are fitted on; at least twice the number of harmonics up to degree 8."""


@dataclass(frozen=True)
class Motion:
    """x -> R x + shift for every point, then atom k is the one that was atom `order[k]`.

    `matrix` is orthogonal `[3, 3]`, proper or not; `shift` is `[3]` in the unit of the points.
    """

    matrix: FloatArray = field(default_factory=lambda: np.eye(3))
    shift: FloatArray = field(default_factory=lambda: np.zeros(3))
    order: np.ndarray[Any, Any] | None = None

    @property
    def handedness(self) -> float:
        """+1 for a proper motion, -1 for one that mirrors."""
        return float(np.sign(np.linalg.det(self.matrix)))


class Kind(StrEnum):
    """What a quantity is under O(3); points follow translations too."""

    scalar = "scalar"
    pseudoscalar = "pseudoscalar"
    vector = "vector"
    pseudovector = "pseudovector"
    tensor = "tensor"
    point = "point"
    spherical = "spherical"


@dataclass(frozen=True)
class Law:
    """The transformation law of one quantity.

    Attributes
    ----------
    kind
        `vector`, `pseudovector` and `point` are `[..., 3]` (a cell is three vectors), `tensor` is `[..., 3, 3]`,
        `spherical` is `[..., irreps.dim]` with the numbers of :mod:`eqcli.geometry.irreps`.
    per_atom
        Whether the first axis counts atoms.
    irreps
        Of a spherical tensor, e.g. `8x0e+4x1o`.
    """

    kind: Kind
    per_atom: bool = False
    irreps: str = ""

    def __str__(self) -> str:
        name = self.irreps if self.kind is Kind.spherical else self.kind.value
        return f"{name} per atom" if self.per_atom else name

    def act(self, motion: Motion, values: FloatArray) -> FloatArray:
        """The quantity after the motion, float64."""
        turned = self._turn(motion, np.asarray(values, dtype=np.float64))
        return turned[motion.order] if self.per_atom and motion.order is not None else turned

    def _turn(self, motion: Motion, values: FloatArray) -> FloatArray:
        if self.kind is Kind.scalar:
            return values
        if self.kind is Kind.pseudoscalar:
            return values * motion.handedness
        if self.kind is Kind.tensor:
            return motion.matrix @ values @ motion.matrix.T
        if self.kind is Kind.spherical:
            return _turn_spherical(self.irreps, motion.matrix, values)
        turned: FloatArray = values @ motion.matrix.T
        if self.kind is Kind.pseudovector:
            return turned * motion.handedness
        return turned + motion.shift if self.kind is Kind.point else turned

    @property
    def sees_handedness(self) -> bool:
        """Whether the quantity tells left from right: a pseudoscalar, or a tensor that holds one (0o).

        Vectors and tensors of a mirror image are mirrored, which tells nothing; a pseudoscalar
        is not zero for chiral structures alone.
        """
        if self.kind is not Kind.spherical:
            return self.kind is Kind.pseudoscalar
        from eqcli.geometry.irreps import Irreps

        return any(ir.l == 0 and ir.p == -1 for _, ir in Irreps(self.irreps))


def law(name: str, *, per_atom: bool = False) -> Law:
    """The law of that name; what is not the name of a kind is taken as irreps. Raises ValueError for neither."""
    if name in Kind.__members__ and name != Kind.spherical:
        return Law(Kind(name), per_atom)
    from eqcli.geometry.irreps import Irreps

    return Law(Kind.spherical, per_atom, str(Irreps(name)))


OUTPUTS: dict[str, Law] = {
    "energy": Law(Kind.scalar),
    "forces": Law(Kind.vector, per_atom=True),
    "stress": Law(Kind.tensor),
}
"""What every potential may give, and its laws."""


def law_of(quantity: Quantity) -> Law:
    """The law of a property that a model declares."""
    return Law(Kind(quantity.kind), per_atom=quantity.per_atom)


def _turn_spherical(irreps: str, matrix: FloatArray, values: FloatArray) -> FloatArray:
    from eqcli.geometry.irreps import Irreps

    sign = float(np.sign(np.linalg.det(matrix)))
    parts = []
    start = 0
    for mul, ir in Irreps(irreps):
        block = values[..., start : start + mul * ir.dim].reshape(*values.shape[:-1], ir.dim, mul)
        turned = representation(matrix * sign, ir.l) @ block
        parts.append((turned * (ir.p if sign < 0 else 1)).reshape(*values.shape[:-1], -1))
        start += mul * ir.dim
    return np.concatenate(parts, axis=-1) if parts else values


def representation(rotation: FloatArray, degree: int) -> FloatArray:
    """D with Y(R v) = D Y(v) in the real basis, `[2l+1, 2l+1]`, fitted to the harmonics of many directions.

    The definition itself: nothing here is shared with the Wigner matrices that models use.
    """
    directions, inverse = _fit(degree)
    fitted: FloatArray = (inverse @ _harmonics(directions @ rotation.T, degree)).T
    return fitted


@cache
def _fit(degree: int) -> tuple[FloatArray, FloatArray]:
    """Fixed directions `[M, 3]` and the pseudo-inverse of their harmonics `[2l+1, M]`."""
    directions = np.random.default_rng(7).normal(size=(DIRECTIONS, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return directions, np.asarray(np.linalg.pinv(_harmonics(directions, degree)), dtype=np.float64)


def _harmonics(directions: FloatArray, degree: int) -> FloatArray:
    import torch

    from eqcli.geometry.spherical_harmonics import SphericalHarmonics

    module = SphericalHarmonics(degree).double()
    values: FloatArray = module(torch.from_numpy(np.ascontiguousarray(directions))).numpy()
    return values[:, degree**2 : (degree + 1) ** 2]
