"""Open Catalyst's and ASE's LMDB databases, written here in the layouts of their distributions."""

from __future__ import annotations

import copyreg
import io
import json
import pickle
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from eqcli.errors import Failure, InputError
from eqcli.io import LabelConvention, Structure, label_report, read_structures
from eqcli.io.inert_objects import loads
from eqcli.io.inert_pickle import Inert

lmdb = pytest.importorskip("lmdb")


def write_lmdb(path: Path, contents: dict[str, bytes]) -> Path:
    with (
        lmdb.open(str(path), subdir=False, map_size=1 << 24, lock=False) as environment,
        environment.begin(write=True) as transaction,
    ):
        for key, value in contents.items():
            transaction.put(key.encode(), value)
    return path


def slab(seed: int, n: int = 4) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "atomic_numbers": torch.tensor([29.0, 29.0, 8.0, 1.0][:n]),
        "pos": torch.randn(n, 3, generator=generator),
        "cell": torch.diag(torch.tensor([5.0, 6.0, 20.0]))[None],
        "natoms": n,
        "tags": torch.tensor([0, 1, 2, 2][:n]),
        "fixed": torch.tensor([1.0, 0.0, 0.0, 0.0][:n]),
        "edge_index": torch.zeros(2, 7, dtype=torch.long),
        "cell_offsets": torch.zeros(7, 3),
        "sid": 1000 + seed,
    }


def s2ef(seed: int) -> dict[str, Any]:
    force = torch.randn(4, 3, generator=torch.Generator().manual_seed(seed + 100))
    return slab(seed) | {"y": -1.5 - seed, "force": force, "fid": seed}


def is2re(seed: int) -> dict[str, Any]:
    return slab(seed) | {"y_init": 6.0, "y_relaxed": -2.0, "pos_relaxed": torch.ones(4, 3)}


def old_data(fields: dict[str, Any]) -> Any:
    """A `Data` as torch-geometric had it before version 2: attributes without a store."""
    data = object.__new__(Data)
    data.__dict__.update({"x": None, **fields})
    return data


