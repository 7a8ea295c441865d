"""What the registration of two clouds ended with, and its files."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from eqcli.tasks.register_evidence import evidence_facts, evidence_rows
from eqcli.tasks.register_verdict import Verdict
from eqcli.tasks.register_words import (
    NONE_RELIABLE,
    deviation_facts,
    deviation_rows,
    motion_facts,
    motion_rows,
    seconds_row,
)

if TYPE_CHECKING:
    from eqcli.engine.registration import Registered
    from eqcli.io.point_cloud import PointCloud
    from eqcli.tasks.register_request import RegisterRequest


@dataclass
class CloudResult(Verdict):
    """What the registration of two clouds ended with.

    Attributes
    ----------
    registered
        The motion and what speaks for it.
    source, target
        The clouds as they were read, in the unit of the target.
    request
        What was asked.
    notes
        What reading them said.
    seconds
        By stage.
    files
        What was written, by kind.
    """

    registered: Registered
    source: PointCloud
    target: PointCloud
    request: RegisterRequest
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the motion is not believed."""
        return self.registered.evidence.reasons

    @property
    def units(self) -> str | None:
        """The unit of all lengths, where it is known."""
        return self.target.units or self.source.units

    @cached_property
    def motion(self) -> dict[str, Any]:
        """Matrix, angle, axis and translation; of no meaning where the result is not reliable."""
        return motion_facts(self.registered.motion)

    @cached_property
    def deviations(self) -> dict[str, Any]:
        """Standard deviations, in the middle of the matches that agree, or of the source where there are none."""
        found = self.registered
        if bool(found.inliers.any()):
            points = found.matches.target[found.inliers].double().numpy()
        else:
            finite = self.source.points[np.isfinite(self.source.points).all(axis=1)]
            points = found.motion.apply(torch.from_numpy(finite)).numpy()
        return deviation_facts(found.covariance.double().numpy(), points)

    @property
    def _alternatives(self) -> list[dict[str, Any]]:
        return [motion_facts(one.motion) | {"turn": one.turn} for one in self.registered.alternatives]

    def as_dict(self) -> dict[str, Any]:
        """The result as plain data; without any motion where it is not reliable."""
        found, reliable = self.registered, self.reliable
        return {
            "kind": "clouds",
            "source": _cloud(self.source),
            "target": _cloud(self.target),
            "units": self.units,
            "reliable": reliable,
            "reasons": list(self.reasons),
            "motion": self.motion if reliable else None,
            "deviations": self.deviations if reliable else None,
            "covariance": found.covariance.tolist() if reliable else None,
            "evidence": evidence_facts(found.evidence),
            "ambiguities": list(found.ambiguities),
            "alternatives": self._alternatives if reliable else [],
            "method": found.method,
            "solver": found.solver,
            "refinement": found.refinement,
            "seconds": self.seconds,
            "notes": self.notes,
            "files": {kind: str(path) for kind, path in self.files.items()},
            "exit_code": int(self.exit_code),
        }

    def summary(self) -> list[tuple[str, str]]:
        """The result for people: names and values, units included."""
        unit = f" {self.units}" if self.units else ""
        found = self.registered
        rows = [("alignment", "reliable" if self.reliable else NONE_RELIABLE)]
        if self.reliable:
            rows += [*motion_rows(self.motion, unit), *deviation_rows(self.deviations, unit)]
        rows += evidence_rows(found.evidence, self.reliable, unit)
        rows += [("ambiguity", told) for told in found.ambiguities]
        rows.append(("method", ", ".join(word for word in (found.method, found.solver, found.refinement) if word)))
        rows += [("note", note) for note in self.notes]
        rows.append(seconds_row(self.seconds))
        return rows + [(kind, str(path)) for kind, path in self.files.items()]


def _cloud(cloud: PointCloud) -> dict[str, Any]:
    return {"file": str(cloud.path) if cloud.path else None, "points": len(cloud)}
