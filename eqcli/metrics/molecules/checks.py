"""PoseBusters' checks of single molecules (Buttenschoen, Morris, Deane, Chem. Sci. 15, 3130 (2024)), as they are.

They need bonds: a molecule from a model without bonds is given perceived ones first. The check `internal_energy`
divides a UFF energy by the mean of relaxed conformers, which is zero where UFF has no strain: methane, water, ammonia,
formaldehyde and hydrogen cyanide fail it for no fault of theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from eqcli.errors import InputError
from eqcli.io.rdkit_molecule import molecule_of, sanitised
from eqcli.io.structure import Structure
from eqcli.metrics.posebusters import Checks as Checks
from eqcli.metrics.posebusters import posebusters, quiet_posebusters, verdict
from eqcli.metrics.posebusters import require_posebusters as require_posebusters
from eqcli.metrics.releases import releases
from eqcli.metrics.work import Outcome, measure
from eqcli.progress import Reporter

LIBRARIES = ("rdkit", "posebusters", "tblite", "ase", "numpy", "scipy")


def versions() -> dict[str, str | None]:
    """Releases of the libraries on which figures of molecules depend; None for one that is not installed."""
    return releases(LIBRARIES)


def checks_of(structure: Structure) -> Checks:
    """The checks of a molecule with the bonds of `info["bonds"]`; one that RDKit refuses is checked as it stands.

    Raises
    ------
    MissingDependency
        posebusters is not installed.
    InputError
        There are no bonds or no atoms, or they are not bonds of these atoms.
    """
    require_posebusters()
    if len(structure) == 0:
        raise InputError("it has no atoms", structure.where)
    molecule = molecule_of(structure)
    with suppress(InputError):
        # Radicals are known only of a sanitised molecule.
        molecule = sanitised(molecule)
    busters = posebusters("mol")
    with quiet_posebusters():
        row = busters.bust([molecule]).iloc[0].to_dict()
    return Checks({str(name): verdict(value) for name, value in row.items()})


def checks(
    structures: Sequence[Structure],
    *,
    workers: int | None = None,
    timeout: float | None = 60.0,
    report: Reporter | None = None,
) -> list[Outcome[Checks]]:
    """`checks_of` each structure, or why there are none; raises nothing but MissingDependency."""
    require_posebusters()
    return measure(checks_of, structures, workers=workers, timeout=timeout, label="PoseBusters", report=report)
