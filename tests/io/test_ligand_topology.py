"""What of a ligand turns, counted and typed as Vina does; numbers of the table are those of the vina package."""

from __future__ import annotations

import numpy as np
import pytest

from eqcli.io.atom_types import AtomType
from eqcli.io.ligand import Ligand, read_ligands
from eqcli.io.ligand_topology import LigandTopology, topology
from eqcli.io.rdkit_molecule import molecule_of, sanitised
from eqcli.io.rotors import rotor_tree


def ligand(smiles: str) -> Ligand:
    (found,) = read_ligands(smiles)
    assert isinstance(found, Ligand), found
    return found


def of(smiles: str) -> LigandTopology:
    return topology(ligand(smiles))


COUNTS = [
    ("c1ccccc1-c1ccccc1", 1, 1.0),
    ("c1ccccc1Cc1ccccc1", 2, 2.0),
    ("CCCCCCC", 4, 4.0),
    ("c1ccccc1CCCO", 3, 3.5),
    ("CC(C)(C)c1ccccc1", 1, 1.0),
    ("CCO", 0, 0.5),
    ("CC(=O)NC", 0, 0.0),
    ("CC(=O)N(C)CC", 2, 2.0),
    ("CC(=O)N(C)C", 0, 0.0),
    ("CC(=O)Oc1ccccc1C(=O)O", 3, 3.5),
    ("CCC#CCC", 1, 1.0),
    ("CCC#N", 0, 0.0),
    ("C1CCCCC1", 0, 0.0),
]


@pytest.mark.parametrize(("smiles", "axes", "count"), COUNTS)
def test_axes_and_torsion_count(smiles: str, axes: int, count: float) -> None:
    found = of(smiles)
    assert len(found.rotatable) == axes
    assert found.torsion_count == count


@pytest.mark.parametrize("smiles", ["CCCCCCC", "CC(=O)Oc1ccccc1C(=O)O", "CCC#CC(C)CO", "OC(=O)CN(C)C(=O)c1ccncc1"])
def test_the_moved_side_is_whole_smaller_and_without_the_axis(smiles: str) -> None:
    made = ligand(smiles)
    found = topology(made)
    bonds = [(int(i), int(j)) for i, j, _ in made.structure.info["bonds"]]
    assert len(found.rotatable) > 0
    for (i, j), moved, quadruple in zip(found.rotatable, found.moved, found.quadruples, strict=True):
        assert not moved[i]
        assert not moved[j]
        assert moved.any()
        assert moved.sum() <= (~moved).sum() - 2
        assert found.heavy[moved].any()
        # Only atoms at j lead out of the moved side.
        assert all(j in (a, b) for a, b in bonds if moved[a] != moved[b])
        k, i_, j_, far = quadruple
        assert (i_, j_) == (i, j)
        assert moved[far]
        assert not moved[k]


def test_an_alkyne_turns_about_one_axis_through_both_ends() -> None:
    found = of("CCC#CCC")
    assert found.rotatable.tolist() in ([[1, 4]], [[4, 1]])
    assert not found.moved[0, [2, 3]].any()


def test_turning_keeps_every_bond_and_angle_and_the_pieces_of_the_pairs() -> None:
    from scipy.spatial.transform import Rotation

    made = ligand("CC(C)Cc1ccc(cc1)C(C)C(=O)NCCO")
    found = topology(made)
    before = made.structure.positions
    after = before.copy()
    for (i, j), moved in zip(found.rotatable, found.moved, strict=True):
        axis = after[j] - after[i]
        turn = Rotation.from_rotvec(1.234 * axis / np.linalg.norm(axis))
        after[moved] = turn.apply(after[moved] - after[i]) + after[i]
    first, second = (np.linalg.norm(p[:, None] - p[None], axis=2) for p in (before, after))
    kept = np.abs(first - second) < 1e-9
    for i, j, _ in made.structure.info["bonds"]:
        assert kept[i, j]
    # Whatever can change, beyond three bonds, is a pair; and hardly anything else is.
    pairs = {(int(i), int(j)) for i, j in found.pairs}
    heavy = np.flatnonzero(found.heavy)
    reach = _bonds_apart(made)
    free = {(int(i), int(j)) for i in heavy for j in heavy if i < j and not kept[i, j] and reach[i, j] > 3}
    assert free == pairs


