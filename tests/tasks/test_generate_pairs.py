"""Pairs written to a folder: read back as they were drawn, repeated by their seed, and honest about bad files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eqcli.data.cloud_pairs import CloudPair, find_pairs
from eqcli.data.pair_surfaces import measured_overlap
from eqcli.errors import InputError
from eqcli.io.point_cloud import PointCloud, read_cloud, write_cloud
from eqcli.tasks.generate_pairs import PairGeneration, generate_pairs


def request(folder: Path, **settings) -> PairGeneration:
    plain = {"kinds": {"object": 1.0}, "voxels": (900, 1000), "noise": (0.0, 0.0), "outliers": 0.0, "count": 3}
    return PairGeneration(folder, **{**plain, **settings})


def test_pairs_are_read_back(tmp_path: Path) -> None:
    result = generate_pairs(request(tmp_path / "out"))
    assert not result.failures
    pairs = list(find_pairs(tmp_path / "out"))
    assert len(pairs) == 3
    for pair in pairs:
        assert isinstance(pair, CloudPair)
        assert pair.voxel == 0.025
        assert pair.overlap is not None
        assert 0.1 <= pair.overlap <= 0.3
        source, target = read_cloud(pair.source), read_cloud(pair.target)
        there = source.moved(pair.truth).points
        assert measured_overlap(there, target.points, 2 * pair.voxel) == pytest.approx(pair.overlap, abs=0.005)
        assert np.ptp(source.points, axis=0).max() < 0.025 * 120
    settings = json.loads((tmp_path / "out" / "pairs.json").read_text())["settings"]
    assert settings["seed"] == 0


def test_symmetries_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from eqcli.data import pair_generation

    maker = pair_generation.MAKERS["symmetric"]
    monkeypatch.setattr(pair_generation, "MAKERS", {"symmetric": maker})
    generate_pairs(request(tmp_path / "out", count=1))
    (pair,) = find_pairs(tmp_path / "out")
    assert isinstance(pair, CloudPair)
    assert pair.symmetries is not None
    assert np.abs(pair.symmetries - np.eye(4)).max((-1, -2)).min() < 1e-9


def test_same_seed_same_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        generate_pairs(request(tmp_path / name, count=2))
    generate_pairs(request(tmp_path / "c", count=2, seed=1))
    first, again, other = ((tmp_path / name / "clouds" / "1_source.ply").read_bytes() for name in "abc")
    assert first == again
    assert first != other


def test_files_and_failures(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ball = rng.normal(size=(20000, 3))
    stone = ball / np.linalg.norm(ball, axis=-1, keepdims=True) * [3.0, 2.0, 1.0] * (1 + 0.1 * np.sin(3 * ball))
    write_cloud(PointCloud(stone), tmp_path / "stone.ply")
    (tmp_path / "bad.ply").write_text("nothing")
    files = (tmp_path / "stone.ply", tmp_path / "bad.ply")
    result = generate_pairs(request(tmp_path / "out", files=files, count=2))
    assert [failure.item for failure in result.failures] == ["bad.ply"]
    for pair in find_pairs(tmp_path / "out"):
        assert isinstance(pair, CloudPair)
        assert pair.scene.startswith("file:stone")
        extent = np.ptp(read_cloud(pair.source).points, axis=0).max()
        assert 0.5 < extent < 10  # In the unit of the file.
    with pytest.raises(InputError, match="none of the files"):
        generate_pairs(request(tmp_path / "none", files=files[1:]))
    assert not (tmp_path / "none" / "pairs.csv").exists()


def test_bad_requests(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "anything").touch()
    with pytest.raises(InputError, match="not empty"):
        generate_pairs(request(tmp_path / "full"))
    good = request(tmp_path / "out")
    with pytest.raises(InputError, match="at least 1"):
        generate_pairs(replace(good, count=0))
    with pytest.raises(InputError, match="must rise"):
        generate_pairs(replace(good, overlap=(0.5, 0.3)))
    with pytest.raises(InputError, match="not written"):
        generate_pairs(replace(good, ending=".gltf"))
