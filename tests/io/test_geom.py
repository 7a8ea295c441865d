"""GEOM's three layouts: the MessagePack stream, the pickles and the array of atoms."""

from __future__ import annotations

import os
import pickle
import sys
import tarfile
import tracemalloc
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from eqcli.errors import Failure, InputError, MissingDependency
from eqcli.io import LabelConvention, Structure, geom_array, read_structures
from eqcli.io.molecule_bytes import MoleculeBytes
from eqcli.io.rdkit_molecule import molecule_of, sanitised, smiles_of
from eqcli.units import ENERGY

SMILES = ("CCO", "C[C@H](N)C(=O)[O-]", "O=[N+]([O-])c1ccccc1", "F/C=C/Cl")
ENTRIES = {"geom_id": 7, "set": 1, "degeneracy": 2, "relativeenergy": 0.5, "conformerweights": [0.2, 0.1]}


def conformers(smiles: str, count: int = 2) -> Any:
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert len(AllChem.EmbedMultipleConfs(molecule, count, randomSeed=5)) == count
    return molecule


def record(smiles: str, count: int = 2) -> dict[str, Any]:
    molecule = conformers(smiles, count)
    numbers = [float(atom.GetAtomicNum()) for atom in molecule.GetAtoms()]
    tables = [[[z, *xyz] for z, xyz in zip(numbers, c.GetPositions().tolist(), strict=True)]
              for c in molecule.GetConformers()]  # fmt: skip
    found = [{"xyz": xyz, "totalenergy": -20.0 - k, "boltzmannweight": 0.3, **ENTRIES} for k, xyz in enumerate(tables)]
    return {"conformers": found, "charge": Chem.GetFormalCharge(molecule), "totalconfs": count, "datasets": ["aid1706"]}


def pickled(smiles: str, count: int = 2) -> dict[str, Any]:
    molecule = conformers(smiles, count)
    found = [
        {"rd_mol": Chem.Mol(molecule, confId=k), "totalenergy": -20.0 - k, "boltzmannweight": 0.3, **ENTRIES}
        for k in range(count)
    ]
    return {"conformers": found, "smiles": smiles, "charge": Chem.GetFormalCharge(molecule)}


def read(path: Path) -> tuple[list[Structure], list[Failure]]:
    failures: list[Failure] = []
    return list(read_structures(path, on_failure=failures.append)), failures


def write_stream(path: Path, *maps: Any) -> Path:
    path.write_bytes(b"".join(msgpack.packb(one) for one in maps))
    return path


