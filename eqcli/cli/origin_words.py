"""Provenance as a person reads it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

FIRST = ("created", "eqcli", "commit", "command", "device")
SKIPPED = ("packages", "python", "platform")
"""For `--json`."""

TOLD_APART = 12
"""Characters of a hash that are shown."""


def origin_words(provenance: Mapping[str, Any]) -> dict[str, str]:
    """Name -> one line, what matters first; entries of unknown kind as they are, packages left to JSON."""
    found = {name: _line(name, provenance[name]) for name in FIRST if provenance.get(name)}
    found |= {
        name.replace("_", " "): _line(name, value)
        for name, value in provenance.items()
        if name not in FIRST and name not in SKIPPED and value not in (None, "", [], {})
    }
    packages = provenance.get("packages") or {}
    versions = {"python": provenance.get("python"), **{name: packages.get(name) for name in ("torch", "numpy", "ase")}}
    if told := ", ".join(f"{name} {version}" for name, version in versions.items() if version):
        found["versions"] = told
    return found


def _line(name: str, value: Any) -> str:
    if name == "command" and isinstance(value, list):
        return shlex.join(map(str, value))
    return _words(value)


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(
            f"{key}: {_entry(str(key), item)}" for key, item in value.items() if item not in (None, {}, [])
        )
    if isinstance(value, list | tuple):
        return "; ".join(map(_words, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.8g}" if isinstance(value, float) else str(value)


def _entry(key: str, value: Any) -> str:
    if key == "sha256" and isinstance(value, str):
        return value[:TOLD_APART]
    inner = _words(value)
    return f"({inner})" if isinstance(value, Mapping) else inner
