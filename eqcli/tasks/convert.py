"""Turning structures of one format into another, or a model of another program into ours."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from eqcli.errors import ExitCode, Failure, InputError, Where
from eqcli.files import refuse_existing, require_file
from eqcli.io.conventions import LabelConvention
from eqcli.io.formats import FORMATS, Format, readable_format, writable_format
from eqcli.io.structure import Structure
from eqcli.progress import Reporter, Silent

if TYPE_CHECKING:
    from eqcli.io.label_summary import LabelReport


MODEL_FILES = (".model", ".ckpt")
"""Endings of models of other programs."""


@dataclass(frozen=True)
class ConvertResult:
    """What a conversion did."""

    output: Path
    structures: int
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """The result as plain data, for `--json`."""
        return {
            "output": str(self.output),
            "structures": self.structures,
            "failures": [failure.as_dict() for failure in self.failures],
            "seconds": self.seconds,
            "exit_code": int(self.exit_code),
        }

    @property
    def exit_code(self) -> ExitCode:
        """PARTIAL when anything failed, else OK."""
        return ExitCode.PARTIAL if self.failures else ExitCode.OK

    def summary(self) -> list[tuple[str, str]]:
        """Name and value of what a person wants to know first."""
        structures = [("structures", f"{self.structures:,}")] if self.structures else []
        return [*structures, ("output", str(self.output)), ("time", f"{self.seconds:.1f} s")]


def convert(
    inputs: Sequence[str | Path],
    output: str | Path,
    *,
    labels: LabelConvention | None = None,
    head: str | None = None,
    formula: str | None = None,
    to: Literal["metatomic"] | None = None,
    precision: str | None = None,
    overwrite: bool = False,
    report: Reporter | None = None,
) -> ConvertResult:
    """Writes the structures of all inputs, one after the other, into one file.

    Malformed structures are listed in the result and the others are written. A mace-torch `.model`
    or a torchmd-net `.ckpt` with a `.safetensors` output becomes a model file; several model files become an ensemble.
    A model file with a `.pt` output becomes a model for metatomic's engines.

    Parameters
    ----------
    inputs
        Structure or dataset files of any readable format.
    output
        The file to write; its name tells the format.
    labels
        Names, units and signs of the labels in the inputs; the unit of energy of a torchmd-net model.
    head
        Which head of a model with several is taken.
    to
        What a model file becomes, whatever the ending of the output.
    precision
        Precision of the arithmetic of an exported model; None is the one the model was saved in.
    formula
        Composition that a torchmd-net model with a constant per structure was trained on.
    overwrite
        Replace an existing output.
    report
        Told which columns are taken as labels, and the progress.

    Raises
    ------
    InputError
        A file is missing or of an unknown format, the output exists, or no structure could be read.
    """
    started = time.monotonic()
    tell = report or Silent()
    paths = [require_file(path) for path in inputs]
    target = Path(output)
    if not paths:
        raise InputError("there is nothing to convert", hint="Give at least one input file.")
    if to == "metatomic" or target.suffix.lower() == ".pt":
        _export(paths, target, precision, overwrite, tell)
        return ConvertResult(target, 0, seconds=time.monotonic() - started)
    if precision is not None:
        raise InputError("a precision is chosen for models that are exported", hint="Add --to metatomic.")
    if any(path.suffix.lower() in MODEL_FILES for path in paths) or target.suffix.lower() == ".safetensors":
        _convert_model(paths, target, labels or LabelConvention(), head, formula, overwrite)
        return ConvertResult(target, 0, seconds=time.monotonic() - started)
    failures: list[Failure] = []
    count = _convert_structures(paths, target, labels or LabelConvention(), overwrite, tell, failures)
    return ConvertResult(target, count, failures, time.monotonic() - started)


def _export(paths: list[Path], output: Path, precision: str | None, overwrite: bool, tell: Reporter) -> None:
    if len(paths) != 1 or paths[0].suffix.lower() != ".safetensors":
        raise InputError(
            "one model file (.safetensors) becomes one metatomic file",
            Where(paths[0]),
            "For example: eqcli convert model.safetensors model.pt",
        )
    refuse_existing(output, overwrite)
    from eqcli.engine.export_metatomic import export_metatomic
    from eqcli.engine.open_model import open_model

    model = open_model(paths[0], "cpu", precision)
    tell.message("tracing the model and comparing the trace with it")
    export_metatomic(model, output)


def _convert_model(
    paths: list[Path],
    output: Path,
    labels: LabelConvention,
    head: str | None,
    formula: str | None,
    overwrite: bool,
) -> None:
    if output.suffix.lower() == ".safetensors" and {path.suffix.lower() for path in paths} == {".safetensors"}:
        from eqcli.engine.ensembles import join_models

        join_models(paths, output, overwrite=overwrite)
        return
    if len(paths) != 1 or paths[0].suffix.lower() not in MODEL_FILES or output.suffix.lower() != ".safetensors":
        raise InputError(
            "a model conversion takes one mace-torch .model or torchmd-net .ckpt file and writes one .safetensors file",
            Where(paths[0]),
            "For example: eqcli convert mace.model mace.safetensors",
        )
    refuse_existing(output, overwrite)
    if paths[0].suffix.lower() == ".ckpt":
        from eqcli.engine.import_tensornet import convert_torchmd_net

        unit = labels.energy_unit or "eV"
        convert_torchmd_net(paths[0], output, overwrite=overwrite, energy_unit=unit, formula=formula)
        return
    from eqcli.engine.import_mace import convert_mace_torch

    convert_mace_torch(paths[0], output, overwrite=overwrite, head=head)


def _convert_structures(
    paths: list[Path],
    output: Path,
    labels: LabelConvention,
    overwrite: bool,
    tell: Reporter,
    failures: list[Failure],
) -> int:
    from eqcli.engine.provenance import provenance
    from eqcli.io.writing import write_structures
    from eqcli.tasks.fitting import fitting
    from eqcli.tasks.label_lines import tell_labels

    written = writable_format(output)
    refuse_existing(output, overwrite)
    for path in paths:
        readable_format(path)
    summaries = tell_labels(paths, labels, tell)
    _require_named_labels(summaries)
    labelled = any(any(summary.has.values()) for summary in summaries)
    if labelled and not FORMATS[written].labels and written != "csv":
        # CIF keeps the energy among items of its own.
        lost = "forces and stresses" if written in (Format.CIF, Format.CIF_ZIP) else "energies, forces and stresses"
        tell.warning(f"{written.upper()} files have no place for {lost}: they are left out")
    tell.start("convert", None, "structures")
    given = fitting(output, _all_structures(paths, labels, tell, failures), failures.append, tell)
    try:
        return write_structures(
            output,
            given,
            overwrite=overwrite,
            provenance={**provenance(), "inputs": [path.name for path in paths]},
        )
    except InputError as error:
        if failures and not error.where.frame and "no structures" in error.message:
            raise InputError(
                f"none of the {len(failures)} structures could be converted; the first: {failures[0].reason}",
                failures[0].where,
            ) from error
        raise
    finally:
        tell.finish()


def _require_named_labels(summaries: Sequence[LabelReport]) -> None:
    """Raises InputError for a label that was named and that no structure of any file has."""
    absent = set.intersection(*(set(summary.missing()) for summary in summaries))
    if absent and all(summary.complete for summary in summaries):
        raise InputError(
            "; ".join(sorted(absent)), Where(summaries[0].path), "`eqcli info FILE` shows the names that there are."
        )


def _all_structures(
    paths: list[Path], labels: LabelConvention, tell: Reporter, failures: list[Failure]
) -> Iterator[Structure]:
    from eqcli.io.reading import read_structures

    for path in paths:
        for structure in read_structures(path, labels, on_failure=failures.append):
            yield structure
            tell.advance()
