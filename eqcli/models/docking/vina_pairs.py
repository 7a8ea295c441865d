"""The terms between a ligand's own atoms from tables over the squared distance, for speed."""

from __future__ import annotations

import torch
from torch import Tensor

from eqcli.models.docking.vina_terms import CUTOFF, PairKind, capped, pair_energy, pair_kind

BINS = 32
"""Bins per Å^2; the energy is linear in the squared distance within each."""


class PairTable:
    """Energy and forces of the pairs of one ligand, for many poses at once.

    Parameters
    ----------
    types
        `[H]` int64, types of the heavy atoms.
    pairs
        `[K, 2]` int64, indices of heavy atoms.
    dtype
        Of the energies.
    cap
        Ceiling of the repulsion of a pair, kcal/mol; None for none.
    """

    def __init__(self, types: Tensor, pairs: Tensor, dtype: torch.dtype, cap: float | None = None) -> None:
        first, second = pairs.unbind(-1)
        self._first, self._second = first.contiguous(), second.contiguous()
        low, high = torch.minimum(types[first], types[second]), torch.maximum(types[first], types[second])
        unique, kind = torch.unique(torch.stack([low, high], -1), dim=0, return_inverse=True)
        energy = tabulated(pair_kind(unique[:, 0], unique[:, 1], dtype), cap)
        self._start = (kind * energy.shape[1]).to(torch.int32)[:, None]
        self._last = energy.shape[1] - 1
        self._energy = energy.flatten()
        slope = torch.diff(energy, dim=1, append=energy[:, -1:])
        slope[:, -2] = 0  # the step at the cutoff is not a force
        self._slope = slope.flatten()

    def energy_and_gradient(self, coordinates: Tensor) -> tuple[Tensor, Tensor]:
        """Energy `[P]` and gradient `[3, H, P]` at heavy atoms' coordinates `[3, H, P]` (Å)."""
        apart = torch.index_select(coordinates, 1, self._first)
        apart -= torch.index_select(coordinates, 1, self._second)  # [3, K, P]
        scaled = torch.linalg.vecdot(apart, apart, dim=0).mul_(BINS).clamp_(max=self._last)
        bins = scaled.to(torch.int32)
        part = scaled.sub_(bins)
        bins += self._start
        flat = bins.flatten()
        slope = torch.index_select(self._slope, 0, flat).view(bins.shape)
        energy = torch.index_select(self._energy, 0, flat).view(bins.shape)
        total = energy.addcmul_(slope, part).sum(0)
        push = apart.mul_(slope.mul_(2 * BINS))
        gradient = torch.zeros_like(coordinates).index_add_(1, self._first, push)
        return total, gradient.index_add_(1, self._second, push, alpha=-1)


def tabulated(kind: PairKind, cap: float | None) -> Tensor:
    """The pair energy at squared distances 0, 1/BINS, ... Å^2 for kinds `[T]`: `[T, rows]`, the last zero."""
    squares = torch.arange(round(CUTOFF**2 * BINS) + 1, dtype=kind.radii.dtype, device=kind.radii.device) / BINS
    expanded = PairKind(kind.radii[:, None], kind.hydrophobic[:, None], kind.hydrogen_bond[:, None])
    return capped(pair_energy(squares.sqrt(), expanded), cap)
