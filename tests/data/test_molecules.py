"""Molecules as flat arrays and as batches, their statistics, and what generators are taught of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from eqcli.data.crystals import value_of
from eqcli.data.molecule_batches import MoleculeLoader, molecule_batch
from eqcli.data.molecule_features import featured
from eqcli.data.molecules import BOND_CODES, MoleculeSet, molecule_set
from eqcli.engine.molecule_sampler import bond_list
from eqcli.errors import InputError
from eqcli.io.structure import Structure
from tests.molecules import boneless, embedded, shaken

SMILES = ["O", "C=O", "CC#N", "c1ccoc1", "C[NH3+]", "CC(=O)[O-]", "[He]"]


@pytest.fixture(scope="module")
def structures() -> list[Structure]:
    given = [embedded(smiles, gap=float(n)) for n, smiles in enumerate(SMILES[:-1])]
    helium = Structure(np.array([2]), np.array([[1.0, 2.0, 3.0]]), info={"gap": "6"})
    return [featured(s, bonds=True) for s in [*given, helium]]


@pytest.fixture(scope="module")
def molecules(structures: list[Structure]) -> MoleculeSet:
    return molecule_set(structures, ["gap", "dipole"])


@pytest.mark.parametrize("rows", [[0], [3, 0, 6], [5, 5, 1], list(range(7))])
def test_batches_hold_what_the_structures_say(
    structures: list[Structure], molecules: MoleculeSet, rows: list[int]
) -> None:
    batch = molecule_batch(molecules, np.array(rows), torch.float64)
    assert batch.counts.tolist() == [len(structures[row]) for row in rows]
    assert torch.equal(batch.bonds, batch.bonds.transpose(1, 2))
    assert not batch.bonds.diagonal(dim1=1, dim2=2).any()
    for place, row in enumerate(rows):
        one, n = structures[row], len(structures[row])
        assert batch.numbers[place, :n].tolist() == one.numbers.tolist()
        assert np.array_equal(batch.positions[place, :n].numpy(), one.positions)
        assert batch.charges[place, :n].tolist() == one.arrays.get("formal_charge", np.zeros(n)).tolist()
        assert batch.hybridisations[place, :n].tolist() == one.arrays["hybridisation"].tolist()
        found = bond_list(batch.bonds[place, :n, :n].numpy())
        assert found == sorted([min(i, j), max(i, j), order] for i, j, order in one.info["bonds"])
    assert batch.values is not None
    assert batch.values[:, 0].tolist() == [float(row) for row in rows]
    assert bool(batch.values[:, 1].isnan().all())


def test_nothing_stands_beyond_the_atoms(molecules: MoleculeSet) -> None:
    batch = molecule_batch(molecules, np.array([3, 0]), torch.float32)
    assert batch.positions.dtype == batch.values.dtype == torch.float32  # type: ignore[union-attr]
    assert batch.mask.sum(dim=1).tolist() == batch.counts.tolist() == [9, 3]
    for name in ("numbers", "positions", "charges", "hybridisations"):
        assert not getattr(batch, name)[~batch.mask].any(), name
    assert not batch.bonds[~batch.pairs].any()
    assert batch.pairs.sum(dim=(1, 2)).tolist() == [72, 6]


def test_a_loader_goes_through_its_batches_each_time(molecules: MoleculeSet) -> None:
    loader = MoleculeLoader(molecules, [[2], [0, 1]], torch.float64)
    for _ in range(2):
        assert [batch.counts.tolist() for batch in loader] == [[6], [3, 4]]


def test_without_properties_there_are_none(structures: list[Structure]) -> None:
    batch = molecule_batch(molecule_set(structures), np.array([0, 1]), torch.float64)
    assert batch.values is None


def test_the_vocabulary_is_what_occurs(structures: list[Structure], molecules: MoleculeSet) -> None:
    known = molecules.vocabulary()
    assert known.elements == (1, 2, 6, 7, 8)
    assert known.charges == (-1, 0, 1)
    assert known.bonds == (0, 1, 2, 3)
    assert set(known.hybridisations) == {int(h) for s in structures for h in s.arrays["hybridisation"]}
    bare = molecule_set([boneless(embedded("O"))]).vocabulary()
    assert (bare.charges, bare.bonds) == ((0,), (0,))


def test_statistics_are_counts_over_all_molecules(structures: list[Structure], molecules: MoleculeSet) -> None:
    known = molecules.vocabulary()
    found = molecules.statistics(known)
    elements = Counter(int(z) for s in structures for z in s.numbers)
    shares = [elements[z] / sum(elements.values()) for z in known.elements]
    assert found.frequencies["elements"].tolist() == pytest.approx(shares)
    orders = Counter(BOND_CODES[order] for s in structures for *_, order in s.info["bonds"])
    pairs = sum(len(s) * (len(s) - 1) // 2 for s in structures)
    shares = [1 - sum(orders.values()) / pairs, *(orders[code] / pairs for code in (1, 2, 3))]
    assert found.frequencies["bonds"].tolist() == pytest.approx(shares)
    squares = np.concatenate([((s.positions - s.positions.mean(axis=0)) ** 2).ravel() for s in structures])
    assert found.spread == pytest.approx(float(np.sqrt(squares.mean())))
    assert molecules.sizes[:7] == [0, 1, 0, 1, 1, 0, 1]
    assert found.values[:, 0].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    # Shifted molecules have the same spread, and single atoms one above zero.
    moved = [replace(s, positions=s.positions + 100.0) for s in structures]
    assert molecule_set(moved).spread() == pytest.approx(found.spread)
    assert molecule_set(structures[-1:]).spread() > 0


def test_a_molecule_without_bonds_gets_those_of_its_positions(structures: list[Structure]) -> None:
    for stated in structures[:4]:
        found = featured(shaken(boneless(stated), 1, 0.01), bonds=True)
        assert {frozenset(map(int, b[:2])) for b in found.info["bonds"]} == {
            frozenset(map(int, b[:2])) for b in stated.info["bonds"]
        }
        assert found.arrays["hybridisation"].tolist() == stated.arrays["hybridisation"].tolist()


def test_aromatic_bonds_are_bonds_of_their_own_where_that_is_asked_for() -> None:
    furan = embedded("c1ccoc1")
    plain, aromatic = (featured(furan, bonds=True, aromatic=wanted) for wanted in (False, True))
    assert Counter(b[2] for b in plain.info["bonds"]) == {1: 7, 2: 2}
    assert Counter(b[2] for b in aromatic.info["bonds"]) == {1: 4, 1.5: 5}
    batch = molecule_batch(molecule_set([aromatic]), np.array([0]), torch.float64)
    assert Counter(batch.bonds.flatten().tolist())[4] == 10
    assert molecule_set([aromatic]).vocabulary().bonds == (0, 1, 4)
    assert aromatic.arrays["hybridisation"].tolist() == plain.arrays["hybridisation"].tolist()


def test_hybridisations_are_those_of_chemistry() -> None:
    """RDKit's numbers: 1 s, 2 sp, 3 sp2, 4 sp3."""
    found = featured(embedded("CC#N"), bonds=True)
    assert found.arrays["hybridisation"][:3].tolist() == [4, 2, 2]
    assert set(found.arrays["hybridisation"][3:].tolist()) == {1}


