"""The expressivity suite: which graphs each architecture tells apart, as theory says it should."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.errors import ExitCode, Failure, InputError
from eqcli.progress import Reporter, Silent

if TYPE_CHECKING:
    from eqcli.audit.gwl import GWLResult
    from eqcli.models.potentials.base import Potential

TABLE = "table.csv"


@dataclass
class GWLSuiteResult:
    """What the suite found and where it stands.

    Attributes
    ----------
    output
        Folder of the report.
    architectures
        Name -> the result of every pair of graphs.
    failures
        Architectures that could not be tested.
    """

    output: Path
    report_html: Path
    report_json: Path
    architectures: dict[str, list[GWLResult]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def disagreements(self) -> list[str]:
        """Pairs for which an architecture does other than theory says."""
        return [
            f"{name}: {r.pair.title}" for name, results in self.architectures.items() for r in results if not r.agrees
        ]

    @property
    def exit_code(self) -> ExitCode:
        """AUDIT_FAILED when an architecture does other than theory says, else PARTIAL when one failed, else OK."""
        if self.disagreements:
            return ExitCode.AUDIT_FAILED
        return ExitCode.PARTIAL if self.failures else ExitCode.OK

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One row per pair of graphs: how many seeds of each architecture tell the two apart."""
        names = list(self.architectures)
        by_pair = zip(*self.architectures.values(), strict=True)
        return [
            {"test": group[0].pair.title, "needs": group[0].pair.needs}
            | {name: f"{r.separated}/{len(r.differences)}" for name, r in zip(names, group, strict=True)}
            for group in by_pair
        ]

    def as_dict(self) -> dict[str, Any]:
        return {
            "output": str(self.output),
            "report_html": str(self.report_html),
            "report_json": str(self.report_json),
            "architectures": {
                name: [result.as_dict() for result in results] for name, results in self.architectures.items()
            },
            "disagreements": self.disagreements,
            "failures": [failure.as_dict() for failure in self.failures],
            "seconds": self.seconds,
            "exit_code": int(self.exit_code),
        }

    def summary(self) -> list[tuple[str, str]]:
        rows = [
            (name, f"tells {sum(r.passed for r in results)} of {len(results)} pairs apart")
            for name, results in self.architectures.items()
        ]
        verdict = "theory and measurement agree" if not self.disagreements else "; ".join(self.disagreements)
        return [*rows, ("verdict", verdict), ("report", str(self.report_html))]


def gwl(
    output: Path,
    models: Sequence[Path] = (),
    *,
    seeds: int = 10,
    seed: int = 0,
    overwrite: bool = False,
    report: Reporter | None = None,
) -> GWLSuiteResult:
    """Puts the geometric Weisfeiler-Leman tests to architectures, each with `seeds` random weights.

    Parameters
    ----------
    output
        Folder that receives `index.html`, `report.json` and `table.csv`.
    models
        Model files, whose architectures are tested and not their weights; none means every potential of
        this tool with its default hyper-parameters.

    Raises
    ------
    InputError
        The output exists, or a model cannot be read.
    """
    from eqcli.audit.gwl import gwl_tests
    from eqcli.report.write import DATA, PAGE, refuse_report

    report = report or Silent()
    output = Path(output)
    refuse_report(output, overwrite)
    begun = time.monotonic()
    subjects = _potentials(models)
    result = GWLSuiteResult(output, output / PAGE, output / DATA)
    report.start("expressivity", len(subjects), "architectures")
    for name, potential in subjects.items():
        try:
            result.architectures[name] = gwl_tests(potential, seeds=seeds, seed=seed)
        except InputError as error:
            result.failures.append(Failure.of(name, error))
        report.advance()
    report.finish()
    result.seconds = time.monotonic() - begun
    _write(result, seed)
    return result


def _potentials(models: Sequence[Path]) -> dict[str, Potential]:
    """The architectures by the names of their files, or by the paths where files have the same name."""
    from eqcli.engine.model_file import load_model, make_potential
    from eqcli.models.potentials.config import POTENTIALS

    if not models:
        return {name: make_potential(config(), [6]) for name, (_, _, config) in POTENTIALS.items()}
    stems = [path.stem for path in models]
    return {path.stem if stems.count(path.stem) == 1 else str(path): load_model(path).potential for path in models}


def _write(result: GWLSuiteResult, seed: int) -> None:
    from eqcli.engine.provenance import provenance
    from eqcli.files import atomic_path
    from eqcli.report.csv_text import csv_text
    from eqcli.report.gwl import gwl_page
    from eqcli.report.write import write_report

    origin = provenance() | {"seed": seed}
    result.output.mkdir(parents=True, exist_ok=True)
    with atomic_path(result.output / TABLE) as temporary:
        temporary.write_text(csv_text(result.rows), encoding="utf-8")
    write_report(result.output, gwl_page(result.as_dict(), origin), result.as_dict() | {"provenance": origin}, [])
