"""Generate crystals."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.errors import Failure, InputError, Where
from eqcli.files import refuse_existing
from eqcli.progress import Reporter, Silent
from eqcli.tasks.generate_request import Request, same_request, wishes_of
from eqcli.tasks.generate_result import GenerateResult

if TYPE_CHECKING:
    from eqcli.engine.crystal_sampler import CrystalSampler, Wish
    from eqcli.engine.model_file import ModelFile
    from eqcli.io.store_writer import DatasetWriter
    from eqcli.io.structure import Structure
    from eqcli.models.generators.base import CrystalGenerator


def generate(
    model: Path,
    output: Path,
    *,
    n: int = 1,
    formula: Sequence[str] | str | None = None,
    formula_units: int = 1,
    composition_of: Path | None = None,
    atoms: int | None = None,
    system: str | None = None,
    value: float | None = None,
    guidance: float = 1.0,
    refine: Path | None = None,
    strength: float = 0.3,
    seed: int = 0,
    steps: int | None = None,
    sampling: Mapping[str, Any] | None = None,
    limit: int | None = None,
    device: str = "auto",
    precision: str | None = None,
    batch_atoms: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    report: Reporter | None = None,
) -> GenerateResult:
    """Generates crystals with a trained generator, one batch after the other, into one file.

    Structures go to `<output>.partial.h5` as they are made, which becomes the
    output at the end; a run that is stopped goes on from there. What a structure
    is depends on the seed and its number alone.

    Parameters
    ----------
    model
        A model file of the family of generators.
    output
        Of any format that io writes.
    n
        Structures in all; with compositions, structures of each.
    formula, formula_units
        Compositions of the cell, and how often a cell holds them.
    composition_of
        File of structures whose compositions are taken; generated structures name their row as `target`.
    atoms
        Atoms in a cell, where species are drawn; by default as often as in training.
    system
        Elements that may occur, e.g. `Li-Fe-O`, where species are drawn.
    value, guidance
        The property that structures are to have, and how strongly conditions act (1 as learned, 0 not at all).
    refine, strength
        File of structures to refine in place of noise: `n` of each, taken back this share of the way to noise.
    seed
        Of everything random.
    steps, sampling
        Number of steps, and other settings of the sampling by name.
    limit
        Take only so many structures of `composition_of` or `refine`.
    resume
        Go on with an unfinished generation of the same request.

    Raises
    ------
    InputError
        The request cannot be carried out. Structures without a cell of some volume are rows of `failures`.
    """
    from eqcli.tasks.inference import load_for_inference, refuse_unwritable, runs_in

    report = report or Silent()
    output = Path(output)
    if not (resume and _partial(output).is_file()):
        refuse_unwritable(output, [path for path in (composition_of, refine) if path is not None], overwrite)
    loaded = load_for_inference(model, device, precision)
    generator = _generator(loaded)
    formulas = [formula] if isinstance(formula, str) else list(formula or ())
    request = Request(
        n, tuple(formulas), formula_units, composition_of, atoms, system, value, guidance, refine, strength, seed, limit
    )
    settings = request.settings(generator, steps, sampling or {}, batch_atoms)
    result = GenerateResult(output)
    result.device, result.precision = runs_in(loaded)
    wishes = wishes_of(request, generator, result.failures, report)
    result.wanted = len(wishes)

    from eqcli.engine.crystal_sampler import CrystalSampler

    started = time.perf_counter()
    _Run(output, loaded, request, CrystalSampler(generator, settings), result, report).run(
        wishes, resume=resume, overwrite=overwrite
    )
    result.seconds = time.perf_counter() - started
    return result


class _Run:
    """One call: the file that grows, and what becomes of it."""

    def __init__(
        self,
        output: Path,
        loaded: ModelFile,
        request: Request,
        sampler: CrystalSampler,
        result: GenerateResult,
        report: Reporter,
    ) -> None:
        self.output = output
        self.partial = _partial(output)
        self.sampler = sampler
        self.result = result
        self.report = report
        from eqcli.tasks.inference import inference_provenance

        asked = request.as_dict() | {"sampling": sampler.settings.sampling.model_dump(mode="json")}
        self.provenance = inference_provenance(loaded) | {"generation": asked}

    def run(self, wishes: list[Wish], *, resume: bool, overwrite: bool) -> None:
        """Makes what is missing and puts the output in its place."""
        if self.partial.is_file() and not resume:
            if not overwrite:
                raise InputError(
                    "an unfinished generation is here",
                    Where(self.partial),
                    "Add --resume to go on with it, or --overwrite to start again.",
                )
            self.partial.unlink()
        done = self._done(wishes) if self.partial.is_file() else 0
        self.report.start("generate", len(wishes), "structures")
        try:
            self.report.advance(done)
            self._make(wishes, done)
        except BaseException:
            with suppress(OSError):
                self._drop_if_empty()
            raise
        finally:
            self.report.finish()
        if not self.result.structures:
            self.partial.unlink(missing_ok=True)
            raise InputError("no structure came out of this generation", hint=self._reason())
        self._finish(overwrite or resume)

    def _done(self, wishes: list[Wish]) -> int:
        """How many wishes an earlier call has dealt with; counts their structures. Raises InputError for others."""
        from eqcli.io.store import DatasetFile

        with DatasetFile(self.partial) as file:
            same_request(file.provenance, self.provenance, self.partial)
            made = list(file)
        self.result.resumed = len(made)
        for structure in made:
            self.result.add(structure)
        if not made:
            return 0
        last = int(made[-1].info["sample"])
        known = {int(s.info["sample"]) for s in made}
        for wish in wishes[: last + 1]:
            if wish.sample not in known:
                reason = "no cell of some volume came out, in an earlier call"
                self.result.failures.append(Failure(f"sample {wish.sample}", reason))
        self.report.message(f"going on after structure {last + 1}")
        return last + 1

    def _make(self, wishes: list[Wish], done: int) -> None:
        from eqcli.io.store_writer import DatasetWriter

        if done == len(wishes):
            return
        with DatasetWriter(self.partial, append=True, provenance=self.provenance) as writer:
            for structures in self.sampler.sample(wishes, self.result.failures.append, after=done - 1):
                self._keep(structures, writer)
        self.result.calls = self.sampler.calls

    def _keep(self, structures: list[Structure], writer: DatasetWriter) -> None:
        from eqcli.metrics.crystals.validity import flags_of

        for structure in structures:
            if flags := flags_of(structure):
                structure.info["flags"] = ",".join(flags)
            writer.append(structure)
            self.result.add(structure)
        writer.commit()
        self.report.advance(len(structures))

    def _drop_if_empty(self) -> None:
        """An unfinished file that holds nothing is no use to anybody."""
        if not self.result.structures:
            self.partial.unlink(missing_ok=True)

    def _finish(self, overwrite: bool) -> None:
        from eqcli.io import read_structures, write_structures
        from eqcli.io.formats import Format, writable_format
        from eqcli.tasks.fitting import fitting

        if writable_format(self.output) is Format.DATASET:
            refuse_existing(self.output, overwrite)
            self.partial.replace(self.output)
            return

        kept = fitting(self.output, read_structures(self.partial), self.result.failures.append, self.report)
        write_structures(self.output, kept, overwrite=overwrite, provenance=self.provenance)
        self.partial.unlink()

    def _reason(self) -> str:
        return self.result.failures[0].reason if self.result.failures else ""


def _partial(output: Path) -> Path:
    """Where structures are while the output is not complete."""
    return output.with_name(f"{output.name}.partial.h5")


def _generator(loaded: ModelFile) -> CrystalGenerator:
    """The model as a generator. Raises InputError where it is none."""
    from eqcli.models.generators.base import CrystalGenerator

    if isinstance(loaded.model, CrystalGenerator):
        return loaded.model
    raise InputError(
        f"this model is of the family '{loaded.header.get('family')}' and makes no structures",
        Where(loaded.path),
        "Give a model that was trained by a recipe with `family: generators`.",
    )
