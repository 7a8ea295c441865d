"""Relaxations of many structures by a model file, all in flight, for what goes on with the structures in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eqcli.metrics.work import Outcome
from eqcli.progress import Reporter
from eqcli.tasks.stream.chunk_file import ChunkFile
from eqcli.tasks.stream.item import Item

if TYPE_CHECKING:
    from eqcli.engine.model_file import ModelFile
    from eqcli.engine.relaxation import RelaxSettings
    from eqcli.io.structure import Structure

FOLDER = "in-flight"


def relax_together(
    structures: Sequence[Structure], loaded: ModelFile, settings: RelaxSettings, folder: Path, report: Reporter
) -> list[Outcome[Structure]]:
    """Each structure relaxed, or the reason why not, in order.

    What is under way is kept in `folder`, and a second call with the same arguments goes on with it exactly.
    """
    from eqcli.tasks.relax_chunks import RelaxInBatches

    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    processor = RelaxInBatches(loaded, settings, batch_atoms=None, trajectory=None)
    with ChunkFile(folder / FOLDER, 0) as chunk:
        waiting = [Item(row, structure) for row, structure in enumerate(structures) if row not in chunk.done]
        report.start("relax", len(structures), "structures")
        try:
            report.advance(len(structures) - len(waiting))
            if waiting:
                processor.process(waiting, chunk, report)
        finally:
            report.finish()
        found = {row: Outcome(structure) for row, structure in chunk.results()}
        found |= {row: Outcome(None, failure.reason) for row, failure in chunk.failures()}
    return [found[row] for row in range(len(structures))]
