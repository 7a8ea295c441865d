"""`eqcli register`: options reach the task, what does not belong together is refused, and endings have their codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from eqcli.io.point_cloud import PointCloud, read_cloud, write_cloud
from tests.cli.conftest import Ended, StandIn
from tests.tasks.register_case import cloud, use_engine, write_pair

Calls = list[tuple[tuple[Any, ...], dict[str, Any]]]


def stand_in(monkeypatch: pytest.MonkeyPatch, module: str, name: str) -> Calls:
    calls: Calls = []

    def called(*arguments: Any, **options: Any) -> StandIn:
        calls.append((arguments, options))
        return StandIn()

    monkeypatch.setattr(f"{module}.{name}", called)
    return calls


def test_options_of_a_pair_reach_the_request(eqcli: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch) -> None:
    calls = stand_in(monkeypatch, "eqcli.tasks.register", "register")
    ended = eqcli(
        "register", "a.ply", "b.pcd", "-o", "out.ply", "--transform", "T.txt", "--result", "r.json", "--viewer",
        "v.html", "--picture", "p.png", "--method", "pare-net", "--model", "m.safetensors", "--solver", "one-match",
        "--refine", "point-to-plane", "--voxel", "0.05", "--start", "S.txt", "--seed", "3", "--source-units", "mm",
        "--target-units", "m", "--samples", "1000", "--as", "clouds", "--device", "cpu", "--threads", "2",
        "--overwrite",
    )  # fmt: skip
    assert ended.code == 0
    (((request, files), options),) = calls
    assert (request.source, request.target, request.kind) == (Path("a.ply"), Path("b.pcd"), "clouds")
    assert (request.method, request.model, request.solver) == ("pare-net", Path("m.safetensors"), "one-match")
    assert (request.refine, request.voxel, request.start) == ("point-to-plane", 0.05, Path("S.txt"))
    assert (request.seed, request.samples, request.device, request.threads) == (3, 1000, "cpu", 2)
    assert (request.source_units, request.target_units) == ("mm", "m")
    assert [str(path) for path in vars(files).values()] == ["out.ply", "T.txt", "r.json", "v.html", "p.png"]
    assert options["overwrite"] is True


def test_options_of_structures_reach_the_request(eqcli: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch) -> None:
    calls = stand_in(monkeypatch, "eqcli.tasks.register", "register")
    ended = eqcli(
        "register", "a", "b", "--permute", "--heavy", "--reflect", "--on", "backbone", "--by", "sequence",
        "--source-chain", "A", "--source-chain", "B", "--target-chain", "C", "--ltol", "0.3", "--stol", "0.2",
        "--angle-tol", "4", "--no-primitive", "--scale",
    )  # fmt: skip
    assert ended.code == 0
    request = calls[0][0][0]
    assert (request.permute, request.heavy, request.reflect) == (True, True, True)
    assert (request.on, request.by) == ("backbone", "sequence")
    assert (request.source_chains, request.target_chains) == (("A", "B"), ("C",))
    assert (request.ltol, request.stol, request.angle_tol) == (0.3, 0.2, 4.0)
    assert (request.primitive, request.scale) == (False, True)


def test_defaults_are_those_of_the_request(eqcli: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch) -> None:
    from eqcli.tasks.register_files import RegisterFiles
    from eqcli.tasks.register_request import RegisterRequest

    calls = stand_in(monkeypatch, "eqcli.tasks.register", "register")
    assert eqcli("register", "a.ply", "b.ply").code == 0
    assert calls[0][0] == (RegisterRequest(Path("a.ply"), Path("b.ply")), RegisterFiles())
    assert calls[0][1]["overwrite"] is False


def test_options_of_many_pairs_reach_the_request(eqcli: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch) -> None:
    calls = stand_in(monkeypatch, "eqcli.tasks.register_many", "register_pairs")
    ended = eqcli(
        "register", "--pairs", "pairs.csv", "-o", "out", "--resume", "--pose-graph", "--reference", "hall",
        "--merged", "all.ply", "--workers", "2", "--voxel", "0.1",
    )  # fmt: skip
    assert ended.code == 0
    (((request, folder), options),) = calls
    assert (request.pairs, folder, options["resume"]) == (Path("pairs.csv"), Path("out"), True)
    assert (request.pose_graph, request.reference, request.merged) == (True, "hall", Path("all.ply"))
    assert (request.workers, request.options.voxel) == (2, 0.1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "a source and a target are needed"),
        (("a.ply",), "a source and a target are needed"),
        (("a.ply", "b.ply", "--resume", "--workers", "2"), "--workers, --resume: for many pairs"),
        (("a.ply", "b.ply", "--pose-graph"), "--pose-graph: for many pairs"),
        (("--pairs", "p.csv"), "needs a folder"),
        (("a.ply", "b.ply", "--pairs", "p.csv", "-o", "out"), "SOURCE: for a single pair"),
        (("--pairs", "p.csv", "-o", "out", "--viewer", "v.html"), "--viewer: for a single pair"),
        (("a.ply", "b.ply", "--method", "sift"), "sift"),
        (("a.ply", "b.ply", "--metod", "fpfh"), "Did you mean --method?"),
    ],
)
def test_what_does_not_belong_together_is_refused(
    eqcli: Callable[..., Ended], words: tuple[str, ...], message: str
) -> None:
    ended = eqcli("register", *words)
    assert ended.code == 2
    assert message in ended.err
    assert "Traceback" not in ended.err


def test_a_pair_in_words_and_in_json(
    eqcli: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_engine(monkeypatch)
    *_, motion = write_pair(tmp_path)
    shown = eqcli("register", "source.ply", "target.ply", "-o", "out.ply", "--transform", "T.txt")
    assert shown.code == 0
    assert "degrees about" in shown.out
    assert "would by chance" in shown.out
    told = eqcli("register", "source.ply", "target.ply", "--json")
    np.testing.assert_allclose(json.loads(told.out)["motion"]["matrix"], motion, atol=1e-5)
    assert eqcli("register", "source.ply", "target.ply", "-o", "out.ply").code == 2


def test_no_reliable_alignment_is_exit_code_3_without_a_matrix(
    eqcli: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_engine(monkeypatch)
    write_pair(tmp_path)
    write_cloud(cloud(seed=9), tmp_path / "target.ply")
    ended = eqcli("register", "source.ply", "target.ply", "-o", "out.ply", "--transform", "T.txt", "--result", "r.json")
    assert ended.code == 3
    assert "no reliable alignment" in ended.out
    assert "the surfaces cross" in ended.out
    assert "matrix" not in ended.out
    assert not (tmp_path / "out.ply").exists()
    assert not (tmp_path / "T.txt").exists()
    assert json.loads((tmp_path / "r.json").read_text())["reliable"] is False
    told = json.loads(eqcli("register", "source.ply", "target.ply", "--json").out)
    assert (told["motion"], told["exit_code"]) == (None, 3)


def test_pairs_of_a_table_in_several_processes(eqcli: Callable[..., Ended], tmp_path: Path) -> None:
    """The real search, on surfaces that anybody would find."""
    x, y = np.random.default_rng(0).uniform(0, 1, size=(2, 6000))
    z = 0.1 * np.sin(7 * x + 1) * np.cos(9 * y) + 0.08 * np.sin(15 * x * y + 3 * y) + 0.1 * np.sin(5 * (x - y) ** 2)
    whole = PointCloud(np.stack([x, y, z], axis=1))
    lines = ["name,source,target,transform"]
    for k, seed in enumerate((4, 5)):
        motion = np.eye(4)
        motion[:3, :3], motion[:3, 3] = Rotation.random(random_state=seed).as_matrix(), [1, 2, 3]
        write_cloud(whole.taken(x < 0.8), tmp_path / "source.ply")
        write_cloud(whole.taken(x > 0.2).moved(motion), tmp_path / f"target{k}.ply")
        lines.append(f"pair{k},source.ply,target{k}.ply,{' '.join(f'{value:.17g}' for value in motion.ravel())}")
    lines.append("lost,source.ply,missing.ply,")
    (tmp_path / "pairs.csv").write_text("\n".join(lines) + "\n")
    ended = eqcli("register", "--pairs", "pairs.csv", "-o", "out", "--workers", "2", "--json", "--pose-graph",
                  "--reference", "source", "--merged", "all.ply", "--voxel", "0.05", "--solver", "ransac")  # fmt: skip
    assert ended.code == 3, ended.err
    told = json.loads(ended.out)
    assert (told["ok"], told["failed"]) == (2, 1)
    for row in told["rows"][:2]:
        assert row["rotation_error"] < 1
        assert row["translation_error"] < 0.1
    assert told["poses"]["reached"] == 3
    assert len(read_cloud(tmp_path / "all.ply")) > 100
