"""The data of a training of an interatomic potential."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eqcli.errors import EqcliError
from eqcli.files import write_json
from eqcli.progress import Reporter
from eqcli.tasks.check import inspect, reference_text
from eqcli.tasks.check_faults import data_files

if TYPE_CHECKING:
    from eqcli.data.prepare import Prepared
    from eqcli.engine.training_potential import TrainablePotential
    from eqcli.engine.training_run import RunFolder
    from eqcli.recipe.schema import TrainRecipe


def prepare_potential(recipe: TrainRecipe, folder: RunFolder, resuming: bool, report: Reporter) -> TrainablePotential:
    """The potential and the data of the run, whose statistics are reported."""
    from eqcli.engine.training_potential import TrainablePotential
    from eqcli.models.potentials.properties import gives_energy

    prepared = _prepare(recipe, folder, resuming, report)
    _say_statistics(prepared, report, energy=gives_energy(recipe.model))
    return TrainablePotential(recipe, prepared)


def _prepare(recipe: TrainRecipe, folder: RunFolder, resuming: bool, report: Reporter) -> Prepared:
    """The data of the run: as stored by an earlier start, or read, checked, split and stored now."""
    from eqcli.data.prepare import Prepared, changed_inputs, input_hashes, load_prepared, save_prepared
    from eqcli.engine.provenance import provenance

    if resuming and (stored := load_prepared(folder.path, folder.data)) is not None:
        for path in changed_inputs(stored.inputs):
            report.warning(f"{path} has changed since the run was started; the run keeps the data it was started with")
        return stored
    try:
        found = inspect(recipe, report, store=folder.data)
    except EqcliError:
        folder.discard()
        raise
    for line in found.report.lines():
        if not line.startswith("warning: "):
            report.message(line)
    for text in found.report.warnings:
        report.warning(text)
    files = [path for paths in data_files(recipe).values() for path in paths]
    files += recipe.data.split.index_files.values()
    prepared = Prepared(folder.data, found.tables, found.split, found.statistics, input_hashes(files))
    write_json(folder.provenance, {**provenance(), "data": prepared.inputs})
    seed = recipe.data.split.seed
    save_prepared(folder.path, prepared, seed=recipe.seed if seed is None else seed)
    return prepared


def _say_statistics(prepared: Prepared, report: Reporter, *, energy: bool) -> None:
    figures = prepared.statistics
    neighbours = f"{figures.avg_num_neighbors:.2f} neighbours per atom"
    if energy:
        report.message(f"reference energies: {reference_text(figures)}")
        neighbours = f"scale {figures.scale:.4g}, shift {figures.shift:.4g} eV/atom, {neighbours}"
    report.message(neighbours)
    for name, (shift, scale) in figures.properties.items():
        report.message(f"{name}: scale {scale:.4g}, shift {shift:.4g}")
