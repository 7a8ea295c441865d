"""The part of one process in a training."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eqcli.errors import EqcliError, ExitCode
from eqcli.files import write_json
from eqcli.progress import Reporter, Silent
from eqcli.tasks.train_devices import device_of, select, threads_for_world
from eqcli.tasks.train_requeue import requeue as requeue_job
from eqcli.tasks.train_requeue import wants_requeue
from eqcli.tasks.train_result import TrainResult

if TYPE_CHECKING:
    from eqcli.engine.training_module import Progress
    from eqcli.engine.training_objective import Trainable
    from eqcli.engine.training_processes import Processes
    from eqcli.engine.training_run import RunFolder
    from eqcli.engine.training_session import Session
    from eqcli.engine.training_world import World
    from eqcli.recipe.training import TrainingRecipe


@dataclass(frozen=True)
class Request:
    """What a training is asked for; the same for each of its processes.

    Attributes
    ----------
    strategy
        `ddp`: every process has all weights. `fsdp`: they are divided among the processes.
    requeue
        Put the Slurm job back into the queue when it is asked to end by SIGUSR1.
    """

    recipe: TrainingRecipe
    output: str
    device: str = "auto"
    strategy: str = "ddp"
    resume: bool = False
    overwrite: bool = False
    requeue: bool = False

    def plain(self) -> dict[str, Any]:
        """As plain data; the other processes find the run begun by the first."""
        recipe = self.recipe.model_dump(mode="json", by_alias=True)
        return {
            "recipe": recipe, "output": self.output, "device": self.device, "strategy": self.strategy, "resume": True,
        }  # fmt: skip


def train_here(request: Request, world: World, report: Reporter) -> TrainResult:
    """The part of one process in a training whose processes have been started."""
    from eqcli.engine.training_processes import Processes, ToldElsewhere
    from eqcli.engine.training_signals import early_signals

    processes = Processes(world)
    report = report if world.is_first else Silent()
    try:
        with early_signals(), threads_for_world(world), processes.connected():
            return _train(request, processes, report)
    except KeyboardInterrupt as stop:
        if getattr(stop, "requeue", False) and world.is_first and wants_requeue(request.requeue):
            requeue_job(report)
        if world.is_first:
            raise
        raise ToldElsewhere("interrupted", exit_code=ExitCode.INTERRUPTED) from None
    except EqcliError as error:
        if getattr(error, "told", False):
            raise ToldElsewhere(error.message, exit_code=error.exit_code) from None
        raise


def _train(request: Request, processes: Processes, report: Reporter) -> TrainResult:
    from eqcli.engine.training_run import RunFolder
    from eqcli.engine.training_session import Session

    started = time.monotonic()
    recipe, folder = request.recipe, RunFolder(request.output)
    target = device_of(request.device, processes.world)
    select(target)
    plain = recipe.model_dump(mode="json", by_alias=True)

    def prepare(first: bool) -> Trainable:
        resuming = not first or folder.open(plain, resume=request.resume, overwrite=request.overwrite)
        return _prepare(recipe, folder, resuming, report)

    try:
        trainable = processes.first_first(prepare)
        session = Session(
            recipe, plain, folder, trainable, target, report, processes, sharded=request.strategy == "fsdp"
        )
        return _result(session, _fit(session, folder, request.requeue, report), folder, started)
    finally:
        folder.close()


def _fit(session: Session, folder: RunFolder, requeue: bool, report: Reporter) -> Progress:
    """Trains to the end, or says how to go on after an interruption."""
    from eqcli.engine.training_processes import Lost
    from eqcli.engine.training_signals import Interrupted

    try:
        return session.fit()
    except Interrupted as stop:
        report.message(f"interrupted after a checkpoint; go on with --resume -o {folder.path}")
        if stop.requeue and session.is_first and wants_requeue(requeue):
            requeue_job(report)
        if stop.together:
            # A batch system may end all processes as soon as one has ended.
            with suppress(Lost):
                session.processes.gathered(None)
        raise KeyboardInterrupt from None
    finally:
        report.finish()


def _result(session: Session, progress: Progress, folder: RunFolder, started: float) -> TrainResult:
    """Figures of the saved model on every held-out part, written to the model file and to `result.json`."""
    from eqcli.engine.provenance import provenance

    metrics = session.final_figures()
    result = TrainResult(
        model=folder.model,
        output=folder.path,
        epochs=progress.epoch,
        steps=progress.step,
        best_epoch=progress.best_epoch,
        metrics=metrics,
        seconds=time.monotonic() - started,
        units=session.trainable.facts().get("units", {}),
        is_first=session.is_first,
    )
    if session.is_first:
        write_json(folder.result, result.as_dict() | {"provenance": provenance()})
    return result


def _prepare(recipe: TrainingRecipe, folder: RunFolder, resuming: bool, report: Reporter) -> Trainable:
    """What the family of the recipe's model brings to training."""
    if recipe.family == "dynamics":
        from eqcli.tasks.train_dynamics import prepare_dynamics

        return prepare_dynamics(recipe, folder, resuming, report)
    if recipe.family == "generators":
        from eqcli.tasks.train_generator import prepare_generator

        return prepare_generator(recipe, folder, resuming, report)
    if recipe.family == "molecules":
        from eqcli.tasks.train_molecules import prepare_molecules

        return prepare_molecules(recipe, folder, resuming, report)
    if recipe.family == "docking":
        from eqcli.tasks.train_docking import prepare_complexes

        return prepare_complexes(recipe, folder, resuming, report)
    if recipe.family == "pointcloud":
        from eqcli.tasks.train_pointcloud import prepare_pairs

        return prepare_pairs(recipe, folder, resuming, report)
    from eqcli.tasks.train_potential import prepare_potential

    return prepare_potential(recipe, folder, resuming, report)
