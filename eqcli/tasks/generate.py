"""Generate structures: crystals or molecules, as the model makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.errors import InputError, Where
from eqcli.progress import Reporter, Silent
from eqcli.tasks.generate_chunks import GenerateProcessor, chunk_items, prepare
from eqcli.tasks.generate_pilot import GenerationPilot
from eqcli.tasks.generate_request import GenerationRequest
from eqcli.tasks.generate_result import GenerateResult
from eqcli.tasks.stream.chunk_sizes import device_kind
from eqcli.tasks.stream.division import AUTO, Workers
from eqcli.tasks.stream.request import StreamRequest
from eqcli.tasks.stream.run import Stream, run_stream
from eqcli.tasks.stream.work_folder import WorkFolder

if TYPE_CHECKING:
    from eqcli.recipe.cluster import ClusterRecipe


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
    scaffold: Path | None = None,
    condition: Mapping[str, float] | None = None,
    seed: int = 0,
    steps: int | None = None,
    sampling: Mapping[str, Any] | None = None,
    limit: int | None = None,
    device: str = "auto",
    precision: str | None = None,
    batch_atoms: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    workers: Workers = AUTO,
    cluster: ClusterRecipe | None = None,
    report: Reporter | None = None,
) -> GenerateResult:
    """Generates crystals or molecules with a trained generator, one batch after the other, into one file.

    Structures are kept in `<output>.work` until all are there; see `stream.run.run_stream`. What a structure is
    depends on the seed and its number alone; its last bits on the batch that it was made in too, which depends on the
    request and the kind of device.

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
        Atoms of a molecule, or in a cell where species are drawn; by default as often as in training.
    system
        Elements that may occur, e.g. `Li-Fe-O`, where species are drawn.
    value, guidance
        The property that structures are to have, and how strongly conditions act (1 as learned, 0 not at all).
    refine, strength
        File of structures to refine in place of noise: `n` of each, taken back this share of the way to noise.
    scaffold
        File of molecules to complete: `n` of each, around its heavy atoms, which stay where they are.
    condition
        Properties that structures are to have, by name.
    seed
        Of everything random.
    steps, sampling
        Number of steps, and other settings of the sampling by name.
    limit
        Take only so many structures of `composition_of`, `refine` or `scaffold`.
    resume
        Go on with an unfinished generation of the same request, if there is one.
    workers
        Processes that share the work. `auto`: as the cluster says, or else as many as pay; see `stream.dividing`.
    cluster
        What brings them up on other machines; None for processes of this one.

    Raises
    ------
    InputError
        The request cannot be carried out, or nothing came out of it. Structures without a cell of some volume, and
        molecules without positions, are rows of `failures`.
    """
    asked = GenerationRequest(
        n, (formula,) if isinstance(formula, str) else tuple(formula or ()), formula_units, composition_of, atoms,
        system, value, guidance, refine, strength, scaffold, dict(condition or {}), seed, steps, dict(sampling or {}),
        limit, precision, batch_atoms,
    )  # fmt: skip
    work = _Work(Path(model), Path(output), device, workers, cluster, resume, overwrite)
    return work.run(asked, report or Silent())


@dataclass(frozen=True)
class _Work:
    """How a request is carried out, beside what it asks for."""

    model: Path
    output: Path
    device: str
    workers: Workers
    cluster: ClusterRecipe | None
    resume: bool
    overwrite: bool

    def run(self, asked: GenerationRequest, report: Reporter) -> GenerateResult:
        """Makes what is wanted. Raises InputError as `generate` does."""
        from eqcli.tasks.inference import inference_provenance, load_for_inference, refuse_unwritable, runs_in

        resumable = self.resume and WorkFolder.of(self.output).exists
        refuse_unwritable(self.output, list(asked.files.values()), self.overwrite or resumable)
        # Workers load the model for themselves; here it is only asked what it is, and no device is taken up.
        shared = self.cluster is not None or self.workers not in (1, AUTO)
        loaded = load_for_inference(self.model, "cpu" if shared else self.device, asked.precision)
        result = GenerateResult(self.output)
        result.device, result.precision = runs_in(loaded)
        generation = prepare(loaded, asked, result.failures, report)
        result.wanted = len(generation.wishes)
        provenance = inference_provenance(loaded) | {"generation": generation.asked}
        stream = Stream(
            self.output,
            provenance,
            GenerateProcessor(generation, self.output, result.device, result.precision),
            workers=self.workers,
            cluster=self.cluster,
            pilot=GenerationPilot(generation),
            resume=self.resume,
            overwrite=self.overwrite,
            label="generate",
        )
        found = run_stream(self._request(asked, result.wanted), stream, report)
        result.take(found)
        if found.output is None:
            raise InputError("no structure came out of this generation", Where(found.table), found.failures[0].reason)
        return result

    def _request(self, asked: GenerationRequest, count: int) -> StreamRequest:
        return StreamRequest(
            "generate",
            tuple(asked.files.values()),
            asked.settings(),
            str(self.model),
            self.device,
            fits=self.output,
            count=count,
            max_items=chunk_items(count, device_kind(self.device, self.cluster)),
        )