def check(structures: list[Structure], smiles: tuple[str, ...] = SMILES, count: int = 2) -> None:
    assert [(s.info["smiles"], s.info["conformer"]) for s in structures] == [
        (text, k) for text in smiles for k in range(count)
    ]
    for i, structure in enumerate(structures):
        expected = conformers(smiles[i // count], count)
        assert structure.numbers.tolist() == [atom.GetAtomicNum() for atom in expected.GetAtoms()]
        np.testing.assert_allclose(structure.positions, expected.GetConformer(i % count).GetPositions(), atol=1e-12)
        assert structure.energy == pytest.approx((-20.0 - i % count) * ENERGY["Hartree"])
        assert structure.charge == Chem.GetFormalCharge(expected)
        assert structure.info["relativeenergy"] == 0.5
        assert structure.info["conformerweights"] == [0.2, 0.1]
        assert structure.where.frame == i


def test_the_stream(tmp_path: Path) -> None:
    path = write_stream(tmp_path / "a.msgpack", *({s: record(s) for s in pair} for pair in (SMILES[:3], SMILES[3:])))
    structures, failures = read(path)
    assert failures == []
    check(structures)
    assert structures[0].info["totalconfs"] == 2
    assert structures[0].info["datasets"] == ["aid1706"]
    assert not {"bonds", "conformers", "xyz"} & structures[0].info.keys()
    labels = LabelConvention(energy="relativeenergy")
    assert next(iter(read_structures(path, labels))).energy == pytest.approx(0.5 * ENERGY["kcal/mol"])


def test_the_stream_in_its_archive(tmp_path: Path) -> None:
    write_stream(tmp_path / "drugs_crude.msgpack", {s: record(s) for s in SMILES})
    with tarfile.open(tmp_path / "drugs_crude.msgpack.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "drugs_crude.msgpack", "drugs_crude.msgpack")
    structures, failures = read(tmp_path / "drugs_crude.msgpack.tar.gz")
    assert failures == []
    check(structures)


def test_bad_molecules_of_a_stream_are_rows(tmp_path: Path) -> None:
    good = record("CCO")
    bad = {
        "a": {"conformers": []},
        "b": {"conformers": [{"xyz": [[6.0, 0, 0]]}, {"xyz": [[6.5, 0, 0, 0]]}, {"x": 1}, 5]},
        "c": [{"bonds": []}],
        "d": None,
    }
    structures, failures = read(write_stream(tmp_path / "a.msgpack", bad | {"CCO": good}))
    assert len(structures) == 2
    words = (
        "no conformers",
        "three coordinates",
        "6.5 is no atomic",
        "lacks 'xyz'",
        "found int",
        "features",
        "no conf",
    )
    assert [word in f.reason for word, f in zip(words, failures, strict=True)] == [True] * len(words)
    assert [s.where.frame for s in structures] == [7, 8]


def test_streams_that_are_cut_off_or_none(tmp_path: Path) -> None:
    whole = write_stream(tmp_path / "a.msgpack", {s: record(s) for s in SMILES}).read_bytes()
    for size in (*range(1, 40), *range(40, len(whole), 97), len(whole) - 1):
        (tmp_path / "b.msgpack").write_bytes(whole[:size])
        structures, failures = read(tmp_path / "b.msgpack")
        assert len(structures) < 8
        assert failures, size
    for other in ([1, 2], 5, {1: 2}, {}):
        with pytest.raises(InputError):
            list(read_structures(write_stream(tmp_path / "c.msgpack", other)))
    # A list that claims four thousand million elements.
    (tmp_path / "d.msgpack").write_bytes(b"\x81\xa1C\xdd\xff\xff\xff\xff" + b"\x00" * 100)
    with pytest.raises(InputError, match="damaged"):
        list(read_structures(tmp_path / "d.msgpack"))


def test_a_stream_needs_the_memory_of_one_molecule(tmp_path: Path) -> None:
    one = record("CCO", 3)

    def peak(count: int) -> int:
        path = write_stream(tmp_path / f"{count}.msgpack", {f"C{i}": one for i in range(count)})
        tracemalloc.start()
        assert sum(1 for _ in read_structures(path)) == 3 * count
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(10)
    assert peak(400) - peak(40) < 1 << 20


def test_without_msgpack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "msgpack", None)
    with pytest.raises(MissingDependency, match=r"eqcli\[molecules\]"):
        list(read_structures(write_stream(tmp_path / "a.msgpack", {"CCO": record("CCO")})))


def test_pickles(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "rdkit_folder.tar.gz", "w:gz") as archive:
        for i, smiles in enumerate(SMILES):
            (tmp_path / f"{i}.pickle").write_bytes(pickle.dumps(pickled(smiles), protocol=i + 2))
            archive.add(tmp_path / f"{i}.pickle", f"rdkit_folder/drugs/{i}.pickle")
            one, failures = read(tmp_path / f"{i}.pickle")
            assert failures == []
            check(one, (smiles,))
            assert {smiles_of(sanitised(molecule_of(s))) for s in one} == {Chem.CanonSmiles(smiles)}
    structures, failures = read(tmp_path / "rdkit_folder.tar.gz")
    assert failures == []
    check(structures)
    assert sorted({order for *_, order in structures[4].info["bonds"]}) == [1, 1.5, 2]
    assert structures[4].arrays["formal_charge"].tolist()[:3] == [0, 1, -1]


class Malicious:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return (exec, (f"open({str(self.marker)!r}, 'w').write('ran')",))


def test_nothing_in_a_pickle_runs(tmp_path: Path) -> None:
    content = pickled("CCO")
    content["conformers"][0]["rd_mol"] = Malicious(tmp_path / "ran")
    content["extra"] = Malicious(tmp_path / "ran")
    (tmp_path / "a.pickle").write_bytes(pickle.dumps(content))
    structures, (failure,) = read(tmp_path / "a.pickle")
    assert len(structures) == 1
    assert "no RDKit molecule" in failure.reason
    assert not (tmp_path / "ran").exists()
    # The payload is dangerous to an ordinary reader: the test would not pass by accident.
    pickle.loads((tmp_path / "a.pickle").read_bytes())
    assert (tmp_path / "ran").exists()


def test_damaged_bytes_do_not_end_this_process() -> None:
    whole = conformers("CC(=O)Nc1ccccc1", 1).ToBinary()
    rng = np.random.default_rng(3)
    reasons = []
    with MoleculeBytes() as reader:
        for _ in range(24):
            content = bytearray(whole)
            for place in rng.integers(0, len(content), 4):
                content[place] = int(rng.integers(0, 256))
            try:
                reader.parse(bytes(content))
            except ValueError as error:
                reasons.append(str(error))
        assert len(reasons) > 5
        assert all("RDKit" in reason for reason in reasons)
        assert len(reader.parse(whole)["numbers"]) == 19


def test_a_process_that_is_gone_is_started_again(tmp_path: Path) -> None:
    content = pickled("CCO")
    (tmp_path / "a.pickle").write_bytes(pickle.dumps(content))
    with MoleculeBytes() as reader:
        whole = content["conformers"][0]["rd_mol"].ToBinary()
        reader.parse(whole)
        process = reader._process
        assert process is not None
        os.kill(process.pid, 9)
        process.wait()
        with pytest.raises(ValueError, match="damaged"):
            reader.parse(whole)
        assert reader.parse(whole)["hydrogens"] == 0


def test_other_pickles(tmp_path: Path) -> None:
    lacking = pickled("CCO")
    lacking["conformers"][0]["rd_mol"] = Chem.MolFromSmiles("CCO")
    flat = Chem.MolFromSmiles("CC")
    AllChem.EmbedMolecule(flat, randomSeed=1)
    lacking["conformers"].append({"rd_mol": flat})
    (tmp_path / "a.pickle").write_bytes(pickle.dumps(lacking))
    structures, failures = read(tmp_path / "a.pickle")
    assert len(structures) == 1
    assert ["no positions" in failures[0].reason, "6 hydrogens" in failures[1].reason] == [True, True]
    for other, words in (([1], "a list"), ({"a": 1}, "no 'conformers'"), (3, "a int")):
        (tmp_path / "b.pickle").write_bytes(pickle.dumps(other))
        with pytest.raises(InputError, match=words):
            list(read_structures(tmp_path / "b.pickle"))


def write_array(folder: Path, count: int = 1, dtype: str = "float64") -> Path:
    rows, sizes = [], []
    for smiles in SMILES:
        for conformer in record(smiles, count)["conformers"]:
            rows += [[len(sizes), *row] for row in conformer["xyz"]]
            sizes.append(len(conformer["xyz"]))
    np.save(folder / "GEOM_drugs_30.npy", np.array(rows, dtype=dtype))
    np.save(folder / "GEOM_drugs_n_30.npy", np.array(sizes))
    (folder / "GEOM_drugs_smiles.txt").write_text("\n".join(SMILES) + "\n")
    return folder / "GEOM_drugs_30.npy"


@pytest.mark.parametrize("rows", [1, 7, 1 << 16])
def test_the_array(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(geom_array, "ROWS", rows)
    structures, failures = read(write_array(tmp_path))
    assert failures == []
    assert [s.info["smiles"] for s in structures] == list(SMILES)
    for structure, smiles in zip(structures, SMILES, strict=True):
        expected = np.array(record(smiles, 1)["conformers"][0]["xyz"])
        assert structure.numbers.tolist() == expected[:, 0].tolist()
        np.testing.assert_array_equal(structure.positions, expected[:, 1:])
        assert structure.energy is None
    (tmp_path / "GEOM_drugs_smiles.txt").unlink()
    (tmp_path / "GEOM_drugs_n_30.npy").unlink()
    assert [len(s) for s in read(tmp_path / "GEOM_drugs_30.npy")[0]] == [len(s) for s in structures]


def test_smiles_that_cannot_be_matched_are_left_out(tmp_path: Path) -> None:
    structures, failures = read(write_array(tmp_path, 3, "float32"))
    assert (len(structures), failures) == (12, [])
    assert not any("smiles" in s.info for s in structures)


def test_arrays_that_do_not_agree(tmp_path: Path) -> None:
    path = write_array(tmp_path)
    sizes = np.load(tmp_path / "GEOM_drugs_n_30.npy")
    for changed, words in ((sizes + 1, "sizes beside it says 10 atoms"), (sizes[:-1], "no such molecule"),
                           (np.append(sizes, 3), "ends after 4 molecules of the 5")):  # fmt: skip
        np.save(tmp_path / "GEOM_drugs_n_30.npy", changed)
        (tmp_path / "GEOM_drugs_smiles.txt").unlink(missing_ok=True)
        with pytest.raises(InputError, match=words):
            list(read_structures(path))


def test_arrays_that_are_none(tmp_path: Path) -> None:
    path = write_array(tmp_path)
    with pytest.raises(InputError, match="one number per molecule"):
        list(read_structures(tmp_path / "GEOM_drugs_n_30.npy"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-8])
    with pytest.raises(InputError, match="cut off"):
        list(read_structures(path))
    other = tmp_path / "b.npy"
    for values, words in ((np.zeros((3, 4)), "3 x 4"), (np.zeros((0, 5)), "empty"), (np.array([None]), "cut off|npy")):
        np.save(other, values, allow_pickle=True)
        with pytest.raises(InputError, match=words):
            list(read_structures(other))
    np.save(other, [[0, 6, 0, 0, 0], [1, 0, 0, 0, 0], [2, 6, np.nan, 0, 0], [3, 1, 0, 0, 0]])
    structures, failures = read(other)
    assert [s.where.frame for s in structures] == [0, 3]
    assert ["0 is no atomic number" in failures[0].reason, "NaN" in failures[1].reason] == [True, True]
