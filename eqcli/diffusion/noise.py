"""Random numbers for atoms and crystals: of torch's own state, or fixed by a seed and the number of a sample."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor


class Noise(Protocol):
    """Where the random numbers of a batch of crystals come from; each call draws new ones."""

    def normal_atoms(self, width: int) -> Tensor:
        """Standard normal numbers, `[N, width]`."""
        ...

    def uniform_atoms(self, width: int) -> Tensor:
        """Numbers from (0, 1), `[N, width]`."""
        ...

    def normal_crystals(self, width: int) -> Tensor:
        """Standard normal numbers, `[B, width]`."""
        ...

    def uniform_crystals(self, width: int) -> Tensor:
        """Numbers from (0, 1), `[B, width]`."""
        ...


class StateNoise:
    """Numbers of torch's global random state, which checkpoints of a training hold.

    Parameters
    ----------
    atoms, crystals
        N and B.
    like
        A tensor with the device and precision wanted.
    """

    def __init__(self, atoms: int, crystals: int, like: Tensor) -> None:
        self.atoms = atoms
        self.crystals = crystals
        self.like = like

    def normal_atoms(self, width: int) -> Tensor:
        return torch.randn(self.atoms, width, device=self.like.device, dtype=self.like.dtype)

    def uniform_atoms(self, width: int) -> Tensor:
        return torch.rand(self.atoms, width, device=self.like.device, dtype=self.like.dtype)

    def normal_crystals(self, width: int) -> Tensor:
        return torch.randn(self.crystals, width, device=self.like.device, dtype=self.like.dtype)

    def uniform_crystals(self, width: int) -> Tensor:
        return torch.rand(self.crystals, width, device=self.like.device, dtype=self.like.dtype)


class SeededNoise:
    """Numbers that are a function of the seed, the sample, the atom and how often was drawn, and of nothing else.

    A structure is the same whichever others are in its batch, on every device,
    and when a run is continued. Each number is a mixed counter (the finaliser of
    SplitMix64: Steele, Lea and Flood, OOPSLA 2014), so that no state is kept.

    Parameters
    ----------
    seed
        Of the run.
    samples
        Number of each crystal within the run, `[B]` int64.
    batch, within
        Crystal of each atom, and number of the atom in it, `[N]`.
    dtype
        Precision of the numbers.
    """

    def __init__(self, seed: int, samples: Tensor, batch: Tensor, within: Tensor, dtype: torch.dtype) -> None:
        crystals = _mixed(samples ^ _mixed(torch.full_like(samples, _signed(seed % 2**64))))
        self._crystals = crystals
        self._atoms = _mixed(crystals[batch] + within + 1)
        self._dtype = dtype
        self._draw = 0

    def normal_atoms(self, width: int) -> Tensor:
        return torch.special.ndtri(self._uniform(self._atoms, width)).to(self._dtype)

    def uniform_atoms(self, width: int) -> Tensor:
        return self._below_one(self._uniform(self._atoms, width))

    def normal_crystals(self, width: int) -> Tensor:
        return torch.special.ndtri(self._uniform(self._crystals, width)).to(self._dtype)

    def uniform_crystals(self, width: int) -> Tensor:
        return self._below_one(self._uniform(self._crystals, width))

    def _uniform(self, rows: Tensor, width: int) -> Tensor:
        self._draw += 1
        keys = _mixed(rows + _signed(self._draw * _GOLDEN % 2**64))
        counters = keys.unsqueeze(1) + torch.arange(1, width + 1, device=rows.device) * _GOLDEN_SIGNED
        # The half is lost in rounding for the largest number alone, which would be one.
        return ((_shifted(_mixed(counters), 11).to(torch.float64) + 0.5) * 2.0**-53).clamp(max=1.0 - 2.0**-53)

    def _below_one(self, uniform: Tensor) -> Tensor:
        """Rounding to fewer digits takes one number in 30 million to one, where a hidden atom would stay hidden."""
        return uniform.to(self._dtype).clamp(max=1.0 - torch.finfo(self._dtype).eps / 2)


def _signed(value: int) -> int:
    """A 64-bit pattern as the signed number that torch holds it as."""
    return value - (1 << 64) if value >= 1 << 63 else value


_GOLDEN = 0x9E3779B97F4A7C15
_GOLDEN_SIGNED = _signed(_GOLDEN)
_FIRST, _SECOND = _signed(0xBF58476D1CE4E5B9), _signed(0x94D049BB133111EB)


def _shifted(x: Tensor, bits: int) -> Tensor:
    """Shift to the right with zeros from the left; torch repeats the sign."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mixed(x: Tensor) -> Tensor:
    """A bijection of the 64-bit numbers whose results look random for any two inputs; products wrap around."""
    x = (x + _GOLDEN_SIGNED).to(torch.int64)
    x = (x ^ _shifted(x, 30)) * _FIRST
    x = (x ^ _shifted(x, 27)) * _SECOND
    return x ^ _shifted(x, 31)
