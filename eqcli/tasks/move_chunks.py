"""Dynamics of a chunk of structures, all in flight together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from eqcli.engine.batched.counter_noise import BEFORE, steps_in_all
from eqcli.engine.batched.motion_settings import MotionSettings, require_movable, steps_before
from eqcli.engine.batched.moving import make_moving
from eqcli.engine.batched.observables import temperature
from eqcli.engine.batched.observed import Observed, averages
from eqcli.engine.batched.state import to_structure
from eqcli.errors import InputError, Where
from eqcli.tasks.in_batches import InBatches, Row
from eqcli.tasks.inference import load_for_inference
from eqcli.tasks.move_result import MoveRow, known, move_figures

if TYPE_CHECKING:
    from torch import Tensor

    from eqcli.engine.batched.state import BatchState
    from eqcli.engine.model_file import ModelFile
    from eqcli.io.structure import Structure
    from eqcli.progress import Reporter
    from eqcli.tasks.stream.request import StreamRequest


class MoveInBatches(InBatches):
    """Moves the structures of a chunk through time together."""

    def __init__(
        self, loaded: ModelFile, settings: MotionSettings, *, batch_atoms: int | None, trajectory: Path | None
    ) -> None:
        stepper = Observed(make_moving(settings), settings.time_step)
        super().__init__(loaded, stepper, batch_atoms=batch_atoms, trajectory=trajectory)
        self.settings = settings

    def require(self, structure: Structure) -> None:
        """Raises InputError for a structure that cannot be moved as the settings ask."""
        require_movable(structure, self.settings)
        super().require(structure)

    def _start(self, structure: Structure, item: int) -> BatchState:
        before = torch.tensor([steps_before(structure)], dtype=torch.int64)
        return super()._start(structure, item).with_(systems={BEFORE: before})

    def ended(self, state: BatchState) -> Tensor:
        """Out of steps."""
        return state.step >= self.settings.steps

    def due(self, state: BatchState) -> Tensor:
        """Every so many steps, the start included."""
        return state.step % self.settings.every == 0

    def numbered(self, state: BatchState) -> Tensor:
        """On from the steps of earlier runs."""
        return steps_in_all(state)

    def fault(self, one: BatchState) -> str | None:
        """Nothing but values that are not finite is wrong with dynamics, and these are seen elsewhere."""
        return None

    def present(self, state: BatchState, originals: Sequence[Structure]) -> list[Structure]:
        """The structures with velocities, and among `info` the temperature of each, its steps and time in all."""
        warm, steps, total = temperature(state).tolist(), state.step.tolist(), steps_in_all(state).tolist()
        found = []
        for k, original in enumerate(originals):
            structure = to_structure(state, k, original)
            time = self._time_before(original) + steps[k] * self.settings.time_step
            structure.info |= {"md_step": total[k], "md_time": time}
            if known(warm[k]) is not None:
                structure.info["temperature"] = warm[k]
            found.append(structure)
        return found

    def _time_before(self, original: Structure) -> float:
        """fs, of the steps of earlier runs, whose time steps may have been others."""
        before = steps_before(original)
        given = original.info.get("md_time")
        if before and isinstance(given, Real) and math.isfinite(given):
            return float(given)
        return before * self.settings.time_step

    def row(self, name: str, one: BatchState, original: Structure, end: Structure) -> Row:
        """The fields of `MoveRow`."""
        mean = {key: known(float(value[0])) for key, value in averages(one).items()}
        steps = int(one.step[0])
        row = MoveRow(
            item=name, steps=steps, time=steps * self.settings.time_step / 1000, energy=float(one.energy[0]), **mean
        )
        return asdict(row)

    def words(self, row: Row) -> str:
        """Time, temperature and drift."""
        return str(MoveRow(**row))

    def told(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Counts and extremes, and the first rows of a request."""
        return move_figures(rows)

    def figures(self, state: BatchState) -> Mapping[str, float]:
        """Step, energy and temperature."""
        return {
            "step": float(state.step[0]),
            "energy": float(state.energy[0]),
            "temperature": float(temperature(state)[0]),
        }


def open_move(request: StreamRequest, report: Reporter | None = None) -> MoveInBatches:
    """The processor of a request. Raises InputError for a model that cannot move what is asked for."""
    given = dict(request.settings)
    settings = MotionSettings(**given["motion"])
    model = Path(str(request.model))
    loaded = load_for_inference(model, request.device, given["precision"], given["model_arguments"], report)
    if "forces" not in loaded.potential.outputs:
        raise InputError("dynamics need forces, and this model gives none", Where(model))
    if settings.ensemble == "npt" and "stress" not in loaded.potential.outputs:
        raise InputError("a cell moves by its stress, and this model gives none", Where(model), "Use --md nvt.")
    if given["compile"]:
        from eqcli.engine.compiled import compile_potential

        compile_potential(loaded.potential)
    trajectory = None if given["trajectory"] is None else Path(given["trajectory"])
    return MoveInBatches(loaded, settings, batch_atoms=given["batch_atoms"], trajectory=trajectory)
