"""Relaxations of a chunk of structures one by one, by ASE: the reference path, and that of calculators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.errors import EqcliError, Failure, InputError
from eqcli.tasks.fitting import misfit
from eqcli.tasks.inference import runs_in
from eqcli.tasks.relax_result import RelaxRow, relax_figures
from eqcli.tasks.snapshot_clock import SnapshotClock
from eqcli.tasks.stream.processor import SAID

if TYPE_CHECKING:
    from eqcli.engine.model_file import ModelFile
    from eqcli.engine.relaxation import Relaxation, RelaxSettings
    from eqcli.io.structure import Structure
    from eqcli.progress import Reporter
    from eqcli.tasks.in_batches import Row
    from eqcli.tasks.stream.chunk_file import ChunkFile
    from eqcli.tasks.stream.item import Item


class RelaxSingly:
    """Relaxes one structure after the other; a killed run goes on with the structure that it was at.

    Parameters
    ----------
    loaded
        The model, which may be a calculator of another package.
    settings
        How to relax.
    trajectory
        Where every step goes, whose format structures have to fit; None for nowhere.
    """

    budget: Any = None

    def __init__(self, loaded: ModelFile, settings: RelaxSettings, trajectory: Path | None) -> None:
        from eqcli.engine.ase_calculator import PotentialCalculator

        self.loaded = loaded
        self.settings = settings
        self.trajectory = trajectory
        self.device, self.precision = runs_in(loaded)
        self._calculator = PotentialCalculator(loaded)

    def check(self, structure: Structure) -> None:
        """Raises InputError for a structure that cannot be relaxed as the settings ask."""
        self._begun(structure)

    def process(self, items: Sequence[Item], chunk: ChunkFile, report: Reporter) -> None:
        """See `stream.processor.Processor`."""
        rows: list[Row] = list(chunk.restored[1]["rows"]) if chunk.restored else []
        clock = SnapshotClock()
        for item in items:
            try:
                rows.append(self._relaxed(item, chunk, report))
            except EqcliError as error:
                chunk.fail(item, Failure.of(item.name, error).reason)
                report.warning(f"{item.name}: {error.message}")
            report.advance(1)
            if clock.due:
                with clock.taking():
                    chunk.snapshot({}, {"rows": rows})
        chunk.snapshot({}, {"rows": rows})
        chunk.figures = relax_figures(rows)

    def _begun(self, structure: Structure) -> Relaxation:
        from eqcli.engine.relaxation import Relaxation

        if self.trajectory is not None and (error := misfit(self.trajectory, structure)) is not None:
            raise error
        return Relaxation(structure, self._calculator, self.settings)

    def _relaxed(self, item: Item, chunk: ChunkFile, report: Reporter) -> Row:
        assert not isinstance(item.structure, InputError)
        relaxation = self._begun(item.structure)
        for frame in relaxation.run():
            if self.trajectory is not None:
                frame.info["relax_item"] = item.number
                chunk.frame(item.number, relaxation.point.step, frame)
            report.advance(0, energy=relaxation.point.energy, fmax=relaxation.point.fmax)
        row, end = RelaxRow.of(relaxation), relaxation.present()
        end.info["start_energy"] = row.energy_start
        chunk.add(item.number, end)
        if item.number < SAID:
            report.message(str(row))
        return {"number": item.number, **asdict(row), "item": item.name}
