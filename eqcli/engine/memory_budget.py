"""How much is computed together: as the memory of the device allows, learned while batches run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from eqcli.engine.memory_limit import memory_limit
from eqcli.engine.memory_model import GROWTH, Estimate, MemoryModel
from eqcli.engine.memory_text import bytes_text
from eqcli.engine.peak_memory import peak_memory
from eqcli.progress import Reporter, Silent

MEMORY_SHARE = {"cpu": 0.5, "cuda": 0.85}
"""Share of the memory there is that one batch may take; other work goes on beside it."""

FIRST_SHARE = 0.1
"""Share of that memory that a batch may take by estimate, before anything was measured."""

MAX_ATOMS = 32_768
"""Largest batch whatever the memory, so that results keep flowing."""

LEAST = 0.3
"""Of what a batch is reckoned to need: it takes so much for sure."""

LESSONS = 16
"""Batches that are learned from; afterwards the sizes of batches depend on nothing but the structures."""


class MemoryBudget:
    """What one batch may hold; something that exceeds it alone is a batch of its own.

    The first batches follow an estimate. Each that is run is measured, and the next may be up to four times as large
    as the largest that was, until the memory there is, or what makes sense, is reached. Then the budget is frozen:
    batches depend on what is computed alone.

    Parameters
    ----------
    device
        Where batches are computed.
    estimate
        Bytes of a batch of so many atoms and edges, right within a factor of a few.
    atoms
        Largest number of atoms, in place of everything else; None chooses by the memory of the device.
    most_bytes
        Bound of the estimate beyond which larger batches are no faster.
    most_atoms
        Bound of the atoms of batches that follow the memory; `MAX_ATOMS` when None.
    one_by_one
        Whether nothing is ever computed together.
    grow
        Whether the first batches are small ones; else they follow the estimate, and measurements only make batches
        smaller.
    report
        Hears when batches had to be made smaller.
    """

    def __init__(
        self,
        device: torch.device,
        estimate: Estimate,
        *,
        atoms: int | None = None,
        most_bytes: float | None = None,
        most_atoms: float | None = None,
        one_by_one: bool = False,
        grow: bool = True,
        report: Reporter | None = None,
    ) -> None:
        self.device = device
        self.atoms = atoms
        self.most_atoms = MAX_ATOMS if most_atoms is None else most_atoms
        self.one_by_one = one_by_one
        self.report = report or Silent()
        self.model = MemoryModel(estimate)
        self.frozen = False
        self.halvings = 0
        limit = memory_limit(device)
        self.source = limit.source
        self.room = int(MEMORY_SHARE.get(device.type, 0.5) * limit.bytes)
        self.most_bytes = float(most_bytes) if most_bytes is not None else float("inf")
        self._first = FIRST_SHARE * limit.bytes if grow else float("inf")
        self._floor: int | None = None
        self._lessons = 0

    def admits(self, atoms: int, edges: int) -> bool:
        """Whether a batch may have this many atoms and directed edges."""
        if self.one_by_one:
            return False
        if self.atoms is not None:
            return atoms <= self.atoms
        size = self.model.estimate(atoms, edges)
        if atoms > self.most_atoms or size > self.most_bytes or self.model.needs(atoms, edges) > self.room:
            return False
        return size <= max(self._first, GROWTH * self.model.tried())

    @contextmanager
    def watch(self, atoms: int, edges: int) -> Iterator[None]:
        """Measures the batch that is computed inside and learns from it, unless it fails."""
        if not self.learning:
            yield
            return
        with peak_memory(self.device) as peak:
            yield
        if peak.bytes is not None:
            # What an allocator kept of earlier batches is used again by this one, and counts as its own.
            self._floor = peak.floor if self._floor is None else min(self._floor, peak.floor)
            self.observe(atoms, edges, peak.floor + peak.bytes - self._floor, peak.seconds)

    @property
    def learning(self) -> bool:
        """Whether measurements still change anything."""
        return not (self.frozen or self.one_by_one or self.atoms is not None)

    def observe(self, atoms: int, edges: int, peak: float, seconds: float | None = None) -> None:
        """Learns from a batch that was run: the most bytes it had at once, and how long it took."""
        if not self.learning:
            return
        self.model.observe(atoms, edges, peak)
        self._lessons += 1
        if self._lessons >= LESSONS:
            self.freeze()

    def freeze(self) -> None:
        """From now on nothing is learned: what a batch may hold stays as it is, unless one does not fit."""
        self.frozen = True

    def hopeless(self, atoms: int, edges: int) -> bool:
        """Whether something alone would surely take more than there is, and the system end the process for it.

        On a CUDA device an attempt does no harm, and memory is asked for there to find out.
        """
        if self.device.type != "cpu" or self.one_by_one:
            return False
        least = LEAST * self.model.needs(atoms, edges)
        return least > self.room and least > memory_limit(self.device).bytes

    def halve(self, atoms: int | None = None, edges: int = 0) -> None:
        """Makes later batches half as large as one that did not fit, or as they could be until now, and says so."""
        before = (self.atoms, self.most_bytes, self.room)
        if atoms is None:
            self.room //= 2
            self.most_bytes /= 2
            self._first /= 2
        else:
            self.most_bytes = min(self.most_bytes, self.model.estimate(atoms, edges) / 2)
        if self.atoms is not None:
            self.atoms = max(1, min(self.atoms, (atoms or self.atoms) // 2))
        self.halvings += 1
        if before != (self.atoms, self.most_bytes, self.room):
            size = f"of {atoms} atoms " if atoms else ""
            self.report.warning(f"a batch {size}did not fit the memory of {self.device}: later ones are half as large")

    def facts(self) -> dict[str, Any]:
        """Everything that decides on batches, as plain data: a budget with the same facts makes the same batches."""
        return {
            "device": self.device.type,
            "atoms": self.atoms,
            "room": self.room,
            "most_bytes": _finite(self.most_bytes),
            "first": _finite(self._first),
            "frozen": self.frozen,
            "lessons": self._lessons,
            "halvings": self.halvings,
            "measured": [list(one) for one in self.model.measured],
        }

    def take_up(self, facts: Mapping[str, Any]) -> None:
        """Goes on with the facts of another budget for the same work on a device of the same kind."""
        self.atoms = facts["atoms"]
        self.room = int(facts["room"])
        self.most_bytes, self._first = (
            float("inf") if facts[name] is None else float(facts[name]) for name in ("most_bytes", "first")
        )
        self.frozen, self._lessons = bool(facts["frozen"]), int(facts["lessons"])
        self.halvings = int(facts["halvings"])
        self.model.restore(facts["measured"])

    def __str__(self) -> str:
        if self.atoms is not None:
            return f"at most {self.atoms} atoms"
        return f"at most {bytes_text(self.room)} ({self.source})"


def _finite(value: float) -> float | None:
    return None if value == float("inf") else value
