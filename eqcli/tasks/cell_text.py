"""Cells of tables."""

from __future__ import annotations

from typing import Any


def cell_text(value: Any) -> str:
    """One line: six digits of a number, nothing for None; line breaks become blanks, so that a row is a line."""
    return "" if value is None else " ".join((f"{value:.6g}" if isinstance(value, float) else str(value)).split())
