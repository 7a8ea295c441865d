"""Complexes as arrays: what is kept of the structures that a run stores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eqcli.data.complex_set import CONTACT, complex_set
from eqcli.data.complex_structures import ligand_structure, receptor_structure
from eqcli.errors import InputError
from eqcli.io import read_structures, write_structures
from eqcli.io.ligand_topology import topology
from tests.data.docking_case import complexes, receptor, stored
from tests.docking_folder import LIGANDS, bound, protein, shape_of


def test_members() -> None:
    made = complexes()
    assert len(made) == 8
    assert [r.protein for r in made.receptors] == ["p0", "p1"]
    assert [x.receptor for x in made.ligands] == [0] * 4 + [1] * 4
    for ligand, count, edges in zip(made.ligands, made.counts, made.edges, strict=True):
        place = made.receptors[ligand.receptor]
        assert count == len(ligand.pose) + 42
        assert len(place.positions) == len(place.codes)
        assert edges > place.graph.edges.shape[1]


def test_ligands_are_their_heavy_atoms() -> None:
    structures = [s for s in stored() if s.info["role"] == "ligand"]
    for structure, entry in zip(structures, complexes().ligands, strict=True):
        heavy = structure.numbers > 1
        assert np.array_equal(entry.pose, structure.positions[heavy])
        assert entry.conformers.shape[1:] == entry.pose.shape
        assert len(entry.bonds) == sum(heavy[i] and heavy[j] for i, j, _ in structure.info["bonds"])
        for pairs in (entry.bonds[:, :2], entry.rigid, entry.rotatable):
            assert ((pairs >= 0) & (pairs < heavy.sum())).all()
        # Bonds of the pose and of every conformer are as long as bonds are.
        for shape in (entry.pose, *entry.conformers):
            lengths = np.linalg.norm(shape[entry.bonds[:, 0]] - shape[entry.bonds[:, 1]], axis=1)
            assert ((lengths > 1.1) & (lengths < 2.0)).all()


def test_torsions_are_those_of_the_topology() -> None:
    for smiles, entry in zip(LIGANDS[:4], complexes().ligands[:4], strict=True):
        ligand = shape_of(smiles)
        shape, heavy = topology(ligand), ligand.structure.numbers > 1
        place = np.cumsum(heavy) - 1
        assert np.array_equal(entry.rotatable, place[shape.rotatable].reshape(-1, 2))
        assert np.array_equal(entry.moved, shape.moved[:, heavy])
        for axis, moved in zip(entry.rotatable, entry.moved, strict=True):
            assert not moved[axis].any()
            assert moved.any()


def test_contacts_lie_between_near_pairs() -> None:
    for entry in complexes().ligands:
        atoms = complexes().receptors[entry.receptor].positions
        lengths = np.linalg.norm(entry.pose[:, None] - atoms, axis=-1)
        expected = [0.5 * (entry.pose[i] + atoms[j]) for i, j in zip(*np.nonzero(lengths <= CONTACT), strict=True)]
        assert len(expected) > 0
        assert {tuple(x.round(9)) for x in entry.contacts} == {tuple(x.round(9)) for x in np.array(expected)}
        assert (np.linalg.norm(entry.contacts - entry.pose[entry.contact_atoms], axis=1) <= CONTACT / 2 + 1e-9).all()


def test_stored_and_read_again(tmp_path: Path) -> None:
    write_structures(tmp_path / "c.h5", stored())
    again = complex_set(list(read_structures(tmp_path / "c.h5")), neighbours=8, reach=30.0)
    for here, there in zip(complexes().ligands, again.ligands, strict=True):
        for name, value in vars(here).items():
            assert np.array_equal(value, getattr(there, name)), name
    for first, second in zip(complexes().receptors, again.receptors, strict=True):
        assert np.array_equal(first.codes, second.codes)
        for name, value in vars(first.graph).items():
            assert value.equal(getattr(second.graph, name)), name


def test_ligands_without_torsions(tmp_path: Path) -> None:
    """Benzene and methanol, stored and read: tables of no rows keep their shape."""
    write_structures(tmp_path / "c.h5", stored(1, ("c1ccccc1", "CO"), 1))
    made = complex_set(list(read_structures(tmp_path / "c.h5")), neighbours=8, reach=30.0)
    benzene, methanol = made.ligands
    assert benzene.rotatable.shape == (0, 2)
    assert benzene.moved.shape == (0, 6)
    assert methanol.bonds.tolist() == [[0, 1, 1]]
    assert methanol.rotatable.shape == (0, 2)
    assert methanol.moved.shape == (0, 2)


def test_unbound_ligands_are_refused() -> None:
    own, shape = receptor_structure(receptor(0), name="p", protein="p"), shape_of("CCO")
    with pytest.raises(InputError, match="no pose"):
        ligand_structure(shape, own, name="x", conformers=1, seed=0)
    far = replace(shape, structure=replace(shape.structure, positions=shape.structure.positions + 90.0), given=True)
    with pytest.raises(InputError, match=r"not bound: \d+\.\d Å"):
        ligand_structure(far, own, name="x", conformers=1, seed=0)
    near = replace(shape.structure, positions=bound("CCO", protein(0), 1))
    made = ligand_structure(replace(far, structure=near), own, name="x", conformers=4, seed=0)
    assert 1 <= made.arrays["conformers"].shape[1] <= 4