def _bonds_apart(made: Ligand) -> np.ndarray:
    from scipy.sparse.csgraph import shortest_path

    graph = np.zeros((len(made.structure),) * 2)
    for i, j, _ in made.structure.info["bonds"]:
        graph[i, j] = graph[j, i] = 1
    return np.asarray(shortest_path(graph))


@pytest.mark.parametrize(
    ("smiles", "types"),
    [
        ("CCO", [AtomType.C_H, AtomType.C_P, AtomType.O_DA]),
        ("C[NH3+]", [AtomType.C_P, AtomType.N_D]),
        ("CN(C)C", [AtomType.C_P, AtomType.N_A, AtomType.C_P, AtomType.C_P]),
        ("C[N+](C)(C)C", [AtomType.C_P, AtomType.N_P, *[AtomType.C_P] * 3]),
        ("CC(=O)NC", [AtomType.C_H, AtomType.C_P, AtomType.O_A, AtomType.N_D, AtomType.C_P]),
        ("CN", [AtomType.C_P, AtomType.N_DA]),
        ("CSC", [AtomType.C_P, AtomType.S_P, AtomType.C_P]),
        ("FC(Cl)(Br)I", [AtomType.F_H, AtomType.C_P, AtomType.CL_H, AtomType.BR_H, AtomType.I_H]),
    ],
)
def test_types(smiles: str, types: list[AtomType]) -> None:
    found = of(smiles)
    assert found.types[found.heavy].tolist() == types
    assert (found.types[~found.heavy] == -1).all()


def test_pyridine_accepts_and_pyrrole_gives() -> None:
    assert AtomType.N_A in of("c1ccncc1").types
    assert AtomType.N_D in of("c1cc[nH]c1").types
    assert AtomType.N_D in of("Nc1ccccc1").types


def test_one_heavy_atom_has_no_axes_and_no_pairs() -> None:
    found = of("CC")
    assert found.rotatable.shape == (0, 2)
    assert found.moved.shape == (0, 8)
    assert found.quadruples.shape == (0, 4)
    assert found.pairs.shape == (0, 2)


def test_trees_and_types_are_those_of_meeko() -> None:
    pytest.importorskip("meeko")
    for smiles in ("CC(=O)Oc1ccccc1C(=O)O", "CC(C)Cc1ccc(cc1)C(C)C(=O)NCCO", "NC(=[NH2+])NCCC(=O)N(C)CCC#CC"):
        made = ligand(smiles)
        ad, branches = _meeko(made)
        found = topology(made)
        nitrogen = {"N": (AtomType.N_P, AtomType.N_D), "NA": (AtomType.N_A, AtomType.N_DA)}
        for atom, kind in ad.items():
            if kind in nitrogen:
                assert found.types[atom] in nitrogen[kind]
        tree = rotor_tree(sanitised(molecule_of(made.structure)))
        assert {frozenset(edge) for edge in tree.turning} == {frozenset(edge) for edge in branches}


def _meeko(made: Ligand) -> tuple[dict[int, str], list[tuple[int, int]]]:
    from meeko import MoleculePreparation, PDBQTWriterLegacy

    setup = MoleculePreparation(rigid_macrocycles=True).prepare(sanitised(molecule_of(made.structure)))[0]
    text, fine, why = PDBQTWriterLegacy.write_string(setup, add_index_map=True)
    assert fine, why
    place: dict[int, int] = {}
    for line in text.splitlines():
        if line.startswith("REMARK INDEX MAP"):
            numbers = [int(word) for word in line.split()[3:]]
            place.update({b: a - 1 for a, b in zip(numbers[::2], numbers[1::2], strict=True)})
    rows = [line for line in text.splitlines() if line.startswith("ATOM")]
    branches = [line.split()[1:3] for line in text.splitlines() if line.startswith("BRANCH")]
    return {place[int(r[6:11])]: r.split()[-1] for r in rows}, [(place[int(a)], place[int(b)]) for a, b in branches]
