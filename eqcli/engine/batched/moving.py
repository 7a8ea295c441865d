"""Dynamics of many structures: which stepper does what is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eqcli.engine.batched.langevin import Langevin
from eqcli.engine.batched.motion_settings import MotionSettings, require_movable
from eqcli.engine.batched.nose_hoover import NoseHoover
from eqcli.engine.batched.npt_rescaling import RescaledCell
from eqcli.engine.batched.thermal import thermal_velocities
from eqcli.engine.batched.velocity_verlet import ConstantCell, Travel, VelocityVerlet

if TYPE_CHECKING:
    from eqcli.engine.batched.stepper import Stepper

__all__ = ["MotionSettings", "make_moving", "require_movable", "thermal_velocities"]


def make_moving(settings: MotionSettings) -> Stepper:
    """The integrator; its `begin` gives velocities to structures that bring none.

    For `npt` the field must compute the stress. What is measured on the way stands in `observables`.
    """
    if settings.ensemble == "nve":
        return VelocityVerlet(settings)
    travel: Travel = RescaledCell(settings) if settings.ensemble == "npt" else ConstantCell()
    return Langevin(settings, travel) if settings.is_langevin else NoseHoover(settings, travel)
