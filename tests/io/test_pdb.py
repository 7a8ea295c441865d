"""PDB and mmCIF."""

from __future__ import annotations

from pathlib import Path

import pytest

from eqcli.errors import Failure, InputError
from eqcli.io import LabelConvention, Structure, read_structures


def atom(
    name: str = " CA ",
    residue: str = "ALA",
    altloc: str = " ",
    x: float | str = 1.0,
    occupancy: float = 1.0,
    element: str = " C",
    number: int = 1,
    record: str = "ATOM  ",
    charge: str = "  ",
) -> str:
    place = f"{x:8.3f}" if isinstance(x, float) else f"{x:>8}"
    return (
        f"{record}    1 {name}{altloc}{residue:>3} A{number:4d}    {place}   2.000   3.000{occupancy:6.2f} 10.00"
        f"          {element}{charge}\n"
    )


def read(tmp_path: Path, text: str, name: str = "a.pdb", labels: LabelConvention | None = None) -> list[Structure]:
    (tmp_path / name).write_text(text)
    return list(read_structures(tmp_path / name, labels))


def test_atoms_with_their_names(tmp_path: Path) -> None:
    (model,) = read(tmp_path, atom() + atom(" O  ", "HOH", x=4.0, element=" O", number=77, record="HETATM"))
    assert model.numbers.tolist() == [6, 8]
    assert model.positions[1].tolist() == [4, 2, 3]
    assert model.arrays["residue_name"].tolist() == ["ALA", "HOH"]
    assert model.arrays["residue_number"].tolist() == [1, 77]
    assert model.arrays["hetero"].tolist() == [False, True]
    assert model.charge is None
    assert not model.pbc.any()


@pytest.mark.parametrize(
    ("name", "residue", "number"),
    [
        (" CA ", "ALA", 6),
        ("CA  ", "ALA", 6),
        ("CA  ", " CA", 20),
        ("CL  ", " CL", 17),
        ("HG11", "VAL", 1),
        ("1HB ", "ALA", 1),
        ("HH12", "LIG", 1),
        ("FE  ", "HEM", 26),
        ("BR1 ", "LIG", 35),
        (" N1 ", "LIG", 7),
        ("C12A", "LIG", 6),
        (" D  ", "DOD", 1),
        ("SD  ", "MET", 16),
    ],
)
def test_elements_without_their_columns(tmp_path: Path, name: str, residue: str, number: int) -> None:
    (model,) = read(tmp_path, atom(name, residue)[:66] + "\n")
    assert model.numbers.tolist() == [number]


def test_the_conformation_with_the_highest_occupancy(tmp_path: Path) -> None:
    text = (
        atom(" N  ", element=" N", x=0.0)
        + atom(altloc="A", x=1.0, occupancy=0.3)
        + atom(altloc="B", x=2.0, occupancy=0.7)
        + atom(" CB ", altloc="A", x=3.0, occupancy=0.3)
        + atom(" CB ", altloc="B", x=4.0, occupancy=0.7)
        + atom(" CG ", altloc="A", x=5.0, occupancy=0.3)
        + atom(altloc="A", x=6.0, occupancy=0.5, number=2)
        + atom(altloc="B", x=7.0, occupancy=0.5, number=2)
    )
    (model,) = read(tmp_path, text)
    assert model.positions[:, 0].tolist() == [0, 2, 4, 5, 6]


def test_one_kind_of_residue_where_two_share_a_place(tmp_path: Path) -> None:
    text = atom(residue="SER", altloc="A", x=1.0, occupancy=0.4) + atom(residue="THR", altloc="B", x=2.0, occupancy=0.6)
    text += atom(" OG ", "SER", "A", 3.0, 0.4, " O")
    (model,) = read(tmp_path, text)
    assert model.arrays["residue_name"].tolist() == ["THR"]


def test_models_are_frames(tmp_path: Path) -> None:
    text = "".join(f"MODEL     {i:4d}\n{atom(x=float(i))}TER\nENDMDL\n" for i in (1, 2, 3)) + "END\n"
    models = read(tmp_path, text)
    assert [m.positions[0, 0] for m in models] == [1, 2, 3]
    assert [m.where.frame for m in models] == [0, 1, 2]
    assert [m.where.line for m in models] == [2, 6, 10]


