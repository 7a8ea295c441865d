"""Options of an evaluation of molecules that must fit together, and what the report records of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

import numpy as np
from numpy.typing import ArrayLike

from eqcli.errors import InputError
from eqcli.metrics.statistics import Interval, mean_of_known_interval
from eqcli.progress import Reporter
from eqcli.tasks.evaluate_molecules_input import WAYS
from eqcli.tasks.evaluate_molecules_result import GENERATED, OWN, Figure

ValenceName = Literal["published", "sulphur-246", "charged"]
STRAIN_LIMIT: Final = 500
"""Molecules of each set whose strain is measured."""
POSEBUSTERS_LIMIT: Final = 200
"""Generated molecules that PoseBusters checks, where not stated."""
XTB_LIMIT: Final = 100
"""Molecules of each set that GFN2-xTB computes."""
MOST_REFERENCE: Final = 3000
"""Molecules of the reference that are measured; a sample where it has more."""
SLOW, SLOW_FACTOR = 100.0, 6.0
"""What takes so many milliseconds for a molecule, PoseBusters and GFN2-xTB, may take so many times as long."""
WORTH_PROCESSES: Final = 4.0
"""Seconds of work below which starting processes takes longer than it saves."""


@dataclass(frozen=True)
class Scoring:
    """How molecules are measured; the same for the generated ones, the baselines and the reference.

    Attributes
    ----------
    valences
        The table, or None: that of the bonds.
    posebusters, xtb
        How many generated molecules PoseBusters and GFN2-xTB get; 0 for none.
    """

    valences: ValenceName | None
    posebusters: int
    xtb: int
    workers: int | None
    timeout: float | None
    bootstrap: int
    seed: int
    report: Reporter

    def table(self, bonds: str) -> ValenceName:
        """The table of valences that goes with a way of taking bonds."""
        return self.valences or ("charged" if bonds == OWN else "published")

    def options(self, items: int, milliseconds: float = 2.0) -> dict[str, Any]:
        """Workers, limit of time and reporter for items that take so long each."""
        few = self.workers is None and items * milliseconds / 1000 < WORTH_PROCESSES
        slow = SLOW_FACTOR if milliseconds >= SLOW else 1.0
        timeout = None if self.timeout is None else slow * self.timeout
        return {"workers": 1 if few else self.workers, "timeout": timeout, "report": self.report}

    def checked(self, name: str) -> int:
        """How many molecules of a set PoseBusters checks; a quarter as many of those that are only compared with."""
        return self.posebusters if name == GENERATED else -(-self.posebusters // 4)

    def mean(self, values: ArrayLike) -> Figure:
        """The mean over molecules that have a value; NaN marks the others."""
        numbers = np.asarray(values, dtype=np.float64)
        found = mean_of_known_interval(numbers, resamples=self.bootstrap, seed=self.seed)
        return plain_figure(found, int(np.isfinite(numbers).sum()))


def plain_figure(found: Interval | float | None, n: int | None) -> Figure:
    """A figure of an interval, or of a value that has none."""
    if found is None:
        return Figure(None, n=n)
    interval = found if isinstance(found, Interval) else Interval(found, float("nan"), float("nan"))
    value, low, high = (float(number) if np.isfinite(number) else None for number in interval)
    return Figure(value, low, high, n)


def valence_table(name: str | None) -> ValenceName | None:
    """The table of that name. Raises InputError where there is none."""
    from eqcli.metrics.molecules.valence import VALENCES

    if name is not None and name not in VALENCES:
        raise InputError(f"unknown valences '{name}'", hint=f"Use {', '.join(VALENCES)}.")
    return cast("ValenceName | None", name)


def refuse_contradictions(
    bonds: str | None, posebusters: bool, posebusters_limit: int | None, limit: int | None
) -> None:
    if bonds is not None and bonds not in WAYS:
        raise InputError(f"unknown bonds '{bonds}'", hint=f"Use {', '.join(WAYS)}.")
    if posebusters_limit is not None and not posebusters:
        raise InputError("--no-posebusters and --posebusters-limit exclude each other")
    if any(number is not None and number < 1 for number in (posebusters_limit, limit)):
        raise InputError("a limit is at least 1")


def posebusters_count(wanted: bool, limit: int | None, warnings: list[str]) -> int:
    """How many molecules of each set PoseBusters checks; none, with a warning, where it is not installed."""
    from eqcli.errors import MissingDependency
    from eqcli.metrics.molecules.checks import require_posebusters

    if not wanted:
        return 0
    try:
        require_posebusters()
    except MissingDependency as missing:
        warnings.append(f"the checks of PoseBusters were left out: it is not installed (`{missing.hint}`)")
        return 0
    return limit or POSEBUSTERS_LIMIT


def settings_of(scoring: Scoring, ways: Sequence[str]) -> dict[str, Any]:
    """Tables, limits, seeds and versions that the figures depend on."""
    from eqcli.metrics.molecules.checks import versions

    return {
        "valences": {way: scoring.table(way) for way in ways},
        "strain_limit": STRAIN_LIMIT,
        "posebusters_limit": scoring.posebusters,
        "xtb_limit": scoring.xtb,
        "timeout": scoring.timeout,
        "bootstrap": scoring.bootstrap,
        "seed": scoring.seed,
        "versions": versions(),
    }
