"""Statistics that are built up piece by piece and never keep the pieces."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from eqcli.io.structure import FloatArray


class ErrorStatistics:
    """Errors of predictions against references: mean, mean absolute, root mean square, largest, R².

    Means and variances are merged by the parallel formula of Chan et al. (1979),
    since sums of squares of total energies would lose the digits that matter.
    """

    def __init__(self) -> None:
        self.count = 0
        self.absolute = 0.0
        self.largest = 0.0
        self._error = _Moments()
        self._reference = _Moments()

    def add(self, reference: FloatArray, predicted: FloatArray) -> None:
        """Takes arrays of one shape; entries whose reference is NaN (no label) are left out."""
        reference = np.asarray(reference, dtype=np.float64).ravel()
        error = np.asarray(predicted, dtype=np.float64).ravel() - reference
        present = ~np.isnan(reference)
        if not present.all():
            reference, error = reference[present], error[present]
        if not reference.size:
            return
        magnitude = np.abs(error)
        self.count += reference.size
        self.absolute += float(magnitude.sum())
        self.largest = max(self.largest, float(magnitude.max()))
        self._error.add(error)
        self._reference.add(reference)

    @property
    def mae(self) -> float:
        return self.absolute / self.count if self.count else math.nan

    @property
    def bias(self) -> float:
        """Mean of predicted minus reference."""
        return self._error.mean if self.count else math.nan

    @property
    def rmse(self) -> float:
        return math.sqrt(self._error.variance + self._error.mean**2) if self.count else math.nan

    @property
    def rmse_without_bias(self) -> float:
        """Root mean square error about the mean error."""
        return math.sqrt(self._error.variance) if self.count else math.nan

    @property
    def r2(self) -> float | None:
        """Coefficient of determination; None when the references do not vary."""
        spread = self._reference.variance
        return 1.0 - self.rmse**2 / spread if self.count > 1 and spread > 0 else None

    def figures(self, factor: float, unit: str) -> dict[str, Any]:
        """Every figure times `factor`, JSON-able."""
        return {
            "count": self.count,
            "unit": unit,
            "mae": self.mae * factor,
            "rmse": self.rmse * factor,
            "max": self.largest * factor,
            "bias": self.bias * factor,
            "rmse_without_bias": self.rmse_without_bias * factor,
            "r2": self.r2,
        }


class _Moments:
    """Count, mean and sum of squared deviations."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = 0.0
        self.squares = 0.0

    def add(self, values: FloatArray) -> None:
        count, mean = values.size, float(values.mean())
        squares = float(((values - mean) ** 2).sum())
        total = self.count + count
        delta = mean - self.mean
        self.squares += squares + delta**2 * self.count * count / total
        self.mean += delta * count / total
        self.count = total

    @property
    def variance(self) -> float:
        return self.squares / self.count


class Reservoir:
    """A uniform random sample of rows of a stream, at most `size` of them.

    Every row gets a random key and the rows with the smallest keys are kept, so
    that rows may come in blocks of any length. Depends on the seed and the order
    of the rows alone.
    """

    def __init__(self, size: int, columns: int, seed: int) -> None:
        self.size = size
        self.seen = 0
        self._rng = np.random.default_rng([seed, columns])
        self._keys = np.zeros(0)
        self._rows = np.zeros((0, columns))
        self._pending: list[tuple[FloatArray, FloatArray]] = []
        self._pending_rows = 0

    def add(self, rows: FloatArray) -> None:
        """Takes `[n, columns]`."""
        self._pending.append((self._rng.random(len(rows)), np.array(rows, dtype=np.float64)))
        self._pending_rows += len(rows)
        self.seen += len(rows)
        if self._pending_rows > self.size:
            self._prune()

    @property
    def rows(self) -> FloatArray:
        """The sample, `[m, columns]`, in the order of the stream."""
        self._prune()
        return self._rows

    def _prune(self) -> None:
        if self._pending:
            self._keys = np.concatenate([self._keys, *(keys for keys, _ in self._pending)])
            self._rows = np.concatenate([self._rows, *(rows for _, rows in self._pending)])
            self._pending, self._pending_rows = [], 0
        if len(self._keys) > self.size:
            kept = np.sort(np.argpartition(self._keys, self.size)[: self.size])
            self._keys, self._rows = self._keys[kept], self._rows[kept]


class Highest:
    """The entries with the highest scores of a stream, at most `size`; the first of equals stays."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._heap: list[tuple[float, int, dict[str, Any]]] = []
        self._count = 0

    def add(self, score: float, entry: dict[str, Any]) -> None:
        import heapq

        self._count -= 1
        if len(self._heap) < self.size:
            heapq.heappush(self._heap, (score, self._count, entry))
        elif self._heap and score > self._heap[0][0]:
            heapq.heapreplace(self._heap, (score, self._count, entry))

    @property
    def entries(self) -> list[dict[str, Any]]:
        """Highest first."""
        return [entry for _, _, entry in sorted(self._heap, key=lambda item: item[:2], reverse=True)]
