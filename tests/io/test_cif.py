"""CIF: symmetry, disorder, several blocks, damage."""

from __future__ import annotations

import gzip
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eqcli.errors import Failure, InputError
from eqcli.io import Structure, read_structures, write_structures
from tests.io.structures import names, same, values

CELL = """_cell_length_a 5.64(1)
_cell_length_b 5.64
_cell_length_c 5.64
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
"""
SALT = f"""data_salt
{CELL}_symmetry_space_group_name_H-M 'F m -3 m'
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Na1 0 0 0
Cl1 0.5 0.5 0.5(2)
"""
P1 = f"""data_one
{CELL}loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_occupancy
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
C1 C 1.0 0.1 0.2 0.3
"""


def read(tmp_path: Path, text: str, **options: object) -> list:
    (tmp_path / "a.cif").write_text(text)
    return list(read_structures(tmp_path / "a.cif", **options))  # type: ignore[arg-type]


def test_symmetry_is_expanded(tmp_path: Path) -> None:
    (salt,) = read(tmp_path, SALT)
    assert sorted(salt.numbers.tolist()) == [11] * 4 + [17] * 4
    assert salt.pbc.all()
    assert salt.volume == pytest.approx(5.64**3)
    assert salt.info["spacegroup"] == 225


def test_operations_of_no_known_group_are_applied(tmp_path: Path) -> None:
    text = P1.replace("loop_", "loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\n'x+1/4,y+1/3,z'\nloop_", 1)
    (structure,) = read(tmp_path, text)
    assert len(structure) == 2


def test_no_symmetry_at_all(tmp_path: Path) -> None:
    (structure,) = read(tmp_path, P1)
    np.testing.assert_allclose(structure.positions, [[0.564, 1.128, 1.692]])


def test_several_blocks_are_frames(tmp_path: Path) -> None:
    first, second = read(tmp_path, SALT + "data_global\n_journal_name x\n" + P1)
    assert (len(first), len(second)) == (8, 1)
    assert (first.where.frame, second.where.frame) == (0, 1)
    assert second.where.line == SALT.count("\n") + 3


def test_partial_occupancy_is_an_error_and_the_other_blocks_go_on(tmp_path: Path) -> None:
    failures: list[Failure] = []
    good = read(tmp_path, P1.replace(" 1.0 ", " 0.5 ") + SALT, on_failure=failures.append)
    assert [len(s) for s in good] == [8]
    assert "occupancy 0.5" in failures[0].reason
    assert "disordered" in failures[0].reason


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (P1.replace("0.1 0.2", "? 0.2"), "unknown"),
        (P1.replace("C1 C", "Q1 Q"), "not a chemical element"),
        (P1 + "C2 C 1.0 0.1 0.2 0.301\n", "apart"),
        (P1 + "C2 C 1.0 0.1 0.2 1.301\n", "apart"),
        (P1.replace("_cell_length_a 5.64(1)\n", ""), "unit cell"),
        (SALT.replace("F m -3 m", "G o n e"), "space group 'G o n e' is unknown"),
        (P1.replace("alpha 90", "alpha 0"), "cannot be read"),
        ("data_x\n_a 1\n", "no data block"),
        ("", "no data block"),
    ],
)
def test_what_has_no_structure(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read(tmp_path, text)


def test_syntax_errors_name_the_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not valid CIF") as caught:
        read(tmp_path, SALT + "Na2 0.1\n")
    assert caught.value.where.line is not None


def test_tags_that_stand_twice(tmp_path: Path) -> None:
    (salt,) = read(tmp_path, SALT.replace("_cell_length_a", "_chemical_name x\n_chemical_name x\n_cell_length_a"))
    assert len(salt) == 8


def test_compressed(tmp_path: Path) -> None:
    (tmp_path / "a.cif.gz").write_bytes(gzip.compress(SALT.encode()))
    (salt,) = list(read_structures(tmp_path / "a.cif.gz"))
    assert len(salt) == 8


def crystal(**changes: object) -> Structure:
    fields = {"energy": -3.25, "info": {}} | changes
    positions = np.array([[0.1, 0.2, 0.3], [2.0, 2.0, 2.0]])
    return Structure(np.array([11, 17]), positions, np.eye(3) * 4, np.array([True] * 3), **fields)  # type: ignore[arg-type]


few = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@few
@given(st.dictionaries(names | st.text("aA_1", min_size=1, max_size=3), values, max_size=6))
def test_entries_come_back(tmp_path: Path, info: dict) -> None:
    write_structures(tmp_path / "a.cif", [crystal(info=info, charge=1.0)], overwrite=True)
    (back,) = list(read_structures(tmp_path / "a.cif"))
    assert same({key: back.info[key] for key in info}, info)
    assert (back.energy, back.charge) == (-3.25, 1.0)


def test_what_a_model_made_is_readable_by_name(tmp_path: Path) -> None:
    info = {"sample": 4, "seed": 1, "target": 7, "flags": "overlap,cell", "model": "flow", "name": "a b", "ok": True}
    write_structures(tmp_path / "a.cif", [crystal(info=info)], provenance={"eqcli": "9.9"})
    text = (tmp_path / "a.cif").read_text()
    assert text.startswith('# eqcli {"eqcli":"9.9"}\n')
    for line in ("_eqcli_sample 4", "_eqcli_flags 'overlap,cell'", "_eqcli_energy -3.25", "_eqcli_ok true", "data_a_b"):
        assert f"\n{line}\n" in f"\n{text}"
    (back,) = list(read_structures(tmp_path / "a.cif"))
    assert {key: back.info[key] for key in info} == info
    pytest.importorskip("pymatgen.core")
    from pymatgen.io.cif import CifParser

    (theirs,) = CifParser(tmp_path / "a.cif").parse_structures(primitive=False)
    np.testing.assert_allclose(theirs.lattice.abc, [4, 4, 4])


def test_entries_with_names_of_labels_stay_entries(tmp_path: Path) -> None:
    write_structures(tmp_path / "a.cif", [crystal(energy=None, info={"energy": 5.0, "charge": 2, "REF_energy": 1.0})])
    (back,) = list(read_structures(tmp_path / "a.cif"))
    assert (back.energy, back.charge) == (None, None)
    assert back.info["original_energy"] == 5
    assert back.info["original_charge"] == 2
    assert back.info["REF_energy"] == 1


def test_damaged_entries_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not valid JSON"):
        read(tmp_path, P1.replace("loop_", "_eqcli_json\n;{\n;\nloop_", 1))


def test_generated_crystals_may_overlap(tmp_path: Path) -> None:
    positions = np.array([[1.0, 1, 1], [1, 1, 1.01], [1, 1, 1]])
    made = Structure(np.array([6, 6, 6]), positions, np.eye(3) * 4, np.array([True] * 3), info={"sample": 0})
    write_structures(tmp_path / "a.cif", [made])
    (back,) = list(read_structures(tmp_path / "a.cif"))
    np.testing.assert_allclose(back.positions, positions)
    made.info = {}
    write_structures(tmp_path / "b.cif", [made])
    with pytest.raises(InputError, match="apart"):
        list(read_structures(tmp_path / "b.cif"))


def test_blocks_are_placed_in_one_pass(tmp_path: Path) -> None:
    text = "".join(P1.replace("data_one", f"data_one_{i}") for i in range(3000))
    start = time.process_time()
    found = read(tmp_path, text)
    assert [s.where.line for s in found] == [1 + i * P1.count("\n") for i in range(3000)]
    assert time.process_time() - start < 5
