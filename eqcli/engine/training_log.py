"""Figures of each epoch, written to files that survive a kill and a resume."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any, Protocol

from eqcli.errors import MissingDependency
from eqcli.files import atomic_path


class Log(Protocol):
    """Takes one row of figures per epoch."""

    def write(self, row: dict[str, float]) -> None: ...

    def close(self) -> None: ...


class CSVLog:
    """A CSV file with one line per epoch.

    Each line is written at once. On resume, lines past the resumed step and a
    last line that was cut off are dropped, so that no epoch appears twice.
    """

    def __init__(self, path: Path, *, after_step: int) -> None:
        self.path = path
        self._columns: list[str] | None = None
        if path.is_file():
            self._keep(after_step)

    def _keep(self, last_step: int) -> None:
        lines = self.path.read_text(encoding="utf-8").split("\n")[:-1]
        rows = list(csv.DictReader(lines)) if last_step else []
        self._columns = list(rows[0]) if rows else None
        with atomic_path(self.path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            if rows:
                file.write(lines[0] + "\n")
                file.writelines(
                    line + "\n" for line, row in zip(lines[1:], rows, strict=True) if int(row["step"]) <= last_step
                )

    def write(self, row: dict[str, float]) -> None:
        header = self._columns is None
        if self._columns is None:
            self._columns = list(row)
        text = io.StringIO()
        writer = csv.DictWriter(text, self._columns, extrasaction="ignore", lineterminator="\n")
        if header:
            writer.writeheader()
        writer.writerow({name: row.get(name, "") for name in self._columns})
        with self.path.open("a", encoding="utf-8") as file:
            file.write(text.getvalue())

    def close(self) -> None: ...


class TensorBoardLog:
    """Event files for TensorBoard; on resume, what lies past the resumed step is hidden."""

    def __init__(self, folder: Path, *, after_step: int) -> None:
        self._writer: Any = summary_writer()(str(folder), purge_step=after_step + 1 if after_step else None)

    def write(self, row: dict[str, float]) -> None:
        for name, value in row.items():
            if name != "step":
                self._writer.add_scalar(name.replace("valid_", "valid/"), value, global_step=int(row["step"]))
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


def summary_writer() -> Any:
    """TensorBoard's writer class. Raises MissingDependency when the package is absent."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingDependency(
            "the recipe asks for TensorBoard logs and the package tensorboard is not installed",
            hint="Install it with `pip install 'eqcli[report]'`, or take tensorboard out of training.loggers.",
        ) from error
    return SummaryWriter


def open_logs(names: tuple[str, ...], output: Path, *, after_step: int) -> list[Log]:
    """The logs that a recipe names, in the run directory."""
    kinds: dict[str, Any] = {
        "csv": lambda: CSVLog(output / "metrics.csv", after_step=after_step),
        "tensorboard": lambda: TensorBoardLog(output / "tensorboard", after_step=after_step),
    }
    return [kinds[name]() for name in names]
