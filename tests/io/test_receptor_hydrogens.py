"""Hydrogens and atom types of receptors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from eqcli.io.atom_types import AtomType
from eqcli.io.receptor import Receptor, read_receptor, receptor_of
from eqcli.io.receptor_placing import attached
from eqcli.io.receptor_residues import AMINO_ACIDS, ONE_LETTER, template
from tests.io.peptides import far, line, peptide

# RDKit exchanges the names of isoleucine's branches.
ALL = ("SHKRPWYNDC", "GTAVLMFQE")


def read(tmp_path: Path, text: str) -> Receptor:
    path = tmp_path / "a.pdb"
    path.write_text(text)
    return read_receptor(path)


def carried(receptor: Receptor) -> dict[tuple[str, str], int]:
    """How many hydrogens each heavy atom has, by residue and atom name."""
    structure = receptor.structure
    heavy = np.flatnonzero(receptor.heavy)
    _, nearest = cKDTree(structure.positions[heavy]).query(structure.positions[~receptor.heavy])
    counts = np.bincount(nearest, minlength=len(heavy))
    names = zip(structure.arrays["residue_name"][heavy], structure.arrays["atom_name"][heavy], strict=True)
    return {(str(r), str(a)): int(n) for (r, a), n in zip(names, counts, strict=True)}


def types(receptor: Receptor) -> dict[tuple[str, str], str]:
    arrays = receptor.structure.arrays
    rows = zip(arrays["residue_name"], arrays["atom_name"], arrays["atom_type"], strict=True)
    return {(str(r), str(a)): AtomType(t).name for r, a, t in rows if t >= 0}


@pytest.mark.parametrize("sequence", ALL)
def test_every_atom_has_its_hydrogens_at_ideal_lengths(tmp_path: Path, sequence: str) -> None:
    receptor = read(tmp_path, peptide(sequence))
    counts = carried(receptor)
    for letter in sequence:
        name = AMINO_ACIDS[ONE_LETTER.index(letter)]
        known = template(name)
        assert known is not None
        first = letter == sequence[0]
        for atom in known.neighbours:
            backbone = 3 if first else 0 if name == "PRO" else 1
            expected = backbone if atom == "N" else len(known.hydrogens.get(atom, ()))
            if name != "HIS" or atom not in ("ND1", "NE2"):
                assert counts[name, atom] == expected, (name, atom)
    structure = receptor.structure
    lengths, _ = cKDTree(structure.positions[receptor.heavy]).query(structure.positions[~receptor.heavy])
    assert lengths.min() > 0.95
    assert lengths.max() < 1.35
    pairs = cKDTree(structure.positions[~receptor.heavy]).query_pairs(1.3)
    assert not pairs


def test_atom_types_of_amino_acids(tmp_path: Path) -> None:
    found = {**types(read(tmp_path, peptide(ALL[0]))), **types(read(tmp_path, peptide(ALL[1])))}
    expected = {
        ("SER", "N"): "N_D", ("ALA", "N"): "N_D", ("PRO", "N"): "N_P", ("ALA", "O"): "O_A", ("ALA", "C"): "C_P",
        ("ALA", "CA"): "C_P", ("ALA", "CB"): "C_H", ("SER", "OG"): "O_DA", ("THR", "OG1"): "O_DA",
        ("TYR", "OH"): "O_DA", ("LYS", "NZ"): "N_D", ("ARG", "NE"): "N_D", ("ARG", "NH1"): "N_D",
        ("ASN", "ND2"): "N_D", ("ASN", "OD1"): "O_A", ("GLN", "NE2"): "N_D", ("ASP", "OD2"): "O_A",
        ("GLU", "OE1"): "O_A", ("TRP", "NE1"): "N_D", ("MET", "SD"): "S_P", ("CYS", "SG"): "S_P",
        ("MET", "CE"): "C_P", ("PHE", "CZ"): "C_H", ("TYR", "CZ"): "C_P", ("LEU", "CD1"): "C_H",
    }  # fmt: skip
    assert {key: found[key] for key in expected} == expected
    assert {found["HIS", "ND1"], found["HIS", "NE2"]} == {"N_D", "N_A"}


def test_hydrogens_turn_with_the_receptor(tmp_path: Path) -> None:
    receptor = read(tmp_path, peptide(ALL[0]))
    turn, shift = Rotation.from_euler("xyz", [0.4, -1.1, 2.2]).as_matrix(), np.array([3.0, -7.0, 11.0])
    heavy = receptor.structure
    bare = receptor_of(_heavy(receptor), "a").structure
    moved = _heavy(receptor)
    moved.positions = moved.positions @ turn.T + shift
    again = receptor_of(moved, "b").structure
    assert len(bare) == len(heavy)
    assert np.abs(again.positions - (bare.positions @ turn.T + shift)).max() < 1e-6


def _heavy(receptor: Receptor):
    from eqcli.io.structure import Structure

    kept = receptor.heavy
    arrays = {name: values[kept] for name, values in receptor.structure.arrays.items()}
    return Structure(receptor.structure.numbers[kept], receptor.structure.positions[kept].copy(), arrays=arrays)


def _ring(receptor: Receptor) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    arrays = receptor.structure.arrays
    x = {
        str(name): place
        for name, place, residue in zip(
            arrays["atom_name"], receptor.structure.positions, arrays["residue_name"], strict=True
        )
        if residue == "HIS"
    }
    delta = x["ND1"] - (x["CG"] + x["CE1"]) / 2
    epsilon = x["NE2"] - (x["CD2"] + x["CE1"]) / 2
    return x["ND1"], delta / np.linalg.norm(delta), x["NE2"], epsilon / np.linalg.norm(epsilon)


@pytest.mark.parametrize(
    ("element", "atom", "expected"),
    [("O", 0, "HID"), ("O", 1, "HIE"), ("ZN", 1, "HID"), ("ZN", 0, "HIE")],
)
def test_histidines_by_their_partners(tmp_path: Path, element: str, atom: int, expected: str) -> None:
    nd1, delta, ne2, epsilon = _ring(read(tmp_path, peptide("AHA")))
    distance = 2.1 if element == "ZN" else 2.8
    place = (nd1, ne2)[atom] + distance * (delta, epsilon)[atom]
    partner = line(element, "ZN" if element == "ZN" else "LIG", 9, place, element)
    receptor = read(tmp_path, peptide("AHA") + partner)
    assert any(f"histidines: 1 {expected}" in note for note in receptor.notes)
    with_hydrogen = types(receptor)["HIS", "ND1" if expected == "HID" else "NE2"]
    assert with_hydrogen == "N_D"


@pytest.mark.parametrize(
    ("name", "atoms"), [("HID", {"HD1"}), ("HIE", {"HE2"}), ("HIP", {"HD1", "HE2"}), ("HSD", {"HD1"})]
)
def test_histidines_by_their_names(tmp_path: Path, name: str, atoms: set[str]) -> None:
    receptor = read(tmp_path, peptide("AHA").replace("HIS", name))
    assert set(receptor.structure.arrays["atom_name"]) & {"HD1", "HE2"} == atoms
    assert receptor.residues.sequence() == {"A": "AHA"}


@pytest.mark.parametrize(("name", "atom"), [("HID", "HD1"), ("HSE", "HE2"), ("HIS", "HD1")])
def test_histidines_keep_the_hydrogens_of_the_file(tmp_path: Path, name: str, atom: str) -> None:
    state = "HID" if atom == "HD1" else "HIE"
    first = read(tmp_path, peptide("AHA").replace("HIS", state))
    named = first.structure.arrays["residue_name"]
    first.structure.arrays["residue_name"] = np.where(named == state, name, named)
    assert not receptor_of(first.structure, "again").structure.arrays["added"].any()


@pytest.mark.parametrize(
    ("sequence", "old", "new", "atom", "count"),
    [("ADA", "ASP", "ASH", "OD2", 1), ("AKA", "LYS", "LYN", "NZ", 2), ("ACA", "CYS", "CYX", "SG", 0)],
)
def test_states_by_their_names(tmp_path: Path, sequence: str, old: str, new: str, atom: str, count: int) -> None:
    receptor = read(tmp_path, peptide(sequence).replace(old, new))
    assert carried(receptor)[new, atom] == count
    assert receptor.residues.sequence() == {"A": sequence}


def test_disulphides_have_no_hydrogen(tmp_path: Path) -> None:
    plain = read(tmp_path, peptide("ACA"))
    arrays = plain.structure.arrays
    sulphur = plain.structure.positions[arrays["atom_name"] == "SG"][0]
    beta = plain.structure.positions[(arrays["atom_name"] == "CB") & (arrays["residue_name"] == "CYS")][0]
    outwards = (sulphur - beta) / np.linalg.norm(sulphur - beta)
    partner = line("SG", "CYS", 9, sulphur + 2.05 * outwards, "S", chain="B", hetero=False)
    receptor = read(tmp_path, peptide("ACA") + partner)
    assert "HG" in arrays["atom_name"]
    assert "HG" not in receptor.structure.arrays["atom_name"]
    assert "1 disulphide bridge" in receptor.notes


def test_hydroxyl_groups_point_to_acceptors(tmp_path: Path) -> None:
    plain = read(tmp_path, peptide("ASA"))
    arrays, x = plain.structure.arrays, plain.structure.positions
    serine = arrays["residue_name"] == "SER"
    oxygen, carbon, alpha = (x[serine & (arrays["atom_name"] == name)][0] for name in ("OG", "CB", "CA"))
    others = np.delete(x[plain.heavy], 0, axis=0)
    places = attached(alpha, carbon, oxygen, 2.8, 109.5, np.arange(0.0, 360.0, 20.0))
    room = cKDTree(others).query(places, k=2)[0][:, 1]
    place = places[room.argmax()]
    receptor = read(tmp_path, peptide("ASA") + line("O1", "LIG", 9, place, "O"))
    hydrogen = receptor.structure.positions[receptor.structure.arrays["atom_name"] == "HG"][0]
    assert np.linalg.norm(hydrogen - place) < 2.1


def test_a_cofactor_gets_polar_hydrogens(tmp_path: Path) -> None:
    from rdkit import Chem
    from rdkit.Chem import AllChem

    # Uracil-like ring, amide, carboxylate, alcohol, ether.
    molecule = Chem.AddHs(Chem.MolFromSmiles("O=c1ccn(CCO)c(=O)[nH]1"))
    AllChem.EmbedMolecule(molecule, randomSeed=3)
    AllChem.MMFFOptimizeMolecule(molecule)
    bare = Chem.RemoveHs(molecule)
    places = bare.GetConformer().GetPositions() + far()
    lines = "".join(
        line(f"{atom.GetSymbol()}{atom.GetIdx()}", "LIG", 9, places[atom.GetIdx()], atom.GetSymbol())
        for atom in bare.GetAtoms()
    )
    counts = carried(read(tmp_path, peptide("AGA") + lines))
    for atom in bare.GetAtoms():
        if atom.GetAtomicNum() in (7, 8):
            assert counts["LIG", f"{atom.GetSymbol()}{atom.GetIdx()}"] == atom.GetTotalNumHs()
