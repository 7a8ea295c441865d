"""Batches of molecules, from tensors that lie ready."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from eqcli.data.crystals import atoms_of
from eqcli.data.molecules import MoleculeSet
from eqcli.graph.molecule_batch import MoleculeBatch

Rows = np.ndarray[tuple[int], np.dtype[np.int64]]


class MoleculeLoader:
    """Batches in the order of `indices`, as often as it is iterated over.

    Parameters
    ----------
    molecules
        The data.
    indices
        The molecules of each batch.
    dtype
        Precision of the tensors.
    """

    def __init__(self, molecules: MoleculeSet, indices: Iterable[list[int]], dtype: torch.dtype) -> None:
        self.molecules = molecules
        self.indices = indices
        self.dtype = dtype

    def __iter__(self) -> Iterator[MoleculeBatch]:
        return (molecule_batch(self.molecules, np.asarray(rows, dtype=np.int64), self.dtype) for rows in self.indices)


def molecule_batch(molecules: MoleculeSet, rows: Rows, dtype: torch.dtype) -> MoleculeBatch:
    """These molecules in one batch."""
    counts = molecules.counts[rows]
    width = int(counts.max()) if len(counts) else 0
    atoms = atoms_of(molecules.counts, rows)
    row = np.repeat(np.arange(len(rows)), counts)
    column = np.arange(len(atoms)) - np.repeat(np.cumsum(counts) - counts, counts)
    place = torch.from_numpy(row * width + column)

    def laid(values: np.ndarray[tuple[int, ...], np.dtype[np.int64 | np.float64]]) -> Tensor:
        flat = torch.from_numpy(values[atoms])
        found = flat.new_zeros(len(rows) * width, *flat.shape[1:])
        found[place] = flat
        return found.reshape(len(rows), width, *flat.shape[1:])

    bonds = torch.zeros(len(rows), width, width, dtype=torch.int64)
    molecule, bonded = molecules.bonds_of(rows)
    bonds[molecule, bonded[:, 0], bonded[:, 1]] = torch.from_numpy(bonded[:, 2])
    bonds[molecule, bonded[:, 1], bonded[:, 0]] = torch.from_numpy(bonded[:, 2])
    values = torch.from_numpy(molecules.values[rows]).to(dtype) if molecules.values.shape[1] else None
    return MoleculeBatch(
        laid(molecules.numbers),
        laid(molecules.positions).to(dtype),
        torch.from_numpy(counts),
        laid(molecules.charges),
        laid(molecules.hybridisations),
        bonds,
        values,
    )
