"""Small generators of every kind with weights that are all at work, small crystals, and noise carried along."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from eqcli.diffusion.noise import SeededNoise
from eqcli.elements import SYMBOLS
from eqcli.graph.crystal_batch import CrystalBatch
from eqcli.models.generators.base import CrystalGenerator
from eqcli.models.generators.build import make_generator
from eqcli.models.generators.config import GENERATORS

ELEMENTS = [3, 8, 22, 26]
SIZES = [0, 1, 2, 3, 2]
COUNTS = [3, 1, 4, 2]

NETWORKS: dict[str, dict[str, Any]] = {
    "cspnet": {"name": "cspnet", "channels": 8, "num_layers": 2, "frequencies": 3},
    "pair-transformer": {"name": "pair-transformer", "channels": 8, "heads": 2, "num_layers": 2, "frequencies": 3},
}
FORMS = ["given", "one-hot", "bits", "discrete"]
LATTICES = {"flowmm": ["parameters", "log-symmetric"], "diffcsp": ["matrix", "log-symmetric"]}

VARIANTS: dict[str, dict[str, Any]] = {
    f"{name}-{lattice}-{form}-{network}": {
        "name": name,
        "lattice": lattice,
        "species": form,
        "denoiser": NETWORKS[network],
        **({"timesteps": 40} if name == "diffcsp" else {}),
    }
    for name, lattices in LATTICES.items()
    for lattice in lattices
    for form in FORMS
    for network in NETWORKS
}


def generator(options: dict[str, Any], *, elements: list[int] = ELEMENTS, seed: int = 0) -> CrystalGenerator:
    """A generator in float64 whose weights are those of no special moment, fitted to the crystals of `crystals`."""
    torch.manual_seed(seed)
    made = make_generator(GENERATORS[options["name"]][2].model_validate(options), elements=elements, sizes=SIZES)
    with torch.no_grad():  # what is zero at first would hide mistakes
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    known = crystals()
    made.fit(known.cell, known.value)
    return made.eval()


def crystals(counts: list[int] = COUNTS, seed: int = 0, dtype: torch.dtype = torch.float64) -> CrystalBatch:
    """Crystals of these sizes with cells of 3 to 5 Å and a property, with the elements that each has."""
    draw = torch.Generator().manual_seed(seed)
    total, sizes = sum(counts), torch.tensor(counts)
    numbers = torch.tensor(ELEMENTS)[torch.randint(len(ELEMENTS), (total,), generator=draw)]
    cell = torch.diag_embed(3.0 + 2.0 * torch.rand(len(counts), 3, generator=draw, dtype=torch.float64))
    cell = cell + 0.4 * torch.randn(len(counts), 3, 3, generator=draw, dtype=torch.float64)
    system = torch.zeros(len(counts), len(SYMBOLS), dtype=torch.bool)
    system[torch.repeat_interleave(sizes), numbers] = True
    return CrystalBatch(
        numbers,
        torch.rand(total, 3, generator=draw, dtype=torch.float64).to(dtype),
        cell.to(dtype),
        sizes,
        torch.randn(len(counts), generator=draw, dtype=torch.float64).to(dtype),
        system,
    )


def wanted(batch: CrystalBatch) -> CrystalBatch:
    """The sizes and species of crystals as a request, without conditions."""
    return CrystalBatch(batch.numbers, torch.zeros_like(batch.fractional), torch.zeros_like(batch.cell), batch.counts)


def seeded(batch: CrystalBatch, seed: int = 0, first: int = 0, dtype: torch.dtype = torch.float64) -> SeededNoise:
    """Noise for crystals that are the samples `first`, `first + 1` ... of a run."""
    return SeededNoise(seed, torch.arange(first, first + len(batch)), batch.batch, batch.within, dtype)


class Permuted:
    """The noise of atoms that are permuted."""

    def __init__(self, noise: SeededNoise, order: Tensor) -> None:
        self.noise = noise
        self.order = order

    def normal_atoms(self, width: int) -> Tensor:
        return self.noise.normal_atoms(width)[self.order]

    def uniform_atoms(self, width: int) -> Tensor:
        return self.noise.uniform_atoms(width)[self.order]

    def normal_crystals(self, width: int) -> Tensor:
        return self.noise.normal_crystals(width)

    def uniform_crystals(self, width: int) -> Tensor:
        return self.noise.uniform_crystals(width)


class Shifted(Permuted):
    """The same noise but for the first coordinates, which are moved by `shift`."""

    def __init__(self, noise: SeededNoise, shift: Tensor) -> None:
        super().__init__(noise, torch.arange(len(shift)))
        self.shift: Tensor | None = shift

    def uniform_atoms(self, width: int) -> Tensor:
        drawn, shift = self.noise.uniform_atoms(width), self.shift
        self.shift = None
        return drawn if shift is None else (drawn + shift) % 1.0


class Turned(Permuted):
    """The noise of cells that are turned: rows of three numbers times a matrix."""

    def __init__(self, noise: SeededNoise, matrix: Tensor, atoms: int) -> None:
        super().__init__(noise, torch.arange(atoms))
        self.matrix = matrix

    def normal_crystals(self, width: int) -> Tensor:
        return (self.noise.normal_crystals(width).unflatten(1, (3, 3)) @ self.matrix).flatten(1)
