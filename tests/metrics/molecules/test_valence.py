"""Tables of valences: molecules that exist are stable, mutilated ones are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eqcli.elements import NUMBERS
from eqcli.errors import InputError
from eqcli.io.structure import Structure
from eqcli.metrics.molecules.valence import VALENCES, ValenceTable, stable_atoms
from tests.metrics.molecules.molecules import REAL, molecule, with_charge, without_atom

NON_METALS = {NUMBERS[s] for s in ["H", "B", "C", "N", "O", "F", "Si", "P", "S", "Cl", "As", "Se", "Br", "Te", "I"]}


def stable(structure: Structure, table: ValenceTable = "charged") -> np.ndarray:
    return stable_atoms(structure.numbers, structure.info["bonds"], structure.arrays.get("formal_charge"), table)


@pytest.mark.parametrize("smiles", REAL)
def test_a_real_molecule_is_stable_both_ways_of_writing_its_rings(smiles: str) -> None:
    for aromatic in (False, True):
        assert stable(molecule(smiles, aromatic=aromatic, positions=False)).all()


@pytest.mark.parametrize("smiles", [s for s in REAL if s not in ("[Na+].[Cl-]", "[H][H]")])
def test_an_atom_that_loses_a_neighbour_is_not_stable(smiles: str) -> None:
    whole = molecule(smiles, positions=False)
    neighbours = {
        i: [j for b in whole.info["bonds"] for j in b[:2] if i in b[:2] and j != i] for i in range(len(whole))
    }
    ends = [i for i, near in neighbours.items() if len(near) == 1]
    for end in ends[:3]:
        (left,) = neighbours[end]
        (order,) = (o for i, j, o in whole.info["bonds"] if {i, j} == {end, left})
        # Phosphorus, sulphur and iodine have several valences, two apart.
        if whole.numbers[left] in (15, 16, 53) and order == 2:
            continue
        broken = without_atom(whole, end)
        assert not stable(broken)[left - (end < left)]


@pytest.mark.parametrize("aromatic", [False, True])
def test_wrong_charges_are_not_stable(aromatic: bool) -> None:
    cases = [("CC", 6, -1), ("c1ccncc1", 7, 1), ("C[N+](C)(C)C", 7, 0), ("CO", 8, 1), ("C[N+](=O)[O-]", 7, 0),
             ("C[NH3+]", 7, 0), ("c1ccoc1", 8, -1), ("CCl", 17, 1)]  # fmt: skip
    for smiles, number, charge in cases:
        whole = molecule(smiles, aromatic=aromatic, positions=False)
        atom = int(np.flatnonzero(whole.numbers == number)[0])
        changed = stable(with_charge(whole, atom, charge))
        assert not changed[atom], smiles
        assert changed.sum() == len(whole) - 1


def test_raised_bond_orders_are_not_stable() -> None:
    ethane = molecule("CC", positions=False)
    ethane.info["bonds"] = [[i, j, 2 if {i, j} == {0, 1} else o] for i, j, o in ethane.info["bonds"]]
    assert stable(ethane).tolist() == [False, False, *[True] * 6]


def test_a_hydrogen_too_few_or_too_many_on_a_ring() -> None:
    benzene = molecule("c1ccccc1", aromatic=True, positions=False)
    assert not stable(without_atom(benzene, 6)).all()
    # Three aromatic bonds and a substituent, which sums of 1.5 cut to integers would count as five, or as four.
    naphthalene = molecule("c1ccc2ccccc2c1", aromatic=True, positions=False)
    assert stable(naphthalene).all()
    naphthalene.info["bonds"] = [*naphthalene.info["bonds"], [3, len(naphthalene) - 1, 1]]
    assert not stable(naphthalene)[3]


def test_sums_with_aromatic_bonds_are_never_rounded() -> None:
    """1.5 + 1.5 + 1 makes a carbon, and 4.5 none; a hydrogen with 1.5 has not one bond."""
    bonds = [[0, 1, 1.5], [0, 2, 1.5]]
    assert stable_atoms([7, 1, 1], bonds)[0]
    assert not stable_atoms([6, 1, 1, 1], [*bonds, [0, 3, 1.5]])[0]
    assert stable_atoms([6, 1, 1, 1], [*bonds, [0, 3, 1]])[0]
    assert not stable_atoms([1, 6, 6], [[0, 1, 1.5]])[0]


@pytest.mark.parametrize(
    ("table", "symbol", "allowed"),
    [("published", "S", {4}), ("sulphur-246", "S", {2, 4, 6}), ("charged", "S", {2, 4, 6}), ("published", "P", {3, 5}),
     ("published", "N", {3}), ("sulphur-246", "C", {4}), ("published", "I", {1}), ("published", "Hg", {1, 2}),
     ("published", "Se", set())],
)  # fmt: skip
def test_neutral_atoms_may_have_these_sums(table: ValenceTable, symbol: str, allowed: set[int]) -> None:
    """An atom with one bond of any order, so that the sum is what the order is."""
    found = {order for order in range(9) if stable_atoms([NUMBERS[symbol], 1], [[0, 1, order]], table=table)[0]}
    assert found == allowed


def test_only_the_charged_table_looks_at_charges() -> None:
    ammonium = molecule("[NH4+]", positions=False)
    assert stable(ammonium).all()
    assert not stable(ammonium, "published")[0]
    assert stable(with_charge(molecule("N", positions=False), 0, 1), "published").all()


@pytest.mark.parametrize("bond", [[0, 0, 1], [0, 3, 1], [-1, 0, 1], [1, 0, 2]])
def test_impossible_bonds_are_refused(bond: list[int]) -> None:
    with pytest.raises(InputError, match="bond"):
        stable_atoms([8, 1, 1], [[0, 1, 1], bond])


def test_nothing_is_no_fault() -> None:
    assert stable_atoms([], []).shape == (0,)


def test_thousands_of_known_molecules_are_stable() -> None:
    """RDKit brings five thousand molecules of the NCI; metals have no valences to speak of, radicals are none."""
    from rdkit import Chem, RDConfig, rdBase

    file = Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi"
    if not file.is_file():
        pytest.skip("this RDKit comes without its data")
    with rdBase.BlockLogs():
        known = [Chem.MolFromSmiles(line.split()[0]) for line in file.read_text().splitlines() if line.strip()]
    organic = [m for m in known if m is not None and {a.GetAtomicNum() for a in m.GetAtoms()} <= NON_METALS]
    assert len(organic) > 4000
    refused = [Chem.MolToSmiles(m) for m in organic if not all(map(_allowed, m.GetAtoms()))]
    for m in organic:
        Chem.Kekulize(m, clearAromaticFlags=True)
    assert not [m for m in organic if not all(map(_allowed, m.GetAtoms()))]
    assert refused == ["CCc1cc[c-](C)[n+](=O)c1"]  # A nitrogen with four bonds and two of them aromatic.


def _allowed(atom: Any) -> bool:
    orders = [(b.GetIsAromatic(), b.GetBondTypeAsDouble()) for b in atom.GetBonds()]
    others = sum(order for aromatic, order in orders if not aromatic) + atom.GetTotalNumHs()
    if atom.GetNumRadicalElectrons():
        return True
    number, charge = atom.GetAtomicNum(), atom.GetFormalCharge()
    return VALENCES["charged"].allow(number, charge, sum(aromatic for aromatic, _ in orders), float(others))
