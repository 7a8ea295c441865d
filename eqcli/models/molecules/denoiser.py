"""The contract of the network inside a generator of molecules."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from torch import Tensor, nn

from eqcli.models.molecules.config import MOLECULE_DENOISERS


@dataclass(frozen=True)
class DenoiserInput:
    """B molecules of at most N atoms, as a network is shown them.

    Attributes
    ----------
    positions
        `[B, N, 3]`.
    atoms
        Features of atoms, `[B, N, A]`.
    pairs
        Features of pairs, `[B, N, N, P]`, symmetric; None where there are none.
    context
        Time and conditions, `[B, C]`.
    mask, pair_mask
        Where there are atoms `[B, N]`, and pairs of different atoms `[B, N, N]`.
    vectors
        Vectors of each atom, such as where an earlier prediction saw it, `[B, N, 3, V]`; None where there are none.
    """

    positions: Tensor
    atoms: Tensor
    pairs: Tensor | None
    context: Tensor
    mask: Tensor
    pair_mask: Tensor
    vectors: Tensor | None = None


@dataclass(frozen=True)
class DenoiserOutput:
    """What a network says: a vector `[B, N, 3]` and numbers `[B, N, K]` of each atom, numbers of pairs `[B, N, N, L]`.

    Numbers of pairs are symmetric; None where none are wanted.
    """

    vectors: Tensor
    atoms: Tensor
    pairs: Tensor | None


@dataclass(frozen=True)
class DenoiserSizes:
    """Widths of the inputs (`atoms`, `pairs`, `context`, `vectors`) and outputs (`atoms_out`, `pairs_out`)."""

    atoms: int
    pairs: int
    context: int
    atoms_out: int
    pairs_out: int
    vectors: int = 0


class MoleculeDenoiser(nn.Module, ABC):
    """Maps noisy molecules to vectors and numbers of atoms, and numbers of pairs.

    What must hold, in exact arithmetic: rotations and reflections of positions and
    input vectors turn the vectors and change nothing else; translations change
    nothing; permuted atoms give permuted rows; a batch gives what its molecules
    give, however far they are filled up. Rows without an atom may hold anything.
    """

    @abstractmethod
    def forward(self, inputs: DenoiserInput) -> DenoiserOutput:
        """The vectors and numbers, in the precision of the network."""


def make_denoiser(config: Any, sizes: DenoiserSizes) -> MoleculeDenoiser:
    """The network that `config` describes, with fresh weights."""
    module, name, _ = MOLECULE_DENOISERS[config.name]
    found: MoleculeDenoiser = getattr(import_module(module), name)(config, sizes)
    return found
