"""Energies, forces and stresses of structures from files."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from eqcli.errors import ExitCode, Failure, InputError, Where
from eqcli.progress import Reporter, Silent
from eqcli.tasks.inference import (
    family_of,
    inference_provenance,
    load_for_inference,
    read_all,
    readable_files,
    refuse_unwritable,
    runs_in,
)
from eqcli.tasks.pilot import ModelPilot
from eqcli.tasks.predict_chunks import PredictProcessor
from eqcli.tasks.predict_figures import PredictFigures
from eqcli.tasks.stream.chunk_sizes import chunk_limits
from eqcli.tasks.stream.division import AUTO, Workers
from eqcli.tasks.stream.request import StreamRequest
from eqcli.tasks.stream.result import StreamResult
from eqcli.tasks.stream.run import Stream, run_stream
from eqcli.tasks.stream.work_folder import WorkFolder

if TYPE_CHECKING:
    from eqcli.engine.guest_calculator import Scalar
    from eqcli.engine.likelihood_predictor import LikelihoodPredictor
    from eqcli.engine.model_file import ModelFile
    from eqcli.engine.predictor import Predictor
    from eqcli.io.conventions import LabelConvention
    from eqcli.recipe.cluster import ClusterRecipe


@dataclass
class PredictResult:
    """What was predicted.

    Attributes
    ----------
    output
        The file with the predictions; None when none was asked for or every structure failed.
    structures, atoms
        How many were predicted.
    failures
        What could not be read or predicted; of very many, the first.
    failed
        How many these are.
    earlier
        How many structures an earlier call had dealt with.
    seconds
        From the first structure to the last, without loading the model.
    device, precision
        Where and how it was computed.
    energy_range
        Lowest and highest energy per atom, eV.
    largest_force
        eV/Å.
    units
        Unit of each property that the model gives beside energy, forces and stress.
    ranges
        Lowest and highest value of each of these, components of vectors and tensors together.
    """

    output: Path | None = None
    structures: int = 0
    atoms: int = 0
    failures: list[Failure] = field(default_factory=list)
    failed: int = 0
    earlier: int = 0
    seconds: float = 0.0
    device: str = ""
    precision: str = ""
    energy_range: tuple[float, float] | None = None
    largest_force: float | None = None
    units: dict[str, str] = field(default_factory=dict)
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def exit_code(self) -> ExitCode:
        """OK, or PARTIAL when anything failed (when everything did, no output is written)."""
        return ExitCode.PARTIAL if self.failures else ExitCode.OK

    def take(self, figures: PredictFigures) -> None:
        """Takes over counts and ranges."""
        self.structures, self.atoms = figures.structures, figures.atoms
        self.energy_range, self.largest_force = figures.energy_range, figures.largest_force
        self.ranges = figures.ranges

    def as_dict(self) -> dict[str, object]:
        """The result as plain data."""
        return {
            "output": str(self.output) if self.output else None,
            "structures": self.structures,
            "atoms": self.atoms,
            "failed": max(self.failed, len(self.failures)),
            "failures": [failure.as_dict() for failure in self.failures],
            "seconds": self.seconds,
            "earlier": self.earlier,
            "atoms_per_second": self.atoms / self.seconds if self.seconds and not self.earlier else None,
            "device": self.device,
            "precision": self.precision,
            "energy_per_atom_range": list(self.energy_range) if self.energy_range else None,
            "largest_force": self.largest_force,
            "properties": {
                name: {"unit": unit, "range": list(self.ranges[name]) if name in self.ranges else None}
                for name, unit in self.units.items()
            },
            "exit_code": int(self.exit_code),
        }

    def summary(self) -> list[tuple[str, str]]:
        """The result for people: names and values, units included."""
        rows = [("structures", str(self.structures)), ("atoms", str(self.atoms))]
        if self.failures:
            rows.append(("failed", str(max(self.failed, len(self.failures)))))
        if self.energy_range is not None:
            low, high = self.energy_range
            rows.append(("energy per atom", f"{low:.4f} eV" if low == high else f"{low:.4f} to {high:.4f} eV"))
        if self.largest_force is not None:
            rows.append(("largest force", f"{self.largest_force:.4f} eV/Å"))
        for name, unit in self.units.items():
            found = self.ranges.get(name)
            text = f"{found[0]:.4g} to {found[1]:.4g} {unit}".rstrip() if found else "not defined for these"
            rows.append((name, text))
        if self.earlier:
            rows.append(("done earlier", str(self.earlier)))
        elif self.seconds and self.structures:
            rate = f"{self.structures / self.seconds:.3g} structures/s, {self.atoms / self.seconds:.3g} atoms/s"
            rows.append(("throughput", rate))
        rows.append(("computed in", f"{self.seconds:.2f} s on {self.device}, {self.precision}"))
        rows.append(("output", str(self.output) if self.output else "none written"))
        return rows


def predict(
    model: Path,
    inputs: Sequence[Path],
    output: Path | None,
    *,
    device: str = "auto",
    precision: str | None = None,
    model_arguments: Mapping[str, Scalar] | None = None,
    stress: bool | None = None,
    labels: LabelConvention | None = None,
    batch_atoms: int | None = None,
    compile: bool = False,
    overwrite: bool = False,
    resume: bool = False,
    workers: Workers = AUTO,
    cluster: ClusterRecipe | None = None,
    report: Reporter | None = None,
) -> PredictResult:
    """Predicts every structure of `inputs`, one batch after the other, into one file.

    Results are kept in `<output>.work` until all are there; see `stream.run.run_stream`.

    Potentials give energies, forces, stresses and their properties; flows of given species the log-likelihood.

    Parameters
    ----------
    model
        A model file, or the calculator of another package as `ase:module:Class`.
    inputs
        Files of any format that io reads; their structures are taken in this order.
    output
        Where the predictions go, of any format that io writes (those without room for labels
        get the geometry alone). None writes nothing and returns the figures.
    device
        `auto`, `cpu`, `cuda` or `cuda:N`.
    precision
        `float32` or `float64`; None is the precision the model was saved in.
    model_arguments
        Arguments of a calculator that is named as `ase:module:Class`.
    stress
        None predicts it where there are three periods, False nowhere; True makes other structures failures.
    labels
        How labels of the inputs are named and in which units; they are kept as `REF_...`.
    batch_atoms
        Largest number of atoms in a batch; None chooses by the memory.
    compile
        Compile the model with torch.compile; used only if it gives what the model gives.
    overwrite
        Whether `output` may replace a file.
    resume
        Go on where an earlier call with the same arguments stopped, if one did.
    workers
        Processes that share the work. `auto`: as the cluster says, or else as many as pay; see `stream.dividing`.
    cluster
        What brings them up on other machines; None for processes of this one.
    report
        Hears of the progress.

    Raises
    ------
    InputError
        The request cannot be carried out as a whole. What concerns one structure is a row of
        `failures`; when every structure fails, no output is written.
    """
    report = report or Silent()
    if not inputs and Path(model).is_file() and family_of(model) == "docking":
        raise _no_receptor(model)
    sources = readable_files(inputs)
    resumable = output is not None and resume and WorkFolder.of(Path(output)).exists
    refuse_unwritable(output, sources, overwrite or resumable)
    shared = cluster is not None or workers not in (1, AUTO)
    if output is None and (shared or resume):
        what = "going on" if resume else "sharing the work"
        raise InputError(f"{what} needs a file for the results", hint="Name one with -o.")
    # Workers load the model for themselves; here it is only asked what it is, and no device is taken up.
    loaded = load_for_inference(model, "cpu" if shared else device, precision, model_arguments, report)
    if compile and not shared:
        from eqcli.engine.compiled import compile_potential

        compile_potential(loaded.potential)
    predictor = predictor_of(loaded, stress, batch_atoms)
    predictor.budget.report = report
    asked, (where, precision) = precision, runs_in(loaded)
    result = PredictResult(device=where, precision=precision, units={p.name: p.unit for p in predictor.properties})
    report.message(f"predicting {'by workers' if shared else f'on {result.device}'} in {result.precision}")
    if output is None:
        _show(predictor, sources, labels, result, report)
        return result
    settings = {
        "precision": asked,
        "stress": stress,
        "batch_atoms": batch_atoms,
        "compile": compile,
        "model_arguments": dict(model_arguments or {}),
    }
    items, atoms = chunk_limits("predict", model, device, cluster)
    request = StreamRequest(
        "predict", tuple(sources), settings, str(model), device, labels, Path(output), max_items=items, max_atoms=atoms
    )
    processor = PredictProcessor(predictor, where, precision)
    stream = Stream(
        Path(output),
        inference_provenance(loaded),
        processor,
        workers=workers,
        cluster=cluster,
        pilot=ModelPilot(loaded, stress=stress is not False),
        resume=resume,
        overwrite=overwrite,
        label="predict",
    )
    _take_stream(run_stream(request, stream, report), predictor, result)
    return result


def _take_stream(found: StreamResult, predictor: Predictor | LikelihoodPredictor, result: PredictResult) -> None:
    figures = PredictFigures([p.name for p in predictor.properties])
    for part in found.figures:
        figures.join(part)
    result.take(figures)
    result.output, result.failures, result.seconds = found.output, found.listed(), found.seconds
    result.failed, result.earlier, result.device = found.failed, found.earlier, found.devices or result.device


def _show(
    predictor: Predictor | LikelihoodPredictor,
    sources: Sequence[Path],
    labels: LabelConvention | None,
    result: PredictResult,
    report: Reporter,
) -> None:
    """Predicts for the figures alone."""
    report.start("predict", None, "structures")
    start = time.perf_counter()
    figures = PredictFigures([p.name for p in predictor.properties])
    try:
        given = read_all(sources, labels, result.failures.append)
        for structure in predictor.predict(given, result.failures.append):
            figures.add(structure)
            report.advance(1)
        result.seconds = time.perf_counter() - start
    finally:
        report.finish()
    result.take(figures)
    if not result.structures and not result.failures:
        raise InputError("there are no structures in " + ", ".join(str(path) for path in sources))


def _no_receptor(model: Path | None) -> InputError:
    """What to say of structures that are given to a model which needs a receptor and ligands."""
    return InputError(
        "this model places ligands in receptors, and no receptor was given",
        Where(model),
        "Give --receptor and --ligand, or a table of pairs with --table.",
    )


def predictor_of(loaded: ModelFile, stress: bool | None, batch_atoms: int | None) -> Predictor | LikelihoodPredictor:
    """What a model says of given structures. Raises InputError for one that says nothing."""
    if loaded.header.get("family") == "docking":
        raise _no_receptor(loaded.path)
    if loaded.header.get("family") == "generators":
        from eqcli.engine.likelihood_predictor import LikelihoodPredictor

        return LikelihoodPredictor(loaded.model, batch_atoms=batch_atoms)  # type: ignore[arg-type]
    from eqcli.engine.predictor import Predictor

    return Predictor(loaded, stress=stress, batch_atoms=batch_atoms)
