"""Relaxation of structures from files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from eqcli.engine.guest_name import is_guest
from eqcli.errors import EqcliError, Failure, InputError, Where
from eqcli.progress import Reporter, Silent
from eqcli.tasks.fitting import fitting
from eqcli.tasks.inference import (
    inference_provenance,
    load_for_inference,
    read_all,
    readable_files,
    refuse_unwritable,
    runs_in,
)
from eqcli.tasks.relax_result import RelaxResult, RelaxRow

if TYPE_CHECKING:
    from eqcli.engine.ase_calculator import PotentialCalculator
    from eqcli.engine.guest_calculator import Scalar
    from eqcli.engine.model_file import ModelFile
    from eqcli.engine.relaxation import RelaxSettings
    from eqcli.io.structure import Structure


def relax(
    model: Path,
    inputs: Sequence[Path],
    output: Path | None,
    *,
    fmax: float = 0.01,
    smax: float = 1e-4,
    steps: int = 500,
    cell: Literal["none", "isotropic", "full"] = "none",
    pressure: float = 0.0,
    optimizer: Literal["fire", "lbfgs"] = "fire",
    keep_symmetry: bool = False,
    symprec: float = 1e-3,
    trajectory: Path | None = None,
    device: str = "auto",
    precision: str = "float64",
    model_arguments: Mapping[str, Scalar] | None = None,
    compile: bool = False,
    overwrite: bool = False,
    report: Reporter | None = None,
) -> RelaxResult:
    """Relaxes every structure of `inputs`, one after the other, into one file.

    A structure is converged when no free atom has a force of `fmax` (eV/Å) or more and, where
    the cell moves, no stress component differs by `smax` (eV/Å^3) or more from the target
    `pressure` (GPa). Atoms marked as fixed keep their place. See `RelaxSettings` for the rest.

    Parameters
    ----------
    model, model_arguments, inputs, device, overwrite, report
        As for `predict`.
    output
        Where the relaxed structures go; None writes nothing.
    trajectory
        A file of a format that holds many structures, for every step of every structure. An `.h5`
        file keeps the steps made so far whatever happens.
    compile
        As for `predict`.
    precision
        `float64` or `float32`; small forces need the first.

    Raises
    ------
    InputError
        The request cannot be carried out as a whole, or not for its only structure. What concerns
        one structure of several is a row of `failures`.
    """
    from eqcli.engine.relaxation import RelaxSettings

    report = report or Silent()
    settings = RelaxSettings(fmax, smax, steps, cell, pressure, optimizer, keep_symmetry, symprec)
    sources = readable_files(inputs)
    refuse_unwritable(output, sources, overwrite)
    _refuse_trajectory(trajectory, output, sources, overwrite)
    result = RelaxResult()
    readable = list(read_all(sources, None, result.failures.append))
    if not readable and not result.failures:
        raise InputError("there are no structures in " + ", ".join(str(path) for path in sources))
    _refuse_several(output, len(readable))
    lasting = fitting(trajectory, readable, result.failures.append, Silent())
    structures = list(fitting(output, lasting, result.failures.append, report))
    # The default is no wish that a calculator of another package would have to be told of.
    wanted = None if is_guest(model) and precision == "float64" else precision
    loaded = load_for_inference(model, device, wanted, model_arguments, report)
    if compile:
        from eqcli.engine.compiled import compile_potential

        compile_potential(loaded.potential)
    if "forces" not in loaded.potential.outputs:
        raise InputError("relaxation needs forces, and this model gives none", Where(model))
    if cell != "none" and "stress" not in loaded.potential.outputs:
        raise InputError("a cell moves by its stress, and this model gives none", Where(model), "Leave out --cell.")
    if "forces" in loaded.potential.direct and "guest" not in loaded.header:
        report.warning(
            "the forces of this model are not the gradient of its energy: a relaxation may not come to rest, "
            "and may end where the energy has no minimum"
        )
    result.device, result.precision = runs_in(loaded)
    work = _Work(structures, loaded, settings, result, report)
    report.message(f"relaxing on {result.device} in {result.precision}")
    try:
        work.run(trajectory, overwrite)
    except KeyboardInterrupt:
        if work.write(output, overwrite):
            report.warning(f"interrupted: {output} holds the {len(work.relaxed)} structures relaxed so far")
        raise
    work.write(output, overwrite)
    return result


class _Work:
    """The relaxations of one request; `relaxed` fills as they end."""

    def __init__(
        self,
        structures: list[Structure],
        model: ModelFile,
        settings: RelaxSettings,
        result: RelaxResult,
        report: Reporter,
    ) -> None:
        from eqcli.engine.ase_calculator import PotentialCalculator

        self.structures = structures
        self.model = model
        self.settings = settings
        self.result = result
        self.report = report
        self.relaxed: list[Structure] = []
        self.calculator: PotentialCalculator = PotentialCalculator(model)

    def run(self, trajectory: Path | None, overwrite: bool) -> None:
        """Relaxes everything, writing each step to `trajectory` if there is one."""
        alone = len(self.structures) == 1
        self.report.start(
            "relax", self.settings.steps if alone else len(self.structures), "steps" if alone else "structures"
        )
        try:
            frames = self._frames(by_steps=alone)
            if trajectory is None:
                for _ in frames:
                    pass
            elif _write_trajectory(trajectory, frames, overwrite, inference_provenance(self.model)):
                self.result.trajectory = Path(trajectory)
        finally:
            self.report.finish()

    def write(self, output: Path | None, overwrite: bool) -> bool:
        """Writes the structures relaxed so far; False when there is nothing to write or nowhere."""
        if output is None or not self.relaxed:
            return False
        from eqcli.io import write_structures

        write_structures(output, self.relaxed, overwrite=overwrite, provenance=inference_provenance(self.model))
        self.result.output = Path(output)
        return True

    def _frames(self, by_steps: bool) -> Iterator[Structure]:
        """Every step of every structure; the results are recorded on the way."""
        for number, structure in enumerate(self.structures):
            try:
                yield from self._relax(structure, number, by_steps)
            except EqcliError as error:
                if isinstance(error, InputError) and by_steps and not self.result.failures:
                    # The only structure: the request itself cannot be carried out.
                    raise replace(error, where=structure.where) from error
                self.result.failures.append(replace(Failure.of(structure.name, error), where=structure.where))
                self.report.warning(f"{structure.name}: {error.message}")
            if not by_steps:
                self.report.advance(1)

    def _relax(self, structure: Structure, number: int, by_steps: bool) -> Iterator[Structure]:
        from eqcli.engine.relaxation import Relaxation

        relaxation = Relaxation(structure, self.calculator, self.settings)
        for frame in relaxation.run():
            frame.info["relax_item"] = number
            yield frame
            if by_steps and relaxation.point.step:
                self.report.advance(1, energy=relaxation.point.energy, fmax=relaxation.point.fmax)
        row = RelaxRow.of(relaxation)
        self.result.rows.append(row)
        self.relaxed.append(relaxation.present())
        self.report.message(str(row))


def _write_trajectory(path: Path, frames: Iterator[Structure], overwrite: bool, provenance: dict[str, Any]) -> bool:
    """Writes the frames as they come; False when there are none."""
    from eqcli.io import DatasetWriter, write_structures
    from eqcli.io.formats import Format, format_of

    first = next(frames, None)
    if first is None:
        return False
    if format_of(path) is Format.DATASET:
        with DatasetWriter(path, overwrite=overwrite, provenance=provenance) as writer:
            for frame in chain([first], frames):
                writer.append(frame)
    else:
        write_structures(path, chain([first], frames), overwrite=overwrite, provenance=provenance)
    return True


def _refuse_trajectory(trajectory: Path | None, output: Path | None, sources: Sequence[Path], overwrite: bool) -> None:
    if trajectory is None:
        return
    refuse_unwritable(trajectory, sources, overwrite)
    _refuse_several(trajectory, 2)
    if output is not None and Path(output).resolve() == Path(trajectory).resolve():
        raise InputError("the trajectory and the output cannot be the same file", Where(trajectory))


def _refuse_several(path: Path | None, count: int) -> None:
    """Raises InputError, before any work, for a format that holds one structure where there are several."""
    from eqcli.io.formats import FORMATS, format_of

    if path is not None and count > 1 and not FORMATS[format_of(path)].many:
        raise InputError(
            f"a {format_of(path)} file holds one structure, and there are several to write",
            Where(path),
            "Write an .extxyz, .cif or .h5 file.",
        )
