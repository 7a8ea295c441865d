"""`eqcli generate pairs`: options reach the task, bad ones are refused before anything is written, failures count."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eqcli.io.point_cloud import PointCloud, read_cloud, write_cloud
from eqcli.tasks.generate_pairs import PairGeneration
from tests.tasks.generate_case import models

from .conftest import Ended, StandIn

Run = Callable[..., Ended]
SMALL = ("--voxels", "900", "1000", "--kinds", "object")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[PairGeneration]:
    found: list[PairGeneration] = []

    def called(request: PairGeneration, report: Any = None) -> StandIn:
        found.append(request)
        return StandIn()

    monkeypatch.setattr("eqcli.tasks.generate_pairs.generate_pairs", called)
    return found


def stone(path: Path) -> Path:
    """A lumpy ellipsoid."""
    ball = np.random.default_rng(0).normal(size=(20000, 3))
    ball /= np.linalg.norm(ball, axis=-1, keepdims=True)
    write_cloud(PointCloud(ball * [3.0, 2.0, 1.0] * (1 + 0.1 * np.sin(3 * ball))), path)
    return path


def test_options_reach_the_request(eqcli: Run, calls: list[PairGeneration]) -> None:
    made = eqcli(
        "generate", "pairs", "-n", "200", "-o", "out", "--overlap", "0.2", "0.4", "--views", "crop", "--noise", "0",
        "0.1", "--density", "2", "3", "--outliers", "0.01", "--voxels", "900", "1000", "--voxel", "0.05", "--kinds",
        "object=0.7,scene=0.3", "--rotation", "45", "--ending", "npy", "--seed", "3", "--overwrite",
    )  # fmt: skip
    assert made.code == 0, made.err
    assert calls[0] == PairGeneration(
        Path("out"), 200, (), (0.2, 0.4), {"crop": 1.0}, {"object": 0.7, "scene": 0.3}, (2.0, 3.0), (0.0, 0.1), 0.01,
        45.0, (900, 1000), 0.05, ".npy", 3, overwrite=True,
    )  # fmt: skip


def test_defaults_are_those_of_the_request(eqcli: Run, calls: list[PairGeneration]) -> None:
    assert eqcli("generate", "pairs", "-o", "out").code == 0
    assert calls == [PairGeneration(Path("out"))]


def test_files_follow_their_option(eqcli: Run, calls: list[PairGeneration]) -> None:
    assert eqcli("generate", "pairs", "--shapes", "a.ply", "b.obj", "c.ply", "-o", "out").code == 0
    assert eqcli("generate", "pairs", "-o", "out", "--shapes", "a.ply", "--shapes", "b.obj").code == 0
    files = [sorted(map(str, request.files)) for request in calls]
    assert files == [["a.ply", "b.obj", "c.ply"], ["a.ply", "b.obj"]]


def test_pairs_and_a_summary(eqcli: Run) -> None:
    ended = eqcli("generate", "pairs", "-n", "2", "-o", "pairs/", *SMALL, "--overlap", "0.3", "0.5")
    assert ended.code == 0, ended.err
    with Path("pairs/pairs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    overlaps = [float(row["overlap"]) for row in rows]
    shown = dict(line.split(maxsplit=1) for line in ended.out.splitlines())
    assert shown["pairs"] == "2 in pairs"
    assert shown["overlap"] == f"{min(overlaps):.2f} to {max(overlaps):.2f}, median {sum(overlaps) / 2:.2f}"
    assert sum(int(word.split()[0]) for word in shown["kinds"].split(", ")) == 2
    noted = json.loads(Path("pairs/pairs.json").read_text())
    assert noted["settings"]["voxels"] == [900, 1000]
    assert noted["provenance"]["eqcli"]
    # The folder has the name of the word now, and is no model.
    again = eqcli("generate", "pairs", "-n", "1", "-o", "pairs", *SMALL, "--overwrite", "--json", "--ending", ".npy")
    told = json.loads(again.out)
    assert (again.code, told["pairs"], told["exit_code"]) == (0, 1, 0)
    assert told["overlap"]["least"] == told["overlap"]["largest"] == told["overlaps"][0]
    assert sorted(path.name for path in Path("pairs/clouds").iterdir()) == ["1_source.npy", "1_target.npy"]


def test_failures_have_exit_code_3(eqcli: Run) -> None:
    stone(Path("stone.ply"))
    Path("bad.ply").write_text("nothing")
    ended = eqcli("generate", "pairs", "-n", "1", "-o", "out", "--shapes", "bad.ply", "stone.ply", "--voxels", "900",
                  "1000")  # fmt: skip
    assert ended.code == 3
    assert "1 failed" in ended.err
    assert "bad.ply" in ended.err
    noted = json.loads(Path("out/pairs.json").read_text())
    assert [Path(entry["path"]).name for entry in noted["files"]] == ["stone.ply"]
    assert len(noted["failures"]) == 1
    assert np.ptp(read_cloud("out/clouds/1_source.ply").points, axis=0).max() > 0.5


def test_a_folder_of_shapes(eqcli: Run) -> None:
    Path("scans").mkdir()
    stone(Path("scans/stone.ply"))
    ended = eqcli("generate", "pairs", "-n", "1", "-o", "out", "--shapes", "scans", "--voxels", "900", "1000", "--json")
    assert ended.code == 0
    assert json.loads(ended.out)["kinds"] == {"file:stone/crop": 1}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--kinds", "objct=1"), "Did you mean 'object'?"),
        (("--kinds", "file=1"), "'file' is not known"),
        (("--kinds", "object=0"), "not all 0"),
        (("--kinds", "object=-1"), "0 or above"),
        (("--kinds", "object=x"), "'x' is no weight"),
        (("--kinds", "object,object=2"), "given twice"),
        (("--views", "sigt"), "Did you mean 'sight'?"),
        (("--overlap", "0.3", "0.1"), "must rise"),
        (("--overlap", "0.3", "1.5"), "must rise"),
        (("--overlap", "nan", "nan"), "must rise"),
        (("--overlap", "0.3"), "--overlap"),
        (("--noise", "0.3", "0.1"), "the noise runs from"),
        (("--density", "0", "1"), "the density runs from"),
        (("--voxels", "10", "20"), "the voxels runs from"),
        (("--outliers", "1"), "share below 1"),
        (("--rotation", "200"), "180 degrees"),
        (("--voxel", "0"), "above 0"),
        (("--ending", ".gltf"), "not written as '.gltf'"),
        (("--seed", "-1"), "--seed"),
        (("-n", "0"), "--n"),
        (("--shapes", "absent.ply"), "no such file"),
        (("--shapes", "empty"), "no files in it"),
        (("--shapes", "bad.ply"), "none of the files can be read"),
        (("--shapes", "bad.ply", "absent.ply"), "no such file"),
        (("--shapes", "bad.ply", "--kinds", "object"), "--kinds: for made shapes"),
        (("--shapes", "bad.ply", "--voxel", "0.1"), "--voxel: for made shapes"),
        (("--formula", "CaTiO3", "--resume"), "--formula, --resume: not for pairs"),
        (("-o", "full"), "not empty"),
        (("-o", "full", "--overwrite"), "holds no pairs"),
        (("-o", "bad.ply"), "this is a file"),
        (("-o", "bad.ply/x"), "this is a file"),
        (("-o", "/proc/x"), "nothing can be written"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(eqcli: Run, words: tuple[str, ...], said: str) -> None:
    Path("bad.ply").write_text("nothing")
    Path("empty").mkdir()
    Path("full").mkdir()
    Path("full/mine.txt").touch()
    before = sorted(Path().rglob("*"))
    where = () if "-o" in words else ("-o", "out")
    ended = eqcli("generate", "pairs", *words, *where)
    assert ended.code == 2, ended
    assert said in " ".join(ended.err.split())
    assert "Traceback" not in ended.err
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize("words", [("--overlap", "0.1", "0.2"), ("--shapes", "a.ply"), ("a.ply",)])
def test_options_of_pairs_are_for_pairs(eqcli: Run, words: tuple[str, ...]) -> None:
    ended = eqcli("generate", "m.safetensors", "-o", "out.cif", *words)
    assert ended.code == 2
    assert "the word pairs" in ended.err


def test_a_model_file_of_that_name_is_the_model(eqcli: Run, tmp_path_factory: pytest.TempPathFactory) -> None:
    made = models(tmp_path_factory.mktemp("models")) / "dng.safetensors"
    Path("pairs").write_bytes(made.read_bytes())
    ended = eqcli("generate", "pairs", "-n", "1", "-o", "out.h5", "--device", "cpu")
    assert ended.code == 0, ended.err
    assert Path("out.h5").is_file()


def test_a_file_of_that_name_that_is_no_model_is_not(eqcli: Run, calls: list[PairGeneration]) -> None:
    Path("pairs").write_text("no model")
    assert eqcli("generate", "pairs", "-o", "out").code == 0
    assert replace(calls[0], output=Path("x")) == PairGeneration(Path("x"))
