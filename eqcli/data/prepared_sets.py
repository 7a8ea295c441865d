"""The parts of a data set that lies in memory, and where they come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

S = TypeVar("S")


@dataclass(frozen=True)
class PreparedSets(Generic[S]):
    """Crystals, molecules or systems of particles to train on.

    Attributes
    ----------
    parts
        `train`, `valid` and perhaps `test`.
    settings
        The `data` section of the recipe and the seed.
    inputs
        Path and SHA-256 of every file that was read.
    """

    parts: dict[str, S]
    settings: dict[str, Any]
    inputs: list[dict[str, str]]
