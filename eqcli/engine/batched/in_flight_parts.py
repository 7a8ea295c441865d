"""What structures in flight are made of: how one ends, and what is tried that may not be possible."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from eqcli.engine.batched.state import BatchState, sums
from eqcli.engine.device import out_of_memory
from eqcli.errors import EqcliError

if TYPE_CHECKING:
    from eqcli.errors import InputError
    from eqcli.io.structure import Structure

Snapshot = tuple[dict[str, Tensor], dict[str, Any]]
"""Tensors by name, and facts that JSON can hold."""


class Budget(Protocol):
    """What a batch may hold, as `BatchBudget` says it."""

    def admits(self, atoms: int, edges: int) -> bool: ...

    def hopeless(self, atoms: int, edges: int) -> bool: ...

    def halve(self, atoms: int, edges: int) -> None: ...

    def watch(self, atoms: int, edges: int) -> AbstractContextManager[None]: ...

    def facts(self) -> dict[str, Any]: ...

    def take_up(self, facts: dict[str, Any]) -> None: ...


class Surroundings(Protocol):
    """What is asked of a `Field`."""

    @property
    def faults(self) -> Mapping[int, InputError]: ...

    def evaluate(self, state: BatchState) -> BatchState: ...

    def edges(self, state: BatchState) -> Tensor: ...

    def forget(self, items: Iterable[int]) -> None: ...


@dataclass(frozen=True)
class Ended:
    """A structure that has left.

    Attributes
    ----------
    item, structure
        Its number in the request, and itself as it came.
    state
        Where it ended, on the CPU; None where it could not be started or its last step was not possible.
    error
        Why it could not go on; None for one that came to its end.
    """

    item: int
    structure: Structure
    state: BatchState | None
    error: EqcliError | None = None


def attempt(action: Callable[[], BatchState]) -> BatchState | EqcliError | None:
    """What the action gives, why it cannot be done, or None when it does not fit the memory."""
    try:
        return action()
    except EqcliError as error:
        return error.with_traceback(None)
    except (torch.linalg.LinAlgError, np.linalg.LinAlgError) as error:  # type: ignore[attr-defined]
        return EqcliError(f"the cell became unusable: {error}")
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
    # Outside the handler, whose traceback holds on to the tensors.
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    return None


def finite(state: BatchState) -> Tensor:
    """Whether energy and forces of each structure are finite, `[B]` bool."""
    return torch.isfinite(state.energy) & torch.isfinite(sums(state, state.forces.abs()).sum(1))


def singles(state: BatchState) -> list[BatchState]:
    """Each structure in a state of its own."""
    return [state.select(torch.tensor([k], device=state.batch.device)) for k in range(state.n_structures)]


def saved(**states: BatchState | None) -> dict[str, Tensor]:
    """The tensors of states by name, copied to the CPU."""
    return {
        # A copy even there: states may name a tensor twice, and files hold each for itself.
        f"{place}/{name}": value.to("cpu", copy=True)
        for place, state in states.items()
        if state is not None
        for name, value in state.tensors().items()
    }


def restored(tensors: dict[str, Tensor], place: str, device: torch.device) -> BatchState | None:
    """The state that :func:`saved` put under a name."""
    found = {name.removeprefix(f"{place}/"): v for name, v in tensors.items() if name.startswith(f"{place}/")}
    return BatchState.from_tensors(found).to(device) if found else None
