"""What an audit found."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

from eqcli.audit.tolerances import TOLERANCES, Tolerance
from eqcli.errors import Failure
from eqcli.io.structure import Structure


@dataclass
class Check:
    """One property, measured.

    Attributes
    ----------
    key
        Name in the table of tolerances.
    value
        The worst figure, judged against the limit; NaN fails.
    found
        One sentence on what was measured.
    precision
        Arithmetic it was measured in.
    figures
        Further figures, JSON-able.
    distribution
        The figure of every operation, displacement or path that was tried.
    curves
        Named series for plots, JSON-able.
    nonfinite
        Places where the model gave NaN or infinity during the check; any fails it.
    error
        What the model raised, when the check could not be carried out.
    limit
        In place of that of the table, for functions that are no potentials.
    """

    key: str
    value: float
    found: str
    precision: str = "float64"
    figures: dict[str, Any] = field(default_factory=dict)
    distribution: list[float] = field(default_factory=list)
    curves: dict[str, Any] = field(default_factory=dict)
    nonfinite: list[str] = field(default_factory=list)
    error: str | None = None
    limit: float | None = None

    @property
    def tolerance(self) -> Tolerance:
        listed = TOLERANCES[self.key]
        return listed if self.limit is None else replace(listed, limit=self.limit)

    @property
    def passed(self) -> bool:
        within = math.isfinite(self.value) and self.value <= self.tolerance.limit
        return within and not self.nonfinite and self.error is None

    @property
    def status(self) -> str:
        """`pass`; `fail` for a claimed property that does not hold; `note` for a finding."""
        if self.passed:
            return "pass"
        return "fail" if self.tolerance.claimed else "note"

    def as_dict(self) -> dict[str, Any]:
        limit = self.tolerance
        return {
            "key": self.key,
            "title": limit.title,
            "group": limit.group,
            "status": self.status,
            "passed": self.passed,
            "claimed": limit.claimed,
            "value": self.value if math.isfinite(self.value) else None,
            "limit": limit.limit,
            "unit": limit.unit,
            "precision": self.precision,
            "found": self.found,
            "meaning": limit.meaning,
            "figures": self.figures,
            "distribution": self.distribution,
            "curves": self.curves,
            "nonfinite": self.nonfinite,
            "error": self.error,
        }


@dataclass
class AuditReport:
    """All checks of one model.

    Attributes
    ----------
    checks
        In the order they were made.
    structures
        Names of the structures the checks were made on.
    failures
        Structures that could not be audited.
    seed
        Seed of every random operation.
    precision
        Precision the model runs in.
    groups
        The groups of checks that were asked for.
    worst_rotations
        Axis, angle, structure, atom and error of the rotations with the largest errors, as run.
    worst_frames
        These rotations as pairs of structures, original and rotated, with predicted and expected forces.
    note
        What the structures are, where they are not data, and what else should be known.
    skipped
        First check of each stage that was not made, and why.
    slack
        Relative error that counts as arithmetic, for models of other packages.
    """

    checks: list[Check]
    structures: list[str]
    seed: int
    precision: str
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0
    groups: list[str] = field(default_factory=list)
    worst_rotations: list[dict[str, Any]] = field(default_factory=list)
    worst_frames: list[Structure] = field(default_factory=list)
    note: str = ""
    skipped: dict[str, str] = field(default_factory=dict)
    slack: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether every claimed property holds; findings do not count."""
        return not self.failed

    @property
    def failed(self) -> list[Check]:
        return [check for check in self.checks if check.status == "fail"]

    @property
    def findings(self) -> list[Check]:
        return [check for check in self.checks if check.status == "note"]

    def check(self, key: str) -> Check | None:
        """The check of that key, if it was made."""
        return next((check for check in self.checks if check.key == key), None)

    def as_dict(self) -> dict[str, Any]:
        return {
            "passed": self.passed,
            "failed": [check.key for check in self.failed],
            "findings": [check.key for check in self.findings],
            "checks": [check.as_dict() for check in self.checks],
            "structures": self.structures,
            "seed": self.seed,
            "precision": self.precision,
            "failures": [failure.as_dict() for failure in self.failures],
            "seconds": self.seconds,
            "groups": self.groups,
            "note": self.note,
            "skipped": [
                {"key": key, "title": TOLERANCES[key].title, "reason": reason} for key, reason in self.skipped.items()
            ],
            "slack": self.slack,
            "worst_rotations": self.worst_rotations,
        }
