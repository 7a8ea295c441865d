"""A stream of structures on their way through a stepper: those that end leave the batch, and new ones enter.

What happens is a function of the order in which the structures come, of the budget and of the state, so that a run
which goes on from a snapshot ends as one that was not disturbed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from eqcli.engine.batched.in_flight_entrance import Entrance
from eqcli.engine.batched.in_flight_parts import (
    Budget,
    Ended,
    Snapshot,
    Surroundings,
    attempt,
    finite,
    restored,
    saved,
    singles,
)
from eqcli.engine.batched.state import BatchState, from_structure, join
from eqcli.errors import EqcliError

if TYPE_CHECKING:
    from eqcli.engine.batched.stepper import Stepper
    from eqcli.io.structure import Structure

FULL = 0.85
"""Share of what the budget admits from which a batch is full enough: to enter costs an evaluation of its own."""


class InFlight:
    """Moves structures in a batch that the budget admits, from a stream of any length.

    A structure that cannot be moved (no neighbour list, no symmetry to keep, values that are not finite, more memory
    than there is) ends with an error and leaves the others as they are. When a batch does not fit the memory, the
    budget is halved; the structures that no longer fit wait with their state and go on later.

    Parameters
    ----------
    field, stepper
        Give the forces, and move the structures.
    ended
        Whether each structure of a state is at its end, `[B]` bool.
    budget
        What the batch may hold. A structure that exceeds it alone is a batch of its own.
    start
        Makes the state of a structure with its number; raises InputError for one that cannot be moved.
    on_step
        Called with the structures that have reached a new point, the first one included. `snapshot` may be called
        from it, and from nowhere else.
    device
        Where the states live.
    """

    def __init__(
        self,
        field: Surroundings,
        stepper: Stepper,
        *,
        ended: Callable[[BatchState], Tensor],
        budget: Budget,
        start: Callable[[Structure, int], BatchState] = from_structure,
        on_step: Callable[[BatchState], None] = lambda state: None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.stepper = stepper
        self.ended = ended
        self.budget = budget
        self.on_step = on_step
        self.device = torch.device(device)
        self._entrance = Entrance(field, stepper, budget, start, self.device)
        self._active: BatchState | None = None
        self._parked: list[BatchState] = []  # of one structure each

    def run(self, incoming: Iterable[tuple[int, Structure]], snapshot: Snapshot | None = None) -> Iterator[Ended]:
        """Every structure of `incoming` as it ends.

        Parameters
        ----------
        incoming
            Numbers and structures. When going on from a snapshot: all those that had not ended when it was made, in
            the same order.
        snapshot
            What to go on from.
        """
        self._entrance.open(incoming, [] if snapshot is None else self._restore(snapshot))
        while True:
            yield from self._leave()
            if self._has_room() and (yield from self._fill()):
                continue
            if self._active is None:
                return
            yield from self._advance()

    def snapshot(self) -> Snapshot:
        """What `run` goes on from exactly, on a device of the same kind."""
        parked = join(self._parked) if self._parked else None
        return saved(active=self._active, parked=parked), {"budget": self.budget.facts()}

    def _restore(self, snapshot: Snapshot) -> list[int]:
        """Takes up the state and the budget; gives the numbers of the structures under way."""
        tensors, facts = snapshot
        self._active = restored(tensors, "active", self.device)
        parked = restored(tensors, "parked", self.device)
        self._parked = singles(parked) if parked is not None else []
        self.budget.take_up(facts["budget"])
        return [item for state in (self._active, parked) if state is not None for item in state.item.tolist()]

    def _has_room(self) -> bool:
        if self._active is None:
            return True
        if not (self._parked or self._entrance.waiting):
            return False
        atoms, edges = self._entrance.size(self._active)
        return self.budget.admits(int(atoms / FULL), int(edges / FULL))

    def _fill(self) -> Generator[Ended, None, bool]:
        """Lets in as many structures as fit; False where none did."""
        atoms, edges = self._entrance.size(self._active)
        going = [self._active] if self._active is not None else []
        fresh: list[BatchState] = []
        refused: list[Ended] = []
        while (candidate := self._parked[0] if self._parked else self._entrance.candidate(refused)) is not None:
            more, pairs = self._entrance.size_of_waiting(candidate)
            if (going or fresh) and not self.budget.admits(atoms + more, edges + pairs):
                break
            atoms, edges = atoms + more, edges + pairs
            if self._parked:
                going.append(self._parked.pop(0))
            else:
                fresh.append(candidate)
                self._entrance.take()
        begun, failed = self._entrance.begin(fresh) if fresh else ([], [])
        entered = bool(refused or fresh or len(going) > (self._active is not None))
        begun, lost = self._parted(begun)
        self._settle([*going, *begun])
        yield from refused + failed + lost
        if begun:
            self.on_step(join(begun))
        return entered

    def _advance(self) -> Iterator[Ended]:
        """One step of every structure."""
        state = self._active
        assert state is not None
        result = attempt(lambda: self._step(state))
        if isinstance(result, BatchState):
            yield from self._stepped([result])
        elif state.n_structures == 1:
            self._active = None
            yield self._entrance.lost(state, result)
        elif result is None:
            self.budget.halve(*self._entrance.size(state))
            self._settle([state], at_most=state.n_structures // 2)
        else:
            yield from self._one_by_one(state)

    def _step(self, state: BatchState) -> BatchState:
        with self.budget.watch(*self._entrance.size(state)):
            return self.stepper.step(state, self._entrance.field)

    def _one_by_one(self, state: BatchState) -> Iterator[Ended]:
        """A step of each structure alone: one of them cannot make it, and the others are not to blame."""
        moved, failed = [], []
        for one in singles(state):
            result = attempt(lambda one=one: self._step(one))  # type: ignore[misc]
            if isinstance(result, BatchState):
                moved.append(result)
            else:
                failed.append(self._entrance.lost(one, result))
        yield from self._stepped(moved, failed)

    def _stepped(self, moved: list[BatchState], failed: Sequence[Ended] = ()) -> Iterator[Ended]:
        """Goes on with what has made a step, less what has no neighbour list any more."""
        moved, lost = self._parted(moved)
        self._settle(moved)
        # Before a snapshot, which knows nothing of them.
        yield from (*failed, *lost)
        if moved:
            self.on_step(join(moved))

    def _parted(self, states: Sequence[BatchState]) -> tuple[list[BatchState], list[Ended]]:
        """States just evaluated without the structures that have no neighbour list, and the ends of these."""
        faults = self._entrance.field.faults
        if not (states and faults):
            return list(states), []
        state = join(states)
        # A reason may stand there from a geometry that the stepper has turned down.
        blank = [
            not fine and item in faults for item, fine in zip(state.item.tolist(), finite(state).tolist(), strict=True)
        ]
        gone = torch.tensor(blank, device=state.batch.device)
        lost = [self._entrance.lost(one, faults[int(one.item[0])]) for one in singles(state.select(gone))]
        return ([] if all(blank) else [state.select(~gone)] if any(blank) else [state]), lost

    def _settle(self, states: Sequence[BatchState], *, at_most: int | None = None) -> None:
        """Makes the structures the batch, as many of the first ones as it may hold; the others wait."""
        self._active = state = join(states) if states else None
        if state is None:
            return
        keep = min(self._fitting(state), at_most or state.n_structures)
        if keep < state.n_structures:
            order = torch.arange(state.n_structures, device=state.batch.device)
            waiting = state.select(order >= keep)
            self._entrance.field.forget(waiting.item.tolist())
            self._parked = singles(waiting) + self._parked
            self._active = state.select(order < keep)

    def _fitting(self, state: BatchState) -> int:
        """How many of the first structures the budget admits; the first is always one of them."""
        if self.budget.admits(*self._entrance.size(state)):
            return state.n_structures
        atoms = state.counts.cumsum(0).tolist()
        edges = self._entrance.field.edges(state).cumsum(0).tolist()
        keep = state.n_structures
        while keep > 1 and not self.budget.admits(atoms[keep - 1], edges[keep - 1]):
            keep -= 1
        return keep

    def _leave(self) -> Iterator[Ended]:
        """Those that have ended, and those whose values are lost."""
        state = self._active
        if state is None:
            return
        broken = ~finite(state)
        gone = broken | self.ended(state)
        if not bool(gone.any()):
            return
        left, broken = state.select(gone).to("cpu"), broken[gone].cpu()
        self._active = None if bool(gone.all()) else state.select(~gone)
        self._entrance.field.forget(left.item.tolist())
        for one, wrong in zip(singles(left), broken.tolist(), strict=True):
            item = int(one.item[0])
            error = EqcliError(f"energy or forces are not finite at step {int(one.step[0])}") if wrong else None
            yield Ended(item, self._entrance.originals.pop(item), one, error)
