"""Tables of structures: Matbench's JSON, JARVIS's and mlearn's records, id_prop.csv, columns of CIFs."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eqcli.errors import Failure, InputError
from eqcli.io import LabelConvention, Structure, json_stream, label_report, read_structures, write_structures

CELL = np.array([[4.0, 0.1, 0], [0, 5, 0.2], [0.3, 0, 6]])


def pymatgen(element: str = "Na", x: float = 0.0) -> dict[str, Any]:
    """As `Structure.as_dict` of pymatgen writes it."""

    def site(symbol: str, abc: list[float]) -> dict[str, Any]:
        return {"species": [{"element": symbol, "occu": 1}], "abc": abc, "xyz": (np.array(abc) @ CELL).tolist(),
                "label": symbol, "properties": {}}  # fmt: skip

    return {
        "@module": "pymatgen.core.structure",
        "@class": "Structure",
        "charge": None,
        "lattice": {"matrix": CELL.tolist(), "a": 4.0, "b": 5.0, "c": 6.0, "volume": 120.0},
        "sites": [site(element, [x, 0, 0]), site("Cl", [0.5, 0.5, 0.5])],
    }


def matbench(rows: int = 4, **changes: Any) -> dict[str, Any]:
    data = [[pymatgen(x=0.01 * i), -1.5 * i] for i in range(rows)]
    index = [f"mb-e-form-{i:03}" for i in range(rows)]
    return {"index": index, "columns": ["structure", "e_form"], "data": data} | changes


def read(path: Path, labels: LabelConvention | None = None) -> list[Structure]:
    return list(read_structures(path, labels))


@pytest.mark.parametrize("chunk", [1, 300, 1 << 20])
def test_matbench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(json_stream, "CHUNK", chunk)
    path = tmp_path / "matbench_mp_e_form.json.gz"
    path.write_bytes(gzip.compress(json.dumps(matbench()).encode()))
    structures = read(path)
    assert [s.info["e_form"] for s in structures] == [0, -1.5, -3, -4.5]
    assert [s.info["name"] for s in structures] == [f"mb-e-form-{i:03}" for i in range(4)]
    for i, structure in enumerate(structures):
        np.testing.assert_allclose(structure.positions, [np.array([0.01 * i, 0, 0]) @ CELL, CELL.sum(axis=0) / 2])
        np.testing.assert_array_equal(structure.cell, CELL)
        assert structure.pbc.all()
        assert structure.energy is None
    assert read(path, LabelConvention(energy="e_form"))[1].energy == -1.5
    assert "layout: Matbench" in "\n".join(label_report(path).lines())


def test_rows_of_matbench_are_read_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "CHUNK", 1000)
    (tmp_path / "a.json").write_text(json.dumps(matbench(50))[:-1000])
    assert next(read_structures(tmp_path / "a.json")).info["e_form"] == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (matbench(columns=["composition", "gap"]), "no column holds structures"),
        ({"index": [], "data": [], "columns": []}, "before the names"),
        (matbench(0), "no rows"),
        (matbench(data=[]), "no rows"),
    ],
)
def test_tables_that_are_none(tmp_path: Path, content: dict[str, Any], message: str) -> None:
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path / "a.json")
    assert caught.value.where.file == tmp_path / "a.json"


def test_malformed_rows_of_matbench(tmp_path: Path) -> None:
    table = matbench()
    table["data"][1] = [pymatgen()]
    table["data"][2] = [pymatgen("Qq"), 1.0]
    (tmp_path / "a.json").write_text(json.dumps(table))
    failures: list[Failure] = []
    assert len(list(read_structures(tmp_path / "a.json", on_failure=failures.append))) == 2
    assert [failure.where.frame for failure in failures] == [1, 2]
    assert "'Qq' is not a chemical element" in failures[1].reason


@pytest.mark.parametrize("cut", [20, 600, -1, -2])
def test_matbench_cut_off(tmp_path: Path, cut: int) -> None:
    (tmp_path / "a.json").write_text(json.dumps(matbench())[:cut])
    with pytest.raises(InputError) as caught:
        read(tmp_path / "a.json")
    assert caught.value.where.file == tmp_path / "a.json"


def test_a_damaged_gz(tmp_path: Path) -> None:
    content = gzip.compress(json.dumps(matbench()).encode())
    (tmp_path / "a.json.gz").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="damaged"):
        read(tmp_path / "a.json.gz")


JARVIS = {
    "jid": "JVASP-1",
    "atoms": {"lattice_mat": CELL.tolist(), "coords": [[0, 0, 0], [0.5, 0.5, 0.5]], "elements": ["Na ", "Cl"],
              "abc": [4, 5, 6], "angles": [90, 90, 90], "cartesian": False, "props": ["", ""]},
    "formation_energy_peratom": -1.9,
    "optb88vdw_bandgap": 5.0,
    "mbj_bandgap": "na",
    "efg": [],
}  # fmt: skip


def test_jarvis_in_its_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "jdft_3d.json.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("jdft_3d-12-12-2022.json", json.dumps([JARVIS, JARVIS]))
    first, _ = read(tmp_path / "jdft_3d.json.zip")
    assert first.numbers.tolist() == [11, 17]
    np.testing.assert_allclose(first.positions[1], CELL.sum(axis=0) / 2)
    assert (first.info["jid"], first.info["optb88vdw_bandgap"], first.energy) == ("JVASP-1", 5.0, None)
    assert "mbj_bandgap" not in first.info


def test_other_zips(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.json.zip", "w") as archive:
        archive.writestr("a.json", "[]")
        archive.writestr("b.json", "[]")
    with pytest.raises(InputError, match=r"2 \.json files; expected one"):
        read(tmp_path / "a.json.zip")
    (tmp_path / "b.json.zip").write_bytes((tmp_path / "a.json.zip").read_bytes()[:50])
    with pytest.raises(InputError, match=r"not a \.zip file"):
        read(tmp_path / "b.json.zip")


def test_mlearn_as_its_authors_have_it(tmp_path: Path) -> None:
    record = {
        "structure": pymatgen(),
        "num_atoms": 2,
        "group": "Elastic",
        "description": "strain -0.06",
        "outputs": {"energy": -10.0, "forces": [[0.1, 0, 0], [-0.1, 0, 0]], "virial_stress": [99.0, 45, 45, 1, 2, 3]},
    }
    (tmp_path / "training.json").write_text(json.dumps([record]))
    labels = LabelConvention(stress_unit="kbar", stress_sign="vasp", stress_order="xx yy zz xy yz xz")
    (structure,) = read(tmp_path / "training.json", labels)
    assert (structure.energy, structure.info["group"]) == (-10.0, "Elastic")
    np.testing.assert_array_equal(structure.forces, [[0.1, 0, 0], [-0.1, 0, 0]])
    np.testing.assert_allclose(structure.stress * -1602.176634, [[99, 1, 3], [1, 45, 2], [3, 2, 45]])


SALT = Structure(np.array([11, 17]), np.array([[0.0, 0, 0], [2, 2.5, 3]]), np.diag([4.0, 5, 6]), np.ones(3, dtype=bool))
"""In a cell that CIF and POSCAR give back."""


def write_folder(folder: Path, ending: str, names: tuple[str, ...] = ("a", "b")) -> Path:
    for i, name in enumerate(names):
        salt = Structure(SALT.numbers + 8 * i, SALT.positions, SALT.cell, SALT.pbc)
        write_structures(folder / f"{name}{ending}", [salt], overwrite=True)
    return folder / "id_prop.csv"


@pytest.mark.parametrize("ending", [".cif", ".vasp", ".xyz"])
@pytest.mark.parametrize("stated", [True, False])
def test_id_prop(tmp_path: Path, ending: str, stated: bool) -> None:
    path = write_folder(tmp_path, ending)
    path.write_text("".join(f"{name}{ending if stated else ''},{value}\n" for name, value in (("a", 0.5), ("b", -1))))
    first, second = read(path)
    assert [s.numbers.tolist() for s in (first, second)] == [[11, 17], [19, 25]]
    np.testing.assert_allclose(first.cell, SALT.cell, atol=1e-12)
    assert (first.info["target"], second.info["target"]) == (0.5, -1)
    assert second.info["name"] == (f"b{ending}" if stated else "b")
    assert (second.where.file, second.where.frame, second.where.line) == (path, 1, 2)
    assert first.energy is None
    assert read(path, LabelConvention(energy="target"))[0].energy == 0.5


def test_several_targets(tmp_path: Path) -> None:
    path = write_folder(tmp_path, ".cif")
    path.write_text("a,0.5,2,nan,\nb,1,2,3,4\n")
    first, second = read(path)
    assert {k: v for k, v in first.info.items() if k.startswith("target")} == {"target_1": 0.5, "target_2": 2}
    assert second.info["target_4"] == 4


def test_rows_without_a_structure(tmp_path: Path) -> None:
    path = write_folder(tmp_path, ".cif", ("a", "b", "c"))
    (tmp_path / "b.cif").write_text("rubbish")
    (tmp_path.parent / "outside.cif").write_bytes((tmp_path / "a.cif").read_bytes())
    path.write_text("a,1\nb,2\nmissing,3\n../outside,4\nc,5\n")
    failures: list[Failure] = []
    assert [s.info["target"] for s in read_structures(path, on_failure=failures.append)] == [1, 5]
    assert [(f.where.file, f.where.line) for f in failures] == [(path, 2), (path, 3), (path, 4)]
    assert "b.cif" in failures[0].reason
    assert "no structure file 'missing' beside the table" in failures[1].reason


@pytest.mark.parametrize("content", ["a,b\n1,2\n", "x\n", "nothing.cif,1\n", '"a\n', "file,frame,formula,n_atoms\n"])
def test_tables_without_structures(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(InputError) as caught:
        read(tmp_path / "a.csv")
    assert caught.value.where.file == tmp_path / "a.csv"


def test_a_column_of_cifs(tmp_path: Path) -> None:
    write_folder(tmp_path, ".cif")
    texts = [(tmp_path / f"{name}.cif").read_text() for name in "ab"]
    rows = "".join(f'{i},mp-{i},"{text}",-1.{i}\n' for i, text in enumerate([*texts, "rubbish"]))
    (tmp_path / "train.csv").write_text(f",material_id,cif,heat_all\n{rows}")
    failures: list[Failure] = []
    first, second = read_structures(tmp_path / "train.csv", on_failure=failures.append)
    assert (first.info["material_id"], second.info["heat_all"]) == ("mp-0", -1.1)
    assert second.numbers.tolist() == [19, 25]
    assert first.pbc.all()
    assert [failure.where.frame for failure in failures] == [2]
    assert failures[0].where.line == 4 + sum(text.count("\n") for text in texts)


def test_jarvis_folder(shared: Path) -> None:
    structures = read(shared / "jarvis_sample" / "id_prop.csv")
    assert len(structures) == 50
    gaps = {s.info["name"]: s.info["target"] for s in structures}
    assert gaps["POSCAR-JVASP-98225.vasp"] == 0.472
    assert all(s.pbc.all() and s.energy is None for s in structures)


def test_cgcnn_folder(shared: Path) -> None:
    structures = read(shared / "cgcnn_sample" / "id_prop.csv")
    assert [s.info["target"] for s in structures] == list(range(1, len(structures) + 1))
    (alone,) = read(shared / "cgcnn_sample" / f"{structures[0].info['name']}.cif")
    np.testing.assert_array_equal(structures[0].positions, alone.positions)


def test_crystals_of_generation_benchmarks(shared: Path) -> None:
    for name in ("perov_5/train.csv", "mp_20_biternary/train.csv.gz"):
        first = list(read_structures(shared / "crystals" / name, index=":20"))
        assert len(first) == 20
        assert all(s.pbc.all() and "material_id" in s.info for s in first)
    first = next(read_structures(shared / "crystals" / "perov_5" / "train.csv"))
    assert first.volume == pytest.approx(78.36342504, rel=1e-6)
    assert sorted(first.numbers.tolist()) == [7, 7, 7, 29, 48]


def test_acac(shared: Path) -> None:
    folder = shared / "acac"
    train = read(folder / "train_300K.xyz")
    assert len(train) == 500
    assert all(s.energy is not None and s.forces is not None and not s.pbc.any() for s in train)
    dihedral = read(folder / "test_dihedral.xyz")
    assert len(dihedral) == 45
    assert all(s.energy is not None and s.forces is None for s in dihedral)
    angles = [s.info["dihedral_angle"] for s in dihedral]
    assert len(set(angles)) > 30
    atoms = read(folder / "isolated_atoms.xyz")
    assert [len(s) for s in atoms] == [1, 1, 1]
    assert {s.info["config_type"] for s in atoms} == {"isolated_atom"}
    assert {s.energy is None for s in read(folder / "test_H_transfer.xyz")} == {False}
