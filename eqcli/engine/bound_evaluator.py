"""What a generator of molecules says of given ones: a bound on their likelihood, or the terms of its loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from eqcli.data.molecule_batches import molecule_batch
from eqcli.data.molecule_features import featured
from eqcli.data.molecules import AROMATIC, BOND_CODES, molecule_set
from eqcli.diffusion.dense_noise import seeded_noise
from eqcli.elements import SYMBOLS
from eqcli.engine.batching import sampling_budget
from eqcli.engine.halving import TOO_LARGE, in_halves
from eqcli.errors import Failure, InputError
from eqcli.models.molecules.bound import variational_bound
from eqcli.models.molecules.edm import EDM

if TYPE_CHECKING:
    from eqcli.io.structure import Structure
    from eqcli.models.molecules.base import MoleculeGenerator

PAIRS = {"cpu": 65_536, "cuda": 1_000_000}
"""Ordered pairs of atoms in a batch, those filled up counted; one molecule always fits."""

STEPS = 100
"""Steps of the bound that are drawn for each molecule, and draws of a loss: one network call each."""


@dataclass(frozen=True)
class MoleculeTerms:
    """One molecule and what was found of it: terms by name, `total` or `loss` among them."""

    name: str
    atoms: int
    terms: Mapping[str, float]


class BoundEvaluator:
    """Asks a generator of molecules about given ones, in batches.

    EDM has a variational bound on -log p, in nats. The other models have none: flow matching of discrete and
    continuous parts together has no tractable one, and the weights of EQGAT-diff's loss are not those of its
    bound. Of these the terms of the training loss are taken.

    Parameters
    ----------
    model
        On its device, in its precision.
    steps
        See `STEPS`; None takes all steps of the bound.
    seed
        Of the noise; that of a molecule depends on its place alone.
    """

    def __init__(self, model: MoleculeGenerator, *, steps: int | None = STEPS, seed: int = 0) -> None:
        if steps is not None and steps < 1:
            raise InputError(f"a bound needs at least one step, not {steps}")
        self.model = model
        self.steps = steps
        self.seed = seed
        self.device = model.sizes.device
        self.budget = sampling_budget(model, None)

    @property
    def bounded(self) -> bool:
        """Whether the model has a bound."""
        return isinstance(self.model, EDM)

    def evaluate(
        self, structures: Iterable[Structure], on_failure: Callable[[Failure], None]
    ) -> Iterator[MoleculeTerms]:
        """The terms of each molecule, in their order; those that the model has no words for are failures."""
        waiting: list[tuple[int, Structure]] = []
        width = 0
        limit = PAIRS.get(self.device.type, 65_536)
        for number, structure in enumerate(structures):
            try:
                molecule = self._usable(structure)
            except InputError as error:
                on_failure(Failure.of(structure.name, error))
                continue
            wider = max(width, len(molecule))
            if waiting and (len(waiting) + 1) * wider**2 > limit:
                yield from self._finish(waiting, on_failure)
                waiting, wider = [], len(molecule)
            waiting.append((number, molecule))
            width = wider
        if waiting:
            yield from self._finish(waiting, on_failure)

    def _usable(self, structure: Structure) -> Structure:
        """The molecule with what the model looks at. Raises InputError."""
        vocabulary = self.model.vocabulary
        unknown = sorted(set(structure.numbers.tolist()) - set(vocabulary.elements))
        if unknown:
            raise InputError(f"the model does not know {', '.join(SYMBOLS[z] for z in unknown)}", structure.where)
        bonds = self.model.makes_bonds
        molecule = featured(structure, bonds=bonds, aromatic=BOND_CODES[AROMATIC] in vocabulary.bonds)
        if bonds:
            found = molecule_set([molecule])
            kinds = {"charges": found.charges, "hybridisations": found.hybridisations, "bonds": found.bonds[:, 2]}
            for name, codes in kinds.items():
                if set(codes.tolist()) - set(getattr(vocabulary, name)):
                    raise InputError(f"the model does not know one of its {name}", structure.where)
        return molecule

    def _finish(
        self, waiting: list[tuple[int, Structure]], on_failure: Callable[[Failure], None]
    ) -> Iterator[MoleculeTerms]:
        for part, rows in in_halves(waiting, self._rows, _size, self.budget):
            if rows is None:
                on_failure(Failure(part[0][1].name, TOO_LARGE, part[0][1].where))
                continue
            for (_, molecule), terms in zip(part, rows, strict=True):
                yield MoleculeTerms(molecule.name, len(molecule), terms)

    def _rows(self, numbered: Sequence[tuple[int, Structure]]) -> list[dict[str, float]]:
        return self._bounds(numbered) if self.bounded else [self._losses(*item) for item in numbered]

    def _bounds(self, waiting: Sequence[tuple[int, Structure]]) -> list[dict[str, float]]:
        model = self.model
        assert isinstance(model, EDM)
        molecules = molecule_set([molecule for _, molecule in waiting], model.config.conditions.values)
        batch = molecule_batch(molecules, np.arange(len(waiting)), model.dtype).to(self.device)
        numbers = torch.tensor([number for number, _ in waiting], device=self.device)
        noise = seeded_noise(self.seed, numbers, batch.width, model.dtype)
        found = variational_bound(model, batch, noise, steps=self.steps)
        return [{name: float(values[row]) for name, values in found.items()} for row in range(len(waiting))]

    @torch.no_grad()
    def _losses(self, number: int, molecule: Structure) -> dict[str, float]:
        """Terms of the loss, means over times and noise: the model gives means of a batch, here of one molecule."""
        model, draws = self.model, self.steps or STEPS
        molecules = molecule_set([molecule], model.config.conditions.values)
        batch = molecule_batch(molecules, np.zeros(draws, dtype=np.int64), model.dtype).to(self.device)
        # Draws of one molecule are told apart as molecules are.
        samples = number * draws + torch.arange(draws, device=self.device)
        noise = seeded_noise(self.seed, samples, batch.width, model.dtype)
        properties = 0 if batch.values is None else batch.values.shape[1]
        shown = torch.zeros(draws, properties, dtype=torch.bool, device=self.device)
        return {name: float(value) for name, value in model.losses(batch, noise, shown).items()}


def _size(numbered: Sequence[tuple[int, Structure]]) -> tuple[int, int]:
    """Atoms and ordered pairs of atoms, those filled up counted."""
    width = max(len(molecule) for _, molecule in numbered)
    return len(numbered) * width, len(numbered) * width**2
