"""What kind of dynamics is asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from eqcli.errors import InputError

if TYPE_CHECKING:
    from eqcli.io.structure import Structure

Ensemble = Literal["nve", "nvt", "npt"]
Thermostat = Literal["langevin", "nose-hoover"]
MovingCell = Literal["isotropic", "full"]

_CHOICES = {"ensemble": Ensemble, "thermostat": Thermostat, "cell": MovingCell}
MOST_STEPS = 2**32
"""Random numbers are counted by steps below this."""

_POSITIVE = ("time_step", "friction", "tau_thermostat", "tau_cell", "bulk_modulus")


@dataclass(frozen=True)
class MotionSettings:
    """How to move. Raises InputError for what makes no sense.

    Attributes
    ----------
    ensemble
        `nve` keeps the energy, `nvt` the temperature, `npt` temperature and pressure (on average).
    thermostat
        `langevin`, or `nose-hoover` for a chain of three; not used by `nve`.
    temperature
        K; that of the initial velocities too.
    pressure
        GPa, of `npt`.
    cell
        What `npt` moves: `isotropic` scales the cell, `full` changes its shape too.
    time_step
        fs. Half a femtosecond is as much as a model with hydrogen bears at constant energy.
    steps
        How many.
    every
        Steps between two frames of the trajectory.
    friction
        1/fs, of `langevin`.
    tau_thermostat
        fs, time constant τ of `nose-hoover`: its first mass is f k T τ² with f degrees of freedom.
    tau_cell
        fs, time in which the volume forgets its past where `bulk_modulus` is that of the material.
    bulk_modulus
        GPa, sets how fast the cell moves. The ensemble does not depend on it.
    seed
        Of the random numbers and the initial velocities.
    remove_drift
        Whether structures of free atoms lose their net momentum at the start (and with `nose-hoover` molecules their
        rotation); `langevin` keeps what a structure brings.
    """

    ensemble: Ensemble = "nve"
    thermostat: Thermostat = "langevin"
    temperature: float = 300.0
    pressure: float = 0.0
    cell: MovingCell = "isotropic"
    time_step: float = 1.0
    steps: int = 1000
    every: int = 100
    friction: float = 0.01
    tau_thermostat: float = 100.0
    tau_cell: float = 1000.0
    bulk_modulus: float = 100.0
    seed: int = 0
    remove_drift: bool = True

    def __post_init__(self) -> None:
        for name, known in _CHOICES.items():
            if getattr(self, name) not in get_args(known):
                raise InputError(f"unknown {name} '{getattr(self, name)}'", hint=f"Use {', '.join(get_args(known))}.")
        for name in _POSITIVE:
            if not (getattr(self, name) > 0 and math.isfinite(getattr(self, name))):
                raise InputError(f"{name} must be positive, not {getattr(self, name)}")
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise InputError(f"the temperature must not be negative, as {self.temperature} is")
        if self.temperature == 0 and self.ensemble != "nve":
            raise InputError("a thermostat needs a temperature above zero")
        if not math.isfinite(self.pressure):
            raise InputError(f"the pressure must be a number, not {self.pressure}")
        if self.pressure and self.ensemble != "npt":
            raise InputError("a pressure needs a cell that can move", hint="Use the ensemble npt.")
        self._require_counts()

    def _require_counts(self) -> None:
        if self.steps < 0:
            raise InputError(f"steps must not be negative, as {self.steps} is")
        if self.steps >= MOST_STEPS:
            raise InputError("a run has fewer than 2^32 steps")
        if self.every < 1:
            raise InputError(f"every must be at least 1, not {self.every}")
        if not self.remove_drift and self.is_nose_hoover:
            raise InputError(
                "a Nose-Hoover chain does not sample the ensemble of a structure that drifts",
                hint="Use langevin, or let the drift be removed.",
            )

    @property
    def is_nose_hoover(self) -> bool:
        """Whether a Nose-Hoover chain keeps the temperature."""
        return self.ensemble != "nve" and self.thermostat == "nose-hoover"

    @property
    def is_langevin(self) -> bool:
        """Whether friction and noise keep the temperature."""
        return self.ensemble != "nve" and self.thermostat == "langevin"


def steps_before(structure: Structure) -> int:
    """Steps of dynamics that brought a structure to where it is, as `info["md_step"]` of a last frame says; else 0.

    Raises InputError where it says what no number of steps can be.
    """
    given = structure.info.get("md_step", 0)
    try:
        steps = int(given)
        counts = bool(steps == given) and 0 <= steps < MOST_STEPS
    except (TypeError, ValueError, OverflowError):
        counts = False
    if not counts:
        raise InputError(
            f"md_step, the steps of dynamics so far, must be a whole number below 2^32, not {given!r}",
            hint="Remove it to begin with step 0.",
        )
    return steps


def require_movable(structure: Structure, settings: MotionSettings) -> None:
    """Raises InputError for a structure that cannot be moved like this."""
    if steps_before(structure) + settings.steps >= MOST_STEPS:
        raise InputError(
            f"with the {steps_before(structure)} steps before there would be 2^32 or more",
            hint="Remove md_step from the structure, and choose another seed.",
        )
    if settings.ensemble != "npt":
        return
    if not structure.pbc.all():
        raise InputError(
            "the cell cannot move: the structure is not periodic in three directions", hint="Use nvt or nve."
        )
    free = structure.free_directions
    if settings.cell == "full" and (free.any(axis=1) != free.all(axis=1)).any():
        raise InputError(
            "atoms are held along some directions alone, which have no meaning in a cell that changes its shape",
            hint="Use the cell isotropic.",
        )
