"""What a subcommand says: results on standard output, everything else on standard error.

On a terminal, progress is a bar; elsewhere it is a plain line now and then, so
that a batch log stays readable. Control codes are never written to a file.
"""

from __future__ import annotations

import json
import os
import sys
from typing import IO, TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from eqcli.errors import EqcliError, Failure
    from eqcli.progress import Reporter

Style = Literal["error", "warning", "heading", "plain"]
CODES: dict[Style, str] = {"error": "1;31", "warning": "33", "heading": "1", "plain": ""}


def is_terminal(stream: IO[str]) -> bool:
    """Whether control codes make sense on a stream."""
    return stream.isatty() and os.environ.get("TERM", "") != "dumb"


class Console:
    """The voice of one subcommand.

    `quiet` leaves only warnings, failures and errors; `as_json` puts one JSON
    document on standard output and nothing else there.
    """

    def __init__(self, *, quiet: bool = False, as_json: bool = False) -> None:
        self.quiet = quiet
        self.as_json = as_json
        self.out = sys.stdout
        self.err = sys.stderr
        self._report: Reporter | None = None

    @property
    def report(self) -> Reporter:
        """What tasks report to."""
        if self._report is None:
            from eqcli.cli import reporters

            if self.quiet:
                self._report = reporters.WarningsOnly(self)
            elif is_terminal(self.err):
                self._report = reporters.BarReporter(self)
            else:
                self._report = reporters.LineReporter(self)
        return self._report

    def note(self, text: str, style: Style = "plain") -> None:
        """A line on standard error."""
        print(_styled(text, style, self.err), file=self.err, flush=True)

    def say(self, text: str, style: Style = "plain") -> None:
        """A line of the result, on standard output unless that is kept for JSON or silent."""
        if not (self.quiet or self.as_json):
            print(_styled(text, style, self.out), file=self.out)

    def product(self, text: str) -> None:
        """Text that was asked for (a recipe, a schema); printed even when quiet."""
        if not self.as_json:
            print(text.rstrip("\n"), file=self.out)

    def document(self, data: object) -> None:
        """The one JSON document of a command."""
        if self.as_json:
            print(json.dumps(jsonable(data), indent=2, ensure_ascii=False), file=self.out, flush=True)

    def facts(self, rows: Iterable[tuple[str, str]]) -> None:
        """Two columns: what, and its value."""
        pairs = [(str(label), str(value)) for label, value in rows]
        width = max((len(label) for label, _ in pairs), default=0)
        for label, value in pairs:
            first, *more = value.split("\n")
            self.say(f"{label:<{width}}  {first}".rstrip())
            for line in more:
                self.say(f"{'':<{width}}  {line}".rstrip())

    def table(self, header: Sequence[str], rows: Sequence[Sequence[object]], *, on_error: bool = False) -> None:
        """A table with a line of headings; numbers stand to the right."""
        cells = [[_cell(value) for value in row] for row in rows]
        right = [all(isinstance(row[i], int | float) for row in rows) for i in range(len(header))]
        widths = [max(len(line[i]) for line in [list(header), *cells]) for i in range(len(header))]
        write = self.note if on_error else self.say
        for number, line in enumerate([list(header), *cells]):
            padded = [c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True)]
            write("  ".join(padded).rstrip(), "heading" if number == 0 else "plain")

    def failures(self, failures: Sequence[Failure]) -> None:
        """The table of what failed, on standard error."""
        if failures:
            self.note("")
            self.note(f"{len(failures)} failed:", "error")
            self.table(("item", "reason"), [(f.item, f.reason) for f in failures], on_error=True)

    def error(self, error: EqcliError) -> None:
        """Every mistake of an error, on standard error."""
        for single in getattr(error, "errors", [error]):
            first, *more = str(single).split("\n")
            self.note(_styled("error: ", "error", self.err) + "\n".join([first, *more]))


def jsonable(value: Any) -> Any:
    """Plain JSON values: paths and enumerations as text, numbers of numpy as numbers, NaN and infinity as null."""
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(item) for item in value]
    if hasattr(value, "tolist"):
        return jsonable(value.tolist())
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else str(value).replace("\n", " ")


def _styled(text: str, style: Style, stream: IO[str]) -> str:
    code = CODES[style]
    if not code or not is_terminal(stream) or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{code}m{text}\x1b[0m"
