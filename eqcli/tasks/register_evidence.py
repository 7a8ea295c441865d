"""The evidence for a motion between two clouds in plain words, each figure with what it is held against."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eqcli.engine.registration import Evidence


def evidence_facts(evidence: Evidence) -> dict[str, Any]:
    """The evidence as plain data; figures that are not finite are None."""

    def value(one: Any) -> Any:
        if isinstance(one, tuple):
            return list(one)
        return None if isinstance(one, float) and not math.isfinite(one) else one

    return {name: value(one) for name, one in asdict(evidence).items()}


def evidence_rows(evidence: Evidence, reliable: bool, units: str) -> list[tuple[str, str]]:
    """The evidence for people. `units` follows lengths, with a blank before it, and may be empty."""
    from eqcli.engine import registration_evidence as rules

    found = evidence
    rows = [] if reliable else [("because", "\n".join(found.reasons))]
    if found.matches:
        rows += _match_rows(found, units)
    rows += [
        (
            "overlap",
            f"{found.overlap:.1%} of the source and {found.target_overlap:.1%} of the target lie on one surface "
            f"(at least {rules.LEAST_OVERLAP:.0%}){_rmse(found, units)}",
        ),
        (
            "agreement",
            f"of the points near the other cloud {found.agreement:.1%} lie on its surface "
            f"(at least {rules.LEAST_AGREEMENT:.0%})",
        ),
    ]
    if found.hypotheses:
        best = f"the best different one has {found.runner_up:.0%} of its support (at most {rules.MOST_RUNNER_UP:.0%})"
        rows.append(("other motions", f"{found.hypotheses} tried; {best}"))
    rows.append(("voxel", f"{found.voxel:.5g}{units}; points of the target are {found.spacing:.3g}{units} apart"))
    return rows


def _match_rows(found: Evidence, units: str) -> list[tuple[str, str]]:
    from eqcli.engine import registration_evidence as rules

    within = f"{found.threshold:.4g}{units} ({found.threshold / found.voxel:.3g} voxels)"
    return [
        (
            "matches",
            f"{found.inliers} of {found.matches} agree with the motion within {within}; "
            f"{found.expected_by_chance:.1f} would by chance",
        ),
        ("places", f"they agree at {found.places} separate places (at least {rules.LEAST_PLACES})"),
        (
            "support",
            f"of the matches on the common surface {found.support:.1%} agree, {found.least_support:.1%} at the lower "
            f"bound of so many (at least {rules.LEAST_SUPPORT:.0%})",
        ),
    ]


def _rmse(found: Evidence, units: str) -> str:
    return f", {found.rmse:.3g}{units} apart (root mean square)" if math.isfinite(found.rmse) else ""
