"""Releases of the libraries that figures depend on."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version


def releases(libraries: Iterable[str]) -> dict[str, str | None]:
    """The release of each library; None for one that is not installed."""
    return {name: _release(name) for name in libraries}


def installed(libraries: Iterable[str]) -> dict[str, str]:
    """The releases of those that are installed."""
    return {name: found for name, found in releases(libraries).items() if found is not None}


def _release(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
