"""One of the further processes of a training: `python -m eqcli.cli.train_process REQUEST`."""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path
from typing import Any

from eqcli.errors import EqcliError, ExitCode
from eqcli.files import write_json
from eqcli.tasks.train_launch import end_with


def main(path: Path) -> int:
    """Trains along and ends with the exit code of the training; the process that asked for it tells what went wrong."""
    request = json.loads(path.read_text(encoding="utf-8"))
    end_with(request.pop("parent"))
    told = Path(request.pop("error"))
    try:
        _train(request)
    except EqcliError as error:
        _leave(told, error)
        return int(error.exit_code)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except Exception:
        write_json(told, {"defect": traceback.format_exc(), "followed": False})
        return ExitCode.INTERNAL
    return ExitCode.OK


def _train(request: dict[str, Any]) -> None:
    from eqcli.engine.training_world import World
    from eqcli.progress import Silent
    from eqcli.recipe.training import training_recipe
    from eqcli.tasks.train_here import Request, train_here

    world = World(**request.pop("world"))
    recipe = training_recipe(request.pop("recipe"))
    train_here(Request(recipe, **request), world, Silent())


def _leave(path: Path, error: EqcliError) -> None:
    from eqcli.engine.training_processes import Lost, ToldElsewhere

    where = error.where
    write_json(
        path,
        {
            "followed": isinstance(error, Lost | ToldElsewhere),
            "defect": "",
            "message": error.message if error.__class__.__name__ != "ErrorGroup" else str(error),
            "where": {"file": str(where.file) if where.file else None, "frame": where.frame, "line": where.line,
                      "key": where.key},
            "hint": error.hint,
            "exit_code": int(error.exit_code),
        },
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