class OldPickler(pickle.Pickler):
    """Pickles a `Data` by its attributes, as Python does with any class that does not say how."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, Data) and "_store" not in value.__dict__:
            return copyreg.__newobj__, (Data,), value.__dict__
        return NotImplemented


def dumps(value: Any) -> bytes:
    stream = io.BytesIO()
    OldPickler(stream, protocol=-1).dump(value)
    return stream.getvalue()


def write_oc20(path: Path, records: list[Any], length: bool = True) -> Path:
    contents = {str(i): dumps(record) for i, record in enumerate(records)}
    if length:
        contents["length"] = pickle.dumps(len(records), protocol=-1)
    return write_lmdb(path, contents)


def read(path: Path, labels: LabelConvention | None = None) -> list[Structure]:
    return list(read_structures(path, labels))


@pytest.mark.parametrize("make", [lambda f: Data.from_dict(f), old_data, lambda f: f])
@pytest.mark.parametrize("length", [True, False])
def test_s2ef(tmp_path: Path, make: Any, length: bool) -> None:
    # More than ten, since keys are sorted as text in the file.
    fields = [s2ef(i) for i in range(12)]
    structures = read(write_oc20(tmp_path / "data.0000.lmdb", [make(f) for f in fields], length))
    assert len(structures) == 12
    for expected, structure in zip(fields, structures, strict=True):
        assert structure.numbers.tolist() == [29, 29, 8, 1]
        np.testing.assert_array_equal(structure.positions, expected["pos"].double().numpy())
        np.testing.assert_array_equal(structure.cell, np.diag([5.0, 6.0, 20.0]))
        assert structure.pbc.all()
        assert structure.energy == expected["y"]
        np.testing.assert_array_equal(structure.forces, expected["force"].double().numpy())
        assert structure.fixed.tolist() == [True, False, False, False]
        assert structure.arrays["tags"].tolist() == [0, 1, 2, 2]
        assert (structure.info["sid"], structure.info["fid"]) == (expected["sid"], expected["fid"])
        assert "edge_index" not in structure.info.keys() | structure.arrays.keys()


def test_is2re_does_not_give_the_relaxed_energy_to_the_first_positions(tmp_path: Path) -> None:
    path = write_oc20(tmp_path / "data.lmdb", [Data.from_dict(is2re(0))])
    (structure,) = read(path)
    assert (structure.energy, structure.info["y_relaxed"]) == (6.0, -2.0)
    np.testing.assert_array_equal(structure.arrays["pos_relaxed"], np.ones((4, 3)))
    assert "'y_relaxed' belongs to 'pos_relaxed'" in "\n".join(label_report(path).lines())
    assert read(path, LabelConvention(energy="y_relaxed"))[0].energy == -2.0


def test_one_atom(tmp_path: Path) -> None:
    fields = slab(0, 1) | {"y": torch.tensor([-3.0]), "force": torch.zeros(1, 3)}
    (structure,) = read(write_oc20(tmp_path / "a.lmdb", [Data.from_dict(fields)]))
    assert structure.energy == -3
    assert structure.forces.shape == (1, 3)


class Malicious:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return (exec, (f"open({str(self.marker)!r}, 'w').write('ran')",))


def test_code_in_a_record_does_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    record = s2ef(0) | {"extra": Malicious(marker)}
    (structure,) = read(write_oc20(tmp_path / "a.lmdb", [record]))
    assert structure.energy == -1.5
    assert not marker.exists()
    # An ordinary reader runs it.
    pickle.loads(pickle.dumps(record))
    assert marker.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pos": None}, "it lacks 'pos'"),
        ({"pos": torch.zeros(3, 3)}, "'pos' is 3 x 3; expected 4 x 3"),
        ({"natoms": 5}, "'natoms' is [5]"),
        ({"atomic_numbers": torch.tensor([29.0, 29.0, 8.0, 0.5])}, "'atomic_numbers' holds what is none"),
        ({"cell": torch.zeros(2, 3, 3)}, "'cell' is 6 x 3"),
        ({"fixed": torch.zeros(3)}, "'fixed' has 3 entries"),
        ({"force": torch.zeros(4)}, "forces are 4 x 3"),
    ],
)
def test_malformed_records(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    bad = {key: value for key, value in (s2ef(1) | change).items() if value is not None}
    path = write_oc20(tmp_path / "a.lmdb", [Data.from_dict(s2ef(0)), Data.from_dict(bad), Data.from_dict(s2ef(2))])
    failures: list[Failure] = []
    assert [s.energy for s in read_structures(path, on_failure=failures.append)] == [-1.5, -3.5]
    assert [failure.where.frame for failure in failures] == [1]
    assert message in failures[0].reason


@pytest.mark.parametrize(
    "content", [b"", b"\x80\x04rubbish", pickle.dumps(3), pickle.dumps(s2ef(0), protocol=-1)[:-30]]
)
def test_damaged_records(tmp_path: Path, content: bytes) -> None:
    good = pickle.dumps(s2ef(0), protocol=-1)
    path = write_lmdb(tmp_path / "a.lmdb", {"0": good, "1": content, "2": good, "length": pickle.dumps(4)})
    failures: list[Failure] = []
    assert len(list(read_structures(path, on_failure=failures.append))) == 2
    assert [failure.where.frame for failure in failures] == [1, 3]
    assert "no record '3'" in failures[1].reason


def test_files_that_are_cut_off_are_refused_before_they_are_mapped(tmp_path: Path) -> None:
    path = write_oc20(tmp_path / "a.lmdb", [s2ef(i) for i in range(50)])
    whole = path.read_bytes()
    for size in (3000, 5000, 8192, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"cut off|not an LMDB file") as caught:
            read(path)
        assert caught.value.where.file == path


def test_the_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_oc20(tmp_path / "a.lmdb", [s2ef(0)])
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(InputError, match=r"needs the package lmdb") as caught:
        read(path)
    assert "eqcli[lmdb]" in caught.value.hint


def test_no_file_is_left_beside_the_data(tmp_path: Path) -> None:
    path = write_oc20(tmp_path / "a.lmdb", [s2ef(0)])
    (tmp_path / "a.lmdb-lock").unlink(missing_ok=True)
    read(path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.lmdb"]


def test_pickled_tensors_and_arrays_are_rebuilt() -> None:
    tensor = torch.arange(24.0, dtype=torch.float64).reshape(2, 3, 4)
    record = {
        "view": tensor.transpose(0, 2)[1:],
        "half": tensor.half(),
        "mask": torch.tensor([True, False]),
        "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(3),
        "array": np.arange(6.0).reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)),
        "number": np.float64(2.5),
        "nested": [(torch.ones(2), {"a": np.zeros(1)})],
        "parameter": torch.nn.Parameter(torch.ones(3)),
    }
    for protocol in (2, 4, 5):
        back = loads(pickle.dumps(record, protocol=protocol))
        for key in ("view", "half", "mask", "empty", "scalar"):
            np.testing.assert_array_equal(back[key], record[key].numpy())
            assert back[key].dtype == record[key].numpy().dtype
        for key in ("array", "fortran"):
            np.testing.assert_array_equal(back[key], record[key])
        assert back["number"] == 2.5
        np.testing.assert_array_equal(back["nested"][0][0], np.ones(2))
        np.testing.assert_array_equal(back["nested"][0][1]["a"], np.zeros(1))
        np.testing.assert_array_equal(back["parameter"], np.ones(3))


def test_pickled_names_stay_inert() -> None:
    found = loads(pickle.dumps([Path("/tmp"), complex(1, 2), np.dtype("f8")]))
    assert isinstance(found[0], Inert)
    assert found[1] == complex(1, 2)


def test_arrays_of_objects_are_refused() -> None:
    with pytest.raises(ValueError, match="objects"):
        loads(pickle.dumps(np.array([{}, None], dtype=object)))


def ase_row(seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "numbers": [13, 13],
        "positions": rng.normal(size=(2, 3)).tolist(),
        "cell": (np.eye(3) * 4).tolist(),
        "pbc": [True, True, True],
        "unique_id": "0" * 32,
        "ctime": 25.0,
        "mtime": 25.0,
        "user": "x",
        "calculator": "unknown",
        "calculator_parameters": {},
        "energy": -3.0 - seed,
        "forces": rng.normal(size=(2, 3)).tolist(),
        "stress": [0.1, 0.2, 0.3, 0.04, 0.05, 0.06],
        "tags": [0, 1],
        "constraints": [{"name": "FixAtoms", "kwargs": {"indices": [1]}}],
        "key_value_pairs": {"group": f"g{seed}"},
        "data": {"charge": 1, "spin": 2, "source": "x"},
    }


def pack(value: Any) -> bytes:
    return zlib.compress(json.dumps(value).encode())


def write_aselmdb(path: Path, rows: dict[int, Any], *, end: int, deleted: tuple[int, ...] = ()) -> Path:
    contents = {str(i): pack(row) for i, row in rows.items()}
    return write_lmdb(path, contents | {"nextid": pack(end), "deleted_ids": pack(list(deleted)), "metadata": pack({})})


def test_ase_lmdb(tmp_path: Path) -> None:
    rows = {i: ase_row(i) for i in range(1, 13) if i != 5}
    structures = read(write_aselmdb(tmp_path / "a.aselmdb", rows, end=13, deleted=(5,)))
    assert [s.info["row"] for s in structures] == list(rows)
    for row, structure in zip(rows.values(), structures, strict=True):
        assert structure.energy == row["energy"]
        np.testing.assert_array_equal(structure.positions, row["positions"])
        np.testing.assert_array_equal(structure.forces, row["forces"])
        np.testing.assert_allclose(structure.stress, [[0.1, 0.06, 0.05], [0.06, 0.2, 0.04], [0.05, 0.04, 0.3]])
        assert (structure.info["group"], structure.charge) == (row["key_value_pairs"]["group"], 1.0)
        assert structure.fixed.tolist() == [False, True]


def test_arrays_that_ase_marked(tmp_path: Path) -> None:
    marked = {"__ndarray__": [[2, 3], "float64", [1.0, 2, 3, 4, 5, 6]]}
    row = ase_row(1) | {"data": json.dumps({"velocities": marked})}
    (structure,) = read(write_aselmdb(tmp_path / "a.aselmdb", {1: row}, end=2))
    np.testing.assert_array_equal(structure.arrays["velocities"], [[1, 2, 3], [4, 5, 6]])


def test_rows_that_cannot_be_read(tmp_path: Path) -> None:
    short = ase_row(2) | {"positions": [[0, 0, 0]]}
    path = write_aselmdb(tmp_path / "a.aselmdb", {1: ase_row(1), 2: short, 4: ase_row(4)}, end=5)
    with lmdb.open(str(path), subdir=False, lock=False) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"4", b"rubbish")
    failures: list[Failure] = []
    assert [s.energy for s in read_structures(path, on_failure=failures.append)] == [-4.0]
    assert [failure.where.frame for failure in failures] == [1, 2, 3]
    assert "row 3 of the database cannot be read: there is none" in failures[1].reason
    assert "compressed JSON" in failures[2].reason
    assert failures[2].where.key == "4"


def test_each_kind_of_database_under_the_other_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no 'nextid'"):
        read(write_oc20(tmp_path / "a.aselmdb", [s2ef(0)]))
    with pytest.raises(InputError, match="no record '0'"):
        read(write_aselmdb(tmp_path / "b.lmdb", {1: ase_row(1)}, end=2))
    with pytest.raises(InputError, match="empty"):
        read(write_aselmdb(tmp_path / "c.aselmdb", {}, end=1))
