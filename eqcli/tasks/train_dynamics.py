"""The data of a training of a model of motion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eqcli.errors import EqcliError
from eqcli.files import sha256, write_json
from eqcli.progress import Reporter, Silent
from eqcli.tasks.check import CheckReport

if TYPE_CHECKING:
    from eqcli.data.particles import PreparedParticles
    from eqcli.engine.training_dynamics import TrainableDynamics
    from eqcli.engine.training_run import RunFolder
    from eqcli.recipe.dynamics import DynamicsRecipe

FILE = "particles.h5"


def check_dynamics(recipe: DynamicsRecipe, *, report: Reporter | None = None) -> CheckReport:
    """Simulates or reads the systems of a recipe, and says what they are like. Raises InputError as training does."""
    from eqcli.tasks.check_faults import logger_faults

    faults = logger_faults(recipe.training.loggers)
    if faults:
        raise faults[0]
    return describe_particles(make(recipe, report or Silent()))


def prepare_dynamics(recipe: DynamicsRecipe, folder: RunFolder, resuming: bool, report: Reporter) -> TrainableDynamics:
    """The systems of the run: as stored by an earlier start, or simulated or read, and stored, now."""
    from eqcli.data.particles import load_particles, save_particles
    from eqcli.engine.provenance import provenance
    from eqcli.engine.training_dynamics import TrainableDynamics

    path = folder.data / FILE
    if resuming and (stored := load_particles(path)) is not None:
        return TrainableDynamics(recipe, stored)
    try:
        prepared = make(recipe, report)
    except EqcliError:
        folder.discard()
        raise
    for line in describe_particles(prepared).lines():
        report.message(line)
    facts = provenance()
    write_json(folder.provenance, {**facts, "data": prepared.inputs})
    save_particles(path, prepared, facts)
    return TrainableDynamics(recipe, prepared)


def make(recipe: DynamicsRecipe, report: Reporter) -> PreparedParticles:
    """The systems that the recipe asks for."""
    from eqcli.data.particles import PreparedParticles
    from eqcli.data.prepare_particles import make_particles

    section = recipe.data
    wanted = [count for count in (section.train, section.valid, section.test) if isinstance(count, int)]
    report.start("simulating" if wanted else "reading the data", sum(wanted) or None, "systems")
    try:
        parts = make_particles(section, recipe.seed, report.advance)
    finally:
        report.finish()
    files = [path for path in (section.train, section.valid, section.test) if isinstance(path, str)]
    return PreparedParticles(
        parts,
        settings={"data": section.model_dump(mode="json"), "seed": recipe.seed},
        inputs=[{"path": path, "sha256": sha256(path)} for path in files],
    )


def describe_particles(prepared: PreparedParticles) -> CheckReport:
    """What the systems are like, and how far they move: what a model is to be compared with."""
    from eqcli.metrics.motion import baselines

    train = prepared.parts["train"]
    _, particles, dimensions = train.positions.shape
    given = {"charges": train.charges is not None, "features": train.features.size > 0}
    known = [name for name, there in given.items() if there]
    figures = {name: baselines(part, train) for name, part in prepared.parts.items()}
    still, linear = (figures["valid"][name]["mse"] for name in ("still", "linear"))
    return CheckReport(
        facts=[
            ("systems", ", ".join(f"{len(part)} {name}" for name, part in prepared.parts.items())),
            ("particles", f"{particles} in {dimensions} dimensions"),
            ("given besides positions and velocities", ", ".join(known) or "nothing"),
            ("error without a model", f"{still:.4g} where nothing moves, {linear:.4g} on straight lines (mean square)"),
        ],
        figures={"systems": {name: len(part) for name, part in prepared.parts.items()}, "baselines": figures},
    )
