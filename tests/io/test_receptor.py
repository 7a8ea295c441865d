"""Receptors: which atoms are kept, and what is said of those that are not."""

from __future__ import annotations

import gzip
import time
from pathlib import Path

import numpy as np
import pytest

from eqcli.errors import InputError
from eqcli.io import write_structures
from eqcli.io.receptor import Receptor, read_receptor, receptor_of, without_overlap
from eqcli.io.receptor_residues import ADDITIVES
from tests.io.peptides import far, line, peptide

SEQUENCE = "SHKRPWYD"


def read(tmp_path: Path, text: str, **options: object) -> Receptor:
    path = tmp_path / "small_protein.pdb"
    path.write_text(text)
    return read_receptor(path, **options)  # type: ignore[arg-type]


def said(receptor: Receptor, words: str) -> bool:
    return any(words in note for note in receptor.notes)


def names(receptor: Receptor) -> set[str]:
    return set(receptor.structure.arrays["residue_name"].tolist())


def test_a_plain_peptide(tmp_path: Path) -> None:
    receptor = read(tmp_path, peptide(SEQUENCE))
    assert receptor.name == "small"
    assert receptor.path == tmp_path / "small_protein.pdb"
    assert receptor.residues.sequence() == {"A": SEQUENCE}
    arrays = receptor.structure.arrays
    assert not arrays["added"][receptor.heavy].any()
    assert arrays["added"][~receptor.heavy].all()
    assert (np.diff(arrays["residue"]) >= 0).all()
    assert ((arrays["atom_type"] < 0) == ~receptor.heavy).all()
    place = dict(
        zip(zip(arrays["residue"], arrays["atom_name"], strict=True), receptor.structure.positions, strict=True)
    )
    for k, ca in zip(receptor.residues.index, receptor.residues.ca, strict=True):
        assert (place[k, "CA"] == ca).all()


def test_a_prepared_receptor_is_complete(tmp_path: Path) -> None:
    first = read(tmp_path, peptide(SEQUENCE))
    again = receptor_of(first.structure, "again")
    assert len(again.structure) == len(first.structure)
    assert (again.structure.arrays["atom_type"] == first.structure.arrays["atom_type"]).all()
    assert not again.structure.arrays["added"].any()


def test_waters_additives_and_cofactors(tmp_path: Path) -> None:
    text = peptide("AGA") + "".join((
        line("O", "HOH", 101, far(), "O"), line("O", "HOH", 102, far(1), "O"),
        line("S", "SO4", 103, far(2), "S"), line("ZN", "ZN", 104, far(3), "ZN"), line("C1", "LIG", 105, far(4), "C"),
    ))  # fmt: skip
    receptor = read(tmp_path, text)
    assert names(receptor) == {"ALA", "GLY", "ZN", "LIG"}
    assert said(receptor, "2 waters left out")
    assert said(receptor, "1 crystallisation additive left out: SO4")
    assert said(receptor, "ions kept: ZN")
    assert said(receptor, "cofactors and other groups kept: LIG")
    wet = read(tmp_path, text, waters=True)
    carried = wet.structure.arrays["residue_name"] == "HOH"
    assert carried.sum() == 6
    assert names(read(tmp_path, text, leave_out=["LIG", "A/104"])) == {"ALA", "GLY"}


def test_a_bonded_additive_is_part_of_the_receptor(tmp_path: Path) -> None:
    plain = read(tmp_path, peptide("ACA"))
    sulphur = plain.structure.positions[plain.structure.arrays["atom_name"] == "SG"][0]
    outwards = sulphur - plain.structure.positions.mean(axis=0)
    place = sulphur + 1.8 * outwards / np.linalg.norm(outwards)
    receptor = read(tmp_path, peptide("ACA") + line("C2", "BME", 9, place, "C"))
    assert "BME" in names(receptor)
    assert said(receptor, "additives bonded to the receptor kept: A 9 BME")
    assert "HG" not in receptor.structure.arrays["atom_name"]


