"""Many clouds in one frame, from the records of pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from eqcli.data.cloud_pairs import CloudPair
from eqcli.errors import InputError
from eqcli.io.point_cloud import PointCloud
from eqcli.tasks.register_merged import joined, thinned
from eqcli.tasks.register_poses import POSES, POSES_TEXT, Nodes, place_clouds
from eqcli.tasks.register_rows import PairRecord, PairRow

FloatArray = NDArray[np.float64]
NAMES = ("hall", "door", "stairs", "attic")


def poses() -> FloatArray:
    generator = np.random.default_rng(0)
    made = np.tile(np.eye(4), (len(NAMES), 1, 1))
    made[1:, :3, :3] = Rotation.random(len(NAMES) - 1, random_state=1).as_matrix()
    made[1:, :3, 3] = generator.normal(size=(len(NAMES) - 1, 3))
    return made


def record(
    folder: Path, truth: FloatArray, source: int, target: int, off: FloatArray | None = None, **changed: Any
) -> PairRecord:
    motion = np.linalg.inv(truth[target]) @ truth[source]
    if off is not None:
        motion = off @ motion
    row = PairRow(
        f"{NAMES[source]}-{NAMES[target]}", "ok", source=str(folder / f"{NAMES[source]}.ply"),
        target=str(folder / f"{NAMES[target]}.ply"), inliers=100, overlap=0.5, voxel=0.02,
    )  # fmt: skip
    result = {
        "units": "m",
        "motion": {"matrix": motion.tolist()},
        "covariance": (1e-6 * np.eye(6)).tolist(),
        "deviations": {"about": [0.5, 0.2, 0.1], "radius": 1.0},
    }
    return PairRecord(row, result | changed)


def nodes(folder: Path, pairs: list[tuple[int, int]]) -> Nodes:
    named = [(folder / f"{NAMES[a]}.ply", folder / f"{NAMES[b]}.ply") for a, b in pairs]
    return Nodes.of([CloudPair(f"{a.stem}-{b.stem}", a, b) for a, b in named])


def test_reliable_pairs_give_poses_in_the_frame_of_the_reference(tmp_path: Path) -> None:
    truth, pairs = poses(), [(1, 0), (2, 1), (0, 2), (3, 2), (1, 3)]
    clouds = nodes(tmp_path, pairs)
    records = [record(tmp_path, truth, *pair) for pair in pairs]
    result, _ = place_clouds(clouds, records, tmp_path, clouds.number("hall"), {"eqcli": "x"})
    assert (result.reached, result.clouds, result.rejected, result.failures) == (4, 4, [], [])
    written = json.loads((tmp_path / POSES).read_text())
    assert written["reference"] == "hall"
    assert written["provenance"] == {"eqcli": "x"}
    lines = [line.split() for line in (tmp_path / POSES_TEXT).read_text().splitlines() if not line.startswith("#")]
    assert {line[0] for line in lines} == set(NAMES)
    for cloud, line in zip(written["clouds"], lines, strict=True):
        expected = truth[NAMES.index(cloud["name"])]
        np.testing.assert_allclose(cloud["matrix"], expected, atol=1e-9)
        np.testing.assert_allclose(np.array(line[1:], dtype=float).reshape(3, 4), expected[:3], atol=1e-9)


def test_a_wrong_pair_is_told_with_what_it_is_off_by(tmp_path: Path) -> None:
    truth, pairs = poses(), [(1, 0), (2, 1), (0, 2), (3, 2), (1, 3), (3, 0)]
    off = np.eye(4)
    off[:3, :3] = Rotation.from_rotvec([0, 0, np.radians(30)]).as_matrix()
    records = [record(tmp_path, truth, *pair, off=off if pair == (3, 0) else None) for pair in pairs]
    result, graph = place_clouds(nodes(tmp_path, pairs), records, tmp_path, None, {})
    ((name, turn, shift),) = result.rejected
    assert name == "attic-hall"
    assert turn == pytest.approx(30, abs=1e-6)
    # The turn is about the origin of the target; the middle of the overlap moves by its distance from the axis.
    assert shift == pytest.approx(2 * np.sin(np.radians(15)) * np.hypot(0.5, 0.2), rel=0.02)
    told = json.loads((tmp_path / POSES).read_text())["pairs"]
    assert [pair["fits"] for pair in told] == [True] * 5 + [False]
    assert graph.reached.all()
    assert "attic-hall: off by 30.00 degrees" in dict(result.summary())["pairs that do not fit"]


def test_clouds_without_a_reliable_pair_are_failures(tmp_path: Path) -> None:
    truth, pairs = poses(), [(1, 0), (2, 3)]
    lost = record(tmp_path, truth, 2, 3)
    records = [record(tmp_path, truth, 1, 0), PairRecord(PairRow("stairs-attic", "no alignment"), lost.result)]
    result, _ = place_clouds(nodes(tmp_path, pairs), records, tmp_path, None, {})
    assert [failure.item for failure in result.failures] == ["stairs", "attic"]
    assert result.reached == 2
    assert "matrix" not in json.loads((tmp_path / POSES).read_text())["clouds"][2]


def test_half_a_voxel_is_forgiven_and_four_are_not(tmp_path: Path) -> None:
    truth, pairs = poses(), [(1, 0), (2, 1), (0, 2), (3, 2), (1, 3), (3, 0)]
    for voxels, fits in ((0.5, True), (4.0, False)):
        off = np.eye(4)
        off[0, 3] = voxels * 0.02
        records = [record(tmp_path, truth, *pair, off=off if pair == (3, 0) else None) for pair in pairs]
        result, _ = place_clouds(nodes(tmp_path, pairs), records, tmp_path, None, {})
        assert (not result.rejected) == fits


def test_pairs_in_different_units_have_no_common_frame(tmp_path: Path) -> None:
    truth, pairs = poses(), [(1, 0), (2, 1)]
    records = [record(tmp_path, truth, 1, 0), record(tmp_path, truth, 2, 1, units="mm")]
    with pytest.raises(InputError, match="m and mm"):
        place_clouds(nodes(tmp_path, pairs), records, tmp_path, None, {})


def test_clouds_are_named_by_file_and_by_folder_where_files_share_names(tmp_path: Path) -> None:
    paths = [
        tmp_path / "a" / "1.ply.gz",
        tmp_path / "b" / "1.ply",
        tmp_path / "b" / "scan.2.ply",
        tmp_path / "b" / "1.pcd",
    ]
    clouds = Nodes.of([CloudPair("x", paths[0], paths[1]), CloudPair("y", paths[2], paths[3])])
    assert clouds.names[0] == "a-1"
    assert clouds.names[2] == "scan.2"
    assert len(set(clouds.names)) == 4
    assert clouds.number("a-1") == 0
    assert clouds.number(str(paths[1])) == 1
    assert clouds.number("scan.2.ply") == 2
    with pytest.raises(InputError, match="no such cloud") as caught:
        clouds.number("scan.3")
    assert "scan.2" in caught.value.hint


def test_merged_clouds_are_means_over_voxels_of_what_both_have() -> None:
    first = PointCloud(
        np.array([[0.1, 0.1, 0.1], [0.2, 0.1, 0.1]]), colours=np.array([[0, 0, 0], [100, 50, 20]], dtype=np.uint8),
        normals=np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]), intensity=np.array([1.0, 3.0]),
    )  # fmt: skip
    found = thinned(first, 1.0)
    np.testing.assert_allclose(found.points, [[0.15, 0.1, 0.1]], atol=1e-9)
    assert found.colours is not None
    assert found.colours.tolist() == [[50, 25, 10]]
    assert found.normals is not None
    np.testing.assert_allclose(found.normals, [[np.sqrt(0.5), 0, np.sqrt(0.5)]])
    assert found.intensity is not None
    assert found.intensity.tolist() == [2.0]
    both = joined(first, PointCloud(np.array([[5.0, 5.0, 5.0]]), intensity=np.array([7.0])))
    assert len(both) == 3
    assert both.colours is None
    assert both.intensity is not None
    assert both.intensity.tolist() == [1.0, 3.0, 7.0]
