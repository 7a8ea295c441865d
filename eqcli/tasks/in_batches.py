"""Structures of a chunk moved together: what relaxation and dynamics have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.engine.batched.field import Field, admit
from eqcli.engine.batched.in_flight import InFlight
from eqcli.engine.batched.in_flight_parts import attempt
from eqcli.engine.batched.state import from_structure
from eqcli.engine.batching import BatchBudget
from eqcli.engine.tabulated import tabulate
from eqcli.errors import EqcliError, Failure, InputError
from eqcli.progress import Reporter
from eqcli.tasks.fitting import misfit
from eqcli.tasks.inference import runs_in
from eqcli.tasks.snapshot_clock import SnapshotClock
from eqcli.tasks.stream.processor import SAID

if TYPE_CHECKING:
    from torch import Tensor

    from eqcli.engine.batched.in_flight_parts import Ended
    from eqcli.engine.batched.state import BatchState
    from eqcli.engine.batched.stepper import Stepper
    from eqcli.engine.model_file import ModelFile
    from eqcli.io.structure import Structure
    from eqcli.tasks.stream.chunk_file import ChunkFile
    from eqcli.tasks.stream.item import Item

Row = dict[str, Any]
"""What the table of results says of one structure, as plain data."""


class InBatches(ABC):
    """Moves the structures of a chunk in flight, with snapshots from which a killed run goes on exactly.

    A `Processor` of streams; subclasses say what moves the structures and what is told of them.

    Parameters
    ----------
    loaded
        The model.
    stepper
        Moves the structures.
    batch_atoms
        Largest number of atoms in a batch; None chooses by the memory of the device.
    trajectory
        Where frames go, whose format structures have to fit; None for nowhere.
    """

    def __init__(
        self, loaded: ModelFile, stepper: Stepper, *, batch_atoms: int | None, trajectory: Path | None
    ) -> None:
        self.loaded = loaded
        self.stepper = stepper
        self.trajectory = trajectory
        self.device, self.precision = runs_in(loaded)
        self._limit = BatchBudget(loaded.potential, batch_atoms)
        self._places = next(loaded.potential.parameters()).device

    @property
    def budget(self) -> Any:
        """What a batch may hold, as plain data."""
        return self._limit.facts()

    @budget.setter
    def budget(self, facts: Any) -> None:
        self._limit.take_up(facts)

    def check(self, structure: Structure) -> None:
        """Raises InputError for a structure that cannot be moved as it is asked for."""
        field = self._field()
        state = self._start(structure, 0).to(self._places)
        found = attempt(lambda: self.stepper.begin(field.evaluate(state)))
        if isinstance(found, InputError):
            raise found

    def process(self, items: Sequence[Item], chunk: ChunkFile, report: Reporter) -> None:
        """See `stream.processor.Processor`."""
        given = {item.number: item for item in items}
        tensors, facts = chunk.restored or ({}, {"rows": [], "flight": None})
        rows: list[Row] = list(facts["rows"])
        clock = SnapshotClock()
        self._limit.report = report

        def on_step(state: BatchState) -> None:
            if self.trajectory is not None:
                self._frames(state, given, chunk)
            report.advance(0, **(self.figures(state) if state.n_structures == 1 and len(given) == 1 else {}))
            if clock.due:
                with clock.taking():
                    tensors, facts = flight.snapshot()
                    chunk.snapshot(tensors, {"rows": rows, "flight": facts})

        flight = InFlight(
            self._field(),
            self.stepper,
            ended=self.ended,
            budget=self._limit,
            start=self._start,
            on_step=on_step,
            device=self._places,
        )
        pairs = ((item.number, _structure(item)) for item in items)
        for ended in flight.run(pairs, (tensors, facts["flight"]) if facts["flight"] else None):
            self._record(ended, given[ended.item], rows, chunk, report)
            report.advance(1)
        chunk.snapshot({}, {"rows": rows, "flight": None})
        chunk.figures = self.told(rows)

    @abstractmethod
    def ended(self, state: BatchState) -> Tensor:
        """Whether each structure is at its end, `[B]` bool."""

    @abstractmethod
    def due(self, state: BatchState) -> Tensor:
        """Whether each structure gives a frame of the trajectory now, `[B]` bool."""

    @abstractmethod
    def fault(self, one: BatchState) -> str | None:
        """What is wrong with the only structure of a state, which has ended."""

    @abstractmethod
    def present(self, state: BatchState, originals: Sequence[Structure]) -> list[Structure]:
        """The structures of a state as they are written."""

    @abstractmethod
    def row(self, name: str, one: BatchState, original: Structure, end: Structure) -> Row:
        """What the table says of the only structure of a state, which is written as `end`."""

    @abstractmethod
    def words(self, row: Row) -> str:
        """A row in a line."""

    @abstractmethod
    def told(self, rows: Sequence[Row]) -> dict[str, Any]:
        """What the result of the request is made from."""

    @abstractmethod
    def figures(self, state: BatchState) -> Mapping[str, float]:
        """What is worth showing of the only structure of a request."""

    def numbered(self, state: BatchState) -> Tensor:
        """The step that a frame of each structure has in the trajectory, `[B]`."""
        return state.step

    def require(self, structure: Structure) -> None:
        """Raises InputError for a structure that cannot be moved as it is asked for, by its looks."""
        admit(self.loaded.potential, structure)
        if self.trajectory is not None and (error := misfit(self.trajectory, structure)) is not None:
            raise error

    def _start(self, structure: Structure, item: int) -> BatchState:
        self.require(structure)
        return from_structure(structure, item)

    def _field(self) -> Field:
        tabulate(self.loaded.potential)
        return Field(self.loaded.potential, stress="stress" in self.loaded.potential.outputs)

    def _frames(self, state: BatchState, given: Mapping[int, Item], chunk: ChunkFile) -> None:
        due = self.due(state)
        if not bool(due.any()):
            return
        here = state.select(due).to("cpu")
        numbers = here.item.tolist()
        frames = self.present(here, [_structure(given[number]) for number in numbers])
        for number, step, frame in zip(numbers, self.numbered(here).tolist(), frames, strict=True):
            chunk.frame(number, step, frame)

    def _record(self, ended: Ended, item: Item, rows: list[Row], chunk: ChunkFile, report: Reporter) -> None:
        error = ended.error
        if ended.state is not None and (fault := self.fault(ended.state)) is not None:
            error = EqcliError(fault)
        if error is None:
            assert ended.state is not None
            (end,) = self.present(ended.state, [ended.structure])
            row = self.row(item.name, ended.state, ended.structure, end)
            try:
                chunk.add(item.number, end)
            except InputError as refused:
                error = refused
            else:
                rows.append({"number": item.number, **row})
                if item.number < SAID:
                    report.message(self.words(row))
                return
        chunk.fail(item, Failure.of(item.name, error).reason)
        report.warning(f"{item.name}: {error.message}")


def _structure(item: Item) -> Structure:
    assert not isinstance(item.structure, InputError)
    return item.structure
