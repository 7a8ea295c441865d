"""Compositions and volumes of crystals, and which releases of the libraries measure."""

from __future__ import annotations

from collections import Counter
from functools import reduce
from math import gcd
from typing import TYPE_CHECKING

from eqcli.elements import SYMBOLS
from eqcli.io.pymatgen_bridge import HINT as HINT
from eqcli.io.pymatgen_bridge import LARGEST_COORDINATE as LARGEST_COORDINATE
from eqcli.io.pymatgen_bridge import SMALLEST_VOLUME as SMALLEST_VOLUME
from eqcli.io.pymatgen_bridge import fault_of as fault_of
from eqcli.io.pymatgen_bridge import require_pymatgen as require_pymatgen
from eqcli.io.pymatgen_bridge import to_pymatgen as to_pymatgen
from eqcli.io.structure import Structure
from eqcli.metrics.releases import releases

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Composition = tuple[tuple[int, int], ...]
"""Atomic numbers and their least whole counts, in the order of the numbers."""


def versions() -> dict[str, str | None]:
    """Releases of the libraries on which figures of crystals depend; None for one that is not installed."""
    return releases(("pymatgen", "spglib", "smact", "numpy", "scipy"))


def composition_of(numbers: NDArray[np.int64]) -> Composition:
    """The reduced composition: `((11, 1), (17, 1))` for any number of formula units of NaCl."""
    counts = Counter(int(number) for number in numbers)
    units = reduce(gcd, counts.values(), 0) or 1
    return tuple((number, counts[number] // units) for number in sorted(counts))


def formula_of(composition: Composition) -> str:
    """The reduced formula, elements in the order of their numbers, e.g. `O3CaTi`."""
    return "".join(
        f"{SYMBOLS[number] if 0 < number < len(SYMBOLS) else 'X'}{count if count > 1 else ''}"
        for number, count in composition
    )


def volume_per_atom(structure: Structure) -> float:
    """Å^3 per atom."""
    return structure.volume / len(structure)


def volume_error(structure: Structure, reference: Structure) -> float:
    """|V / V_ref - 1| of the volumes per atom."""
    return abs(volume_per_atom(structure) / volume_per_atom(reference) - 1)
