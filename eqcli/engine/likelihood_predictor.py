"""How likely a generator makes given crystals, in batches."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from eqcli.data.cell_reduction import reduced
from eqcli.data.crystal_batches import CrystalLoader
from eqcli.data.crystals import crystal_set
from eqcli.engine.batching import sampling_budget
from eqcli.engine.crystal_sampler import require_known
from eqcli.engine.halving import TOO_LARGE, in_halves
from eqcli.engine.predictor import predicted
from eqcli.errors import Failure, InputError
from eqcli.models.generators.flowmm import FlowMM

if TYPE_CHECKING:
    from eqcli.io.structure import Structure
    from eqcli.models.generators.base import CrystalGenerator

INTEGRATION: dict[str, Any] = {"method": "adaptive", "tolerance": 0.01, "divergence": "exact"}
"""A step may be wrong by the tolerance, in nats and in the unit of the state."""

ATOMS = 128
"""In a batch unless it is told: each call keeps what its derivatives along every coordinate need."""


@dataclass(frozen=True)
class LogLikelihood:
    """What is predicted: log p(coordinates, lattice | species, number of atoms), see `flow_log_likelihood`."""

    name: str = "log_likelihood"
    unit: str = "nats"


class LikelihoodPredictor:
    """Gives crystals their exact log-likelihood under a flow, in their Niggli-reduced cell.

    Where several such cells differ in the order of equal axes, it is that of the one found: networks tell axes apart.

    Parameters
    ----------
    model
        On its device, in its precision.
    batch_atoms
        Largest number of atoms in a batch.

    Raises
    ------
    InputError
        The model has no likelihoods: it is no flow, or it draws species too.
    """

    def __init__(self, model: CrystalGenerator, *, batch_atoms: int | None = None) -> None:
        if not isinstance(model, FlowMM) or model.gives_species:
            raise InputError(
                f"this model, {model.config.name} with `species: {model.config.species}`, makes crystals "
                "and says nothing of given ones",
                hint="`eqcli generate` makes crystals. Likelihoods are those of flowmm with `species: given`.",
            )
        if batch_atoms is not None and batch_atoms < 1:
            raise InputError(f"a batch needs at least one atom, not {batch_atoms}")
        self.model = model
        self.properties = (LogLikelihood(),)
        self.budget = sampling_budget(model, batch_atoms or ATOMS)

    def predict(self, structures: Iterable[Structure], on_failure: Callable[[Failure], None]) -> Iterator[Structure]:
        """Copies of `structures` with `info["log_likelihood"]`; their labels stand under `REF_` names.

        Where the model was trained with conditions, those that a structure has are taken as given.
        """
        for batch in self.batches(structures):
            for structure, outcome in batch:
                if isinstance(outcome, InputError):
                    on_failure(Failure.of(structure.name, outcome))
                else:
                    yield outcome

    def batches(
        self, structures: Iterable[Structure], *, ahead: bool = False
    ) -> Generator[list[tuple[Structure, Structure | InputError]], None, None]:
        """Each structure and what `predict` makes of it, or why not, as `Predictor.batches`; nothing is read ahead."""
        waiting: list[tuple[Structure, Structure | InputError]] = []
        atoms = 0
        for structure in structures:
            cell = self._reduced(structure)
            size = 1 if isinstance(cell, InputError) else len(structure)
            if waiting and not self.budget.admits(atoms + size, 0):
                yield self._finish(waiting)
                waiting, atoms = [], 0
            waiting.append((structure, cell))
            atoms += size
        if waiting:
            yield self._finish(waiting)

    def _reduced(self, structure: Structure) -> Structure | InputError:
        try:
            require_known(self.model, structure.numbers, "its composition")
            return reduced(structure)
        except InputError as error:
            return error

    def _finish(
        self, waiting: list[tuple[Structure, Structure | InputError]]
    ) -> list[tuple[Structure, Structure | InputError]]:
        sound = [(structure, cell) for structure, cell in waiting if not isinstance(cell, InputError)]
        results: list[Structure | InputError] = []
        for part, found in in_halves(sound, self._likelihoods, _size, self.budget) if sound else ():
            results += [InputError(TOO_LARGE)] if found is None else _told(part, found)
        told = iter(results)
        return [(structure, cell if isinstance(cell, InputError) else next(told)) for structure, cell in waiting]

    def _likelihoods(self, pairs: Sequence[tuple[Structure, Structure]]) -> list[float]:
        conditions = self.model.config.conditions
        crystals = crystal_set([cell for _, cell in pairs], conditions.value)
        loader = CrystalLoader(crystals, [], self.model.dtype, system=conditions.system)
        batch = loader.batch(np.arange(len(pairs))).to(self.model.elements.device)
        return [float(value) for value in self.model.log_likelihood(batch, **INTEGRATION).tolist()]


def _told(pairs: Sequence[tuple[Structure, Structure]], found: Sequence[float]) -> list[Structure | InputError]:
    outcomes: list[Structure | InputError] = []
    for (structure, _), value in zip(pairs, found, strict=True):
        if np.isfinite(value):
            made = predicted(structure, {})
            outcomes.append(replace(made, info=made.info | {"log_likelihood": value}))
        else:
            reason = "the model does not make such a lattice: its density there is no number above zero"
            outcomes.append(InputError(reason))
    return outcomes


def _size(pairs: Sequence[tuple[Structure, Structure]]) -> tuple[int, int]:
    """Atoms, and ordered pairs of atoms of one crystal."""
    counts = [len(structure) for structure, _ in pairs]
    return sum(counts), sum(n * n for n in counts)
