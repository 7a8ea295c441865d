"""GEOM, conformers of drug-like molecules and of QM9: what its records say, in whichever file they are.

Every conformer is a structure with the `smiles` of its molecule, its number among the molecule's (`conformer`) and
GEOM's entries under their names. Energies are of GFN2-xTB: `totalenergy` in Hartree, the energy of the conformer;
`relativeenergy` in kcal/mol above the lowest. Conformers are in the order of the file, which need not be that of
their energies.

Source: Axelrod and Gomez-Bombarelli, Sci. Data 9, 185 (2022).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from eqcli.elements import NUMBERS
from eqcli.io.frame import plain
from eqcli.io.layout import Layout

LAYOUT: Final = Layout(
    "GEOM",
    energy="totalenergy",
    units={"totalenergy": "Hartree", "lowestenergy": "Hartree", "relativeenergy": "kcal/mol"},
    length_unit="Angstrom",
)
ATOMS = ("xyz", "rd_mol", "conformers")
"""Entries that are the atoms themselves."""


def entries(smiles: str, molecule: dict[Any, Any], conformer: dict[Any, Any], number: int) -> dict[str, Any]:
    """The entries of one conformer: those of its molecule, and its own."""
    both = {**molecule, **conformer}
    kept = {str(key): plain(value) for key, value in both.items() if key not in (*ATOMS, "charge", "smiles")}
    return {"smiles": smiles, "conformer": number, **kept}


def charge(molecule: dict[Any, Any]) -> float | None:
    """The charge of a molecule, where its record states one."""
    stated = molecule.get("charge")
    return float(stated) if isinstance(stated, int | float) and not isinstance(stated, bool) else None


def atomic_numbers(values: NDArray[Any]) -> NDArray[np.int64]:
    """Atomic numbers that are kept as floats. Raises ValueError where one is none."""
    if not ((values > 0) & (values < len(NUMBERS)) & (values == np.rint(values))).all():
        wrong = next(v for v in values.tolist() if not (0 < v < len(NUMBERS) and v == round(v)))
        raise ValueError(f"{wrong:g} is no atomic number")
    return values.astype(np.int64)
