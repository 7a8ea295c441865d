"""Pictures of two clouds before and after a motion: what is drawn, and what the page holds."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from eqcli.geometry.motions import Motion
from eqcli.io.point_cloud import PointCloud
from eqcli.report.cloud_picture import picture
from eqcli.report.cloud_scene import CloudScene, ShownMatches, extent, matrix_of, scene
from eqcli.report.cloud_viewer import viewer

FloatArray = NDArray[np.float64]
FAR = np.array([5e5, 4e6, 100.0])


def _motion(seed: int = 1) -> FloatArray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.random(random_state=seed).as_matrix()
    matrix[:3, 3] = [3.0, -2.0, 5.0]
    return matrix


def _pair(count: int = 300, *, origin: FloatArray | None = None) -> tuple[PointCloud, PointCloud, FloatArray]:
    """A source whose points the motion brings exactly onto those of the target."""
    rng = np.random.default_rng(0)
    target = rng.normal(size=(count, 3)) * [3.0, 2.0, 1.0] + (np.zeros(3) if origin is None else origin)
    motion = _motion()
    source = (target - motion[:3, 3]) @ motion[:3, :3]
    colours = rng.integers(0, 256, size=(count, 3)).astype(np.uint8)
    return (
        PointCloud(source, colours=colours, name="a.ply", units="m"),
        PointCloud(target, name="b.pcd", units="m"),
        motion,
    )


def _data(path: Path) -> dict[str, Any]:
    found = re.search(r'id="cloud-data">(.*?)</script>', path.read_text(encoding="utf-8"), flags=re.S)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def _points(packed: dict[str, Any]) -> FloatArray:
    whole = np.frombuffer(base64.b64decode(packed["data"]), dtype="<u2").reshape(-1, 3)
    return np.asarray(packed["low"]) + np.asarray(packed["step"]) * whole


def _placed(data: dict[str, Any], share: float) -> FloatArray:
    """The source as the script places it, about the middle of the target."""
    turn = Rotation.from_rotvec(share * data["angle"] * np.asarray(data["axis"])).as_matrix()
    shift = (1 - share) * np.asarray(data["from"]) + share * np.asarray(data["to"])
    return _points(data["clouds"][0]) @ turn.T + shift


@pytest.mark.parametrize("origin", [np.zeros(3), FAR])
def test_the_page_moves_the_source_from_where_it_was_onto_the_target(tmp_path: Path, origin: FloatArray) -> None:
    source, target, motion = _pair(origin=origin)
    viewer(tmp_path / "v.html", source, target, motion)
    data = _data(tmp_path / "v.html")
    middle = extent(target.points)[0]
    fine = 2e-4
    assert _points(data["clouds"][1]) == pytest.approx(target.points - middle, abs=fine)
    assert _placed(data, 1.0) == pytest.approx(target.points - middle, abs=fine)
    start = _placed(data, 0.0) - (source.points - middle)
    if origin.any():
        # Far apart: drawn beside the target instead, undeformed.
        assert start == pytest.approx(np.broadcast_to(start[0], start.shape), abs=1e-3)
        assert np.linalg.norm(start[0]) > 1e5
        assert np.abs(_placed(data, 0.0)).max() < 100
        assert "drawn nearer" in (tmp_path / "v.html").read_text(encoding="utf-8")
    else:
        assert start == pytest.approx(np.zeros_like(start), abs=fine)


def test_the_page_has_lines_colours_and_facts_and_needs_no_network(tmp_path: Path) -> None:
    source, target, motion = _pair()
    target.name = "</script><b>"
    inliers = np.arange(300) < 100
    matches = ShownMatches.of(source.points, target.points, inliers)
    size = viewer(tmp_path / "v.html", source, target, motion, matches, title="x & y", facts={"rmse": "<1>"})
    text = (tmp_path / "v.html").read_text(encoding="utf-8")
    assert size == len(text.encode())
    assert "http" not in text
    assert "</script><b>" not in text
    assert "x &amp; y" in text
    assert "&lt;1&gt;" in text
    assert "100 inliers" in text
    assert "200 outliers" in text
    data = _data(tmp_path / "v.html")
    assert base64.b64decode(data["lines"]["inliers"]) == bytes(sorted(inliers.tolist(), reverse=True))
    assert base64.b64decode(data["clouds"][0]["colours"]) == source.colours.tobytes()  # type: ignore[union-attr]
    assert data["clouds"][1]["colours"] is None


def test_a_motion_is_taken_as_an_object_or_a_matrix(tmp_path: Path) -> None:
    source, target, motion = _pair()
    given = Motion.from_matrix(torch.from_numpy(motion))
    viewer(tmp_path / "a.html", source, target, motion)
    viewer(tmp_path / "b.html", source, target, given)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    for wrong in (np.eye(3), np.full((4, 4), np.nan)):
        with pytest.raises(ValueError, match="4 x 4"):
            matrix_of(wrong)


def test_the_identity_has_an_axis_all_the_same(tmp_path: Path) -> None:
    source, target, _ = _pair()
    viewer(tmp_path / "v.html", source, target, np.eye(4))
    data = _data(tmp_path / "v.html")
    assert (data["angle"], data["axis"]) == (0.0, [1.0, 0.0, 0.0])


def _large() -> CloudScene:
    source, target, motion = _pair(5000)
    matches = ShownMatches.of(source.points, target.points, np.arange(5000) % 10 == 0)
    return scene(source, target, motion, matches, most=1000, lines=40)


def test_of_large_clouds_a_part_is_drawn_and_the_whole_is_told() -> None:
    shown = _large()
    assert (len(shown.source.points), shown.source.total) == (1000, 5000)
    assert shown.source.words == "a.ply: 5,000 points, 1,000 of them drawn"
    assert shown.matches is not None
    assert (shown.matches.inliers.sum(), (~shown.matches.inliers).sum()) == (40, 40)
    assert shown.match_words == {
        "inliers": "500 inliers, 40 of them drawn", "outliers": "4,500 outliers, 40 of them drawn",
    }  # fmt: skip
    # Also where some were left out before.
    assert shown.matches.thinned(10, np.random.default_rng(1)).kinds == (500, 4500)
    # Matches stay matches, and the choice is the same every time.
    assert shown.moved(shown.matches.source) == pytest.approx(shown.matches.target)
    assert np.array_equal(shown.source.points, _large().source.points)


def test_points_that_are_no_numbers_are_not_drawn() -> None:
    source, target, motion = _pair()
    source.points[7] = np.nan
    shown = scene(source, target, motion)
    assert (len(shown.source.points), shown.source.total) == (299, 300)
    assert shown.source.colours is not None
    assert len(shown.source.colours) == 299
    source.points[:] = np.nan
    with pytest.raises(ValueError, match=r"a\.ply has no points"):
        scene(source, target, motion)


def test_the_extent_holds_most_points_and_no_stray_ones() -> None:
    points = np.random.default_rng(1).uniform(-1, 1, size=(1000, 3))
    points[:3] = 1e6
    centre, radius = extent(points)
    assert np.abs(centre).max() < 0.1
    assert 1.2 < radius < 2.0
    assert extent(np.ones((5, 3)))[1] > 0


def test_the_picture_is_the_same_every_time(tmp_path: Path) -> None:
    source, target, motion = _pair()
    matches = ShownMatches.of(source.points, target.points, np.arange(300) < 100)
    for name in ("a.png", "b.png"):
        picture(tmp_path / name, source, target, motion, matches, title="x", facts={"rmse": 1.0})
    picture(tmp_path / "c.png", source, target, np.eye(4), matches, title="x", facts={"rmse": 1.0})
    first, again, other = ((tmp_path / name).read_bytes() for name in ("a.png", "b.png", "c.png"))
    assert first.startswith(b"\x89PNG")
    assert first == again
    assert first != other


def test_matches_of_other_lengths_are_none() -> None:
    with pytest.raises(ValueError, match="are no matches"):
        ShownMatches.of(np.zeros((3, 3)), np.zeros((2, 3)), np.ones(3, dtype=bool))
