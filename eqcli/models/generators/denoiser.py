"""The contract of the network inside a generator of crystals."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from torch import Tensor, nn

from eqcli.models.generators.config import DENOISERS


@dataclass(frozen=True)
class DenoiserInput:
    """B crystals with N atoms, as a network is shown them.

    Attributes
    ----------
    species
        Features of the species of each atom, `[N, S]`.
    fractional
        Fractional coordinates, `[N, 3]`.
    lattice
        Numbers that tell the lattice up to rotations, `[B, L]`.
    context
        Time and conditions, `[B, C]`.
    counts, batch
        Atoms of each crystal `[B]`, crystal of each atom `[N]`.
    """

    species: Tensor
    fractional: Tensor
    lattice: Tensor
    context: Tensor
    counts: Tensor
    batch: Tensor


@dataclass(frozen=True)
class DenoiserOutput:
    """What a network says: for coordinates `[N, 3]`, for the lattice `[B, K]`, for species `[N, T]`."""

    coordinates: Tensor
    lattice: Tensor
    species: Tensor


@dataclass(frozen=True)
class DenoiserSizes:
    """Widths of the inputs (`species`, `lattice`, `context`) and outputs (`lattice_out`, `species_out`)."""

    species: int
    lattice: int
    context: int
    lattice_out: int
    species_out: int


class Denoiser(nn.Module, ABC):
    """Maps noisy crystals to numbers for coordinates, lattice and species.

    What must hold, in exact arithmetic: nothing changes when all coordinates of a
    crystal are shifted together, or any of them by whole numbers; permuted atoms
    give permuted rows; a batch gives what its crystals give. Rotations do not
    enter: the lattice comes as invariants.
    """

    @abstractmethod
    def forward(self, inputs: DenoiserInput) -> DenoiserOutput:
        """The numbers, in the precision of the network."""


def make_denoiser(config: Any, sizes: DenoiserSizes) -> Denoiser:
    """The network that `config` describes, with fresh weights."""
    module, name, _ = DENOISERS[config.name]
    found: Denoiser = getattr(import_module(module), name)(config, sizes)
    return found
