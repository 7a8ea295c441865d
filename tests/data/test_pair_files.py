"""Pairs among files: tables, folders of 3DMatch and KITTI, and what is said of damaged ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from eqcli.data.cloud_pairs import CloudPair, find_pairs
from eqcli.data.pair_drawn import as_motion
from eqcli.data.pair_folders import read_blocks
from eqcli.data.pair_surfaces import measured_overlap
from eqcli.errors import Failure, InputError
from eqcli.io.point_cloud import read_cloud

MOTION = as_motion(Rotation.from_rotvec([0.1, 0.2, 0.3]).as_matrix(), [1.0, 2.0, 3.0])


def text(matrix: np.ndarray) -> str:
    return "\n".join(" ".join(f"{value:.17g}" for value in row) for row in matrix)


def table(folder: Path, *lines: str) -> Path:
    for name in ("a.ply", "b.ply"):
        (folder / name).touch()
    path = folder / "list.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def only(found) -> CloudPair:
    (item,) = found
    assert isinstance(item, CloudPair), item
    return item


def failure(found) -> Failure:
    (item,) = found
    assert isinstance(item, Failure), item
    return item


def test_table(tmp_path: Path) -> None:
    (tmp_path / "T.txt").write_text("# moved\n" + text(MOTION))
    (tmp_path / "S.txt").write_text(text(np.eye(4)) + "\n\n" + text(as_motion(np.diag([-1.0, -1.0, 1.0]))))
    (tmp_path / "I.txt").write_text(text(np.diag(np.arange(1.0, 7.0))))
    pair = only(
        find_pairs(
            table(
                tmp_path,
                "target, source,name,transform,overlap,scene,symmetry,information,voxel,remark",
                "b.ply,a.ply,one,T.txt,0.25,kitchen,S.txt,I.txt,0.05,any",
            )
        )
    )
    assert (pair.name, pair.source.name, pair.target.name, pair.scene) == ("one", "a.ply", "b.ply", "kitchen")
    assert pair.truth is not None
    assert np.array_equal(pair.truth, MOTION)
    assert (pair.overlap, pair.voxel) == (0.25, 0.05)
    assert pair.symmetries is not None
    assert pair.symmetries.shape == (2, 4, 4)
    assert pair.information is not None
    assert np.array_equal(np.diag(pair.information), np.arange(1.0, 7.0))


def test_table_with_numbers_in_cells(tmp_path: Path) -> None:
    cell = " ".join(f"{value:.17g}" for value in MOTION.ravel())
    pair = only(find_pairs(table(tmp_path, "source,target,transform", f"a.ply,b.ply,{cell}")))
    assert pair.name == "a-b"
    assert pair.truth is not None
    assert np.array_equal(pair.truth, MOTION)
    assert pair.overlap is None
    assert pair.symmetries is None


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.ply,none.ply,,", "target file 'none.ply' does not exist"),
        ("a.ply,,,", "names no target"),
        ("a.ply,b.ply,1 2 3,", "16 numbers"),
        ("a.ply,b.ply,T.txt,", "transform file 'T.txt' does not exist"),
        ("a.ply,b.ply,,1.5", "between 0 and 1"),
        ("a.ply,b.ply,,half", "'half' is no number"),
        ("a.ply,b.ply,,nan", "not finite"),
        ("a.ply,b.ply," + "2 0 0 0 0 2 0 0 0 0 2 0 0 0 0 1" + ",", "no rigid motion"),
        ("a.ply,b.ply," + "-1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1" + ",", "no rigid motion"),
        ("a.ply,b.ply," + "1 0 0 0 0 1 0 0 0 0 1 0 0 0 1 1" + ",", "last row"),
    ],
)
def test_bad_rows_are_failures_with_their_line(tmp_path: Path, row: str, message: str) -> None:
    found = failure(find_pairs(table(tmp_path, "source,target,transform,overlap", row)))
    assert message in found.reason
    assert found.where.line == 2


def test_a_bad_row_leaves_the_others(tmp_path: Path) -> None:
    path = table(tmp_path, "source,target", "a.ply,b.ply", "x.ply,b.ply", "b.ply,a.ply", "a.ply,b.ply")
    found = list(find_pairs(path))
    assert [isinstance(item, Failure) for item in found] == [False, True, False, True]
    assert "stands in line 2 too" in found[3].reason


def test_damaged_matrix_file_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "T.txt").write_text("1 0 0 0\n0 1 0\n0 0 1 0\n0 0 0 1\n")
    found = failure(find_pairs(table(tmp_path, "source,target,transform", "a.ply,b.ply,T.txt")))
    assert found.where.line == 2
    assert Path(str(found.where.file)).name == "T.txt"


def test_what_is_no_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no column 'target'"):
        list(find_pairs(table(tmp_path, "source,targets", "a.ply,b.ply")))
    with pytest.raises(InputError, match="no such file"):
        list(find_pairs(tmp_path / "none.csv"))
    with pytest.raises(InputError, match="no list of pairs"):
        list(find_pairs(tmp_path / "a.ply"))
    with pytest.raises(InputError, match="no pairs of clouds here"):
        list(find_pairs(table(tmp_path, "source,target")))
    with pytest.raises(InputError, match="no pairs of clouds here"):
        list(find_pairs(tmp_path))
    (tmp_path / "bad.csv.gz").write_bytes(b"\x1f\x8b\x08 nothing")
    with pytest.raises(InputError, match="damaged"):
        list(find_pairs(tmp_path / "bad.csv.gz"))


def benchmark(scene: Path, fragments: Path, prefix: str = "") -> None:
    scene.mkdir(parents=True)
    fragments.mkdir(parents=True, exist_ok=True)
    blocks = [(0, 1), (0, 2), (1, 2)]
    (scene / "gt.log").write_text("".join(f"{i}\t{j}\t3\n{text(MOTION)}\n" for i, j in blocks))
    (scene / "gt.info").write_text("".join(f"{i} {j} 3\n{text(np.eye(6) * (j + 1))}\n" for i, j in blocks))
    (scene / "gt_overlap.log").write_text("0,1,0.8\n0,2,0.2000\n")
    for number in (0, 1, 2):
        (fragments / f"{prefix}cloud_bin_{number}.ply").touch()


@pytest.mark.parametrize(
    ("fragments", "prefix"),
    [
        ("gt/3DMatch/7-scenes-kitchen", ""),
        ("7-scenes-kitchen", ""),
        ("gt/7-scenes-kitchen/fragments", ""),
        ("test/7-scenes-kitchen", ""),
        (".", "kitchen_"),
    ],
)
def test_benchmark_finds_its_fragments(tmp_path: Path, fragments: str, prefix: str) -> None:
    benchmark(
        tmp_path / "gt/3DMatch/7-scenes-kitchen", tmp_path / fragments, prefix
    ) if "3DMatch" not in fragments else (benchmark(tmp_path / fragments, tmp_path / fragments, prefix))
    pairs = list(find_pairs(tmp_path / "gt"))
    assert all(isinstance(pair, CloudPair) for pair in pairs), pairs
    assert [pair.name for pair in pairs] == [f"3DMatch/7-scenes-kitchen/{p}" for p in ("0-1", "0-2", "1-2")]
    second = pairs[1]
    assert (second.source.name, second.target.name) == (f"{prefix}cloud_bin_2.ply", f"{prefix}cloud_bin_0.ply")
    assert np.array_equal(second.truth, MOTION)
    assert second.information[0, 0] == 3.0
    assert [pair.overlap for pair in pairs] == [0.8, 0.2, None]
    assert [pair.adjacent for pair in pairs] == [True, False, True]


def test_missing_fragment_is_one_failure(tmp_path: Path) -> None:
    benchmark(tmp_path / "scene", tmp_path / "scene")
    (tmp_path / "scene" / "cloud_bin_2.ply").unlink()
    found = list(find_pairs(tmp_path))
    assert [item.name for item in found if isinstance(item, CloudPair)] == ["scene/0-1"]
    (missing,) = (item for item in found if isinstance(item, Failure))
    assert "2 pairs need it" in missing.reason


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("0 1\n", 1, "three whole numbers"),
        ("0 1 2\n1 0 0 0\n0 1 0\n", 3, "expected 4 numbers"),
        ("0 1 2\n1 0 0 0\n0 1 0 x\n", 3, "'x' is no number"),
        ("0 1 2\n1 0 0 0\n0 1 0 0\n", 3, "ends within a block"),
        ("\n0 1 2\n2 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n", 2, "no rigid motion"),
    ],
)
def test_damaged_log_is_told_with_its_line(tmp_path: Path, content: str, line: int, message: str) -> None:
    benchmark(tmp_path / "scene", tmp_path / "scene")
    (tmp_path / "scene" / "gt.log").write_text(content)
    found = failure(find_pairs(tmp_path))
    assert message in found.reason
    assert found.where.line == line


def test_binary_log_is_told(tmp_path: Path) -> None:
    path = tmp_path / "gt.log"
    path.write_bytes(b"0 1 2\n\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        read_blocks(path, 4)


def kitti(folder: Path, step: float = 3.0, frames: int = 12) -> np.ndarray:
    """A straight drive along the camera's axis; the calibration turns the scanner's axes into the camera's."""
    sequence = folder / "sequences" / "08"
    (sequence / "velodyne").mkdir(parents=True)
    (folder / "poses").mkdir()
    calibration = as_motion(np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]]), [0.1, 0.2, 0.3])
    poses = [as_motion(Rotation.from_rotvec([0, 0.05 * k, 0]).as_matrix(), [0, 0, step * k]) for k in range(frames)]
    (folder / "poses" / "08.txt").write_text("\n".join(" ".join(map(repr, p[:3].ravel().tolist())) for p in poses))
    row = " ".join(map(repr, calibration[:3].ravel().tolist()))
    (sequence / "calib.txt").write_text(f"P0: 1 0 0 0 0 1 0 0 0 0 1 0\nTr: {row}\n")
    for frame in range(frames):
        (sequence / "velodyne" / f"{frame:06d}.bin").touch()
    return np.stack(poses) @ calibration


