"""What kind of dynamics is asked for, from the words of a command or a recipe."""

from __future__ import annotations

import re
from typing import Any

from eqcli.engine.batched.motion_settings import MotionSettings
from eqcli.errors import InputError

FEMTOSECONDS = {"fs": 1.0, "ps": 1e3, "ns": 1e6}

TIME_STEP = "1fs"


def motion_settings(
    md: str,
    *,
    time: str | None = None,
    steps: int | None = None,
    time_step: str | None = None,
    cell: str = "none",
    pressure: float = 0.0,
    **given: Any,
) -> MotionSettings:
    """The settings of dynamics in the ensemble `md`.

    Parameters
    ----------
    time, time_step
        With their units, such as `10ps` and `0.5fs`.
    steps
        In place of `time`.
    cell
        `none` and `isotropic` scale the cell in the ensemble npt, `full` changes its shape too.
    given
        Other fields of `MotionSettings`; None stands for the default.

    Raises
    ------
    InputError
        They contradict each other.
    """
    given = {name: value for name, value in given.items() if value is not None}
    _refuse_useless(md, given)
    if cell != "none" and md != "npt":
        raise InputError(f"the cell of {md} dynamics does not move", hint="Use --md npt, or leave out --cell.")
    step = femtoseconds("time step", time_step or TIME_STEP)
    moving = {"cell": "full" if cell == "full" else "isotropic"}
    return MotionSettings(
        ensemble=md,  # type: ignore[arg-type]
        time_step=step,
        steps=_steps(time, steps, step),
        pressure=pressure,
        **(given | moving),
    )


def femtoseconds(what: str, text: str) -> float:
    """A time such as `10ps` in fs. Raises InputError for anything else."""
    found = re.fullmatch(r"\s*([0-9.]+(?:[eE][-+]?[0-9]+)?)\s*(fs|ps|ns)\s*", text)
    try:
        value = float(found[1]) * FEMTOSECONDS[found[2]] if found else 0.0
    except ValueError:
        value = 0.0
    if not value > 0:
        said = f"the {what} must be a time above zero with its unit, not '{text}'"
        raise InputError(said, hint="For example 10ps or 0.5fs.")
    return value


def _steps(time: str | None, steps: int | None, time_step: float) -> int:
    if (time is None) == (steps is None):
        raise InputError(
            "dynamics need a time or a number of steps" + (", not both" if time is not None else ""),
            hint="For example --time 10ps.",
        )
    if steps is not None:
        return steps
    count = femtoseconds("time", str(time)) / time_step
    if abs(count - round(count)) > 1e-6 * max(1.0, count) or round(count) < 1:
        raise InputError(f"the time {time} is no multiple of the time step of {time_step:g} fs")
    return round(count)


def _refuse_useless(md: str, given: dict[str, Any]) -> None:
    """What is given and would change nothing was meant otherwise."""
    if md == "nve":
        useless = [name for name in ("thermostat", "friction") if name in given]
    else:
        useless = ["friction"] if given.get("thermostat", "langevin") != "langevin" and "friction" in given else []
    if useless:
        kind = "nve dynamics have" if md == "nve" else "a Nose-Hoover chain has"
        raise InputError(f"{kind} no {useless[0]}", hint=f"Leave out the {useless[0]}.")
