"""Many pairs in a folder: each once, whatever interrupts them, and all clouds in one frame."""

from __future__ import annotations

import csv
import json
import multiprocessing
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eqcli.data.cloud_pairs import CloudPair
from eqcli.errors import ExitCode, Failure, InputError, Where
from eqcli.io.point_cloud import PointCloud, read_cloud, write_cloud
from eqcli.tasks import register_many as module
from eqcli.tasks.register_many import register_pairs
from eqcli.tasks.register_many_request import PairsRequest
from eqcli.tasks.register_request import RegisterRequest
from eqcli.tasks.register_rows import COLUMNS, RESULTS, TABLE, TRANSFORMS
from tests.tasks.register_case import StubEngine, cloud, drawn_motion, use_engine, write_scans

VARYING = {"seconds"}
LINKS = ((1, 0), (2, 1), (3, 2), (4, 3), (2, 0), (4, 2))


def asked(folder: Path, **changed: Any) -> PairsRequest:
    options = RegisterRequest(Path(), Path(), kind="clouds", device="cpu")
    return replace(PairsRequest(folder / "pairs.csv", options, workers=1), **changed)


def use_pairs(monkeypatch: pytest.MonkeyPatch, pairs: list[CloudPair | Failure]) -> None:
    def found(path: Path) -> Iterator[CloudPair | Failure]:
        yield from pairs

    monkeypatch.setattr(module, "_found", found)


def scans(folder: Path, monkeypatch: pytest.MonkeyPatch, *, noise: float = 0.0) -> list[CloudPair | Failure]:
    """Pairs of five scans with their truth; the last two are of other places, and unreadable."""
    paths, poses = write_scans(folder, noise=noise)
    pairs: list[CloudPair | Failure] = [
        CloudPair(f"scan {a}-{b}", paths[a], paths[b], truth=np.linalg.inv(poses[b]) @ poses[a]) for a, b in LINKS
    ]
    write_cloud(cloud(seed=8), folder / "elsewhere.ply")
    (folder / "broken.ply").write_text("ply\nformat of no kind\n")
    pairs.append(CloudPair("apart", folder / "elsewhere.ply", paths[0]))
    pairs.append(CloudPair("unreadable", folder / "broken.ply", paths[0]))
    use_pairs(monkeypatch, pairs)
    return pairs


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / TABLE).open(newline="") as file:
        return [{name: value for name, value in row.items() if name not in VARYING} for row in csv.DictReader(file)]


