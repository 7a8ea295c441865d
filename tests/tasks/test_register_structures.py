"""Files of structures: what they are taken for, and the result."""

from __future__ import annotations

import numpy as np
import pytest

from eqcli.engine.registered_structures import moved_structure
from eqcli.errors import ExitCode, InputError
from eqcli.io.reading import read_structures
from eqcli.io.structure import Structure
from eqcli.io.writing import write_structures
from eqcli.tasks.register_request import RegisterRequest
from eqcli.tasks.register_structures import kind_of, register_structures
from tests.geometry.made_chains import made_chain, turned

WATER = Structure([8, 1, 1], [[0, 0, 0.1], [0, 0.76, -0.5], [0, -0.76, -0.5]])


def trace(chain, cell=False):
    arrays = {
        "atom_name": np.full(len(chain), "CA"),
        "residue_name": np.full(len(chain), "ALA"),
        "chain": np.full(len(chain), "A"),
        "residue_number": np.arange(len(chain)),
    }
    box = np.eye(3) * 90 if cell else np.zeros((3, 3))
    return Structure(np.full(len(chain), 6), chain, box, cell, arrays=arrays)


def salt():
    from ase.build import bulk

    made = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    return Structure(made.numbers, made.positions, made.cell.array, True)


@pytest.fixture
def files(tmp_path):
    """Two files of each kind, the second turned."""
    rng = np.random.default_rng(0)
    found = {}
    kinds = {
        "molecules": (WATER, ".xyz"),
        "proteins": (trace(made_chain(40, 1), cell=True), ".pdb"),
        "crystals": (salt(), ".vasp"),
    }
    for kind, (structure, ending) in kinds.items():
        found[kind] = (tmp_path / f"{kind}_a{ending}", tmp_path / f"{kind}_b{ending}")
        write_structures(found[kind][0], [structure])
        write_structures(found[kind][1], [moved_structure(structure, turned(rng), rng.normal(size=3))])
    return found


def test_kinds(files, tmp_path):
    for kind, pair in files.items():
        assert kind_of(*pair) == kind
    cloud = tmp_path / "cloud.xyz"
    cloud.write_text("\n".join("0.1 0.2 0.3" for _ in range(9)) + "\n")
    assert kind_of(cloud, cloud) == "clouds"
    assert kind_of(cloud, files["molecules"][0]) == "clouds"
    with pytest.raises(InputError, match="the source is a crystal and the target a molecule"):
        kind_of(files["crystals"][0], files["molecules"][0])


@pytest.mark.parametrize("kind", ["molecules", "proteins", "crystals"])
def test_every_kind_from_file_to_file(files, tmp_path, kind):
    if kind == "crystals":
        pytest.importorskip("pymatgen", reason="pymatgen is not installed")
    source, target = files[kind]
    result = register_structures(RegisterRequest(source, target))
    assert result.exit_code == ExitCode.OK
    assert result.registered.kind == kind
    assert result.registered.rmsd < 0.01
    told = dict(result.summary())
    assert told["alignment"] == "reliable"
    assert "matrix" in told
    plain = result.as_dict()
    matrix = np.array(plain["motion"]["matrix"])
    first = next(read_structures(source))
    moved = first.positions @ matrix[:3, :3].T + matrix[:3, 3]
    np.testing.assert_allclose(result.registered.moved.positions, moved, atol=1e-9)
    output = tmp_path / ("out" + source.suffix)
    result.write(output)
    assert len(next(read_structures(output))) == len(first)


def test_nothing_is_written_without_an_alignment(files, tmp_path):
    other = tmp_path / "other.pdb"
    write_structures(other, [trace(made_chain(60, 9))])
    fold = tmp_path / "fold.pdb"
    write_structures(fold, [trace(made_chain(120, 10))])
    result = register_structures(RegisterRequest(fold, other))
    assert result.exit_code == ExitCode.PARTIAL
    assert result.failures[0].reason.startswith("no reliable alignment")
    assert result.as_dict()["motion"] is None
    assert "matrix" not in dict(result.summary())
    with pytest.raises(InputError, match="no reliable alignment"):
        result.write(tmp_path / "out.pdb")


def test_mirror_images_have_a_matrix(tmp_path):
    rng = np.random.default_rng(1)
    source = Structure([6, 9, 17, 35, 1], rng.normal(size=(5, 3)) * 1.5)
    paths = [tmp_path / "a.xyz", tmp_path / "b.xyz"]
    for path, structure in zip(paths, (source, moved_structure(source, -turned(rng), np.ones(3))), strict=True):
        write_structures(path, [structure])
    result = register_structures(RegisterRequest(*paths, reflect=True))
    assert result.motion["mirrored"]
    assert np.linalg.det(np.array(result.motion["matrix"])[:3, :3]) == pytest.approx(-1)
    assert "inverted" in dict(result.summary())["mirror"]


def test_the_first_of_several_is_taken(tmp_path):
    path = tmp_path / "two.xyz"
    write_structures(path, [WATER, WATER])
    assert "several structures" in register_structures(RegisterRequest(path, path)).notes[0]
