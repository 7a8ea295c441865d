"""Bonds from distances alone, by the published table of EDM (Hoogeboom et al., ICML 2022).

Two atoms have a single bond where they are nearer than the pair's single bond length + 10 pm; it is a double bond
where they are also nearer than the double bond length + 5 pm, and then a triple bond where they are also nearer than
the triple bond length + 3 pm. The margins were chosen so that QM9 comes out as stable as possible.

The rule is the field's, so figures by it can be compared with published ones. It has known faults:

- A pair without an entry (B-C, P-I, most metals) never has a bond, and nothing says so.
- There are no aromatic bonds: a benzene ring is single and double only as far as its lengths alternate, and a carbon
  of a strained or conjugated ring is often counted with three or five bonds. Real molecules do not all pass.
- There are no formal charges: zwitterions, nitro groups and salts cannot be right.
- Sulphur of the published valences has four bonds; thiols, sulphides and sulphones count as unstable.
- It has no lower limit: atoms on top of each other have the bond of highest order.
- Validity keeps the largest fragment only: loose pieces count as valid, so "connected" belongs beside it.
- An atom with too few bonds is sanitised by hydrogens that are not there.

For GEOM the published code makes every bond of the rule single before it asks whether a molecule is valid; that is
not done here.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from eqcli.elements import NUMBERS, SYMBOLS

MARGINS: Final[tuple[float, float, float]] = (10, 5, 3)
"""pm beyond the length of a single, a double and a triple bond."""

SINGLE: Final[dict[str, dict[str, float]]] = {
    "H": {"H": 74, "B": 119, "C": 109, "N": 101, "O": 96, "F": 92, "Si": 148, "P": 144, "S": 134, "Cl": 127,
          "As": 152, "Br": 141, "I": 161},
    "B": {"Cl": 175},
    "C": {"C": 154, "N": 147, "O": 143, "F": 135, "Si": 185, "P": 184, "S": 182, "Cl": 177, "Br": 194, "I": 214},
    "N": {"N": 145, "O": 140, "F": 136, "P": 177, "S": 168, "Cl": 175, "Br": 214, "I": 222},
    "O": {"O": 148, "F": 142, "Si": 163, "P": 163, "S": 151, "Cl": 164, "Br": 172, "I": 194},
    "F": {"F": 142, "Si": 160, "P": 156, "S": 158, "Cl": 166, "Br": 178, "I": 187},
    "Si": {"Si": 233, "S": 200, "Cl": 202, "Br": 215, "I": 243},
    "P": {"P": 221, "S": 210, "Cl": 203, "Br": 222},
    "S": {"S": 204, "Cl": 207, "Br": 225, "I": 234},
    "Cl": {"Cl": 199, "Br": 214},
    "Br": {"Br": 228},
    "I": {"I": 266},
}  # fmt: skip
"""Lengths of single bonds in pm; each pair is written once."""

DOUBLE: Final[dict[str, dict[str, float]]] = {
    "C": {"C": 134, "N": 129, "O": 120, "S": 160},
    "N": {"N": 125, "O": 121},
    "O": {"O": 121, "P": 150},
    "P": {"S": 186},
}
"""Lengths of double bonds in pm."""

TRIPLE: Final[dict[str, dict[str, float]]] = {"C": {"C": 120, "N": 116, "O": 113}, "N": {"N": 110}}
"""Lengths of triple bonds in pm."""


def bonds_by_rule(numbers: NDArray[np.int64], positions: NDArray[np.float64]) -> list[tuple[int, int, int]]:
    """Bonds `(i, j, order)` with i < j and order 1, 2 or 3, sorted by atoms.

    Parameters
    ----------
    numbers
        Atomic numbers, `[N]`.
    positions
        Å, `[N, 3]`; an atom whose position is not finite has no bonds.
    """
    first, second = np.triu_indices(len(numbers), k=1)
    apart = positions[first] - positions[second]
    with np.errstate(invalid="ignore", over="ignore"):
        distances = 100 * np.sqrt((apart * apart).sum(axis=1))  # [pairs], pm
    near = distances[:, None] < _limits()[numbers[first], numbers[second]]  # [pairs, 3]
    # A longer bond than a single one is none at all, so each order needs the ones below it.
    orders = np.logical_and.accumulate(near, axis=1).sum(axis=1)
    found = np.flatnonzero(orders)
    return list(zip(first[found].tolist(), second[found].tolist(), orders[found].tolist(), strict=True))


@cache
def _limits() -> NDArray[np.float64]:
    """Distances in pm below which two elements have a bond of order 1, 2, 3, `[Z, Z, 3]`; -1 where none."""
    limits = np.full((len(SYMBOLS), len(SYMBOLS), 3), -1.0)
    for order, (lengths, margin) in enumerate(zip((SINGLE, DOUBLE, TRIPLE), MARGINS, strict=True)):
        for one, others in lengths.items():
            for other, length in others.items():
                pair = NUMBERS[one], NUMBERS[other]
                limits[(*pair, order)] = limits[(*pair[::-1], order)] = length + margin
    return limits
