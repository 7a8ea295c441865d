"""Batches of crystals, from tensors that lie ready."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from eqcli.data.crystals import CrystalSet, atoms_of
from eqcli.elements import SYMBOLS
from eqcli.graph.crystal_batch import CrystalBatch


class CrystalLoader:
    """Batches in the order of `indices`, as often as it is iterated over.

    Parameters
    ----------
    crystals
        The data.
    indices
        The crystals of each batch.
    dtype
        Precision of the tensors.
    system
        Whether batches say which elements each crystal has.
    """

    def __init__(
        self, crystals: CrystalSet, indices: Iterable[list[int]], dtype: torch.dtype, *, system: bool = False
    ) -> None:
        self.crystals = crystals
        self.indices = indices
        self.numbers = torch.from_numpy(crystals.numbers)
        self.fractional, self.cells, self.values = (
            torch.from_numpy(array).to(dtype) for array in (crystals.fractional, crystals.cells, crystals.values)
        )
        self.system = system

    def __iter__(self) -> Iterator[CrystalBatch]:
        return (self.batch(np.asarray(rows, dtype=np.int64)) for rows in self.indices)

    def batch(self, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> CrystalBatch:
        """These crystals in one batch."""
        atoms = torch.from_numpy(atoms_of(self.crystals.counts, rows))
        chosen = torch.from_numpy(rows)
        counts = torch.from_numpy(self.crystals.counts[rows])
        numbers = self.numbers[atoms]
        return CrystalBatch(
            numbers,
            self.fractional[atoms],
            self.cells[chosen],
            counts,
            self.values[chosen],
            systems(numbers, counts) if self.system else None,
        )


def systems(numbers: Tensor, counts: Tensor) -> Tensor:
    """Which elements occur in each crystal, `[B, 119]` bool by atomic number."""
    found = torch.zeros(len(counts), len(SYMBOLS), dtype=torch.bool)
    found[torch.repeat_interleave(counts), numbers] = True
    return found
