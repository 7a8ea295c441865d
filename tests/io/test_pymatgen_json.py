"""pymatgen's dictionaries: what it makes is read, what is written it reads."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from eqcli.errors import Failure, InputError
from eqcli.io import Structure, read_structures, write_structures
from eqcli.io.extxyz_writer import PROVENANCE_KEY
from tests.io.structures import same, structures

few = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ORIGIN = {"eqcli": "9.9", "command": ["a", 'b"']}


def salt(**info: Any) -> Structure:
    cell = np.array([[4.0, 0, 0], [0.3, 4.1, 0], [0.1, -0.2, 4.3]])
    return Structure(
        np.array([11, 17]),
        np.array([[0.1, 0, 0], [2.0, 2, 2]]),
        cell,
        np.array([True] * 3),
        energy=-7.5,
        forces=np.array([[0.1, 0, 0], [-0.1, 0, 0]]),
        stress=np.diag([0.1, 0.2, 0.3]),
        info=info,
    )


def as_written(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_pymatgen_reads_what_is_written(tmp_path: Path) -> None:
    core = pytest.importorskip("pymatgen.core")
    monty = pytest.importorskip("monty.serialization")
    path = tmp_path / "a.json"
    written = salt(sample=3, seed=1, flags="overlap", material_id="x")
    assert write_structures(path, [written, salt()], provenance=ORIGIN) == 2
    content = json.loads(path.read_text())
    assert content[0][PROVENANCE_KEY] == ORIGIN
    assert PROVENANCE_KEY not in content[1]
    for first, _ in ([core.Structure.from_dict(d) for d in content], monty.loadfn(path)):
        assert isinstance(first, core.Structure)
        assert [site.specie.Z for site in first] == [11, 17]
        np.testing.assert_allclose(first.cart_coords, written.positions, atol=1e-12)
        np.testing.assert_array_equal(first.lattice.matrix, written.cell)
        assert first.lattice.pbc == (True, True, True)
        assert first.properties == {**written.info, "energy": -7.5, "stress": written.stress.tolist()}
        np.testing.assert_array_equal(first.site_properties["forces"], written.forces)


def test_molecules_are_pymatgen_molecules(tmp_path: Path) -> None:
    core = pytest.importorskip("pymatgen.core")
    water = Structure(np.array([8, 1, 1]), np.eye(3), charge=1.0, info={"name": "w"})
    write_structures(tmp_path / "a.json", [water])
    (content,) = json.loads((tmp_path / "a.json").read_text())
    molecule = core.Molecule.from_dict(content)
    assert molecule.charge == 1
    assert molecule.properties["name"] == "w"
    np.testing.assert_array_equal(molecule.cart_coords, water.positions)
    (back,) = read_structures(tmp_path / "a.json")
    assert not back.pbc.any()
    assert back.charge == 1


@few
@given(structures())
def test_everything_comes_back(tmp_path: Path, structure: Structure) -> None:
    structure.positions = np.clip(structure.positions, -1e3, 1e3)
    write_structures(tmp_path / "a.json", [structure], overwrite=True)
    (back,) = read_structures(tmp_path / "a.json")
    np.testing.assert_allclose(back.positions, structure.positions, atol=1e-9)
    for name in ("numbers", "cell", "pbc", "forces", "stress"):
        np.testing.assert_array_equal(getattr(back, name), getattr(structure, name), err_msg=name)
    assert back.energy == structure.energy
    assert back.charge == structure.charge
    assert same(back.info, structure.info)
    assert (back.fixed is None) == (structure.fixed is None)
    if structure.fixed is not None:
        np.testing.assert_array_equal(back.fixed, structure.fixed)
    assert back.arrays.keys() == structure.arrays.keys()
    for name, values in structure.arrays.items():
        np.testing.assert_array_equal(back.arrays[name], values, err_msg=name)


def test_atoms_held_in_some_directions(tmp_path: Path) -> None:
    held = salt()
    held.arrays["move_mask"] = np.array([[True, False, True], [True] * 3])
    write_structures(tmp_path / "a.json", [held])
    (back,) = read_structures(tmp_path / "a.json")
    np.testing.assert_array_equal(back.free_directions, held.free_directions)


def made_by_pymatgen(n: int = 1) -> list[Any]:
    core = pytest.importorskip("pymatgen.core")
    made = []
    for i in range(n):
        sites = {"magmom": [1.0, -1.0], "kind": ["a", None], "odd": [[1], [1, 2]]}
        made.append(
            core.Structure(
                core.Lattice([[4, 0, 0], [0, 4, 0], [0.5, 0, 4]], pbc=(True, True, i == 0)),
                ["Na+", "Cl-"],
                [[0, 0, 0], [0.5, 0.5, 0.5]],
                properties={"gap": 5.0 + i},
                site_properties=sites,
            )
        )
    return made


def test_properties_sites_and_periods_are_read(tmp_path: Path) -> None:
    made = made_by_pymatgen(2)
    a, b = read_structures(as_written(tmp_path / "a.json", [m.as_dict() for m in made]))
    assert a.numbers.tolist() == [11, 17]
    np.testing.assert_allclose(a.positions, made[0].cart_coords)
    assert (a.info["gap"], b.info["gap"]) == (5, 6)
    assert a.info["odd"] == [[1], [1, 2]]
    assert a.arrays["magmom"].tolist() == [1, -1]
    assert (a.pbc.tolist(), b.pbc.tolist()) == ([True] * 3, [True, True, False])
    assert a.charge is None


def test_entries_bear_their_total_energy(tmp_path: Path) -> None:
    entries = pytest.importorskip("pymatgen.entries.computed_entries")
    entry = entries.ComputedStructureEntry(
        made_by_pymatgen()[0], -6.5, correction=0.3, entry_id="mp-1", data={"oxide": "x"}
    )
    for content in ([entry.as_dict()], {"entries": [entry.as_dict()], "hull": 0.1}, entry.as_dict()):
        (back,) = read_structures(as_written(tmp_path / "a.json", content))
        assert back.energy == -6.5
        assert back.info["entry_id"] == "mp-1"
        assert back.info["correction"] == pytest.approx(0.3)
        assert back.info["data"] == {"oxide": "x"}
        assert not any(key.startswith("@") for key in back.info)


@pytest.mark.parametrize("first", [True, False])
def test_lists_and_names_within_objects(tmp_path: Path, first: bool) -> None:
    made = [m.as_dict() for m in made_by_pymatgen(2)]
    other = {"provenance": {"a": 1}}
    content = {"structures": made, **other} if first else {**{"note": "x"}, **other, "structures": made}
    assert [s.info["gap"] for s in read_structures(as_written(tmp_path / "a.json", content))] == [5, 6]
    named = {"mp-1": made[0], "mp-2": {"structure": made[1], "energy": -1.0}}
    a, b = read_structures(as_written(tmp_path / "b.json", named))
    assert (a.info["name"], b.info["name"], b.energy) == ("mp-1", "mp-2", -1.0)


def test_a_named_record_that_is_none_is_a_row(tmp_path: Path) -> None:
    content = {"mp-1": made_by_pymatgen()[0].as_dict(), "mp-2": {"x": 1}, "mp-3": 5}
    failures: list[Failure] = []
    path = as_written(tmp_path / "a.json", content)
    assert len(list(read_structures(path, on_failure=failures.append))) == 1
    assert len(failures) == 2


def test_disorder_is_an_error(tmp_path: Path) -> None:
    made = made_by_pymatgen()[0]
    made[0] = {"Na": 0.5, "K": 0.5}
    with pytest.raises(InputError, match="partly occupied"):
        list(read_structures(as_written(tmp_path / "a.json", [made.as_dict()])))


def test_compressed_files_are_read(tmp_path: Path) -> None:
    write_structures(tmp_path / "a.json", [salt(), salt()])
    content = (tmp_path / "a.json").read_bytes()
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(content))
    with zipfile.ZipFile(tmp_path / "c.json.zip", "w") as archive:
        archive.writestr("a.json", content)
    for name in ("b.json.gz", "c.json.zip"):
        assert [s.energy for s in read_structures(tmp_path / name)] == [-7.5, -7.5]


def test_a_flat_cell_is_refused(tmp_path: Path) -> None:
    flat = Structure(np.array([1]), np.zeros((1, 3)), np.diag([4.0, 4, 0]), np.array([True, True, False]))
    with pytest.raises(InputError, match="needs a cell"):
        write_structures(tmp_path / "a.json", [flat])