def test_what_is_not_there_cannot_be_left_out(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no residue STI") as caught:
        read(tmp_path, peptide("AGA") + line("C1", "LIG", 105, far(), "C"), leave_out=["STI"])
    assert "LIG" in caught.value.hint


def test_alternate_locations_and_doubled_atoms(tmp_path: Path) -> None:
    text = peptide("AGA") + "".join((
        line("C1", "LIG", 9, far(), "C", altloc="A", occupancy=0.4),
        line("C1", "LIG", 9, far() + 1, "C", altloc="B", occupancy=0.6),
        line("C2", "LIG", 9, far(2), "C"), line("C2", "LIG", 9, far(2) + 0.1, "C"),
    ))  # fmt: skip
    receptor = read(tmp_path, text)
    kept = receptor.structure.positions[receptor.structure.arrays["residue_name"] == "LIG"]
    assert kept.tolist() == [(far() + 1).tolist(), far(2).tolist()]
    assert said(receptor, "1 residue with alternate locations")
    assert said(receptor, "1 atom on top of another left out (A 9 LIG C2)")


def test_models_count_from_one(tmp_path: Path) -> None:
    text = f"MODEL 1\n{peptide('AGA')}ENDMDL\nMODEL 2\n{peptide('GGA')}ENDMDL\n"
    assert read(tmp_path, text).residues.sequence() == {"A": "AGA"}
    second = read(tmp_path, text, model=2)
    assert second.residues.sequence() == {"A": "GGA"}
    assert said(second, "2 models: model 2 is taken")
    with pytest.raises(InputError, match="no model 3"):
        read(tmp_path, text, model=3)


def test_a_bad_line_matters_in_the_wanted_model_alone(tmp_path: Path) -> None:
    bad = line("C1", "LIG", 9, far(), "C").replace("60.000", "sixty ")
    text = f"MODEL 1\n{peptide('AGA')}ENDMDL\nMODEL 2\n{bad}ENDMDL\n"
    assert len(read(tmp_path, text).residues) == 3
    with pytest.raises(InputError, match="coordinates") as caught:
        read(tmp_path, text, model=2)
    assert caught.value.where.line is not None


def test_insertion_codes_and_gaps(tmp_path: Path) -> None:
    lines = peptide("AGAS").splitlines(keepends=True)
    inserted = "".join(text[:22] + "   1A" + text[27:] if text[22:26] == "   2" else text for text in lines)
    receptor = read(tmp_path, inserted)
    assert receptor.residues.numbers == ["1", "1A", "3", "4"]
    assert said(receptor, "1 residue with insertion codes")
    gap = read(tmp_path, "".join(text for text in lines if text[22:26] != "   2"))
    assert said(gap, "1 gap in chains, left open: A 1 ALA to A 3 ALA")
    # The amide beyond the gap has one hydrogen, the end of the chain has three.
    on_three = gap.structure.arrays["residue_number"] == "3"
    assert "H" in gap.structure.arrays["atom_name"][on_three]
    assert "H1" not in gap.structure.arrays["atom_name"][on_three]


def test_missing_atoms_are_named(tmp_path: Path) -> None:
    lines = peptide("AKA").splitlines(keepends=True)
    receptor = read(tmp_path, "".join(text for text in lines if text[12:16].strip() not in ("CE", "NZ")))
    assert said(receptor, "1 residue with missing atoms, not rebuilt (A 2 LYS: CE NZ)")
    assert not {"HD2", "HZ1"} & set(receptor.structure.arrays["atom_name"])


def test_modified_amino_acids_count_as_their_parents(tmp_path: Path) -> None:
    text = peptide("AMA").replace("MET", "MSE").replace(" SD ", "SE  ").replace("           S  ", "          SE  ")
    receptor = read(tmp_path, text.replace("ATOM  ", "HETATM"))
    assert receptor.residues.sequence() == {"A": "AMA"}
    assert said(receptor, "modified amino acids kept: MSE of MET")
    assert {"HG2", "HE1"} <= set(receptor.structure.arrays["atom_name"])


def test_a_free_amino_acid_is_no_residue(tmp_path: Path) -> None:
    moved = "".join(
        text[:21] + "B" + text[22:30] + f"{float(text[30:38]) + 50:8.3f}" + text[38:]
        for text in peptide("G").replace("ATOM  ", "HETATM").splitlines(keepends=True)
    )
    receptor = read(tmp_path, peptide("AAA") + moved)
    assert receptor.residues.sequence() == {"A": "AAA"}
    assert said(receptor, "cofactors and other groups kept: GLY")


def test_the_ligand_of_the_crystal_is_taken_out(tmp_path: Path) -> None:
    ligand = far() + np.array([[0.0, 0, 0], [1.5, 0, 0], [3.0, 0, 0]])
    lines = "".join(line(f"C{i}", "LIG", 9, place, "C") for i, place in enumerate(ligand))
    text = line("ZN", "ZN", 8, far(3), "ZN") + lines + peptide("AGA")
    receptor = read(tmp_path, text)
    out = without_overlap(receptor, ligand[:2] + 0.3)
    assert "LIG" in names(receptor)
    assert names(out) == {"ALA", "GLY", "ZN"}
    assert said(out, "left out, since the ligand lies there: A 9 LIG")
    assert out.structure.arrays["residue"].tolist() == sorted(out.structure.arrays["residue"].tolist())
    first = np.searchsorted(out.structure.arrays["residue"], out.residues.index)
    assert out.structure.arrays["residue_name"][first].tolist() == out.residues.names
    assert without_overlap(receptor, ligand + 2.0) is receptor


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (line("P", "DA", 1, far(), "P", hetero=False), "no amino acids"),
        (line("C1", "LIG", 1, far(), "C"), "no amino acids"),
        ("".join(line("CA", "ALA", k, far(k), "C", hetero=False) for k in range(1, 6)), "trace of the chain"),
        (line("CA", "ALA", 1, (np.nan, 0, 0), "C", hetero=False), "not a finite number"),
        ("REMARK\n", "no ATOM"),
    ],
)
def test_what_is_no_receptor(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read(tmp_path, text)


def test_other_formats_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_text("1\n\nH 0 0 0\n")
    with pytest.raises(InputError, match="no receptors"):
        read_receptor(tmp_path / "a.xyz")


@pytest.mark.parametrize("suffix", [".cif", ".mmcif"])
def test_mmcif_and_compressed_files_read_alike(tmp_path: Path, suffix: str) -> None:
    receptor = read(tmp_path, peptide("AHSC"))
    write_structures(tmp_path / "a.mmcif", [receptor_of(receptor.structure, "a").structure])
    packed = tmp_path / f"b{suffix}.gz"
    packed.write_bytes(gzip.compress((tmp_path / "a.mmcif").read_bytes()))
    other = read_receptor(packed)
    assert other.name == "b"
    assert np.abs(other.structure.positions - receptor.structure.positions).max() < 1e-6
    assert (other.structure.arrays["atom_type"] == receptor.structure.arrays["atom_type"]).all()


def test_hydrogens_at_the_end_of_a_file_belong_to_their_residues(tmp_path: Path) -> None:
    receptor = read(tmp_path, peptide("ASA"))
    write_structures(tmp_path / "b.pdb", [receptor.structure])
    lines = [text for text in (tmp_path / "b.pdb").read_text().splitlines(keepends=True) if text.startswith("ATOM")]
    lines.sort(key=lambda text: text[76:78].strip() == "H")
    again = read(tmp_path, "".join(lines))
    assert not again.structure.arrays["added"].any()
    assert len(again.residues) == 3


def test_missing_backbone_atoms_are_built_for_networks(tmp_path: Path) -> None:
    whole = read(tmp_path, peptide("AKA")).residues
    lines = peptide("AKA").splitlines(keepends=True)
    for name, kept in (("N", whole.n[1]), ("C", whole.c[1])):
        cut = [text for text in lines if not (text[22:26] == "   2" and text[12:16].strip() == name)]
        receptor = read(tmp_path, "".join(cut))
        built = receptor.residues.n[1] if name == "N" else receptor.residues.c[1]
        assert receptor.residues.built.tolist() == [False, True, False]
        assert np.linalg.norm(built - kept) < 0.35
        assert said(receptor, "1 residue without N or C")


def test_every_receptor_of_the_collection(shared: Path) -> None:
    folder = shared / "docking"
    paths = [*sorted(folder.glob("raw_pdb/*.gz"))[::2], *sorted(folder.glob("complexes/*/*_protein.pdb.gz"))[::3]]
    paths += sorted(folder.glob("openfe_series/*/*/protein.pdb.gz"))[::10]
    if not paths:
        pytest.skip("the shared data folder has no receptors")
    for path in paths:
        begin = time.process_time()
        receptor = read_receptor(path)
        seconds = time.process_time() - begin
        assert len(receptor.residues) > 50, path
        assert np.isfinite(receptor.structure.positions).all()
        assert seconds < 5.0 * max(1.0, len(receptor.residues) / 300), path


def test_the_additives_of_the_documentation_are_those_of_the_code() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "receptors.md").read_text()
    listed = page[page.index("The additives:") : page.index("## Hydrogens")]
    assert set(listed.replace("`", " ").replace(",", " ").replace(".", " ").split()[2:]) == ADDITIVES
