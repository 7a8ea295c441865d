"""Generation of the structures of a chunk of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.errors import Failure, InputError, Where
from eqcli.progress import Reporter, Silent
from eqcli.tasks.fitting import misfit
from eqcli.tasks.generate_figures import GenerateFigures
from eqcli.tasks.generate_request import Generation, GenerationRequest

if TYPE_CHECKING:
    from eqcli.engine.model_file import ModelFile
    from eqcli.io.structure import Structure
    from eqcli.tasks.stream.chunk_file import ChunkFile
    from eqcli.tasks.stream.item import Item
    from eqcli.tasks.stream.request import StreamRequest

CHUNKS = {"cpu": (8, 256), "cuda": (1024, 8192)}
"""Least and most structures of a chunk by kind of device: batches that keep it busy, and work that is not lost."""

PARTS = 16
"""A request is cut into so many chunks, if that gives chunks of these sizes, so that workers have some to share."""


class GenerateProcessor:
    """Batches filled in one order and committed whole: a killed chunk goes on with the batches it would have had.

    Parameters
    ----------
    output
        File whose format each structure has to fit.
    device, precision
        In words.
    """

    def __init__(self, generation: Generation, output: Path | None, device: str, precision: str) -> None:
        self.generation = generation
        self.output = output
        self.device = device
        self.precision = precision

    @property
    def budget(self) -> Any:
        """What a batch may hold, as plain data."""
        return self.generation.sampler.budget.facts()

    @budget.setter
    def budget(self, facts: Any) -> None:
        self.generation.sampler.budget.take_up(facts)

    def process(self, items: Sequence[Item], chunk: ChunkFile, report: Reporter) -> None:
        """See `stream.processor.Processor`."""
        sampler = self.generation.sampler
        sampler.budget.report = report
        figures = GenerateFigures()
        for _, structure in chunk.results():
            figures.add(structure)
        names = {item.number: item.name for item in items}

        def fail(sample: int, reason: str) -> None:
            chunk.fail(sample, reason, name=names[sample])

        for structures in sampler.sample(self.generation.wishes.of(list(names)), fail):
            kept = 0
            for structure in structures:
                if (error := self._kept(structure, chunk, figures)) is not None:
                    fail(structure.info["sample"], Failure.of("", error).reason)
                else:
                    kept += 1
            report.advance(kept)
            chunk.commit()
        figures.calls = sampler.calls
        chunk.figures = figures.as_dict()

    def _kept(self, structure: Structure, chunk: ChunkFile, figures: GenerateFigures) -> InputError | None:
        """Adds a structure with its flags, or gives the reason why it cannot be written."""
        if flags := self.generation.flags_of(structure):
            structure.info["flags"] = ",".join(flags)
        if (error := misfit(self.output, structure)) is not None:
            return error
        try:
            chunk.add(structure.info["sample"], structure)
        except InputError as error:
            return error
        figures.add(structure)
        return None


def chunk_items(count: int, device: str) -> int:
    """Structures of each chunk of a request for so many, on a kind of device."""
    least, most = CHUNKS.get(device, CHUNKS["cpu"])
    return min(most, max(least, ceil(count / PARTS)))


def prepare(loaded: ModelFile, request: GenerationRequest, failures: list[Failure], report: Reporter) -> Generation:
    """How a model carries a request out; what it cannot take of a file is a row of `failures`.

    Raises InputError for a model that makes no structures, and for arguments that do not fit it.
    """
    from eqcli.models.generators.base import CrystalGenerator
    from eqcli.models.molecules.base import MoleculeGenerator
    from eqcli.tasks.generate_crystals import prepare_crystals
    from eqcli.tasks.generate_molecules import prepare_molecules

    if isinstance(loaded.model, MoleculeGenerator):
        return prepare_molecules(loaded.model, request, failures, report)
    if isinstance(loaded.model, CrystalGenerator):
        return prepare_crystals(loaded.model, request, failures, report)
    raise InputError(
        f"this model is of the family '{loaded.header.get('family')}' and makes no structures",
        Where(loaded.path),
        "Give a model that was trained by a recipe with `family: generators` or `family: molecules`.",
    )


def open_generate(request: StreamRequest) -> GenerateProcessor:
    """The processor of a request in a process of its own; see `generate.generate` for what can be wrong."""
    from eqcli.tasks.inference import load_for_inference, runs_in

    asked = GenerationRequest.restored(request.settings, request.inputs)
    loaded = load_for_inference(Path(str(request.model)), request.device, asked.precision)
    return GenerateProcessor(prepare(loaded, asked, [], Silent()), request.fits, *runs_in(loaded))
