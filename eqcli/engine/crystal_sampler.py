"""From requests to generated structures, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from eqcli.diffusion.noise import SeededNoise
from eqcli.elements import SYMBOLS
from eqcli.engine.batching import sampling_budget
from eqcli.engine.halving import TOO_LARGE, in_halves
from eqcli.errors import InputError
from eqcli.graph.crystal_batch import CrystalBatch
from eqcli.io.periodicity import is_flat
from eqcli.io.structure import Structure
from eqcli.models.generators.base import Start

if TYPE_CHECKING:
    from eqcli.models.generators.base import CrystalGenerator, Sampled
    from eqcli.progress import Reporter

PAIRS = {"cpu": 65_536, "cuda": 2_000_000}
ATOMS = {"cpu": 4_096, "cuda": 32_768}
"""What a batch holds at most unless it is told; beyond, batches are no faster. One structure always fits."""

SHORTEST_VECTOR, LONGEST_VECTOR = 0.01, 1e6
"""Å. Formats of crystals have no room for other lattice vectors."""


@dataclass(frozen=True)
class Wish:
    """One structure to be made.

    Attributes
    ----------
    sample
        Its number within the run, from 0; with the seed it fixes everything random.
    numbers
        Atomic numbers, `[n]`; zeros where species are to be drawn.
    target
        Row of a reference file that its composition was taken from.
    value
        The property that it is to have.
    start
        A structure to refine.
    """

    sample: int
    numbers: NDArray[np.int64]
    target: int | None = None
    value: float | None = None
    start: Structure | None = None


@dataclass(frozen=True)
class SamplerSettings:
    """What holds for all structures of a run.

    Attributes
    ----------
    seed
        Of the run.
    sampling
        Steps and the like, of the model's own kind.
    guidance
        Weight of the conditions.
    elements
        Atomic numbers that may occur; None for all that the model knows.
    strength
        How much of the way from noise a refinement takes again.
    batch_atoms
        Largest number of atoms computed at once; None as memory allows.
    """

    seed: int
    sampling: Any
    guidance: float = 1.0
    elements: tuple[int, ...] | None = None
    strength: float = 1.0
    batch_atoms: int | None = None


class CrystalSampler:
    """Makes the structures of wishes, in their order.

    Parameters
    ----------
    model
        On its device, in its precision.
    settings
        What holds for all.
    report
        Hears when a batch did not fit the memory.
    """

    def __init__(self, model: CrystalGenerator, settings: SamplerSettings, *, report: Reporter | None = None) -> None:
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
        return int(self.budget.model.estimate(ATOMS.get(kind, 4_096), PAIRS.get(kind, 65_536)))

    def with_steps(self, steps: int) -> CrystalSampler:
        """The same with another number of steps."""
        sampling = self.settings.sampling.model_copy(update={"steps": steps})
        return CrystalSampler(self.model, replace(self.settings, sampling=sampling))

    def sample(self, wishes: Sequence[Wish], on_failure: Callable[[int, str], None]) -> Iterator[list[Structure]]:
        """The structures, a list for each batch.

        `on_failure` hears number and reason of those without a finite cell of some volume, before their batch comes.
        Without the wishes of its first batches the rest is made in the batches that it would have had, and comes out
        the same to the last bit.
        """
        for batch in self.batches(wishes):
            made: list[Structure] = []
            for part, sampled in in_halves(batch, self._sampled, _size, self.budget):
                if sampled is None:
                    on_failure(part[0].sample, TOO_LARGE)
                    continue
                self.calls = sampled.calls
                made += self._structures(part, sampled, on_failure)
            yield made

    def batches(self, wishes: Sequence[Wish]) -> Iterator[list[Wish]]:
        """Wishes in their order, as many at a time as a batch holds."""
        kind = self.device.type
        most_atoms, most_pairs = ATOMS.get(kind, 4_096), PAIRS.get(kind, 65_536)
        batch: list[Wish] = []
        atoms = pairs = 0
        for wish in wishes:
            n = len(wish.numbers)
            fits = self.budget.admits(atoms + n, pairs + n * n)
            if self.settings.batch_atoms is None:
                fits = fits and atoms + n <= most_atoms and pairs + n * n <= most_pairs
            if batch and not fits:
                yield batch
                batch, atoms, pairs = [], 0, 0
            batch.append(wish)
            atoms, pairs = atoms + n, pairs + n * n
        if batch:
            yield batch

    def request(self, wishes: Sequence[Wish]) -> CrystalBatch:
        """The wishes as the model takes them."""
        dtype = self.model.dtype
        counts = torch.tensor([len(wish.numbers) for wish in wishes])
        numbers = torch.from_numpy(np.concatenate([wish.numbers for wish in wishes]))
        values = [np.nan if wish.value is None else wish.value for wish in wishes]
        system = None
        if self.settings.elements is not None:
            system = torch.zeros(len(wishes), len(SYMBOLS), dtype=torch.bool)
            system[:, list(self.settings.elements)] = True
        return CrystalBatch(
            numbers,
            torch.zeros(len(numbers), 3, dtype=dtype),
            torch.zeros(len(wishes), 3, 3, dtype=dtype),
            counts,
            torch.tensor(values, dtype=dtype),
            system,
        ).to(self.device)

    def _sampled(self, wishes: Sequence[Wish]) -> Sampled:
        with torch.inference_mode():
            return self._run(self.request(wishes), wishes)

    def _run(self, request: CrystalBatch, wishes: Sequence[Wish]) -> Sampled:
        samples = torch.tensor([wish.sample for wish in wishes], device=self.device)
        noise = SeededNoise(self.settings.seed, samples, request.batch, request.within, self.model.dtype)
        return self.model.sample(
            request, noise, self.settings.sampling, guidance=self.settings.guidance, start=self._start(wishes)
        )

    def _start(self, wishes: Sequence[Wish]) -> Start | None:
        given = [wish.start for wish in wishes]
        if any(start is None for start in given):
            return None
        from eqcli.data.crystals import crystal_set

        crystals = crystal_set([start for start in given if start is not None])
        fractional, cells = (
            torch.from_numpy(array).to(self.device, self.model.dtype) for array in (crystals.fractional, crystals.cells)
        )
        return Start(fractional, cells, self.settings.strength)

    def _structures(
        self, wishes: Sequence[Wish], sampled: Sampled, on_failure: Callable[[int, str], None]
    ) -> Iterator[Structure]:
        crystals = sampled.crystals.to("cpu")
        cells, fractional = crystals.cell.double().numpy(), crystals.fractional.double().numpy()
        numbers = crystals.numbers.numpy()
        last = 0
        for wish, cell in zip(wishes, cells, strict=True):
            first, last = last, last + len(wish.numbers)
            if fault := _fault(cell, fractional[first:last]):
                on_failure(wish.sample, fault)
                continue
            yield self._structure(wish, numbers[first:last], fractional[first:last], cell)

    def _structure(
        self, wish: Wish, numbers: NDArray[np.int64], fractional: NDArray[np.float64], cell: NDArray[np.float64]
    ) -> Structure:
        if np.linalg.det(cell) < 0:
            # The mirror image in the origin: the same fractional coordinates in a right-handed cell.
            cell = -cell
        info: dict[str, Any] = {"sample": wish.sample, "seed": self.settings.seed, "model": self.model.config.name}
        if wish.target is not None:
            info["target"] = wish.target
        if wish.value is not None:
            info["wanted_value"] = wish.value
        return Structure(numbers, fractional @ cell, cell, np.ones(3, dtype=bool), info=info)


def _size(wishes: Sequence[Wish]) -> tuple[int, int]:
    """Atoms, and ordered pairs of atoms of one structure."""
    counts = [len(wish.numbers) for wish in wishes]
    return sum(counts), sum(n * n for n in counts)


def _fault(cell: NDArray[np.float64], fractional: NDArray[np.float64]) -> str | None:
    """Why a structure cannot be written, or None."""
    if not (np.isfinite(cell).all() and np.isfinite(fractional).all()):
        return "the cell or the coordinates are not finite numbers"
    if np.abs(cell).max() > LONGEST_VECTOR or np.linalg.norm(cell, axis=1).min() < SHORTEST_VECTOR:
        return f"a lattice vector is shorter than {SHORTEST_VECTOR:g} Å or longer than {LONGEST_VECTOR:g} Å"
    return "the cell has no volume: its lattice vectors are linearly dependent" if is_flat(cell) else None


def require_known(model: CrystalGenerator, numbers: NDArray[np.int64], what: str) -> None:
    """Raises InputError for a composition with elements that the model has not seen."""
    known = set(model.elements.tolist())
    if unknown := sorted(set(numbers.tolist()) - known - {0}):
        names = ", ".join(SYMBOLS[z] for z in unknown)
        seen = ", ".join(SYMBOLS[z] for z in sorted(known))
        raise InputError(f"{what}: the model was not trained on {names}", hint=f"It knows {seen}.")


def drawn_sizes(model: CrystalGenerator, seed: int, samples: Sequence[int]) -> list[int]:
    """Numbers of atoms as frequent as among the training crystals, one for each sample."""
    weights = model.sizes.cpu().double().numpy()
    edges = np.cumsum(weights) / weights.sum()
    rows = torch.tensor(list(samples))
    one = torch.arange(len(rows))
    uniform = SeededNoise(~seed, rows, one, torch.zeros_like(one), torch.float64).uniform_crystals(1)
    found = np.searchsorted(edges, uniform.squeeze(1).numpy(), side="right")
    return [int(n) for n in found]
