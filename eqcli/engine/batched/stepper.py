"""What moves a batch of structures: optimisers and integrators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from eqcli.engine.batched.field import Field
    from eqcli.engine.batched.state import BatchState


class Stepper(Protocol):
    """Moves every structure of a state, each along the path that it takes alone."""

    def begin(self, state: BatchState) -> BatchState:
        """An evaluated state with what the stepper remembers of each structure.

        The start may be refined, as to a symmetry: where positions or cells are others than before, whoever calls
        evaluates the state again. A state that goes on brings its memory along and is not begun a second time.
        """
        ...

    def step(self, state: BatchState, field: Field) -> BatchState:
        """One step of every structure, evaluated at its end; `step` counts one more."""
        ...
