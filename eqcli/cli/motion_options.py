"""Options of `eqcli relax --md`, which moves structures through time in place of relaxing them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.cli.option_groups import Option
from eqcli.errors import InputError

if TYPE_CHECKING:
    from eqcli.engine.batched.motion_settings import MotionSettings


class Ensemble(StrEnum):
    """What dynamics keep."""

    nve = "nve"
    nvt = "nvt"
    npt = "npt"


class Thermostat(StrEnum):
    """What keeps the temperature."""

    langevin = "langevin"
    nose_hoover = "nose-hoover"


MOTION: dict[str, Option] = {
    "md": (
        Ensemble | None,
        "--md",
        {},
        "Dynamics in place of a relaxation: nve keeps the energy, nvt the temperature, npt the --pressure too.",
    ),
    "temperature": (float | None, "--temperature", {"min": 0.0}, "Temperature in K, of the first velocities too; 300."),
    "time": (str | None, "--time", {"metavar": "TIME"}, "How long, e.g. 10ps or 5000fs; or give --steps."),
    "time_step": (str | None, "--time-step", {"metavar": "TIME"}, "1fs; where hydrogen moves, no more than 0.5fs."),
    "every": (int | None, "--every", {"min": 1}, "Steps between two frames of the trajectory; 100."),
    "thermostat": (Thermostat | None, "--thermostat", {}, "What keeps the temperature; langevin."),
    "friction": (float | None, "--friction", {"min": 0.0}, "Of langevin, 1/fs; 0.01."),
    "seed": (int | None, "--seed", {"min": 0}, "Of random numbers and first velocities; 0."),
}
"""Argument -> type, name of the option, settings of the option, help."""

PANELS = {"Dynamics": MOTION}


def option_name(argument: str) -> str:
    """How an argument is written on the command line."""
    return f"--{argument.replace('_', '-')}"


def refuse_without_md(motion: Mapping[str, Any]) -> None:
    """Raises InputError for options of dynamics in a relaxation."""
    if motion:
        name = option_name(next(iter(motion)))
        raise InputError(f"{name} belongs to dynamics", hint="Add --md nve, nvt or npt, or leave it out.")


def chosen_motion(motion: Mapping[str, Any], relaxing: Mapping[str, Any], moving: Mapping[str, Any]) -> MotionSettings:
    """The settings of dynamics.

    Parameters
    ----------
    motion
        Options of dynamics that were given, `md` among them.
    relaxing
        Options of relaxations that were given: none of them has a meaning here.
    moving
        What both have: `steps`, `cell` and `pressure`.

    Raises
    ------
    InputError
        They contradict each other.
    """
    if relaxing:
        name = option_name(next(iter(relaxing)))
        raise InputError(f"{name} belongs to relaxations, and --md asks for dynamics", hint="Leave out one of them.")
    from eqcli.tasks.motion_request import motion_settings

    plain: dict[str, Any] = {
        name: value.value if isinstance(value, StrEnum) else value for name, value in motion.items()
    }
    return motion_settings(plain.pop("md"), **plain, **moving)


def default_files(inputs: list[Path], output: Path | None, trajectory: Path | None) -> tuple[Path, Path]:
    """Where the last frames and all of them go when nobody said."""
    last = output or Path(f"{inputs[0].stem}-md.extxyz" if len(inputs) == 1 else "md.extxyz")
    return last, trajectory or last.with_name(f"{last.stem}-trajectory.h5")
