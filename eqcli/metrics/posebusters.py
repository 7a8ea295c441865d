"""PoseBusters (Buttenschoen, Morris, Deane, Chem. Sci. 15, 3130 (2024)): what its checks of molecules and of docked
poses share."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

from eqcli.errors import MissingDependency


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


def require_posebusters(extra: str = "molecules") -> None:
    """Raises MissingDependency, which names the `extra` that brings it, where posebusters is not installed."""
    if find_spec("posebusters") is None:
        message = "these checks need posebusters, which is not installed"
        raise MissingDependency(message, hint=f"pip install 'eqcli[{extra}]'")


def verdict(value: Any) -> bool | None:
    """True and False of any library; what PoseBusters leaves out is NaN or NA."""
    import pandas as pd

    return None if pd.isna(value) else bool(value)


@contextmanager
def quiet_posebusters() -> Iterator[None]:
    """PoseBusters sends RDKit's messages to a logger of Python's, and turns on again what was blocked."""
    from rdkit import rdBase

    logger = logging.getLogger("rdkit")
    before = logger.disabled
    logger.disabled = True
    try:
        with rdBase.BlockLogs():
            yield
    finally:
        logger.disabled = before


@cache
def posebusters(config: str) -> Any:
    """One of each kind (`mol`, `dock`, `redock`) per process: reading its settings takes longer than some molecules."""
    from posebusters import PoseBusters

    # Every invalid molecule would be a warning; the result says it.
    logging.getLogger("posebusters").setLevel(logging.ERROR)
    found = PoseBusters(config=config)
    for module in found.config["modules"]:
        if module["function"] == "energy_ratio":
            # By default it takes all cores, and there is a process on each already.
            module["parameters"]["num_threads"] = 1
    return found
