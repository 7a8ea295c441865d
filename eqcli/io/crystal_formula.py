"""Formulas of crystals as people write them: reduced, electropositive elements first."""

from __future__ import annotations

from math import gcd

import numpy as np
from numpy.typing import NDArray

from eqcli.elements import SYMBOLS

_PERIODS = (1, 3, 11, 19, 37, 55, 87, 119)
"""Atomic number with which each period begins, and the first past the table."""

_HYDROGEN = 15.5
"""The place of hydrogen among the groups: after nitrogen's, before oxygen's."""


def reduced_formula(numbers: NDArray[np.int64]) -> str:
    """The reduced formula of atoms, e.g. `CaTiO3`, `NaCl`, `C`, with elements in the order of IUPAC.

    Source: Nomenclature of Inorganic Chemistry, IUPAC Recommendations 2005, table VI.
    """
    elements, counts = np.unique(numbers, return_counts=True)
    factor = gcd(*counts.tolist())
    order = sorted(zip(elements.tolist(), counts.tolist(), strict=True), key=lambda pair: _place(pair[0]))
    return "".join(f"{SYMBOLS[z]}{n // factor if n > factor else ''}" for z, n in order)


def _place(z: int) -> tuple[float, float]:
    """Sorts from electropositive to electronegative: by group, noble gases first, in a group from the bottom up."""
    if z == 1:
        return _HYDROGEN, 0
    start = max(first for first in _PERIODS if first <= z)
    end = min(first for first in _PERIODS if first > z)
    # Groups 3 to 17 are counted from the end of the period, 1 and 2 from its start; all f elements stand in group 3.
    after, before = z - start, end - z
    if before == 1:
        return 0, -z
    if after < 2:
        return after + 1, -z
    return max(3, 19 - before), -z
