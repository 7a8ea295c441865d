"""Where structures enter a batch, and what is said of those that cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch

from eqcli.engine.batched.in_flight_parts import Budget, Ended, Surroundings, attempt
from eqcli.engine.batched.state import BatchState, join
from eqcli.errors import EqcliError, InputError

if TYPE_CHECKING:
    from eqcli.engine.batched.stepper import Stepper
    from eqcli.io.structure import Structure


class Entrance:
    """Structures that come in, one after the other; see `InFlight` for the parameters.

    Attributes
    ----------
    waiting
        Whether more may come.
    originals
        The structures under way as they came, by their numbers.
    """

    def __init__(
        self,
        field: Surroundings,
        stepper: Stepper,
        budget: Budget,
        start: Callable[[Structure, int], BatchState],
        device: torch.device,
    ) -> None:
        self.field: Any = field
        self.stepper = stepper
        self.budget = budget
        self.start = start
        self.device = device
        self.waiting = True
        self.originals: dict[int, Structure] = {}
        self._source: Iterator[tuple[int, Structure]] = iter(())
        self._next: BatchState | None = None
        self._waiting_size: tuple[int, tuple[int, int]] | None = None

    def open(self, incoming: Iterable[tuple[int, Structure]], under_way: Iterable[int]) -> None:
        """Takes structures from `incoming`, whose first ones are `under_way` already."""
        self._source = iter(incoming)
        missing = set(under_way)
        while missing:
            item, structure = next(self._source)
            missing.remove(item)
            self.originals[item] = structure

    def candidate(self, refused: list[Ended]) -> BatchState | None:
        """The structure whose turn it is, until it is taken; those before it that cannot be started are `refused`."""
        while self._next is None and self.waiting:
            taken = next(self._source, None)
            if taken is None:
                self.waiting = False
                break
            item, structure = taken
            self.originals[item] = structure
            state = attempt(lambda taken=taken: self._started(*taken))  # type: ignore[misc]
            if isinstance(state, BatchState):
                self._next = state
            else:
                refused.append(self._failed(item, state))
        return self._next

    def take(self) -> None:
        """The candidate enters."""
        self._next = None

    def begin(self, fresh: Sequence[BatchState]) -> tuple[list[BatchState], list[Ended]]:
        """The structures with forces and what the stepper remembers, and those that cannot have them."""
        result = attempt(lambda: self._begun(join(fresh)))
        if isinstance(result, BatchState):
            return [result], []
        if len(fresh) == 1:
            return [], [self.lost(fresh[0], result)]
        if result is None:
            self.budget.halve(*self.size(join(fresh)))
        half = len(fresh) // 2
        (one, failed), (other, failed_too) = self.begin(fresh[:half]), self.begin(fresh[half:])
        return one + other, failed + failed_too

    def lost(self, one: BatchState, result: BatchState | EqcliError | None) -> Ended:
        """The end of a single structure that could not begin or go on; a `result` of None is for want of memory."""
        if result is None:
            result = self._too_large(*self.size(one))
        return self._failed(int(one.item[0]), result)

    def size(self, state: BatchState | None) -> tuple[int, int]:
        """Atoms and directed pairs."""
        return (0, 0) if state is None else (len(state.batch), int(self.field.edges(state).sum()))

    def size_of_waiting(self, one: BatchState) -> tuple[int, int]:
        """The size of a single structure that waits; asked for again and again, it is counted once."""
        item = int(one.item[0])
        if self._waiting_size is None or self._waiting_size[0] != item:
            self._waiting_size = item, self.size(one)
        return self._waiting_size[1]

    def _started(self, item: int, structure: Structure) -> BatchState:
        state = self.start(structure, item).to(self.device)
        size = self.size(state)
        if self.budget.hopeless(*size):
            raise self._too_large(*size)
        return state

    def _begun(self, state: BatchState) -> BatchState:
        with self.budget.watch(*self.size(state)):
            before = self.field.evaluate(state)
        after = self.stepper.begin(before)
        if torch.equal(after.positions, before.positions) and torch.equal(after.cell, before.cell):
            return after
        return cast(BatchState, self.field.evaluate(after))

    def _failed(self, item: int, result: BatchState | EqcliError | None) -> Ended:
        assert not isinstance(result, BatchState)
        structure = self.originals.pop(item)
        self.field.forget([item])
        n = len(structure)
        short = f"a structure of {n} atoms needs more memory than there is, for its neighbours alone"
        error = result or InputError(short)
        return Ended(item, structure, None, error)

    def _too_large(self, atoms: int, edges: int) -> InputError:
        return InputError(
            f"a structure of {atoms} atoms with {edges} neighbour pairs needs more memory than is left on {self.device}"
        )
