"""Properties as structures carry them: where their labels stand, in which shape and unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from eqcli.errors import InputError, Where
from eqcli.models.potentials.heads import quantity
from eqcli.units import label_unit

if TYPE_CHECKING:
    from eqcli.io.structure import FloatArray, Structure
    from eqcli.models.potentials.configs.common import HeadConfig
    from eqcli.models.prediction import Quantity

TAILS: dict[str, tuple[int, ...]] = {"scalar": (), "vector": (3,), "tensor": (3, 3)}
"""Shape of one value, by kind."""

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
"""Components of a tensor that is given as six numbers."""

ASYMMETRY = 1e-2
"""Largest asymmetry of a tensor, relative to its largest component."""

REFERENCE = "REF_"
"""Stands before the name of a label in a file of predictions."""


@dataclass(frozen=True)
class Property:
    """A property that a model gives, and how its labels stand in structures.

    Labels of structures stand in `info`, labels of atoms in `arrays`, under the name that the head calls `entry`.
    """

    name: str
    config: HeadConfig

    @property
    def entry(self) -> str:
        """Name of the label in the data."""
        return self.config.entry or self.name

    @property
    def quantity(self) -> Quantity:
        """Unit and law of the predictions, and of labels once they are converted."""
        return quantity(self.config)

    @property
    def unit(self) -> str:
        """Unit of the predictions; empty where none was stated."""
        return self.quantity.unit

    @property
    def per_atom(self) -> bool:
        """Whether there is a value for each atom."""
        return self.quantity.per_atom

    @property
    def tail(self) -> tuple[int, ...]:
        """Shape of the value of one atom or structure."""
        return TAILS[self.quantity.kind]

    @property
    def extensive(self) -> bool:
        """Whether it grows with the number of atoms, so that it is learnt per atom."""
        return self.config.kind in ("scalar", "tensor") and self.config.reduce == "sum"

    def shape(self, atoms: int) -> tuple[int, ...]:
        """Shape of the values of a structure of so many atoms."""
        return (atoms, *self.tail) if self.per_atom else self.tail

    def defined(self, structure: Structure) -> bool:
        """Whether the structure can have this property: a dipole needs a structure without periods."""
        return not (self.quantity.molecular and bool(structure.pbc.any()))

    def stated(self, structure: Structure) -> bool:
        """Whether the structure has a label, of whatever form."""
        return any(self._raw(structure, name) is not None for name in self._names())

    def label(self, structure: Structure, *, reference: bool = False) -> FloatArray | None:
        """The label in the unit of the predictions, float64; None without one, and where it is not defined.

        A tensor may be nine numbers, row after row, or six: xx yy zz yz xz xy. With `reference` an entry
        `REF_<entry>` goes before, which is where a file of predictions keeps the labels.

        Raises
        ------
        InputError
            The label has another shape, is no number or not finite; names file, frame and key.
        """
        for name in self._names(reference=reference):
            raw = self._raw(structure, name)
            if raw is not None:
                return self._converted(raw, structure, name) if self.defined(structure) else None
        return None

    def predicted(self, structure: Structure) -> FloatArray | None:
        """What a prediction wrote into a structure, `shape(len(structure))`."""
        raw = (structure.arrays if self.per_atom else structure.info).get(self.name)
        return None if raw is None else np.asarray(raw, dtype=np.float64).reshape(self.shape(len(structure)))

    def __str__(self) -> str:
        """Kind, unit and where its labels are from, in words."""
        parts = [self.config.kind, f"in {self.unit}" if self.unit else ""]
        if self.entry != self.name or self.config.unit not in ("", self.unit):
            parts.append(f"(labels '{self.entry}'" + (f" in {self.config.unit})" if self.config.unit else ")"))
        return " ".join(part for part in parts if part)

    def put(self, value: FloatArray, structure: Structure) -> None:
        """Writes a prediction into a structure; a label under its name goes to `REF_<name>`, if there is none yet.

        Tensors are written as nine numbers. Nothing is written where the property is not defined.
        """
        for name in (self.name, *self._aliases):
            for home in (structure.info, structure.arrays):
                if name in home:
                    home.setdefault(REFERENCE + self.name, home.pop(name))
        if not self.defined(structure):
            return
        if self.per_atom:
            structure.arrays[self.name] = np.asarray(value, dtype=np.float64)
        else:
            flat = np.asarray(value, dtype=np.float64).ravel().tolist()
            structure.info[self.name] = flat if self.tail else flat[0]

    @property
    def _aliases(self) -> tuple[str, ...]:
        """Further names of the label: ASE writes its `charges` into a column `charge`."""
        return ("charge",) if self.config.kind == "charges" and self.entry == "charges" else ()

    def _names(self, *, reference: bool = False) -> list[str]:
        """Names that a label may have, the first that is there goes."""
        names = [self.entry, *self._aliases]
        return [*(REFERENCE + name for name in names), *names] if reference else names

    def _raw(self, structure: Structure, name: str) -> Any:
        # Formats without types put a list of as many numbers as atoms to the info, and 3 x 3 numbers to three atoms.
        homes: list[Mapping[str, Any]] = [structure.info, structure.arrays]
        for home in reversed(homes) if self.per_atom else homes:
            if home.get(name) is not None:
                return home[name]
        return None

    def _converted(self, raw: Any, structure: Structure, name: str) -> FloatArray:
        where = Where(structure.where.file, structure.where.frame, structure.where.line, name)
        values = _numbers(raw, name, where)
        shape = self.shape(len(structure))
        if self.tail == (3, 3) and values.size == 6 * (len(structure) if self.per_atom else 1):
            values = _from_six(values)
        flat = tuple(n for n in values.shape if n != 1)
        if flat not in (tuple(n for n in shape if n != 1), (int(np.prod(shape)),)):
            found = " x ".join(str(n) for n in values.shape) if values.ndim else "one number"
            expected = " x ".join(str(n) for n in shape) if shape else "one number"
            raise InputError(
                f"'{name}' is {found}; the {self.config.kind} '{self.name}' is {expected}",
                where,
                f"See model.heads.{self.name}.kind and .entry.",
            )
        values = values.reshape(shape) * label_unit(self.config.unit)[1]
        return _symmetric(values, name, where) if self.tail == (3, 3) else values


def properties_of(config: Any) -> tuple[Property, ...]:
    """The properties that a model of this configuration gives beside energy, forces and stress."""
    return tuple(Property(name, head) for name, head in getattr(config, "heads", {}).items())


def gives_energy(config: Any) -> bool:
    """Whether a model of this configuration has an energy, or properties alone."""
    return bool(getattr(config, "energy", True))


def _numbers(raw: Any, name: str, where: Where) -> FloatArray:
    """Numbers of an entry, those in a text among them. Raises InputError for anything else."""
    if isinstance(raw, str):
        raw = raw.translate(str.maketrans(",;[]()", "      ")).split()
        raw = raw[0] if len(raw) == 1 else raw
    try:
        if np.asarray(raw).dtype.kind == "b":
            raise TypeError
        values = np.asarray(raw, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"'{name}' is not a number: {str(raw)[:40]!r}", where) from error
    if not values.size:
        raise InputError(f"'{name}' is empty", where, "Leave an absent label out.")
    if not np.isfinite(values).all():
        raise InputError(f"'{name}' holds NaN or infinity, which is no value", where, "Leave an absent label out.")
    return values


def _from_six(values: FloatArray) -> FloatArray:
    """`[..., 3, 3]` of xx yy zz yz xz xy."""
    rows = values.reshape(-1, 6)
    full = np.empty((len(rows), 3, 3))
    for column, (i, j) in enumerate(VOIGT):
        full[:, i, j] = full[:, j, i] = rows[:, column]
    return full if len(rows) > 1 else full[0]


def _symmetric(values: FloatArray, name: str, where: Where) -> FloatArray:
    turned = values.swapaxes(-1, -2)
    if np.abs(values - turned).max() > ASYMMETRY * np.abs(values).max():
        raise InputError(f"'{name}' is not symmetric", where, "Nine numbers are read row after row, as 3 x 3.")
    return np.asarray(0.5 * (values + turned))
