"""Numbers of the elements that compositions are compared by."""

from __future__ import annotations

import math
import re
import warnings
from functools import lru_cache
from typing import Any, Final

import numpy as np

from eqcli.elements import COVALENT_RADII
from eqcli.errors import MissingDependency
from eqcli.io.structure import FloatArray

HEAVIEST: Final = 103
"""Lawrencium; what follows has hardly a measured property and stands in no crystal."""

SHELLS: Final = {"s": 2, "p": 6, "d": 10, "f": 14}

PROPERTIES: Final = (
    "atomic number", "Mendeleev number", "atomic mass", "melting point", "column", "row", "covalent radius",
    "electronegativity", "s electrons", "p electrons", "d electrons", "f electrons", "valence electrons",
    "s holes", "p holes", "d holes", "f holes", "holes", "volume per atom",
)  # fmt: skip
"""Columns of :func:`element_table`; electrons are those outside the core of the noble gas before."""


@lru_cache(maxsize=1)
def element_table() -> FloatArray:
    """Properties of the elements, `[119, 19]`, rows by atomic number; what is unknown is the mean of the known.

    Raises
    ------
    MissingDependency
        pymatgen, whose table this is, is not installed.
    """
    try:
        from pymatgen.core.periodic_table import Element
    except ModuleNotFoundError as error:
        raise MissingDependency(
            "the properties of the elements come from pymatgen, which is not installed",
            hint="Install it: pip install 'eqcli[crystals]'.",
        ) from error
    table = np.full((119, len(PROPERTIES)), np.nan)
    with warnings.catch_warnings():
        # pymatgen warns of every property that it does not know.
        warnings.simplefilter("ignore")
        for z in range(1, HEAVIEST + 1):
            table[z] = _row(Element.from_Z(z))
    means = np.nanmean(table, axis=0)
    return np.where(np.isnan(table), means, table)


def mendeleev_numbers() -> FloatArray:
    """Pettifor's chemical scale by atomic number, `[119]`: like elements are near each other."""
    return element_table()[:, PROPERTIES.index("Mendeleev number")]


def _row(element: Any) -> list[float]:
    electrons, holes = _shells(element)
    volume = _number(element, "molar_volume") / 0.602214076
    return [
        float(element.Z),
        _number(element, "mendeleev_no"),
        float(element.atomic_mass),
        _number(element, "melting_point"),
        float(element.group),
        float(element.row),
        COVALENT_RADII[element.Z],
        _number(element, "X"),
        *electrons,
        sum(electrons),
        *holes,
        sum(holes),
        volume,
    ]


def _number(element: Any, name: str) -> float:
    """A property as a number, NaN where pymatgen has none."""
    try:
        value = getattr(element, name)
        return math.nan if value is None else float(value)
    except (TypeError, ValueError, AttributeError):
        return math.nan


def _shells(element: Any) -> tuple[list[float], list[float]]:
    """Electrons outside the core, and holes of the shells that are begun, in s, p, d and f."""
    held = dict.fromkeys(SHELLS, 0)
    for shell, count in re.findall(r"\.?\d([spdf])(\d+)", str(element.electronic_structure)):
        held[shell] += int(count)
    electrons = [float(held[shell]) for shell in SHELLS]
    return electrons, [float((size - held[shell]) % size) if held[shell] else 0.0 for shell, size in SHELLS.items()]
