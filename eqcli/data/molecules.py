"""Molecules that a generator is trained on, as flat arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eqcli.data.crystals import atoms_of
from eqcli.io.structure import Structure

if TYPE_CHECKING:
    from eqcli.models.molecules.vocabulary import MoleculeStatistics, Vocabulary

AROMATIC = 1.5
BOND_CODES = {1: 1, 2: 2, 3: 3, AROMATIC: 4}
"""Order of a bond -> its code in batches and vocabularies."""

BOND_ORDERS = {code: order for order, code in BOND_CODES.items()}


@dataclass(frozen=True)
class MoleculeSet:
    """S molecules with N atoms and M bonds in all.

    Attributes
    ----------
    numbers, charges, hybridisations
        Atomic numbers, formal charges and RDKit's numbers of hybridisations, `[N]` int64.
    positions
        Å, `[N, 3]`.
    counts
        Atoms of each molecule, `[S]` int64.
    bonds
        Two atoms, counted within their molecule, and the code of each bond, `[M, 3]` int64.
    bond_counts
        Bonds of each molecule, `[S]` int64.
    values
        Properties of each molecule, `[S, P]`; NaN where unknown.
    """

    numbers: NDArray[np.int64]
    charges: NDArray[np.int64]
    hybridisations: NDArray[np.int64]
    positions: NDArray[np.float64]
    counts: NDArray[np.int64]
    bonds: NDArray[np.int64]
    bond_counts: NDArray[np.int64]
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def sizes(self) -> list[int]:
        """How many molecules have 0, 1, 2 ... atoms."""
        return [int(n) for n in np.bincount(self.counts)]

    def vocabulary(self) -> Vocabulary:
        """What occurs in these molecules."""
        from eqcli.models.molecules.vocabulary import Vocabulary

        return Vocabulary(
            _codes(self.numbers),
            _codes(self.charges, 0),
            _codes(self.hybridisations),
            _codes(self.bonds[:, 2], 0),
        )

    def statistics(self, vocabulary: Vocabulary) -> MoleculeStatistics:
        """What a generator takes from its training molecules."""
        import torch

        from eqcli.models.molecules.vocabulary import MoleculeStatistics

        pairs = int((self.counts * (self.counts - 1)).sum()) // 2
        bonds = np.array([(self.bonds[:, 2] == code).sum() for code in vocabulary.bonds], dtype=np.float64)
        bonds[vocabulary.bonds.index(0)] = pairs - len(self.bonds)
        frequencies = {
            "elements": _shares(self.numbers, vocabulary.elements),
            "charges": _shares(self.charges, vocabulary.charges),
            "hybridisations": _shares(self.hybridisations, vocabulary.hybridisations),
            "bonds": bonds / max(bonds.sum(), 1.0),
        }
        return MoleculeStatistics(
            self.spread(),
            {name: torch.from_numpy(shares) for name, shares in frequencies.items()},
            torch.from_numpy(self.values),
        )

    def spread(self) -> float:
        """Root mean square of a coordinate about the centre of its molecule, Å."""
        molecule = np.repeat(np.arange(len(self)), self.counts)
        centres = np.stack([np.bincount(molecule, x, len(self)) for x in self.positions.T], axis=1)
        centred = self.positions - (centres / self.counts[:, None])[molecule]
        return max(float(np.sqrt((centred**2).mean())), 1e-3)

    def bonds_of(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Place of each molecule among `rows`, and bonds `[m, 3]`, of these molecules."""
        chosen = atoms_of(self.bond_counts, rows)
        return np.repeat(np.arange(len(rows)), self.bond_counts[rows]), self.bonds[chosen]


def molecule_set(structures: Sequence[Structure], values: Sequence[str] = ()) -> MoleculeSet:
    """The molecules of structures as `eqcli.data.molecule_features` leaves them; `values` name entries of `info`."""
    from eqcli.data.crystals import value_of

    bonds = [np.array(_bonds(s), dtype=np.int64).reshape(-1, 3) for s in structures]
    return MoleculeSet(
        np.concatenate([s.numbers for s in structures]),
        np.concatenate([_of_atoms(s, "formal_charge") for s in structures]),
        np.concatenate([_of_atoms(s, "hybridisation") for s in structures]),
        np.concatenate([s.positions for s in structures]),
        np.array([len(s) for s in structures], dtype=np.int64),
        np.concatenate(bonds),
        np.array([len(b) for b in bonds], dtype=np.int64),
        np.array([[value_of(s, name) for name in values] for s in structures], dtype=np.float64).reshape(
            len(structures), len(values)
        ),
    )


def _bonds(structure: Structure) -> list[tuple[int, int, int]]:
    return [(int(i), int(j), BOND_CODES[order]) for i, j, order in structure.info.get("bonds", [])]


def _of_atoms(structure: Structure, name: str) -> NDArray[np.int64]:
    found = structure.arrays.get(name)
    return np.zeros(len(structure), dtype=np.int64) if found is None else np.asarray(found, dtype=np.int64)


def _codes(values: NDArray[np.int64], *always: int) -> tuple[int, ...]:
    return tuple(sorted({int(v) for v in np.unique(values)} | set(always)))


def _shares(values: NDArray[np.int64], codes: Sequence[int]) -> NDArray[np.float64]:
    counts = np.array([(values == code).sum() for code in codes], dtype=np.float64)
    return counts / max(counts.sum(), 1.0)