def test_what_a_structure_says_is_kept() -> None:
    water = replace(embedded("O", gap=7.0, name="water"), energy=-5.0)
    found = featured(water, bonds=True)
    assert (found.energy, found.info["gap"], found.info["name"]) == (-5.0, 7.0, "water")
    assert np.array_equal(found.positions, water.positions)
    assert featured(boneless(water), bonds=False).info == boneless(water).info


def refused(structure: Structure, said: str, *, bonds: bool = True) -> None:
    with pytest.raises(InputError, match=said):
        featured(structure, bonds=bonds)


def test_what_is_no_molecule_is_refused() -> None:
    water = embedded("O")
    refused(replace(water, cell=9.0 * np.eye(3), pbc=np.ones(3, dtype=bool)), "periodic", bonds=False)
    refused(replace(water, positions=np.full((3, 3), np.nan)), "not finite", bonds=False)
    refused(replace(water, info={"bonds": [[0, 1, 3], [0, 2, 1]]}), "valence")
    refused(replace(water, info={"bonds": [[0, 1, 1], [0, 9, 1]]}), "atoms 1 and 10")
    contact = Structure(np.array([10, 10]), np.array([[0.0, 0, 0], [3.0, 0, 0]]), info={"bonds": [[0, 1, 0]]})
    refused(contact, "order 0")


@pytest.mark.parametrize(
    ("stated", "value"),
    [
        ("7.5", 7.5), ("-1e-3", -0.001), (" 4 ", 4.0), (3, 3.0), (np.float32(0.5), 0.5), (np.int64(2), 2.0),
        ("7.5 eV", None), ("", None), ("high", None), (True, None), (None, None), ([1.0], None), ("nan", None),
    ],
)  # fmt: skip
def test_properties_are_numbers_or_texts_of_them(stated: object, value: float | None) -> None:
    found = value_of(Structure(np.array([1]), np.zeros((1, 3)), info={"gap": stated}), "gap")
    assert np.isnan(found) if value is None else found == value
