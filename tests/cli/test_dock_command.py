"""`eqcli predict` as docking: options reach the task, and what does not belong together is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Ended
from tests.tasks.dock_case import StubNetwork, use_network, write_receptor


def test_options_reach_the_request(eqcli: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch) -> None:
    from eqcli.tasks import dock as module
    from eqcli.tasks.dock_result import DockResult

    calls: list[tuple[Any, Any, Any]] = []

    def stand_in(request: Any, output: Any, **options: Any) -> DockResult:
        calls.append((request, output, options))
        return DockResult(pairs=1, docked=1)

    monkeypatch.setattr(module, "dock", stand_in)
    ended = eqcli(
        "predict", "m.safetensors", "--receptor", "r.pdb", "--ligand", "CCO", "--ligand", "l.sdf", "--pocket",
        "1,2,3:10", "-n", "20", "--physics-only", "--leave-out", "STI", "--leave-out", "A/401", "--waters",
        "--minimise", "none", "--rank-by", "score", "--seed", "3", "--effort", "2.5", "-o", "out", "--resume",
        "--overwrite",
    )  # fmt: skip
    assert ended.code == 0
    ((request, output, options),) = calls
    assert (request.model, request.receptor, list(request.ligands)) == (
        "m.safetensors",
        Path("r.pdb"),
        ["CCO", "l.sdf"],
    )
    assert (request.pocket, request.poses, request.seed, request.effort) == ("1,2,3:10", 20, 3, 2.5)
    assert list(request.leave_out) == ["STI", "A/401"]
    assert (request.physics_only, request.network_only, request.waters) == (True, False, True)
    assert (request.settings().minimise, request.settings().rank_by) == ("none", "score")
    assert output == Path("out")
    assert (options["resume"], options["overwrite"]) == (True, True)


@pytest.mark.parametrize(("words", "pages"), [((), None), (("--pages",), True), (("--no-pages",), False)])
def test_pages_are_asked_for_refused_or_left_open(
    eqcli: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], pages: bool | None
) -> None:
    from eqcli.tasks import dock as module
    from eqcli.tasks.dock_result import DockResult

    calls: list[Any] = []

    def stand_in(request: Any, output: Any, **options: Any) -> DockResult:
        calls.append(request.pages)
        return DockResult(pairs=1, docked=1)

    monkeypatch.setattr(module, "dock", stand_in)
    assert eqcli("predict", "m", "--receptor", "r.pdb", "--ligand", "CCO", *words).code == 0
    assert calls == [pages]


def test_a_docking_in_json_and_its_exit_code(
    eqcli: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_network(monkeypatch, StubNetwork())
    write_receptor(tmp_path)
    ended = eqcli(
        "predict", "m", "--receptor", "peptide.pdb", "--ligand", "CCO", "--ligand", "C[", "--network-only",
        "-o", "poses.sdf", "--json", "--device", "cpu",
    )  # fmt: skip
    assert ended.code == 3
    found = json.loads(ended.out)
    assert (found["pairs"], found["docked"], found["failed"]) == (2, 1, 1)
    assert found["best"][0]["ligand"] == "CCO"
    assert found["failures"][0]["item"] == "C["
    assert (tmp_path / "poses.sdf").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("m", "x.sdf", "--pocket", "1,2,3:4"), "--pocket: for docking"),
        (("m", "x.sdf", "--no-pages"), "--pages: for docking"),
        (("m", "x.sdf", "--receptor", "r.pdb", "--ligand", "C"), "FILES: for other models"),
        (("m", "--receptor", "r.pdb", "--ligand", "C", "--no-stress"), "--stress: for other models"),
        (("physics", "--receptor", "r.pdb", "--ligand", "C"), "no such file"),
        (("physics", "--receptor", "r.pdb"), "no ligand was given"),
        (("physics", "--table", "t.csv"), "folder"),
        (("m",), "no structure file was given"),
    ],
)
def test_what_does_not_belong_together_is_refused(
    eqcli: Callable[..., Ended], words: tuple[str, ...], told: str
) -> None:
    ended = eqcli("predict", *words)
    assert ended.code == 2
    assert told in ended.err
