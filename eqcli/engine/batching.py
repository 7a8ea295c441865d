"""How many structures are evaluated together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from eqcli.data.memory import step_bytes
from eqcli.engine.device import usable_memory

if TYPE_CHECKING:
    from eqcli.models.potentials.base import Potential

MEMORY_SHARE = {"cpu": 0.1, "cuda": 0.4}
"""Share of the memory that one batch may take by estimate, which is right within a factor of two or three."""

CPU_BYTES = 500_000_000
"""On a CPU larger batches are no faster."""

MAX_ATOMS = 32_768
"""Largest batch whatever the memory, so that results keep flowing."""


@dataclass
class BatchBudget:
    """What one batch of an evaluation may hold; a structure that exceeds it alone is a batch of its own.

    Parameters
    ----------
    potential
        The model, for the estimate of its memory.
    atoms
        Largest number of atoms; None chooses by the memory of the device.
    """

    potential: Potential
    atoms: int | None = None

    def __post_init__(self) -> None:
        device = next(self.potential.parameters()).device
        share = MEMORY_SHARE.get(device.type, 0.1) * usable_memory(device)
        self.bytes = int(min(share, CPU_BYTES) if device.type == "cpu" else share)

    def admits(self, atoms: int, edges: int) -> bool:
        """Whether a batch may have this many atoms and directed edges."""
        if self.potential.one_by_one:
            return False
        if self.atoms is not None:
            return atoms <= self.atoms
        need = step_bytes(self.potential.config, atoms, edges, self.potential.dtype.itemsize)
        return atoms <= MAX_ATOMS and need <= self.bytes

    def halve(self) -> None:
        """Makes later batches half as large, after one did not fit."""
        self.bytes //= 2
        if self.atoms is not None:
            self.atoms = max(1, self.atoms // 2)
