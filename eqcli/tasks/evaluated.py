"""What results of evaluations have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eqcli.errors import ExitCode, Failure


class Evaluated:
    """A result with a report, warnings and failures; a dataclass that is one has these fields.

    Attributes
    ----------
    output
        Folder of the report.
    report_html
        The page.
    failures
        What could not be read, measured or judged.
    warnings
        What looks wrong.
    """

    output: Path
    report_html: Path
    failures: list[Failure]
    warnings: list[str]
    seconds: float

    @property
    def exit_code(self) -> ExitCode:
        """PARTIAL when there are failures, else OK."""
        return ExitCode.PARTIAL if self.failures else ExitCode.OK

    def plain(self, content: dict[str, Any]) -> dict[str, Any]:
        """Plain data with the report before `content`, and warnings and failures after it; numbers are finite."""
        from eqcli.report.write import finite

        begin = {"output": str(self.output), "report_html": str(self.report_html)}
        end = {
            "warnings": self.warnings,
            "failures": [failure.as_dict() for failure in self.failures],
            "seconds": self.seconds,
            "exit_code": int(self.exit_code),
        }
        whole: dict[str, Any] = finite({**begin, **content, **end})
        return whole

    def told(self) -> list[tuple[str, str]]:
        """What to look at, as lines of a summary: warnings, how many items failed, and the page."""
        from eqcli.report.numbers import count

        lines = [("look here", warning) for warning in self.warnings]
        if self.failures:
            lines.append(("failed", count(len(self.failures), "item")))
        return [*lines, ("report", str(self.report_html))]
