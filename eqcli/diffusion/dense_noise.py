"""Random numbers for molecules that are filled up to one size: for atoms, for pairs of atoms and for molecules."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from eqcli.diffusion.noise import Noise, SeededNoise, StateNoise

_PAIRS = 0x5DEECE66D
"""Makes the seed of pairs another one than that of atoms."""


class DenseNoise(Protocol):
    """Where the random numbers of B molecules of at most N atoms come from; each call draws new ones."""

    def normal_atoms(self, width: int) -> Tensor:
        """Standard normal numbers, `[B, N, width]`."""
        ...

    def uniform_atoms(self, width: int) -> Tensor:
        """Numbers from (0, 1), `[B, N, width]`."""
        ...

    def uniform_pairs(self, width: int) -> Tensor:
        """Numbers from (0, 1), `[B, N, N, width]`, the same for (i, j) and (j, i)."""
        ...

    def uniform_molecules(self, width: int) -> Tensor:
        """Numbers from (0, 1), `[B, width]`."""
        ...


class _Dense:
    """Numbers of flat lists of atoms and pairs, laid out as matrices."""

    def __init__(self, atoms: Noise, pairs: Noise, molecules: int, width: int) -> None:
        self._atoms = atoms
        self._pairs = pairs
        self._shape = (molecules, width)
        self._first, self._second = torch.triu_indices(width, width).unbind()

    def normal_atoms(self, width: int) -> Tensor:
        return self._atoms.normal_atoms(width).reshape(*self._shape, width)

    def uniform_atoms(self, width: int) -> Tensor:
        return self._atoms.uniform_atoms(width).reshape(*self._shape, width)

    def uniform_molecules(self, width: int) -> Tensor:
        return self._atoms.uniform_crystals(width)

    def uniform_pairs(self, width: int) -> Tensor:
        b, n = self._shape
        drawn = self._pairs.uniform_atoms(width).reshape(b, -1, width)
        found = drawn.new_zeros(b, n, n, width)
        found[:, self._first, self._second] = drawn
        found[:, self._second, self._first] = drawn
        return found


def state_noise(molecules: int, width: int, like: Tensor) -> DenseNoise:
    """Numbers of torch's global random state, which checkpoints of a training hold."""
    pairs = width * (width + 1) // 2
    return _Dense(
        StateNoise(molecules * width, molecules, like), StateNoise(molecules * pairs, molecules, like), molecules, width
    )


def seeded_noise(seed: int, samples: Tensor, width: int, dtype: torch.dtype) -> DenseNoise:
    """Numbers that are a function of the seed, the sample `[B]` and the atoms alone, see :class:`SeededNoise`.

    Neither the other molecules of a batch nor the size that it is filled up to change them.
    """
    molecules, device = len(samples), samples.device
    one = torch.arange(molecules, device=device)
    first, second = torch.triu_indices(width, width, device=device).unbind()
    atoms = SeededNoise(
        seed, samples, one.repeat_interleave(width), torch.arange(width, device=device).repeat(molecules), dtype
    )
    # A pair is told by its second atom, then its first: larger matrices do not renumber it.
    number = second * (second + 1) // 2 + first
    pairs = SeededNoise(seed ^ _PAIRS, samples, one.repeat_interleave(len(number)), number.repeat(molecules), dtype)
    return _Dense(atoms, pairs, molecules, width)