def content(folder: Path) -> dict[str, bytes]:
    """Everything that was written but times of computation."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    for name in [name for name in found if name in (TABLE, "register.json") or name.startswith(RESULTS)]:
        found[name] = b""
    return found


def test_every_pair_has_one_row_with_its_motion_or_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_engine(monkeypatch)
    pairs = scans(tmp_path, monkeypatch)
    pairs.insert(2, Failure("row 4", "no column 'target'", Where("pairs.csv", line=4)))
    result = register_pairs(asked(tmp_path), tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    assert list(rows[0]) == [name for name in COLUMNS if name not in VARYING]
    assert [row["name"] for row in rows] == [pair.item if isinstance(pair, Failure) else pair.name for pair in pairs]
    assert [row["status"] for row in rows] == ["ok", "ok", "failed", "ok", "ok", "ok", "ok", "no alignment", "failed"]
    for row, pair in zip(rows, pairs, strict=True):
        if row["status"] == "ok":
            assert isinstance(pair, CloudPair)
            np.testing.assert_allclose(np.loadtxt(tmp_path / "out" / row["transform"]), pair.truth, atol=1e-5)
            assert float(row["rotation_error"]) < 1e-3
            assert float(row["translation_error"]) < 1e-4
        else:
            assert row["reason"]
            assert not row["transform"]
            assert not row["angle"]
    assert rows[2]["reason"] == "pairs.csv:4: no column 'target'"
    assert rows[-1]["reason"].startswith(str(tmp_path / "broken.ply"))
    assert len(list((tmp_path / "out" / TRANSFORMS).iterdir())) == 6
    assert (result.count("ok"), result.exit_code, len(result.failures)) == (6, ExitCode.PARTIAL, 3)
    assert "6 of these whose truth is given" in dict(result.summary())["errors"]


def test_symmetric_objects_are_measured_by_the_nearest_of_their_likes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_engine(monkeypatch)
    pairs = scans(tmp_path, monkeypatch)[:1]
    (pair,) = pairs
    assert isinstance(pair, CloudPair)
    assert pair.truth is not None
    half = np.diag([-1.0, -1.0, 1.0, 1.0])
    turned = replace(pair, truth=half @ pair.truth)
    use_pairs(monkeypatch, [turned, replace(turned, name="known", symmetries=np.stack([np.eye(4), half]))])
    register_pairs(asked(tmp_path), tmp_path / "out")
    plain, known = rows_of(tmp_path / "out")
    assert float(plain["rotation_error"]) == pytest.approx(180, abs=1e-3)
    assert float(known["rotation_error"]) < 1e-3


def killed_at(folder: Path, out: Path, done: int) -> None:
    """A run in a process of its own that is killed when so many pairs are on the disk."""
    process = multiprocessing.get_context("fork").Process(target=register_pairs, args=(asked(folder), out))
    process.start()
    while process.is_alive() and len(list((out / RESULTS).glob("[!.]*.json"))) < done:
        time.sleep(0.001)
    process.kill()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("done", [0, 1, 4])
def test_a_killed_run_goes_on_and_ends_with_the_same_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    engine = use_engine(monkeypatch)
    scans(tmp_path, monkeypatch)
    register_pairs(asked(tmp_path, pose_graph=True), tmp_path / "whole")

    class Slow(StubEngine):
        def __call__(self, *args: Any, **options: Any) -> Any:
            time.sleep(0.05)
            return super().__call__(*args, **options)

    monkeypatch.setattr("eqcli.engine.registration.register_clouds", Slow())
    out = tmp_path / "killed"
    killed_at(tmp_path, out, done)
    finished = len(list((out / RESULTS).glob("[!.]*.json")))
    assert done <= finished < 8
    if finished:  # What a kill in the middle of writing leaves.
        (out / RESULTS / ".scan-4-3.123.tmp.json").write_text('{"row"')
    engine.calls.clear()
    monkeypatch.setattr("eqcli.engine.registration.register_clouds", engine)
    result = register_pairs(asked(tmp_path, pose_graph=True), out, resume=True)
    assert result.earlier == finished
    assert len(engine.calls) == 7 - finished
    assert rows_of(out) == rows_of(tmp_path / "whole")
    both = content(out), content(tmp_path / "whole")
    assert both[0].keys() == both[1].keys()
    told = [json.loads(one.pop("poses.json")) for one in both]
    for one in told:
        one.pop("provenance")
    assert told[0] == told[1]
    assert both[0] == both[1]


def test_an_interrupted_run_leaves_the_table_of_what_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = use_engine(monkeypatch)
    scans(tmp_path, monkeypatch)

    def interrupted(*args: Any, **options: Any) -> Any:
        if len(engine.calls) == 3:
            raise KeyboardInterrupt
        return engine(*args, **options)

    monkeypatch.setattr("eqcli.engine.registration.register_clouds", interrupted)
    with pytest.raises(KeyboardInterrupt):
        register_pairs(asked(tmp_path), tmp_path / "out")
    assert [row["name"] for row in rows_of(tmp_path / "out")] == ["scan 1-0", "scan 2-1", "scan 3-2"]


def test_results_are_kept_from_other_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_engine(monkeypatch)
    pairs = scans(tmp_path, monkeypatch)
    out = tmp_path / "out"
    register_pairs(asked(tmp_path), out)
    with pytest.raises(InputError, match="results of pairs in this folder"):
        register_pairs(asked(tmp_path), out)
    other = asked(tmp_path, options=RegisterRequest(Path(), Path(), kind="clouds", voxel=0.2, device="cpu"))
    with pytest.raises(InputError, match="another voxel"):
        register_pairs(other, out, resume=True)
    use_pairs(monkeypatch, pairs[:-1])
    with pytest.raises(InputError, match="another pairs"):
        register_pairs(asked(tmp_path), out, resume=True)
    (out / "mine.txt").write_text("kept")
    register_pairs(other, out, overwrite=True)
    assert len(rows_of(out)) == 7
    assert not (out / RESULTS / "unreadable.json").exists()
    assert (out / "mine.txt").read_text() == "kept"


def test_all_clouds_come_into_the_frame_of_the_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_engine(monkeypatch)
    scans(tmp_path, monkeypatch, noise=0.01)
    request = asked(tmp_path, pose_graph=True, reference="scan0", merged=tmp_path / "all.ply")
    result = register_pairs(request, tmp_path / "out")
    assert result.poses is not None
    assert (result.poses.reference, result.poses.reached, result.poses.clouds) == ("scan0", 5, 7)
    told = {cloud["name"]: cloud for cloud in json.loads((tmp_path / "out" / "poses.json").read_text())["clouds"]}
    for k in range(1, 5):
        found, truth = np.array(told[f"scan{k}"]["matrix"]), drawn_motion(10 + k)
        np.testing.assert_allclose(found, truth, atol=0.02)
    # A pair that lies apart is no failure of a graph; clouds without a place, and what cannot be read, are.
    assert sorted(failure.item for failure in result.failures) == ["broken", "elsewhere", "unreadable"]
    assert result.exit_code == ExitCode.PARTIAL
    merged, whole = read_cloud(tmp_path / "all.ply"), cloud()
    assert result.poses.points == len(merged)
    nearest = np.linalg.norm(whole.points[:, None] - merged.points[None], axis=2).min(axis=1)
    assert nearest.max() < 0.1


def test_a_graph_may_follow_a_run_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = use_engine(monkeypatch)
    pairs = scans(tmp_path, monkeypatch)
    use_pairs(monkeypatch, pairs[:6])
    register_pairs(asked(tmp_path), tmp_path / "out")
    engine.calls.clear()
    result = register_pairs(asked(tmp_path, pose_graph=True), tmp_path / "out", resume=True)
    assert not engine.calls
    assert result.exit_code == ExitCode.OK
    assert (tmp_path / "out" / "poses.txt").read_text().count("\n") == 6


def test_folders_of_other_things_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_engine(monkeypatch)
    scans(tmp_path, monkeypatch)
    (tmp_path / "out" / RESULTS).mkdir(parents=True)
    (tmp_path / "out" / RESULTS / "thesis.json").write_text("{}")
    with pytest.raises(InputError, match="in the way"):
        register_pairs(asked(tmp_path), tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / RESULTS / "thesis.json").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"reference": "scan0"}, "--reference"),
        ({"merged": Path("all.ply")}, "--merged"),
        ({"pose_graph": True, "reference": "scan9"}, "no such cloud"),
        ({"pose_graph": True, "merged": Path("all.docx")}, "not written"),
        ({"options": RegisterRequest(Path(), Path(), start=Path("T.txt"))}, "--start"),
    ],
)
def test_requests_that_cannot_be_carried_out_are_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], message: str
) -> None:
    engine = use_engine(monkeypatch)
    scans(tmp_path, monkeypatch)
    with pytest.raises(InputError, match=message):
        register_pairs(asked(tmp_path, **changed), tmp_path / "out")
    assert not engine.calls


def test_a_list_without_pairs_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_pairs(monkeypatch, [])
    with pytest.raises(InputError, match="no pairs"):
        register_pairs(asked(tmp_path), tmp_path / "out")


def test_a_defect_in_one_pair_does_not_end_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = use_engine(monkeypatch)
    pairs = scans(tmp_path, monkeypatch)
    use_pairs(monkeypatch, pairs[:3])

    def faulty(source: PointCloud, *args: Any, **options: Any) -> Any:
        if source.name.startswith("scan2"):
            raise ZeroDivisionError("a defect")
        return engine(source, *args, **options)

    monkeypatch.setattr("eqcli.engine.registration.register_clouds", faulty)
    register_pairs(asked(tmp_path), tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    assert [row["status"] for row in rows] == ["ok", "failed", "ok"]
    assert "a defect" in rows[1]["reason"]
    # It was the program's fault, which a later version may have mended: it is tried again.
    monkeypatch.setattr("eqcli.engine.registration.register_clouds", engine)
    register_pairs(asked(tmp_path), tmp_path / "out", resume=True)
    assert [row["status"] for row in rows_of(tmp_path / "out")] == ["ok", "ok", "ok"]
