"""Dynamics of structures from files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from eqcli.progress import Reporter, Silent
from eqcli.tasks.move_result import MoveResult, MoveRow
from eqcli.tasks.moving_request import MovingRequest, check_only, first_structures
from eqcli.tasks.stream.division import AUTO, Workers

if TYPE_CHECKING:
    from eqcli.engine.batched.motion_settings import MotionSettings
    from eqcli.engine.guest_calculator import Scalar
    from eqcli.io.structure import Structure
    from eqcli.recipe.cluster import ClusterRecipe
    from eqcli.tasks.move_chunks import MoveInBatches
    from eqcli.tasks.stream.result import StreamResult

LIGHT_STEP = 0.5
"""fs: as long as time steps should be where hydrogen moves."""


def move(
    model: Path,
    inputs: Sequence[Path],
    output: Path | None,
    settings: MotionSettings,
    *,
    trajectory: Path | None = None,
    device: str = "auto",
    precision: str = "float64",
    model_arguments: Mapping[str, Scalar] | None = None,
    compile: bool = False,
    batch_atoms: int | None = None,
    overwrite: bool = False,
    resume: bool = False,
    workers: Workers = AUTO,
    cluster: ClusterRecipe | None = None,
    report: Reporter | None = None,
) -> MoveResult:
    """Moves every structure of `inputs` through time, many at once; the last frames go into one file.

    These have velocities (`arrays["velocities"]`, Å/fs), from which a second call goes on. Structures without get
    random ones. Results are kept in `<output>.work` until all are there; see `stream.run.run_stream`.

    Parameters
    ----------
    model, model_arguments, inputs, compile, batch_atoms, overwrite, resume, workers, cluster, report
        As for `predict`.
    output
        Where the last frames go; None writes nothing.
    settings
        How to move.
    trajectory
        A file of a format that holds many structures, for every `settings.every`-th step, the first point included,
        of every structure, one after the other.
    precision
        `float64` or `float32`; energy is conserved with the first alone.

    Raises
    ------
    InputError
        The request cannot be carried out as a whole, or not for its only structure. What concerns
        one structure of several is a row of `failures`.
    """
    from eqcli.tasks.move_chunks import open_move

    report = report or Silent()
    moving = MovingRequest(
        "move", model, inputs, output, trajectory, device, precision, model_arguments or {}, compile, batch_atoms,
        overwrite, resume, workers, cluster,
    )  # fmt: skip
    request = moving.stream_request({"motion": asdict(settings)})
    first, alone = first_structures(request, (output, trajectory))
    processor = open_move(request, report)
    if alone:
        check_only(first[0], processor)
    _warn(processor, settings, first, report)
    result = MoveResult(device=processor.device, precision=processor.precision, settings=asdict(settings))
    report.message(f"{settings.ensemble} dynamics of {settings.steps} steps on {result.device} in {result.precision}")
    _take(moving.run(request, processor, report, steps=settings.steps), result)
    return result


def _warn(processor: MoveInBatches, settings: MotionSettings, first: list[Structure], report: Reporter) -> None:
    potential = processor.loaded.potential
    if "forces" in potential.direct and "guest" not in processor.loaded.header:
        report.warning("the forces of this model are not the gradient of its energy: no energy is conserved")
    if settings.time_step > LIGHT_STEP and any((structure.numbers == 1).any() for structure in first):
        report.warning(f"hydrogen moves fast: a time step of {LIGHT_STEP} fs is as long as it should be")


def _take(found: StreamResult, result: MoveResult) -> None:
    for part in found.figures:
        result.figures.join(part)
        result.rows += [MoveRow(**row) for row in part["rows"]]
    result.output, result.trajectory = found.output, found.trajectory
    result.failures, result.failed = found.listed(), found.failed
