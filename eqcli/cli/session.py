"""One subcommand from start to exit code: the errors it may end with and how each is told."""

from __future__ import annotations

import errno
import os
import re
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from types import FrameType
from typing import Any, Protocol

import typer

from eqcli.cli.console import Console
from eqcli.errors import EqcliError, ExitCode, Failure
from eqcli.nn.backend import BackendWarning

DEFECT = "This is a defect of eqcli, not of your input. Please report it with the lines above."
BROKEN_PIPE = 141
"""What a shell shows for a program whose reader went away (128 + SIGPIPE)."""


SYSTEM = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.ENAMETOOLONG,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EIO,
    errno.EMFILE,
)
"""Errors of the operating system that are the machine's or the person's, not the program's."""

DISK_FULL = os.strerror(errno.ENOSPC)
"""What every library passes on in its message, if not in the type of its error."""


class Result(Protocol):
    """What every task returns."""

    @property
    def failures(self) -> list[Failure]: ...

    @property
    def exit_code(self) -> ExitCode: ...

    def as_dict(self) -> dict[str, Any]: ...

    def summary(self) -> list[tuple[str, str]]: ...


class Terminated(KeyboardInterrupt):
    """The batch system asked the program to stop (SIGTERM)."""


@contextmanager
def session(*, quiet: bool = False, as_json: bool = False, on_interrupt: str = "") -> Iterator[Console]:
    """Runs the body of a subcommand and turns whatever ends it into a message and an exit code.

    `on_interrupt` is what to do after an interruption, e.g. how to resume.
    """
    console = Console(quiet=quiet, as_json=as_json)
    code: int = ExitCode.OK
    interrupted: list[int] = []
    try:
        with _signals(interrupted), redirect_stdout(sys.stderr), _warnings(console):
            yield console
    except EqcliError as error:
        code = error.exit_code
        _stop(console)
        console.error(error)
        console.document({"error": error.as_dict()})
    except KeyboardInterrupt:
        code = _interrupted(console, on_interrupt)
    except typer.Exit as stop:
        code = stop.exit_code
    except SystemExit as stop:
        # Libraries turn an interruption into an exit of their own.
        code = _interrupted(console, on_interrupt) if interrupted else _status(stop)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = BROKEN_PIPE
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("eqcli"):
            code = _missing_package(console, error)
        elif interrupted:
            code = _interrupted(console, on_interrupt)
        elif DISK_FULL in str(error):
            code = _disk_full(console, error)
        elif isinstance(error, OSError) and error.errno in SYSTEM:
            code = _refused_by_system(console, error)
        elif _short_of_memory(error):
            code = _no_memory(console)
        else:
            code = _defect(console, error)
    _stop(console)
    if code:
        raise typer.Exit(int(code))


@contextmanager
def _warnings(console: Console) -> Iterator[None]:
    """Warnings about backends are for the person at the terminal; others are shown as Python shows them."""
    said: set[str] = set()

    def show(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
        if not issubclass(category, BackendWarning):
            usual(message, category, *rest, **more)
        elif str(message) not in said:
            said.add(str(message))
            console.report.warning(str(message))

    with warnings.catch_warnings():
        usual = warnings.showwarning
        warnings.simplefilter("always", BackendWarning)
        warnings.showwarning = show
        yield


def finish(console: Console, result: Result) -> None:
    """Shows what a task returned and ends the command with its exit code."""
    _stop(console)
    console.document(result.as_dict())
    _table(console, [row if isinstance(row, dict) else asdict(row) for row in getattr(result, "rows", ())])
    console.facts(result.summary())
    console.failures(result.failures)
    if result.exit_code:
        raise typer.Exit(int(result.exit_code))


def _table(console: Console, rows: list[dict[str, Any]]) -> None:
    """One line per item, without the columns that are empty; nothing where the summary says it all."""
    if len(rows) > 1:
        header = [key for key in rows[0] if any(row[key] is not None for row in rows)]
        console.table([key.replace("_", " ") for key in header], [[row[key] for key in header] for row in rows])
        console.say("")


def _interrupted(console: Console, hint: str) -> int:
    _stop(console)
    console.note("interrupted" + (f". {hint}" if hint else ""), "error")
    console.document({"error": {"message": "interrupted", "hint": hint or None, "exit_code": ExitCode.INTERRUPTED}})
    return ExitCode.INTERRUPTED


def _refused_by_system(console: Console, error: OSError) -> int:
    from eqcli.errors import InputError, Where

    told = InputError(f"the system refused: {error.strerror}", Where(error.filename))
    console.error(told)
    console.document({"error": told.as_dict()})
    return told.exit_code


def _disk_full(console: Console, error: Exception) -> int:
    from eqcli.errors import InputError, Where

    # HDF5 names the file in its text alone.
    named = re.search(r"filename = '([^']+)'", str(error))
    file = named.group(1) if named else getattr(error, "filename", None)
    told = InputError(
        "the disk is full",
        Where(file),
        "Make room, then give the command again: with --resume trainings, predictions, relaxations and generations "
        "go on with what was done.",
    )
    console.error(told)
    console.document({"error": told.as_dict()})
    if named:
        # HDF5 would try to write once more when its objects go, and crash with another exit code.
        _stop(console)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(told.exit_code)
    return told.exit_code


def _short_of_memory(error: Exception) -> bool:
    from eqcli.engine.device import out_of_memory

    return out_of_memory(error)


def _no_memory(console: Console) -> int:
    """What tasks did not catch: memory ended where the work cannot be made smaller."""
    from eqcli.errors import InputError

    told = InputError(
        "there is not enough memory for this",
        hint="Give the job more memory, or ask for less at once, e.g. with --batch-atoms or fewer --workers.",
    )
    console.error(told)
    console.document({"error": told.as_dict()})
    return told.exit_code


def _missing_package(console: Console, error: ModuleNotFoundError) -> int:
    from eqcli.errors import MissingDependency

    told = MissingDependency(
        f"the package '{error.name}' is needed for this and is not installed",
        hint=f"Install it, e.g. `pip install {error.name}`.",
    )
    console.error(told)
    console.document({"error": told.as_dict()})
    return told.exit_code


def _defect(console: Console, error: Exception) -> int:
    import traceback

    _stop(console)
    traceback.print_exception(error, file=console.err)
    console.note(DEFECT, "error")
    message = f"{type(error).__name__}: {error}"
    console.document({"error": {"message": message, "hint": DEFECT, "exit_code": ExitCode.INTERNAL}})
    return ExitCode.INTERNAL


def _status(stop: SystemExit) -> int:
    return stop.code if isinstance(stop.code, int) else (0 if stop.code is None else 1)


def _stop(console: Console) -> None:
    stop = getattr(console._report, "stop", None)
    if stop is not None:
        stop()


@contextmanager
def _signals(received: list[int]) -> Iterator[None]:
    """SIGINT and SIGTERM raise in the main thread, so that temporary files are removed on the way out."""

    def handle(number: int, frame: FrameType | None) -> None:
        received.append(number)
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt

    before = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, handle)
    except ValueError:  # not the main thread (a test, a notebook): leave signals to the host
        pass
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
