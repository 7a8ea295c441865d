"""Finding the name that a person meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """The valid name closest to `name`, upper and lower case being the same; None when none is close."""
    folded: dict[str, str] = {}
    for candidate in valid:
        folded.setdefault(candidate.casefold(), candidate)
    wanted = name.casefold()
    if matches := get_close_matches(wanted, folded, n=1, cutoff=0.6):
        return folded[matches[0]]
    longer = [key for key in folded if len(wanted) > 2 and (key.startswith(wanted) or wanted in key.split("_"))]
    return folded[min(longer, key=len)] if longer else None


def did_you_mean(name: str, valid: Iterable[str], what: str = "names") -> str:
    """A hint: the nearest valid name, or all of them when none is near."""
    candidates = list(valid)
    if match := nearest(name, candidates):
        return f"Did you mean '{match}'?"
    return f"Valid {what}: {', '.join(sorted(candidates))}." if candidates else ""
