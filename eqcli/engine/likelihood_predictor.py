"""How likely a generator makes given crystals, in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from eqcli.data.cell_reduction import reduced
from eqcli.data.crystal_batches import CrystalLoader
from eqcli.data.crystals import crystal_set
from eqcli.engine.crystal_sampler import require_known
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
        self.batch_atoms = batch_atoms or ATOMS

    def predict(self, structures: Iterable[Structure], on_failure: Callable[[Failure], None]) -> Iterator[Structure]:
        """Copies of `structures` with `info["log_likelihood"]`; their labels stand under `REF_` names.

        Where the model was trained with conditions, those that a structure has are taken as given.
        """
        waiting: list[tuple[Structure, Structure]] = []
        for structure in structures:
            try:
                require_known(self.model, structure.numbers, "its composition")
                cell = reduced(structure)
            except InputError as error:
                on_failure(Failure.of(structure.name, error))
                continue
            if waiting and sum(len(s) for s, _ in waiting) + len(structure) > self.batch_atoms:
                yield from self._finish(waiting, on_failure)
                waiting = []
            waiting.append((structure, cell))
        if waiting:
            yield from self._finish(waiting, on_failure)

    def _finish(
        self, waiting: list[tuple[Structure, Structure]], on_failure: Callable[[Failure], None]
    ) -> Iterator[Structure]:
        conditions = self.model.config.conditions
        crystals = crystal_set([cell for _, cell in waiting], conditions.value)
        loader = CrystalLoader(crystals, [], self.model.dtype, system=conditions.system)
        batch = loader.batch(np.arange(len(waiting))).to(self.model.elements.device)
        found = self.model.log_likelihood(batch, **INTEGRATION).tolist()
        for (structure, _), value in zip(waiting, found, strict=True):
            if not np.isfinite(value):
                reason = "the model does not make such a lattice: its density there is no number above zero"
                on_failure(Failure(structure.name, reason))
                continue
            made = predicted(structure, {})
            yield replace(made, info=made.info | {"log_likelihood": value})
