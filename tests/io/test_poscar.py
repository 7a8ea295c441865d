"""POSCAR in its dialects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eqcli.errors import InputError
from eqcli.io import Structure, read_structures, write_structures

V5 = """NaCl
2.0
2.0 0.0 0.0
0.0 2.0 0.0
0.0 0.5 2.0
Na Cl
1 2
Direct
0.0 0.0 0.0
0.5 0.5 0.5 Cl
1.25 -0.5 0.0
"""


def read(tmp_path: Path, text: str, name: str = "POSCAR") -> Structure:
    (tmp_path / name).write_text(text)
    (structure,) = list(read_structures(tmp_path / name))
    return structure


@pytest.mark.parametrize("name", ["POSCAR", "CONTCAR", "POSCAR-JVASP-10.vasp", "x.vasp", "CONTCAR_relaxed", "a.poscar"])
def test_direct(tmp_path: Path, name: str) -> None:
    structure = read(tmp_path, V5, name)
    assert structure.numbers.tolist() == [11, 17, 17]
    assert structure.pbc.all()
    assert structure.cell.tolist() == [[4, 0, 0], [0, 4, 0], [0, 1, 4]]
    # Atoms outside the cell stay there.
    assert structure.positions.tolist() == [[0, 0, 0], [2, 2.5, 2], [5, -2, 0]]
    assert structure.fixed is None


def test_cartesian_is_scaled_too(tmp_path: Path) -> None:
    assert read(tmp_path, V5.replace("Direct", "cartesian")).positions[1].tolist() == [1, 1, 1]


def test_three_scaling_factors(tmp_path: Path) -> None:
    structure = read(tmp_path, V5.replace("2.0\n", "1.0 2.0 3.0\n", 1).replace("Direct", "C"))
    assert structure.cell.tolist() == [[2, 0, 0], [0, 4, 0], [0, 1, 6]]
    assert structure.positions[1].tolist() == [0.5, 1, 1.5]


def test_a_negative_scale_is_the_volume(tmp_path: Path) -> None:
    structure = read(tmp_path, V5.replace("2.0\n", "-64.0\n", 1))
    assert structure.volume == pytest.approx(64)
    np.testing.assert_allclose(structure.cell[0], [4, 0, 0])


def test_version_4_takes_symbols_from_the_comment(tmp_path: Path) -> None:
    structure = read(tmp_path, V5.replace("Na Cl\n", "").replace("NaCl\n", "Na Cl from a book\n"))
    assert structure.numbers.tolist() == [11, 17, 17]
    with pytest.raises(InputError, match="NaCl"):
        read(tmp_path, V5.replace("Na Cl\n", "").replace("NaCl\n", "NaCl crystal\n"))


def test_potcar_names_and_hashes(tmp_path: Path) -> None:
    assert read(tmp_path, V5.replace("Na Cl\n", "Na_pv Cl/0a1b2c\n")).numbers.tolist() == [11, 17, 17]


def test_selective_dynamics(tmp_path: Path) -> None:
    text = V5.replace("Direct", "Selective dynamics\nDirect").replace(
        "0.0 0.0 0.0\n0.5 0.5 0.5 Cl", "0 0 0 F F F\n.5 .5 .5 T T T"
    )
    structure = read(tmp_path, text.replace("1.25 -0.5 0.0", "1.25 -0.5 0 .TRUE. .FALSE. .TRUE."))
    assert structure.fixed is not None
    assert structure.fixed.tolist() == [True, False, False]
    assert structure.arrays["move_mask"].tolist() == [[False] * 3, [True] * 3, [True, False, True]]
    write_structures(tmp_path / "b.vasp", [structure])
    (back,) = list(read_structures(tmp_path / "b.vasp"))
    np.testing.assert_array_equal(back.arrays["move_mask"], structure.arrays["move_mask"])


def test_velocities_after_the_positions_are_passed_over(tmp_path: Path) -> None:
    assert len(read(tmp_path, V5 + "\n0.1 0.1 0.1\n0.1 0.1 0.1\n0.1 0.1 0.1\n")) == 3


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("2.0\n2.0", "two\n2.0", 2, "scaling factor"),
        ("2.0\n2.0", "0.0\n2.0", 2, "positive"),
        ("0.0 2.0 0.0", "0.0 2.0", 4, "lattice vector"),
        ("0.0 2.0 0.0", "4.0 0.0 0.0", 3, "dependent"),
        ("Na Cl\n", "Na Xx\n", 6, "not a chemical element"),
        ("1 2\n", "1 2 3\n", 6, "2 element symbols for 3"),
        ("1 2\n", "1 x\n", 7, "number of atoms"),
        ("1 2\n", "1 3\n", 11, "the file ends"),
        ("0.5 0.5 0.5", "0.5 0.5 z", 10, "position of atom 2"),
        ("Direct\n", "Selective\nDirect\n", 10, "T and F"),
        ("0.5 0.5 0.5", "0.5 nan 0.5", 10, "found '0.5 nan 0.5"),
        ("1 2\n", "1 99999999999999999999\n", 7, "the file ends before"),
    ],
)
def test_malformed(tmp_path: Path, old: str, new: str, line: int, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        read(tmp_path, V5.replace(old, new, 1))
    assert caught.value.where.line == line


@pytest.mark.parametrize("lines", range(11))
def test_cut_off_anywhere(tmp_path: Path, lines: int) -> None:
    with pytest.raises(InputError):
        read(tmp_path, "\n".join(V5.splitlines()[:lines]))


def test_one_structure_and_a_cell_are_needed(tmp_path: Path) -> None:
    crystal = read(tmp_path, V5)
    with pytest.raises(InputError, match="holds one structure"):
        write_structures(tmp_path / "b.vasp", [crystal, crystal])
    with pytest.raises(InputError, match="needs a cell"):
        write_structures(tmp_path / "b.vasp", [Structure(np.array([1]), np.zeros((1, 3)))])
    assert not (tmp_path / "b.vasp").exists()
