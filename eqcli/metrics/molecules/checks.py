"""PoseBusters' checks of single molecules (Buttenschoen, Morris, Deane, Chem. Sci. 15, 3130 (2024)), as they are.

They need bonds: a molecule from a model without bonds is given perceived ones first. The check `internal_energy`
divides a UFF energy by the mean of relaxed conformers, which is zero where UFF has no strain: methane, water, ammonia,
formaldehyde and hydrogen cyanide fail it for no fault of theirs.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from eqcli.errors import InputError, MissingDependency
from eqcli.io.rdkit_molecule import molecule_of, sanitised
from eqcli.io.structure import Structure
from eqcli.metrics.work import Outcome, measure
from eqcli.progress import Reporter

LIBRARIES = ("rdkit", "posebusters", "tblite", "ase", "numpy", "scipy")


@dataclass(frozen=True)
class Checks:
    """What PoseBusters says about one molecule.

    Attributes
    ----------
    results
        Whether each check is passed, by PoseBusters' names; None where it could not be made, as most of an invalid
        molecule.
    """

    results: dict[str, bool | None]

    @property
    def passes(self) -> bool:
        """Whether all checks were made and passed."""
        return all(self.results.values())

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the checks that are not passed, those among them that could not be made."""
        return tuple(name for name, passed in self.results.items() if not passed)


def require_posebusters() -> None:
    """Raises MissingDependency where posebusters is not installed."""
    if find_spec("posebusters") is None:
        message = "these checks need posebusters, which is not installed"
        raise MissingDependency(message, hint="pip install 'eqcli[molecules]'")


def versions() -> dict[str, str | None]:
    """Releases of the libraries on which figures of molecules depend; None for one that is not installed."""
    found: dict[str, str | None] = dict.fromkeys(LIBRARIES)
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


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
    from rdkit import rdBase

    molecule = molecule_of(structure)
    with suppress(InputError):
        # Radicals are known only of a sanitised molecule.
        molecule = sanitised(molecule)
    busters = _posebusters()
    with rdBase.BlockLogs(), _silent_logger():
        row = busters.bust([molecule]).iloc[0].to_dict()
    return Checks({str(name): _verdict(value) for name, value in row.items()})


@contextmanager
def _silent_logger() -> Iterator[None]:
    """PoseBusters sends RDKit's messages to a logger of Python's, and turns on again what was blocked."""
    logger = logging.getLogger("rdkit")
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before


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


def _verdict(value: Any) -> bool | None:
    """True and False of any library; what PoseBusters leaves out is NaN or NA."""
    import pandas as pd

    return None if pd.isna(value) else bool(value)


@cache
def _posebusters() -> Any:
    """One per process: reading its settings takes longer than some molecules."""
    import logging

    from posebusters import PoseBusters

    # Every invalid molecule would be a warning; the result says it.
    logging.getLogger("posebusters").setLevel(logging.ERROR)
    buster = PoseBusters(config="mol")
    for module in buster.config["modules"]:
        if module["function"] == "energy_ratio":
            # By default it takes all cores, and there is a process on each already.
            module["parameters"]["num_threads"] = 1
    return buster
