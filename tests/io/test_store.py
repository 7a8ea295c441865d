"""The dataset file: random access, appending, damage, versions, several processes."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

from eqcli.errors import Failure, InputError
from eqcli.io import (
    DatasetFile,
    DatasetWriter,
    LabelConvention,
    Structure,
    label_report,
    read_structures,
    write_structures,
)
from eqcli.io import store_layout as layout
from tests.io.structures import assert_same


def structure(i: int) -> Structure:
    rng = np.random.default_rng(i)
    n = int(rng.integers(1, 9))
    crystal = i % 3 == 0
    stress = rng.normal(size=(3, 3))
    return Structure(
        numbers=rng.integers(1, 90, n),
        positions=rng.normal(size=(n, 3)),
        cell=rng.normal(size=(3, 3)) if crystal else np.zeros((3, 3)),
        pbc=np.array([crystal] * 3),
        energy=float(i),
        forces=rng.normal(size=(n, 3)) if i % 2 else None,
        stress=stress + stress.T if crystal else None,
        charge=-1.0 if i % 5 == 0 else None,
        fixed=np.arange(n) < 1 if i % 4 == 0 else None,
        info={"config_type": f"kind{i}"} if i % 2 else {},
        arrays={"tags": np.arange(n)} if i % 3 else {},
    )


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    path = tmp_path / "a.h5"
    with DatasetWriter(path, provenance={"made": "here"}) as writer:
        for i in range(50):
            writer.append(structure(i))
    return path


def test_frames_in_any_order(dataset: Path) -> None:
    data = DatasetFile(dataset)
    assert len(data) == 50
    for i in (49, 0, 7, 7, -1, np.int64(3)):
        assert_same(data[i], structure(int(i) % 50))
    assert data[5].where.frame == 5
    with pytest.raises(IndexError):
        data[50]
    with pytest.raises(TypeError):
        data["0"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("index", "frames"), [("-1", [49]), ("3", [3]), ("::20", [0, 20, 40]), ("60", []), ("-2:", [48, 49])]
)
def test_selection_of_frames(dataset: Path, index: str, frames: list[int]) -> None:
    assert [s.where.frame for s in read_structures(dataset, index=index)] == frames


def test_going_through_all(dataset: Path) -> None:
    frames = list(DatasetFile(dataset))
    for i, frame in enumerate(frames):
        assert_same(frame, structure(i))
    frames[0].positions[:] = 0
    assert frames[1].positions.any()


def test_columns_and_sizes(dataset: Path) -> None:
    data = DatasetFile(dataset)
    assert data.n_atoms.tolist() == [len(structure(i)) for i in range(50)]
    np.testing.assert_array_equal(data.column("frames/energy"), np.arange(50.0))
    numbers = np.concatenate([structure(i).numbers for i in range(3, 9)])
    np.testing.assert_array_equal(data.column("atoms/numbers", 3, 9), numbers)
    assert data.provenance == {"made": "here"}


def test_appending_to_a_file(dataset: Path) -> None:
    with DatasetWriter(dataset, append=True) as writer:
        assert writer.committed == 50
        writer.append(structure(50))
    data = DatasetFile(dataset)
    for i in (0, 49, 50):
        assert_same(data[i], structure(i))
    assert data.provenance == {"made": "here"}


def test_an_existing_file_is_not_replaced_unasked(dataset: Path) -> None:
    with pytest.raises(InputError, match="exists"):
        DatasetWriter(dataset)
    with DatasetWriter(dataset, overwrite=True) as writer:
        writer.append(structure(1))
    assert len(DatasetFile(dataset)) == 1


def test_a_file_being_written_shows_what_is_committed(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "a.h5") as writer:
        writer.append(structure(0))
        assert len(DatasetFile(tmp_path / "a.h5")) == 0
        writer.commit()
        writer.append(structure(1))
        data = DatasetFile(tmp_path / "a.h5")
        assert len(data) == 1
        assert_same(data[0], structure(0))
        with pytest.raises(InputError, match="another process"):
            DatasetWriter(tmp_path / "a.h5", append=True)
    assert len(data) == 1
    assert len(DatasetFile(tmp_path / "a.h5")) == 2


def test_an_error_in_the_block_keeps_what_was_added(tmp_path: Path) -> None:
    writer = DatasetWriter(tmp_path / "a.h5")
    writer.append(structure(0))
    writer.__exit__(RuntimeError, RuntimeError(), None)
    assert len(DatasetFile(tmp_path / "a.h5")) == 1


def test_many_small_commits_do_not_leave_a_large_file(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "a.h5") as writer:
        for i in range(400):
            writer.append(structure(i))
            writer.commit()
        before = (tmp_path / "a.h5").stat().st_size
    after = (tmp_path / "a.h5").stat().st_size
    assert after < before / 2
    for i, frame in enumerate(DatasetFile(tmp_path / "a.h5")):
        assert_same(frame, structure(i))


def test_appending_many_at_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    counts = np.array([2, 3, 1])
    positions, forces = rng.normal(size=(2, 6, 3))
    with DatasetWriter(tmp_path / "a.h5") as writer:
        writer.append(structure(1))
        writer.append_many(counts, [1, 1, 8, 8, 8, 6], positions, energy=[1.0, 2.0, 3.0], forces=forces)
        writer.append(structure(2))
        with pytest.raises(ValueError, match="rows"):
            writer.append_many([2], [1], [[0.0, 0, 0]])
    data = DatasetFile(tmp_path / "a.h5")
    assert_same(data[0], structure(1))
    assert_same(data[4], structure(2))
    assert_same(data[2], Structure(np.array([8, 8, 8]), positions[2:5], energy=2.0, forces=forces[2:5]))


@pytest.mark.parametrize("field", ["energy", "forces", "positions", "stress"])
def test_labels_that_are_not_finite_are_refused(tmp_path: Path, field: str) -> None:
    bad = structure(3)
    value = getattr(bad, field)
    setattr(bad, field, value * np.nan)
    with DatasetWriter(tmp_path / "a.h5") as writer, pytest.raises(InputError, match=field):
        writer.append(bad)


def _energy(job: tuple[DatasetFile, int]) -> tuple[int, float]:
    data, i = job
    return os.getpid(), float(data[i].energy or 0)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_several_processes(dataset: Path, method: str) -> None:
    data = DatasetFile(dataset)
    data[0]
    with multiprocessing.get_context(method).Pool(2) as pool:
        results = pool.map(_energy, [(data, i) for i in range(50)])
    assert [energy for _, energy in results] == list(range(50))
    assert os.getpid() not in {pid for pid, _ in results}
    assert_same(data[7], structure(7))


_INHERITED: list[DatasetFile] = []


def _inherited_energy(i: int) -> float:
    return float(_INHERITED[0][i].energy or 0)


def test_a_handle_inherited_by_a_fork_is_opened_anew(dataset: Path) -> None:
    _INHERITED[:] = [DatasetFile(dataset)]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(_inherited_energy, range(50)) == list(range(50))
    _INHERITED.clear()


def test_pickled_by_its_path(dataset: Path) -> None:
    data = DatasetFile(dataset)
    packed = pickle.dumps(data)
    assert len(packed) < 1000
    assert_same(pickle.loads(packed)[9], structure(9))


def flip(path: Path, name: str, frame_chunk: int = 0) -> None:
    """Changes one byte in the middle of a stored chunk."""
    with h5py.File(path, "r", libver="latest", locking=False) as file:
        info = file[name].id.get_chunk_info(frame_chunk)
    with path.open("r+b") as raw:
        raw.seek(info.byte_offset + info.size // 2)
        byte = raw.read(1)
        raw.seek(-1, os.SEEK_CUR)
        raw.write(bytes([byte[0] ^ 0x55]))


@pytest.mark.parametrize("name", ["atoms/positions", "atoms/numbers", "frames/energy", "blob/data"])
def test_a_flipped_bit_is_an_error_that_names_dataset_and_frame(dataset: Path, name: str) -> None:
    flip(dataset, name)
    with pytest.raises(InputError) as caught:
        DatasetFile(dataset)[1]
    assert name in caught.value.message
    assert caught.value.where.frame == 1


def test_damaged_offsets_are_an_error(dataset: Path) -> None:
    flip(dataset, "frames/offset")
    with pytest.raises(InputError, match="frames/offset"):
        DatasetFile(dataset)


def test_the_undamaged_frames_go_on(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    n = 1500
    with DatasetWriter(path) as writer:
        writer.append_many(np.ones(n), np.ones(n), np.arange(3.0 * n).reshape(-1, 3), energy=np.arange(n))
    flip(path, "atoms/positions", 1)
    failures: list[Failure] = []
    frames = list(read_structures(path, on_failure=failures.append))
    assert len(frames) + len(failures) == n
    assert 0 < len(failures) <= 512
    assert all(s.energy == s.where.frame and s.positions[0, 0] == 3 * s.where.frame for s in frames)


def test_a_file_cut_off(dataset: Path) -> None:
    content = dataset.read_bytes()
    dataset.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError):
        list(DatasetFile(dataset))


def test_other_files(tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(InputError, match="not an HDF5 file"):
        DatasetFile(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(InputError, match="not an eqcli dataset"):
        DatasetFile(tmp_path / "other.h5")
    with pytest.raises(InputError, match="no such file"):
        DatasetFile(tmp_path / "none.h5")


def test_a_newer_version_is_refused(dataset: Path) -> None:
    with h5py.File(dataset, "r+", libver="latest") as file:
        file.attrs["version"] = layout.VERSION + 1
    with pytest.raises(InputError, match=f"version {layout.VERSION + 1}"):
        DatasetFile(dataset)


def test_an_older_version_is_upgraded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "UPGRADES", {0: lambda header: {**header, "version": 1, "renamed": True}})
    assert layout.upgrade({"version": 0}, "a.h5") == {"version": 1, "renamed": True}


def test_units_stand_in_the_file(dataset: Path) -> None:
    with h5py.File(dataset) as file:
        units = {name: file[name].attrs["units"] for name in ("atoms/positions", "atoms/forces", "frames/stress")}
        assert units == {
            "atoms/positions": "Angstrom",
            "atoms/forces": "eV/Angstrom",
            "frames/stress": "eV/Angstrom^3",
        }
        assert file["atoms/positions"].fletcher32
        np.testing.assert_array_equal(file["frames/stress"][3], layout.to_voigt(structure(3).stress))
        stress = structure(3).stress
        assert stress is not None
        assert file["frames/stress"][3][3] == stress[1, 2]


def test_named_entries_of_a_dataset_stand_in_for_its_labels(tmp_path: Path) -> None:
    stress = [1.0, 0, 0, 0, 2, 0, 0, 0, 3]
    said = Structure(
        np.array([8, 1]),
        np.eye(3)[:2],
        np.eye(3) * 5,
        np.array([True] * 3),
        energy=-1.0,
        forces=np.zeros((2, 3)),
        info={"REF_energy": -2.0, "REF_stress": stress},
        arrays={"REF_forces": np.ones((2, 3))},
    )
    write_structures(tmp_path / "a.h5", [said])
    labels = LabelConvention(energy="REF_energy", forces="REF_forces", stress="REF_stress")
    (named,) = read_structures(tmp_path / "a.h5", labels)
    assert named.energy == -2.0
    assert named.forces is not None
    assert (named.forces == 1).all()
    assert named.stress is not None
    assert named.stress.tolist() == np.reshape(stress, (3, 3)).tolist()
    assert label_report(tmp_path / "a.h5", labels).taken["energy"] == {"REF_energy": 1}
    (stored,) = read_structures(tmp_path / "a.h5", LabelConvention(energy="nothing"))
    assert stored.energy == -1.0
    assert label_report(tmp_path / "a.h5").unused == {"REF_energy": 1, "REF_forces": 1, "REF_stress": 1}
