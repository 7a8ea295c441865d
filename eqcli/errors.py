"""What the tool says when something is wrong, and the exit code that goes with it.

Every error a person can cause is an :class:`EqcliError`. It carries where the
fault is, what was found, what was expected and what to do, so that the command
line can print one clear message and no traceback.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path


class ExitCode(IntEnum):
    """Exit codes of every subcommand; scripts may rely on them."""

    OK = 0
    INTERNAL = 1
    """A defect of the program itself; a traceback is shown."""
    BAD_INPUT = 2
    """The request cannot be carried out as written; nothing was done."""
    PARTIAL = 3
    """Some items of a batch failed; the others are done and the failures listed."""
    NOT_CONVERGED = 4
    """A relaxation or a fit stopped before it met its criterion."""
    AUDIT_FAILED = 5
    """An audit found a property that the model claims and does not have."""
    INTERRUPTED = 130
    """Stopped by the user or the batch system; `--resume` continues."""


@dataclass(frozen=True)
class Where:
    """The place of a fault: file, frame (0-based), line (1-based) and key."""

    file: str | Path | None = None
    frame: int | None = None
    line: int | None = None
    key: str | None = None

    def __str__(self) -> str:
        place = str(self.file) if self.file is not None else ""
        if self.line is not None:
            place += f":{self.line}" if place else f"line {self.line}"
        parts = [place] if place else []
        if self.frame is not None:
            parts.append(f"frame {self.frame}")
        if self.key:
            parts.append(f"key '{self.key}'")
        return ", ".join(parts)


@dataclass
class EqcliError(Exception):
    """A fault the user can mend.

    Parameters
    ----------
    message
        What was found and what was expected, one sentence.
    where
        The place of the fault.
    hint
        What to do about it.
    """

    message: str
    where: Where = field(default_factory=Where)
    hint: str = ""
    exit_code: ExitCode = ExitCode.BAD_INPUT

    def __str__(self) -> str:
        place = str(self.where)
        text = f"{place}: {self.message}" if place else self.message
        return f"{text}\n  {self.hint}" if self.hint else text

    def as_dict(self) -> dict[str, object]:
        """The error as plain data, for `--json`."""
        return {
            "message": self.message,
            "file": str(self.where.file) if self.where.file is not None else None,
            "frame": self.where.frame,
            "line": self.where.line,
            "key": self.where.key,
            "hint": self.hint or None,
            "exit_code": int(self.exit_code),
        }


class InputError(EqcliError):
    """A file, option or recipe that cannot be used as it stands."""


class MissingDependency(EqcliError):
    """An optional package is needed for this and is not installed."""


class ErrorGroup(EqcliError):
    """Several faults found in one pass, reported together."""

    def __init__(self, errors: list[EqcliError]) -> None:
        if not errors:
            raise ValueError("an error group needs at least one error")
        self.errors = errors
        super().__init__(message=f"{len(errors)} problems found" if len(errors) > 1 else "1 problem found")

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)

    def as_dict(self) -> dict[str, object]:
        return {"errors": [error.as_dict() for error in self.errors], "exit_code": int(self.exit_code)}


@dataclass(frozen=True)
class Failure:
    """One item of a batch that failed: a row of the table printed at the end."""

    item: str
    """What failed, e.g. `water.xyz, frame 3`."""
    reason: str
    where: Where = field(default_factory=Where)

    @classmethod
    def of(cls, item: str, error: BaseException) -> Failure:
        """The row for an exception raised while working on `item`."""
        if isinstance(error, EqcliError):
            reason = f"{error.message.rstrip('.')}. {error.hint}" if error.hint else error.message
            return cls(item=item, reason=reason, where=error.where)
        return cls(item=item, reason=f"{type(error).__name__}: {error}")

    def as_dict(self) -> dict[str, object]:
        return {
            "item": self.item,
            "reason": self.reason,
            "file": str(self.where.file) if self.where.file else None,
            "frame": self.where.frame,
            "line": self.where.line,
        }
