"""From requests to generated molecules, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from eqcli.data.molecules import BOND_CODES, BOND_ORDERS
from eqcli.diffusion.dense_noise import seeded_noise
from eqcli.engine.batching import sampling_budget
from eqcli.engine.halving import TOO_LARGE, in_halves
from eqcli.graph.molecule_batch import MoleculeBatch, empty_batch
from eqcli.io.structure import Structure

if TYPE_CHECKING:
    from eqcli.models.molecules.base import MoleculeGenerator
    from eqcli.progress import Reporter

PAIRS = {"cpu": 32_768, "cuda": 1_000_000}
"""Ordered pairs of atoms in a batch, those filled up counted, unless it is told; one molecule always fits."""

FARTHEST = 1e3
"""Å from the centre; beyond, nothing came out."""


@dataclass(frozen=True)
class MoleculeWish:
    """One molecule to be made.

    Attributes
    ----------
    sample
        Its number within the run, from 0; with the seed it fixes everything random.
    atoms
        Its number of atoms.
    scaffold
        Atoms that it is to contain, which are its first ones.
    """

    sample: int
    atoms: int
    scaffold: Structure | None = None


@dataclass(frozen=True)
class MoleculeSettings:
    """What holds for all molecules of a run.

    Attributes
    ----------
    seed
        Of the run.
    sampling
        Steps and the like, of the model's own kind.
    guidance
        Weight of the conditions.
    wanted
        Properties that molecules are to have.
    batch_atoms
        Largest number of atoms computed at once, those filled up counted; None as memory allows.
    """

    seed: int
    sampling: Any
    guidance: float = 1.0
    wanted: Mapping[str, float] = field(default_factory=dict)
    batch_atoms: int | None = None


class MoleculeSampler:
    """Makes the molecules of wishes, those of like size together.

    Parameters
    ----------
    model
        On its device, in its precision.
    settings
        What holds for all.
    report
        Hears when a batch did not fit the memory.
    """

    def __init__(self, model: MoleculeGenerator, settings: MoleculeSettings, *, report: Reporter | None = None) -> None:
        self.model = model
        self.settings = settings
        self.device = next(model.parameters()).device
        self.budget = sampling_budget(model, settings.batch_atoms, report=report)
        self.calls: int | None = None

    @property
    def steps(self) -> int:
        """Of the sampling."""
        return int(self.settings.sampling.steps)

    @property
    def batch_bytes(self) -> int:
        """Memory of a full batch, by estimate."""
        kind = self.device.type
        return int(self.budget.model.estimate(0, PAIRS.get(kind, 32_768)))

    def with_steps(self, steps: int) -> MoleculeSampler:
        """The same with another number of steps."""
        sampling = self.settings.sampling.model_copy(update={"steps": steps})
        return MoleculeSampler(self.model, replace(self.settings, sampling=sampling))

    def sample(
        self, wishes: Sequence[MoleculeWish], on_failure: Callable[[int, str], None]
    ) -> Iterator[list[Structure]]:
        """The molecules, a list for each batch: the smallest first, those of one size by number.

        `on_failure` hears number and reason of those without finite positions, before their batch comes. Without the
        wishes of its first batches the rest is made in the batches that it would have had, and comes out the same to
        the last bit.
        """
        for batch in self.batches(wishes):
            found: list[Structure] = []
            for part, made in in_halves(batch, self._made, _size, self.budget):
                if made is None:
                    on_failure(part[0].sample, TOO_LARGE)
                    continue
                found += self._structures(part, made, on_failure)
            yield found

    def _made(self, batch: Sequence[MoleculeWish]) -> MoleculeBatch:
        request = self.request(batch)
        samples = torch.tensor([wish.sample for wish in batch], device=self.device)
        noise = seeded_noise(self.settings.seed, samples, request.width, self.model.dtype)
        with torch.inference_mode():
            made = self.model.sample(request, noise, self.settings.sampling, guidance=self.settings.guidance)
        self.calls = made.calls
        return made.molecules.to("cpu")

    def batches(self, wishes: Sequence[MoleculeWish]) -> Iterator[list[MoleculeWish]]:
        """Wishes by their size, as many at a time as a batch holds."""
        limit = PAIRS.get(self.device.type, 32_768)
        batch: list[MoleculeWish] = []
        width = 0
        for wish in sorted(wishes, key=lambda wish: wish.atoms):
            wider, count = max(width, wish.atoms), len(batch) + 1
            fits = self.budget.admits(count * wider, count * wider**2)
            if self.settings.batch_atoms is None:
                fits = fits and count * wider**2 <= limit
            if batch and not fits:
                yield batch
                batch, wider = [], wish.atoms
            batch.append(wish)
            width = wider
        if batch:
            yield batch

    def request(self, wishes: Sequence[MoleculeWish]) -> MoleculeBatch:
        """The wishes as the model takes them."""
        dtype = self.model.dtype
        counts = torch.tensor([wish.atoms for wish in wishes])
        names = self.model.config.conditions.values
        row = [self.settings.wanted.get(name, np.nan) for name in names]
        values = torch.tensor([row] * len(wishes), dtype=dtype) if names else None
        batch = empty_batch(counts, dtype, values)
        if any(wish.scaffold is not None for wish in wishes):
            batch = _with_scaffolds(batch, wishes)
        return batch.to(self.device)

    def _structures(
        self, wishes: Sequence[MoleculeWish], made: MoleculeBatch, on_failure: Callable[[int, str], None]
    ) -> Iterator[Structure]:
        positions = made.positions.double().numpy()
        for row, wish in enumerate(wishes):
            found = positions[row, : wish.atoms]
            if not np.isfinite(found).all() or np.abs(found - found.mean(axis=0)).max() > FARTHEST:
                on_failure(wish.sample, "its positions are not finite, or far apart")
                continue
            yield self._structure(wish, made, row, found)

    def _structure(
        self, wish: MoleculeWish, made: MoleculeBatch, row: int, positions: NDArray[np.float64]
    ) -> Structure:
        n = wish.atoms
        info: dict[str, Any] = {
            "sample": wish.sample,
            "seed": self.settings.seed,
            "model": self.model.config.name,
            **{f"wanted_{name}": value for name, value in self.settings.wanted.items()},
        }
        arrays: dict[str, NDArray[Any]] = {}
        if self.model.makes_bonds:
            info["bonds"] = bond_list(made.bonds[row, :n, :n].numpy())
            charges = made.charges[row, :n].numpy()
            if charges.any():
                arrays["formal_charge"] = charges
        if wish.scaffold is not None:
            arrays["scaffold"] = np.arange(n) < len(wish.scaffold)
            # To the last digit of the file, whatever the precision of the model.
            positions = np.concatenate([wish.scaffold.positions, positions[len(wish.scaffold) :]])
        charge = float(arrays["formal_charge"].sum()) if "formal_charge" in arrays else 0.0
        return Structure(made.numbers[row, :n].numpy(), positions, charge=charge, info=info, arrays=arrays)


def bond_list(codes: NDArray[np.int64]) -> list[list[int | float]]:
    """The bonds `[i, j, order]` of a matrix of codes `[n, n]`."""
    first, second = np.nonzero(np.triu(codes, 1))
    return [[int(i), int(j), BOND_ORDERS[int(codes[i, j])]] for i, j in zip(first, second, strict=True)]


def _size(wishes: Sequence[MoleculeWish]) -> tuple[int, int]:
    """Atoms and ordered pairs of atoms, those filled up counted."""
    width = max(wish.atoms for wish in wishes)
    return len(wishes) * width, len(wishes) * width**2


def _with_scaffolds(batch: MoleculeBatch, wishes: Sequence[MoleculeWish]) -> MoleculeBatch:
    numbers, positions, charges, bonds = (
        t.clone() for t in (batch.numbers, batch.positions, batch.charges, batch.bonds)
    )
    known = torch.zeros_like(numbers, dtype=torch.bool)
    for row, wish in enumerate(wishes):
        if (core := wish.scaffold) is None:
            continue
        n = len(core)
        known[row, :n] = True
        numbers[row, :n] = torch.from_numpy(core.numbers)
        positions[row, :n] = torch.from_numpy(core.positions).to(positions.dtype)
        if (formal := core.arrays.get("formal_charge")) is not None:
            charges[row, :n] = torch.from_numpy(np.asarray(formal, dtype=np.int64))
        for i, j, order in core.info.get("bonds", []):
            bonds[row, i, j] = bonds[row, j, i] = BOND_CODES[order]
    return MoleculeBatch(numbers, positions, batch.counts, charges, batch.hybridisations, bonds, batch.values, known)


def drawn_atoms(model: MoleculeGenerator, seed: int, samples: Sequence[int], least: int = 1) -> list[int]:
    """Numbers of atoms as frequent as among the training molecules with at least so many, one for each sample."""
    weights = model.sizes.cpu().double().numpy().copy()
    weights[:least] = 0.0
    if not weights.sum():
        # None is so large: as many atoms more as there are between the mean and the largest.
        return [least + max(1, len(weights) - 1 - int(model.typical_size))] * len(samples)
    edges = np.cumsum(weights) / weights.sum()
    noise = seeded_noise(~seed, torch.tensor(list(samples)), 1, torch.float64)
    found = np.searchsorted(edges, noise.uniform_molecules(1).squeeze(1).numpy(), side="right")
    return [int(n) for n in found]
