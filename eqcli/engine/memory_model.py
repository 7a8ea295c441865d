"""How much memory a batch takes, learned from batches that were run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

Estimate = Callable[[int, int], float]
"""Bytes that a batch of so many atoms and edges should take, right within a factor of a few."""

SAFETY = 1.25
"""On top of what was measured: allocators break memory into pieces, and no two batches are alike."""

GROWTH = 4.0
"""How much larger than anything measured a batch may be; a line through small batches says little of large ones."""

TELLING = 20e6
"""Bytes. What smaller batches take is mostly what starting takes: threads, workspaces, code that is loaded."""

KEPT = 64
"""Measurements kept, the largest ones."""


class Measurement(NamedTuple):
    """A batch that was run, and the most bytes it had at once."""

    atoms: int
    edges: int
    bytes: float


class MemoryModel:
    """Bytes of a batch as `a + b atoms + c edges`, from an estimate at first and from measurements once there are some.

    The coefficients are a least-squares fit without negative ones. It is raised until no measurement lies above it;
    where measurements do not determine it, the estimate counts, scaled to them.

    Parameters
    ----------
    estimate
        What counts until something was measured, and how the size of a batch is compared with what was measured.
    """

    _fit: tuple[float, float, float] | None
    _tried: float | None
    _short: float | None

    def __init__(self, estimate: Estimate) -> None:
        self.estimate = estimate
        self.measured: list[Measurement] = []
        self._forget()

    def observe(self, atoms: int, edges: int, peak: float) -> None:
        """Learns from one batch. Measurements of nothing (everything fitted in memory held already) count too."""
        self.measured.append(Measurement(int(atoms), int(edges), max(0.0, float(peak))))
        if len(self.measured) > KEPT:
            self.measured.remove(min(self.measured, key=lambda one: self.estimate(one.atoms, one.edges)))
        self._forget()

    def restore(self, measured: Sequence[Sequence[float]]) -> None:
        """Takes up measurements made before."""
        self.measured = [Measurement(int(a), int(e), float(b)) for a, e, b in measured]
        self._forget()

    def needs(self, atoms: int, edges: int) -> float:
        """Bytes to reckon with for a batch, the safety margin included."""
        expected = self.estimate(atoms, edges)
        if not self.measured:
            return expected
        if self._determines(expected):
            a, b, c = self.coefficients
            return SAFETY * (a + b * atoms + c * edges)
        return SAFETY * self._scale() * expected

    def tried(self) -> float:
        """The estimate of the largest batch that was measured; 0 before the first."""
        if self._tried is None:
            self._tried = max((self.estimate(one.atoms, one.edges) for one in self.measured), default=0.0)
        return self._tried

    @property
    def coefficients(self) -> tuple[float, float, float]:
        """Bytes of a batch, of an atom and of an edge, the margin not included; zeros before the first measurement."""
        if self._fit is None:
            self._fit = _line(self.measured) if self.measured else (0.0, 0.0, 0.0)
        return self._fit

    def _determines(self, expected: float) -> bool:
        """Whether measurements differ enough in size to draw a line through them that reaches that far."""
        sizes = [one.edges + one.atoms for one in self.measured]
        return len(sizes) >= 3 and max(sizes) >= 2 * min(sizes) and expected <= GROWTH * self.tried()

    def _scale(self) -> float:
        """By how much the estimate falls short of the worst batch that was large enough to tell; 1 without one."""
        if self._short is None:
            estimates = [(one, self.estimate(one.atoms, one.edges)) for one in self.measured]
            self._short = max((one.bytes / size for one, size in estimates if size >= TELLING), default=1.0)
        return self._short

    def _forget(self) -> None:
        """What follows from the measurements is worked out anew; it is asked for with every structure."""
        self._fit = self._tried = self._short = None


def _line(measured: Sequence[Measurement]) -> tuple[float, float, float]:
    from scipy.optimize import nnls

    peaks = np.array([one.bytes for one in measured])
    rows = np.array([[1.0, one.atoms, one.edges] for one in measured])
    # Of comparable size, so that the solver's tolerances mean the same for each.
    widths = np.maximum(rows.max(axis=0), 1.0)
    found = nnls(rows / widths, peaks)[0] / widths
    # Raised until no measurement lies above it.
    a = float(found[0]) + max(0.0, float((peaks - rows @ found).max()))
    return a, float(found[1]), float(found[2])
