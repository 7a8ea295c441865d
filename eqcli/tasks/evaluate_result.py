"""What an evaluation found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.audit.tolerances import TOLERANCES
from eqcli.errors import ExitCode, Failure

if TYPE_CHECKING:
    from eqcli.audit.result import AuditReport, Check


@dataclass
class EvaluateResult:
    """What an evaluation found and where it stands.

    Attributes
    ----------
    output
        Folder of the report.
    report_html, report_json
        The page, and every figure as data.
    figures
        Errors in total and by element, configuration type and file.
    audit
        The audit, or None when none was asked for.
    failures
        What could not be read or predicted.
    warnings
        What looks wrong with the data or the model.
    dataset
        Name of the data, by which comparisons group evaluations.
    """

    output: Path
    report_html: Path
    report_json: Path
    figures: dict[str, Any] = field(default_factory=dict)
    audit: AuditReport | None = None
    failures: list[Failure] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0
    dataset: str | None = None

    @property
    def exit_code(self) -> ExitCode:
        """AUDIT_FAILED when a claimed property does not hold, else PARTIAL when anything failed, else OK."""
        if self.audit is not None and not self.audit.passed:
            return ExitCode.AUDIT_FAILED
        return ExitCode.PARTIAL if self.failures else ExitCode.OK

    def as_dict(self) -> dict[str, Any]:
        """The result as plain data; the curves and distributions of the audit are in `report_json` alone."""
        from eqcli.report.write import finite

        audit = self.audit.as_dict() if self.audit else None
        if audit:
            for check in audit["checks"]:
                del check["curves"], check["distribution"]
                check["figures"].pop("expectation", None)
        plain: dict[str, Any] = finite(
            {
                "output": str(self.output),
                "report_html": str(self.report_html),
                "report_json": str(self.report_json),
                "figures": self.figures,
                "audit": audit,
                "failures": [failure.as_dict() for failure in self.failures],
                "warnings": self.warnings,
                "seconds": self.seconds,
                "exit_code": int(self.exit_code),
            }
        )
        return plain

    def summary(self) -> list[tuple[str, str]]:
        """The figures that matter, as text."""
        from eqcli.report.numbers import count, show

        rows = [("structures", f"{self.figures['structures']:,}")] if self.figures["structures"] else []
        total = self.figures["total"]
        for name, key in (("energy", "energy_per_atom"), ("forces", "forces"), ("stress", "stress_gpa")):
            if key in total:
                f = total[key]
                rows.append((f"{name} MAE / RMSE", f"{show(f['mae'])} / {show(f['rmse'])} {f['unit']}"))
        if "energy" in total:
            f = total["energy"]
            rows.insert(2, ("energy per structure", f"{show(f['mae'])} / {show(f['rmse'])} {f['unit']}"))
        for name, f in total.get("properties", {}).items():
            rows.append((f"{name} MAE / RMSE", f"{show(f['mae'])} / {show(f['rmse'])} {f['unit']}".rstrip()))
        if not total and self.figures["structures"]:
            rows.append(("errors", "the data carry no labels"))
        if self.audit is not None:
            verdict = "passed" if self.audit.passed else "FAILED: " + _titles(self.audit.failed)
            rows.append(("audit", f"{verdict} ({count(len(self.audit.structures), 'structure')})"))
            if self.audit.skipped:
                rows.append(("not audited", ", ".join(TOLERANCES[key].title for key in self.audit.skipped)))
            if self.audit.findings:
                rows.append(("findings", _titles(self.audit.findings)))
        if self.failures:
            rows.append(("failed", count(len(self.failures), "item")))
        return [*rows, ("report", str(self.report_html))]


def _titles(checks: Iterable[Check]) -> str:
    return ", ".join(check.tolerance.title for check in checks)
