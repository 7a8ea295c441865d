"""Why a motion between two clouds is believed, or is not."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eqcli.engine.registration import Evidence


def evidence_facts(evidence: Evidence) -> dict[str, Any]:
    """The evidence as plain data."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(evidence).items()}


def evidence_rows(evidence: Evidence, units: str) -> list[tuple[str, str]]:
    """The evidence for people, each figure with what it is measured by."""
    return []