def test_a_bad_line_costs_its_model_only(tmp_path: Path) -> None:
    blocks = [f"MODEL\n{atom(x=x)}ENDMDL\n" for x in (1.0, "1.0x0", 3.0)]
    (tmp_path / "a.pdb").write_text("".join(blocks))
    failures: list[Failure] = []
    good = list(read_structures(tmp_path / "a.pdb", on_failure=failures.append))
    assert [m.where.frame for m in good] == [0, 2]
    assert (failures[0].where.frame, failures[0].where.line) == (1, 5)
    assert "columns 31 to 54" in failures[0].reason


CRYST = "CRYST1   10.000   11.000   12.000  90.00  90.00  90.00 {}\n"


@pytest.mark.parametrize(
    ("line", "periodic"),
    [
        (CRYST.format("P 1").replace("10.000", "13.000"), False),
        (CRYST.format("P 1").replace("10.000", " 5.000"), True),
        (CRYST.format("P 21 21 21").replace("10.000", " 5.000"), False),
        ("CRYST1    1.000    1.000    1.000  90.00  90.00  90.00 P 1\n", False),
    ],
)
def test_only_p1_is_periodic(tmp_path: Path, line: str, periodic: bool) -> None:
    (model,) = read(tmp_path, line.replace("11.000   12.000", "13.000   14.000") + atom())
    assert model.pbc.all() == periodic


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no ATOM"),
        ("HEADER\n", "no ATOM"),
        (atom(element="Xx"), "not a chemical element"),
        (atom()[:40] + "\n", "coordinates"),
        (CRYST.format("").replace("90.00", "  a  ") + atom(), "CRYST1"),
        (CRYST.format("").replace("90.00", "10.00", 2) + atom(), "CRYST1"),
    ],
)
def test_malformed(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read(tmp_path, text)


def test_charges(tmp_path: Path) -> None:
    (model,) = read(tmp_path, atom(" NZ ", "LYS", element=" N", charge="1+") + atom())
    assert model.arrays["formal_charge"].tolist() == [1, 0]


MMCIF = """data_1ABC
_cell.length_a 30.0
_cell.length_b 30.0
_cell.length_c 30.0
_cell.angle_alpha 90
_cell.angle_beta 90
_cell.angle_gamma 90
_symmetry.space_group_name_H-M 'P 21 21 21'
loop_
_atom_site.group_PDB
_atom_site.id
_atom_site.type_symbol
_atom_site.label_atom_id
_atom_site.label_alt_id
_atom_site.label_comp_id
_atom_site.label_asym_id
_atom_site.label_seq_id
_atom_site.Cartn_x
_atom_site.Cartn_y
_atom_site.Cartn_z
_atom_site.occupancy
_atom_site.pdbx_PDB_model_num
ATOM 1 C CA A ALA A 1 1.0 2.0 3.0 0.4 1
ATOM 2 C CA B ALA A 1 1.5 2.0 3.0 0.6 1
ATOM 3 N N . ALA A 1 4.0 5.0 6.0 1.0 1
HETATM 4 ZN ZN . ZN B . 7.0 8.0 9.0 1.0 2
"""


@pytest.mark.parametrize("name", ["a.cif", "a.mmcif"])
def test_mmcif_by_its_content(tmp_path: Path, name: str) -> None:
    first, second = read(tmp_path, MMCIF, name)
    assert first.numbers.tolist() == [6, 7]
    assert first.positions[0].tolist() == [1.5, 2, 3]
    assert second.numbers.tolist() == [30]
    assert second.arrays["hetero"].tolist() == [True]
    assert not first.pbc.any()
    assert first.info["spacegroup"] == "P 21 21 21"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [("7.0 8.0", "x 8.0", "ZN"), ("N N . ALA", "Qq N . ALA", "Qq"), ("length_a 30", "length_a 5", "")],
)
def test_malformed_mmcif(tmp_path: Path, old: str, new: str, words: str) -> None:
    if not words:
        assert len(read(tmp_path, MMCIF.replace(old, new), "a.mmcif")) == 2
        return
    with pytest.raises(InputError, match=words):
        read(tmp_path, MMCIF.replace(old, new), "a.mmcif")
