"""What a comparison of models found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from eqcli.errors import ExitCode, Failure


@dataclass
class Entry:
    """One model on one data set.

    Attributes
    ----------
    dataset
        Name of the data, or their file.
    name, kind
        Name of the run, and of the architecture.
    errors
        `energy` (meV per structure), `energy_per_atom`, `forces` (meV/Å) and `stress` (meV/Å^3): each with `mae`
        and `rmse`.
    symmetry_error
        Largest relative error under rotations and reflections in float64; None without an audit.
    nve_drift
        What the audit measured of the energy in dynamics, with its unit.
    training_seconds
        Time of training until the model was chosen; stated where the recipe limits the time.
    train_ms, evaluate_ms
        One training step, and energy and forces, of `batch_atoms` atoms, milliseconds.
    peak_mb
        Most memory of tensors during that training step, in 10^6 bytes.
    arguments
        Those of a calculator of another package.
    curve
        Steps, or minutes where they were recorded, against the validation error of the forces in meV/Å.
    """

    dataset: str
    name: str
    kind: str
    model: str
    sha256: str | None
    parameters: int
    errors: dict[str, dict[str, float]]
    symmetry_error: float | None = None
    nve_drift: float | None = None
    drift_unit: str = ""
    audit_passed: bool | None = None
    training_seconds: float | None = None
    batch_atoms: int | None = None
    train_ms: float | None = None
    evaluate_ms: float | None = None
    peak_mb: float | None = None
    precision: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    curve: list[tuple[float, float]] = field(default_factory=list)

    def error(self, quantity: str, measure: str) -> float | None:
        """An error, None where there were no labels."""
        return self.errors.get(quantity, {}).get(measure)

    @property
    def evaluate_us_per_atom(self) -> float | None:
        """Energy and forces, microseconds per atom."""
        if self.evaluate_ms is None or not self.batch_atoms:
            return None
        return 1e3 * self.evaluate_ms / self.batch_atoms


@dataclass
class ComparisonResult:
    """Every entry, and where the report stands."""

    output: Path
    report_html: Path
    report_json: Path
    entries: list[Entry] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def exit_code(self) -> ExitCode:
        """PARTIAL when a model could not be measured, else OK."""
        return ExitCode.PARTIAL if self.failures else ExitCode.OK

    @property
    def datasets(self) -> list[str]:
        """Names of the data sets, in the order of the evaluations."""
        return list(dict.fromkeys(entry.dataset for entry in self.entries))

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The table."""
        from eqcli.report.numbers import show

        return [
            {
                "data": e.dataset,
                "model": e.name,
                "E MAE (meV/atom)": show(e.error("energy_per_atom", "mae")),
                "F MAE (meV/Å)": show(e.error("forces", "mae")),
                "F RMSE": show(e.error("forces", "rmse")),
                "parameters": f"{e.parameters:,}",
                "train (ms)": show(e.train_ms),
                "E+F (ms)": show(e.evaluate_ms),
                "symmetry": "–" if e.symmetry_error is None else f"{e.symmetry_error:.1e}",
            }
            for e in self.entries
        ]

    def as_dict(self) -> dict[str, Any]:
        from eqcli.metrics.published import PUBLISHED

        return {
            "output": str(self.output),
            "report_html": str(self.report_html),
            "report_json": str(self.report_json),
            "settings": self.settings,
            "entries": [asdict(e) | {"evaluate_us_per_atom": e.evaluate_us_per_atom} for e in self.entries],
            "published": {name: asdict(PUBLISHED[name]) for name in self.datasets if name in PUBLISHED},
            "failures": [failure.as_dict() for failure in self.failures],
            "seconds": self.seconds,
            "exit_code": int(self.exit_code),
        }

    def summary(self) -> list[tuple[str, str]]:
        """The most accurate and the fastest model of each data set."""
        from eqcli.report.numbers import show

        rows = [("models", str(len({e.name for e in self.entries})))]
        for dataset in self.datasets:
            known = [e for e in self.entries if e.dataset == dataset and e.error("forces", "mae") is not None]
            if known:
                best = min(known, key=lambda e: e.error("forces", "mae") or 0.0)
                rows.append((dataset, f"{best.name}: forces MAE {show(best.error('forces', 'mae'))} meV/Å"))
        if self.failures:
            rows.append(("failed", str(len(self.failures))))
        return [*rows, ("report", str(self.report_html))]
