"""What a training made."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eqcli.errors import ExitCode, Failure


@dataclass
class TrainResult:
    """What a training run made.

    Attributes
    ----------
    model
        The model file: the averaged weights of the epoch with the lowest validation loss.
    epochs, steps
        Epochs and optimisation steps done, resumed ones included.
    best_epoch
        The epoch of the model, counted from 1.
    metrics
        Error figures by split: `energy_mae` and `energy_rmse` (eV/atom), `forces_*` (eV/Å), `stress_*` (eV/Å^3), and
        those of each property.
    units
        Units of the error figures by quantity.
    seconds
        Wall time of this call.
    is_first
        Whether this process is the one that speaks to people; of several processes the first one is.
    """

    model: Path
    output: Path
    epochs: int
    steps: int
    best_epoch: int
    metrics: dict[str, dict[str, float]]
    seconds: float
    units: dict[str, str] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    exit_code: ExitCode = ExitCode.OK
    is_first: bool = True

    def as_dict(self) -> dict[str, Any]:
        return {
            "model": str(self.model),
            "output": str(self.output),
            "epochs": self.epochs,
            "steps": self.steps,
            "best_epoch": self.best_epoch,
            "metrics": self.metrics,
            "units": self.units,
            "seconds": self.seconds,
            "failures": [failure.as_dict() for failure in self.failures],
            "exit_code": int(self.exit_code),
        }

    def summary(self) -> list[tuple[str, str]]:
        """Name and value of what a person wants to know first."""
        from eqcli.engine.training_callbacks import describe

        rows = [
            ("model", str(self.model)),
            ("epochs", f"{self.epochs} ({self.steps} steps), best {self.best_epoch}"),
        ]
        rows += [(name, describe(figures, units=self.units)) for name, figures in self.metrics.items()]
        return [*rows, ("time", f"{self.seconds:.1f} s")]