@pytest.mark.parametrize("below", ["", "sequences", "sequences/08"])
def test_kitti_pairs_lie_just_below_the_distance(tmp_path: Path, below: str) -> None:
    poses = kitti(tmp_path)
    pairs = list(find_pairs(tmp_path / below))
    assert [pair.name for pair in pairs] == ["08/0-3", "08/4-7"]
    world = np.array([2.0, 1.0, 0.5, 1.0])  # A point of the scanner of frame 0, seen from frame 3.
    assert np.allclose(poses[3] @ pairs[0].truth @ world, poses[0] @ world)
    assert pairs[0].source.name == "000000.bin"
    assert [pair.name for pair in find_pairs(tmp_path, distance=5.0)][:2] == ["08/0-1", "08/2-3"]


def test_kitti_without_poses_or_with_damaged_ones(tmp_path: Path) -> None:
    kitti(tmp_path)
    poses = tmp_path / "poses" / "08.txt"
    lines = poses.read_text().splitlines()
    poses.write_text("\n".join([*lines[:4], "1 2 3", *lines[5:]]))
    found = failure(find_pairs(tmp_path))
    assert found.where.line == 5
    assert "12" in found.reason
    poses.unlink()
    assert "no poses" in failure(find_pairs(tmp_path)).reason


def test_kitti_lists(tmp_path: Path) -> None:
    kitti(tmp_path)
    np.save(tmp_path / "lokitti_metadata.npy", np.array([[8, 0, 5], [8, 1, 90], [9, 0, 1]]))
    np.save(tmp_path / "lokitti_gt_tforms.npy", np.stack([MOTION] * 3))
    found = list(find_pairs(tmp_path))
    assert [type(item) for item in found] == [CloudPair, Failure, Failure]
    assert found[0].name == "lokitti/08/0-5"
    assert np.array_equal(found[0].truth, MOTION)
    assert "no scan 90" in found[1].reason
    np.save(tmp_path / "lokitti_gt_tforms.npy", MOTION)
    with pytest.raises(InputError, match="as many motions"):
        list(find_pairs(tmp_path))
    (tmp_path / "lokitti_gt_tforms.npy").write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot be read"):
        list(find_pairs(tmp_path))


@pytest.mark.shared
def test_real_fragments(shared: Path) -> None:
    folder = shared / "registration" / "fragments"
    if not folder.is_dir():
        pytest.skip("the fragments are not there")
    pairs = [item for item in find_pairs(folder) if isinstance(item, CloudPair)]
    (pair,) = (one for one in pairs if one.name.endswith("7-scenes-redkitchen/0-4"))
    source, target = (read_cloud(path).points[::20] for path in (pair.source, pair.target))
    there = source @ pair.truth[:3, :3].T + pair.truth[:3, 3]
    assert measured_overlap(there, target, 0.0375) == pytest.approx(pair.overlap, abs=0.1)
    assert measured_overlap(source, target, 0.0375) < pair.overlap - 0.15
