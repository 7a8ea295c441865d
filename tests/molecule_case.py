"""Small generators of molecules of every kind with weights that are all at work, molecules, and noise carried along."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from eqcli.diffusion.dense_noise import DenseNoise, seeded_noise
from eqcli.geometry.centred import centred
from eqcli.graph.molecule_batch import MoleculeBatch, empty_batch
from eqcli.models.molecules.base import MoleculeGenerator
from eqcli.models.molecules.build import make_molecule_generator
from eqcli.models.molecules.config import MOLECULE_GENERATORS
from eqcli.models.molecules.vocabulary import MoleculeStatistics, Vocabulary

VOCABULARY = Vocabulary((1, 6, 7, 8), (-1, 0, 1), (1, 3, 4), (0, 1, 2, 3))
SIZES = [0, 1, 2, 3, 2, 4]
COUNTS = [5, 1, 4, 2]
SPREAD = 1.3

NETWORKS: dict[str, dict[str, Any]] = {
    "egnn": {"name": "egnn", "channels": 8, "num_layers": 2, "pair_channels": 4, "coordinates_range": 2.0},
    "eqgat": {
        "name": "eqgat", "channels": 8, "vector_channels": 3, "pair_channels": 4, "hidden_channels": 8,
        "num_layers": 2, "heads": 2, "radial": 4,
    },
}  # fmt: skip
SYSTEMS: dict[str, dict[str, Any]] = {
    "edm": {"name": "edm", "timesteps": 30},
    "edm-bound": {"name": "edm", "timesteps": 30, "loss": "bound", "schedule": "learned"},
    "flow": {"name": "flow-matching"},
    "flow-plain": {
        "name": "flow-matching", "bonds": False, "self_conditioning": False, "transport": False,
        "features": {"charges": False, "hybridisations": False, "prior": "uniform"},
    },
    "flow-absorbing": {"name": "flow-matching", "features": {"prior": "absorbing"}},
    "flow-scaffolds": {"name": "flow-matching", "scaffolds": 1.0},
    "diffusion": {"name": "eqgat-diff", "timesteps": 30},
    "diffusion-absorbing": {
        "name": "eqgat-diff", "timesteps": 30, "self_conditioning": True, "features": {"prior": "absorbing"}
    },
}  # fmt: skip
VARIANTS = {f"{s}-{n}": {**SYSTEMS[s], "denoiser": NETWORKS[n]} for s in SYSTEMS for n in NETWORKS}


def generator(options: dict[str, Any], *, seed: int = 0, shake: float = 0.1) -> MoleculeGenerator:
    """A generator in float64 whose weights are those of no special moment."""
    torch.manual_seed(seed)
    config = MOLECULE_GENERATORS[options["name"]][2].model_validate(options)
    made = make_molecule_generator(config, vocabulary=VOCABULARY, sizes=SIZES)
    with torch.no_grad():  # what is zero at first would hide mistakes
        for parameter in made.parameters():
            parameter.add_(shake * torch.randn_like(parameter))
    values = torch.tensor([[-2.0, 3.0], [0.0, 4.0], [2.0, 8.0]], dtype=torch.float64)
    made.fit(
        MoleculeStatistics(
            SPREAD,
            {
                "elements": torch.tensor([0.5, 0.3, 0.1, 0.1], dtype=torch.float64),
                "charges": torch.tensor([0.05, 0.9, 0.05], dtype=torch.float64),
                "hybridisations": torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64),
                "bonds": torch.tensor([0.7, 0.2, 0.08, 0.02], dtype=torch.float64),
            },
            values[:, : len(config.conditions.values)],  # type: ignore[attr-defined]
        )
    )
    return made.eval()


def molecules(counts: list[int] | None = None, seed: int = 0, dtype: torch.dtype = torch.float64) -> MoleculeBatch:
    """Molecules of these sizes, of known elements, charges and bonds that say nothing of chemistry."""
    draw = torch.Generator().manual_seed(seed)
    batch = empty_batch(torch.tensor(counts or COUNTS), dtype)

    def of(codes: tuple[int, ...], shape: torch.Size) -> Tensor:
        return torch.tensor(codes)[torch.randint(len(codes), shape, generator=draw)]

    x = SPREAD * torch.randn(*batch.positions.shape, generator=draw, dtype=torch.float64)
    bonds = of(VOCABULARY.bonds, batch.bonds.shape).triu(1)
    return replace(
        batch,
        numbers=of(VOCABULARY.elements, batch.numbers.shape) * batch.mask,
        charges=of(VOCABULARY.charges, batch.numbers.shape) * batch.mask,
        hybridisations=of(VOCABULARY.hybridisations, batch.numbers.shape) * batch.mask,
        positions=centred(x, batch.mask).to(dtype),
        bonds=(bonds + bonds.transpose(1, 2)) * batch.pairs,
    )


def wanted(counts: list[int] | None = None, dtype: torch.dtype = torch.float64, **changes: Tensor) -> MoleculeBatch:
    """A request of molecules of these sizes."""
    return replace(empty_batch(torch.tensor(counts or COUNTS), dtype), **changes)


def with_core(batch: MoleculeBatch, atoms: list[int]) -> MoleculeBatch:
    """The first atoms of each molecule as given ones."""
    known = torch.arange(batch.width) < torch.tensor(atoms).unsqueeze(1)
    return replace(batch, known=known & batch.mask)


def turned(batch: MoleculeBatch, matrix: Tensor) -> MoleculeBatch:
    return replace(batch, positions=batch.positions @ matrix.to(batch.positions.dtype).T)


def permuted(batch: MoleculeBatch, order: Tensor) -> MoleculeBatch:
    """Atoms in another order, `[B, N]`, that leaves those filled up where they are."""
    rows = torch.arange(len(batch)).unsqueeze(1)
    atoms = {name: getattr(batch, name)[rows, order] for name in ("numbers", "positions", "charges", "hybridisations")}
    return replace(batch, **atoms, bonds=of_pairs(batch.bonds, order))


def of_pairs(values: Tensor, order: Tensor) -> Tensor:
    """A matrix of pairs `[B, N, N, ...]` in the order of the atoms."""
    rows = torch.arange(len(values))[:, None, None]
    return values[rows, order.unsqueeze(2), order.unsqueeze(1)]


def shuffle(batch: MoleculeBatch, seed: int = 0) -> Tensor:
    """A permutation of the atoms of each molecule, `[B, N]`."""
    draw = torch.Generator().manual_seed(seed)
    order = torch.arange(batch.width).repeat(len(batch), 1)
    for row, n in enumerate(batch.counts.tolist()):
        order[row, :n] = torch.randperm(n, generator=draw)
    return order


def filled_up(batch: MoleculeBatch, more: int = 3) -> MoleculeBatch:
    """The same molecules with room for more atoms."""
    wide = {
        name: torch.nn.functional.pad(getattr(batch, name), (0, more))
        for name in ("numbers", "charges", "hybridisations")
    }
    return replace(
        batch,
        **wide,
        positions=torch.nn.functional.pad(batch.positions, (0, 0, 0, more)),
        bonds=torch.nn.functional.pad(batch.bonds, (0, more, 0, more)),
        known=None if batch.known is None else torch.nn.functional.pad(batch.known, (0, more)),
    )


def alone(batch: MoleculeBatch, row: int) -> MoleculeBatch:
    """One molecule of a batch by itself, in as much room as it needs."""
    n, one = int(batch.counts[row]), slice(row, row + 1)
    return MoleculeBatch(
        batch.numbers[one, :n],
        batch.positions[one, :n],
        batch.counts[one],
        batch.charges[one, :n],
        batch.hybridisations[one, :n],
        batch.bonds[one, :n, :n],
        None if batch.values is None else batch.values[one],
        None if batch.known is None else batch.known[one, :n],
    )


def noise_for(batch: MoleculeBatch, seed: int = 0, first: int = 0, dtype: torch.dtype = torch.float64) -> DenseNoise:
    """Noise for molecules that are the samples `first`, `first + 1` ... of a run."""
    return seeded_noise(seed, torch.arange(first, first + len(batch)), batch.width, dtype)


class Carried:
    """Noise of molecules that are turned by a matrix and whose atoms are in another order.

    Three normal numbers of an atom are taken to be a vector; no system draws three of anything else.
    """

    def __init__(self, noise: DenseNoise, *, matrix: Tensor | None = None, order: Tensor | None = None) -> None:
        self.noise = noise
        self.matrix = matrix
        self.order = order

    def normal_atoms(self, width: int) -> Tensor:
        found = self._ordered(self.noise.normal_atoms(width))
        return found @ self.matrix.T if self.matrix is not None and width == 3 else found

    def uniform_atoms(self, width: int) -> Tensor:
        return self._ordered(self.noise.uniform_atoms(width))

    def uniform_pairs(self, width: int) -> Tensor:
        found = self.noise.uniform_pairs(width)
        return found if self.order is None else of_pairs(found, self.order)

    def uniform_molecules(self, width: int) -> Tensor:
        return self.noise.uniform_molecules(width)

    def _ordered(self, values: Tensor) -> Tensor:
        return values if self.order is None else values[torch.arange(len(values)).unsqueeze(1), self.order]
