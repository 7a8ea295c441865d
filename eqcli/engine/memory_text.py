"""Amounts of memory as people and systems write them."""

from __future__ import annotations

import re
from pathlib import Path

from eqcli.errors import InputError

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_AMOUNT = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([kmgt]?)(i?)b?\s*", re.IGNORECASE)


def parse_bytes(text: str, what: str = "memory") -> int:
    """Bytes of an amount such as `4GB`, `3.5 GiB`, `800M` or `123456`; kB, MB, GB and TB are powers of 1000.

    Raises InputError for anything else and for nothing.
    """
    match = _AMOUNT.fullmatch(text)
    if match is not None:
        number, unit, binary = match.groups()
        scale = _UNITS[unit.lower()]
        if binary and unit:
            scale = 1024 ** list(_UNITS).index(unit.lower())
        if (value := int(float(number) * scale)) > 0:
            return value
    raise InputError(f"{what}: '{text}' is no amount of memory", hint="Write e.g. 4GB, 3.5GiB or 800MB.")


def bytes_text(value: float) -> str:
    """An amount in words, e.g. `3.2 GB`."""
    for unit in ("bytes", "kB", "MB"):
        if abs(value) < 1000:
            return f"{value:.0f} bytes" if unit == "bytes" else f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB"


def number_in(path: Path) -> int | None:
    """The whole number that a file of the kernel holds; None for other words (`max`) and where there is no file."""
    try:
        text = path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
