"""Registration of two clouds: what is read, said and written, with a stand-in for the search itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eqcli.errors import ExitCode, InputError
from eqcli.io.point_cloud import PointCloud, read_cloud, write_cloud
from eqcli.tasks.register import register
from eqcli.tasks.register_clouds import read_motion
from eqcli.tasks.register_files import RegisterFiles
from eqcli.tasks.register_request import RegisterRequest
from tests.listener import Listener
from tests.tasks.register_case import cloud, drawn_motion, use_engine, write_pair

COLOURS = np.random.default_rng(5).integers(0, 256, size=(200, 3)).astype(np.uint8)


def files_in(folder: Path) -> RegisterFiles:
    return RegisterFiles(folder / "out.ply", folder / "T.txt", folder / "r.json", folder / "v.html", folder / "p.png")


def test_the_moved_source_lies_on_the_target_with_all_that_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_engine(monkeypatch)
    normals = np.random.default_rng(1).normal(size=(200, 3))
    fields = {"quality": np.arange(200, dtype=np.float32)}
    source, target, motion = write_pair(tmp_path, colours=COLOURS, normals=normals, fields=fields)
    result = register(RegisterRequest(source, target), files_in(tmp_path))
    assert result.exit_code == ExitCode.OK
    moved, before, after = (read_cloud(path) for path in (tmp_path / "out.ply", source, target))
    np.testing.assert_allclose(moved.points, after.points, atol=1e-5)
    assert moved.colours is not None
    assert moved.normals is not None
    assert before.normals is not None
    np.testing.assert_array_equal(moved.colours, COLOURS)
    np.testing.assert_allclose(moved.normals, before.normals @ motion[:3, :3].T, atol=1e-5)
    np.testing.assert_array_equal(moved.fields["quality"], fields["quality"])
    np.testing.assert_allclose(np.loadtxt(tmp_path / "T.txt"), motion, atol=1e-6)
    assert (tmp_path / "v.html").stat().st_size > 1000
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_points_that_are_left_out_of_the_search_stay_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_engine(monkeypatch)
    source, target, _ = write_pair(tmp_path)
    whole = read_cloud(source)
    holes = np.vstack([whole.points, [[np.nan] * 3], whole.points[:3]])
    write_cloud(PointCloud(holes), source)
    result = register(RegisterRequest(source, target), RegisterFiles(tmp_path / "out.ply"))
    assert len(read_cloud(tmp_path / "out.ply")) == len(holes)
    told = "; ".join(result.as_dict()["notes"])
    assert "points that are not finite were left out: 1" in told
    assert "exact repetitions of points were left out: 3" in told


def test_the_result_has_the_motion_its_evidence_and_where_it_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = use_engine(monkeypatch)
    engine.ambiguities = ("symmetric: 3 motions fit alike",)
    source, target, motion = write_pair(tmp_path)
    register(RegisterRequest(source, target, seed=7), RegisterFiles(result=tmp_path / "r.json"))
    found = json.loads((tmp_path / "r.json").read_text())
    np.testing.assert_allclose(found["motion"]["matrix"], motion, atol=1e-6)
    angle = np.degrees(np.arccos((np.trace(motion[:3, :3]) - 1) / 2))
    assert found["motion"]["angle"] == pytest.approx(angle, abs=1e-4)
    axis = np.array(found["motion"]["axis"])
    np.testing.assert_allclose(motion[:3, :3] @ axis, axis, atol=1e-6)
    assert found["evidence"]["inliers"] == 200
    assert found["ambiguities"] == ["symmetric: 3 motions fit alike"]
    assert found["request"]["seed"] == 7
    assert [Path(one["path"]).name for one in found["provenance"]["inputs"]] == ["source.ply", "target.ply"]
    assert all(len(one["sha256"]) == 64 for one in found["provenance"]["inputs"])
    assert set(found["seconds"]) == {"read", "solve"}


def test_deviations_are_about_the_middle_of_the_overlap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_engine(monkeypatch)
    source, target, _ = write_pair(tmp_path)
    far = np.eye(4)
    far[0, 3] = 1000.0
    write_cloud(read_cloud(target).moved(far), target)
    result = register(RegisterRequest(source, target)).as_dict()
    assert result["deviations"]["about"][0] == pytest.approx(1000, abs=5)
    # About the origin a turn of 1e-3 is a shift of 1e-3; about a point 1000 away it shifts that by 1.
    assert max(result["deviations"]["translation"]) == pytest.approx(1.0, rel=0.02)
    np.testing.assert_allclose(result["deviations"]["rotation"], np.degrees(1e-3), rtol=1e-6)


def test_without_a_reliable_alignment_there_is_no_matrix_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_engine(monkeypatch)
    source, target, _ = write_pair(tmp_path)
    write_cloud(cloud(seed=9), target)
    told = Listener()
    result = register(RegisterRequest(source, target), files_in(tmp_path), report=told)
    assert result.exit_code == ExitCode.PARTIAL
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.json", "source.ply", "target.ply"]
    text = (tmp_path / "r.json").read_text()
    found = json.loads(text)
    assert (found["motion"], found["covariance"], found["alternatives"]) == (None, None, [])
    assert "matrix" not in text
    assert found["reasons"] == ["the surfaces cross"]
    shown = dict(result.summary())
    assert shown["alignment"] == "no reliable alignment"
    assert shown["because"] == "the surfaces cross"
    assert "rotation" not in shown
    assert any("out.ply" in message and "not written" in message for message in told.messages)


def test_the_summary_says_every_figure_with_what_it_is_held_against(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_engine(monkeypatch)
    source, target, _ = write_pair(tmp_path)
    shown = dict(register(RegisterRequest(source, target)).summary())
    assert "200 of 200 agree with the motion within 0.2 (2 voxels); 1.5 would by chance" in shown["matches"]
    assert all("at least" in shown[name] for name in ("places", "support", "overlap", "agreement"))
    assert "at most" in shown["other motions"]
    assert len(shown["matrix"].splitlines()) == 4


def test_options_reach_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = use_engine(monkeypatch)
    source, target, _ = write_pair(tmp_path)
    np.savetxt(tmp_path / "start.txt", drawn_motion(4))
    request = RegisterRequest(
        source, target, method="fpfh", solver="ransac", refine="point-to-plane", voxel=0.3, seed=5, threads=1,
        start=tmp_path / "start.txt",
    )  # fmt: skip
    register(request)
    ((settings, features, start),) = engine.calls
    assert (settings.method, settings.solver, settings.refinement) == ("fpfh", "ransac", "point-to-plane")
    assert (settings.voxel, settings.seed, settings.threads, features) == (0.3, 5, 1, None)
    np.testing.assert_allclose(start.matrix().numpy(), drawn_motion(4), atol=1e-12)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 0 0\n0 1 0\n0 0 1\n", "start.txt:1: a row of a motion has 4 numbers, and here are 3"),
        ("a b\n", "start.txt:1: 'a' is no number"),
        ("", "start.txt: a motion is 4 rows of 4 numbers, and here are 0 rows"),
        ("2 0 0 0\n0 2 0 0\n0 0 2 0\n0 0 0 1\n", "start.txt:1: this matrix is no rigid motion"),
        (2 * "1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n", "start.txt: a start is one motion, and here are 2"),
    ],
)
def test_a_start_that_is_no_motion_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    engine = use_engine(monkeypatch)
    source, target, _ = write_pair(tmp_path)
    (tmp_path / "start.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        register(RegisterRequest(source, target, start=tmp_path / "start.txt"))
    assert not engine.calls


def test_a_rounded_start_becomes_a_rotation(tmp_path: Path) -> None:
    matrix = drawn_motion(4)
    np.savetxt(tmp_path / "start.txt", matrix, fmt="%.3f")
    rotation = read_motion(tmp_path / "start.txt").rotation.numpy()
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-14)
    np.testing.assert_allclose(rotation, matrix[:3, :3], atol=1e-3)


def test_another_scale_is_noticed_and_mended_by_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_engine(monkeypatch)
    source, target, motion = write_pair(tmp_path)
    write_cloud(PointCloud(read_cloud(source).points * 1000), source)
    request = RegisterRequest(source, target)
    with pytest.raises(InputError, match="units that differ by 1000") as caught:
        register(request)
    assert "--source-units mm --target-units m" in caught.value.hint
    result = register(replace(request, source_units="mm", target_units="m"))
    np.testing.assert_allclose(result.as_dict()["motion"]["matrix"], motion, atol=1e-5)
    assert result.as_dict()["units"] == "m"
    assert any("from mm to m" in note for note in result.as_dict()["notes"])
    same = register(replace(request, source_units="same"))
    assert same.exit_code == ExitCode.PARTIAL


@pytest.mark.parametrize(
    ("units", "message"), [({"source_units": "mm"}, "nothing states"), ({"source_units": "parsec"}, "no unit")]
)
def test_units_that_say_nothing_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, units: dict[str, str], message: str
) -> None:
    use_engine(monkeypatch)
    source, target, _ = write_pair(tmp_path)
    with pytest.raises(InputError, match=message):
        register(RegisterRequest(source, target, **units))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"method": "pare-net"}, "needs a trained model"),
        ({"method": "fpfh", "model": Path("m")}, "takes none"),
        ({"method": "icp", "solver": "ransac"}, "--method icp takes no matches"),
        ({"solver": "one-match"}, "matches that bring a rotation"),
        ({"method": "fpfh", "solver": "one-match"}, "matches that bring a rotation"),
        ({"voxel": 0.0}, "above 0"),
        ({"permute": True}, "--permute: not for clouds"),
        ({"on": "ca", "primitive": False}, "--on, --primitive: not for clouds"),
        ({"kind": "molecules", "voxel": 0.1, "solver": "kiss"}, "--solver, --voxel: not for molecules"),
    ],
)
def test_options_that_do_not_belong_are_refused(tmp_path: Path, changed: dict[str, object], message: str) -> None:
    source, target, _ = write_pair(tmp_path)
    with pytest.raises(InputError, match=message):
        register(replace(RegisterRequest(source, target), **changed))  # type: ignore[arg-type]


def test_outputs_are_refused_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = use_engine(monkeypatch)
    source, target, _ = write_pair(tmp_path)
    (tmp_path / "there.txt").write_text("x")
    request = RegisterRequest(source, target)
    for files, message in (
        (RegisterFiles(source), "is an input"),
        (RegisterFiles(transform=tmp_path / "there.txt"), "exists already"),
        (RegisterFiles(tmp_path / "a.docx"), "not written"),
        (RegisterFiles(viewer=tmp_path / "v.txt"), "--viewer"),
        (RegisterFiles(tmp_path / "a.ply", result=tmp_path / "a.ply"), "one file"),
    ):
        with pytest.raises(InputError, match=message):
            register(request, files)
    assert not engine.calls
    register(request, RegisterFiles(transform=tmp_path / "there.txt"), overwrite=True)
    assert (tmp_path / "there.txt").read_text() != "x"


def test_missing_and_empty_files_are_told_by_name(tmp_path: Path) -> None:
    source, target, _ = write_pair(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        register(RegisterRequest(source, tmp_path / "missing.ply"))
    write_cloud(PointCloud(np.zeros((0, 3))), target)
    with pytest.raises(InputError, match=r"target\.ply"):
        register(RegisterRequest(source, target))
