"""What the comparison of tensor products measured."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from eqcli.errors import ExitCode, Failure

PASSES = ("forward", "gradient", "double gradient")
"""The product; that and the gradient by factors and weights; that of a gradient by the factors, squared."""


@dataclass(frozen=True)
class Measurement:
    """Time and memory of one product, size and pass; the peer's where there is one and it was measured.

    `gflops` counts a multiply-add as two operations, and is of the product alone: None for the other passes.
    """

    product: str
    lmax: int
    channels: int
    rows: int
    step: str
    seconds: float
    peak_bytes: int
    multiply_adds: int
    weights: int
    gflops: float | None = None
    peer: str | None = None
    same_function: bool = False
    peer_seconds: float | None = None
    peer_peak_bytes: int | None = None

    @property
    def ratio(self) -> float | None:
        """How many times faster than the peer."""
        return self.peer_seconds / self.seconds if self.peer_seconds else None

    @property
    def memory_ratio(self) -> float | None:
        """How many times less memory than the peer."""
        return self.peer_peak_bytes / self.peak_bytes if self.peer_peak_bytes and self.peak_bytes else None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"ratio": self.ratio, "memory_ratio": self.memory_ratio}


@dataclass(frozen=True)
class Expression:
    """What a product of one channel can express at one lmax."""

    product: str
    lmax: int
    expressivity: int
    interactability: int
    triples: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Exponent:
    """The power p of `cost ~ (lmax + 1)^p`, fitted over the larger degrees: of the time and of the multiply-adds.

    There are lmax + 1 degrees: at these sizes a power of lmax would come out smaller than the true one.
    """

    product: str
    channels: int
    rows: int
    step: str
    degrees: list[int]
    time: float
    multiply_adds: float


@dataclass
class TensorProductResult:
    """Every figure, and where the report stands."""

    output: Path
    report_html: Path
    report_json: Path
    measurements: list[Measurement] = field(default_factory=list)
    expressions: list[Expression] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def exit_code(self) -> ExitCode:
        """PARTIAL when something failed or ran over its budget, else OK."""
        return ExitCode.PARTIAL if self.failures else ExitCode.OK

    @property
    def exponents(self) -> list[Exponent]:
        """One for each product, size and pass with enough degrees."""
        groups: dict[tuple[str, int, int, str], list[Measurement]] = {}
        for m in self.measurements:
            groups.setdefault((m.product, m.channels, m.rows, m.step), []).append(m)
        return [fitted for key, group in groups.items() if (fitted := _exponent(key, group))]

    def as_dict(self) -> dict[str, Any]:
        return {
            "output": str(self.output),
            "report_html": str(self.report_html),
            "report_json": str(self.report_json),
            "settings": self.settings,
            "measurements": [measurement.as_dict() for measurement in self.measurements],
            "exponents": [asdict(exponent) for exponent in self.exponents],
            "expressions": [asdict(expression) for expression in self.expressions],
            "failures": [failure.as_dict() for failure in self.failures],
            "seconds": self.seconds,
            "exit_code": int(self.exit_code),
        }

    def summary(self) -> list[tuple[str, str]]:
        """The figures that matter, as text."""
        from eqcli.report.numbers import count, show

        rows = [("products", f"{len({m.product for m in self.measurements})}")]
        rows.append(("measurements", f"{len(self.measurements):,}"))
        for step in PASSES:
            ratios = [m.ratio for m in self.measurements if m.step == step and m.same_function and m.ratio]
            if ratios:
                rows.append((f"{step}, e3nn / ours", f"{show(geometric_mean(ratios))} ({count(len(ratios), 'size')})"))
        for e in self.exponents:
            if e.step == PASSES[0] and e.product in ("so2", "uuu") and e.channels == max(self.settings["channels"]):
                rows.append((f"time of {e.product}", f"(L+1)^{e.time:.1f} ({count(e.rows, 'row')})"))
        if self.failures:
            rows.append(("failed", count(len(self.failures), "item")))
        return [*rows, ("report", str(self.report_html))]


def geometric_mean(values: Iterable[float]) -> float:
    """The mean of ratios: that of their inverses is its inverse."""
    logarithms = [math.log(value) for value in values]
    return math.exp(sum(logarithms) / len(logarithms))


def _exponent(key: tuple[str, int, int, str], group: list[Measurement]) -> Exponent | None:
    """Fitted over the upper half of the degrees, three at the least; below, fixed costs hide the power."""
    import numpy as np

    group = sorted(group, key=lambda m: m.lmax)
    upper = group[-max(3, (len(group) + 1) // 2) :]
    if len(upper) < 3:
        return None
    degrees = np.log([m.lmax + 1 for m in upper])
    time, work = (np.polyfit(degrees, np.log(v), 1)[0] for v in _costs(upper))
    product, channels, rows, step = key
    return Exponent(product, channels, rows, step, [m.lmax for m in upper], float(time), float(work))


def _costs(group: list[Measurement]) -> tuple[list[float], list[float]]:
    return [m.seconds for m in group], [float(m.multiply_adds) for m in group]
