"""One generation by several processes."""

from __future__ import annotations

import signal
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from eqcli.recipe.cluster import ClusterRecipe
from eqcli.tasks.generate import generate
from eqcli.tasks.status.status import status
from tests.killed_workers import one_killed
from tests.killing import send_when
from tests.tasks import generate_molecules_case
from tests.tasks.generate_case import broken, committed, models, one_thread, run
from tests.tasks.stream.case import assert_same_columns

ONE_THREAD = ClusterRecipe(task="cluster", scheduler="local", workers=2, cores=1)
SHARED: dict[str, Any] = {"workers": 2, "cluster": ONE_THREAD}

CASES: dict[str, tuple[Callable[[Path], Path], dict[str, Any]]] = {
    "crystals": (lambda folder: models(folder) / "dng.safetensors", {"n": 60, "steps": 100, "batch_atoms": 8}),
    "broken": (broken, {"formula": "LiO", "n": 40, "steps": 100, "seed": 1}),
    "molecules": (
        lambda folder: generate_molecules_case.models(folder) / "flow.safetensors",
        {"n": 40, "steps": 60, "batch_atoms": 20},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_workers_give_what_one_process_gives_though_one_is_killed(tmp_path: Path, case: str) -> None:
    make, options = CASES[case]
    model = make(tmp_path)
    with one_thread():
        alone = generate(model, tmp_path / "alone.h5", device="cpu", **options)

    with one_killed(tmp_path / "out.h5.work") as killed:
        result = generate(model, tmp_path / "out.h5", device="cpu", **options, **SHARED)
    assert killed
    assert_same_columns(tmp_path / "out.h5", tmp_path / "alone.h5")
    assert result.figures.as_dict() == alone.figures.as_dict()
    assert result.failures == alone.failures
    assert bool(result.failures) == (case == "broken")
    assert not (tmp_path / "out.h5.work").exists()


def test_a_killed_coordinator_leaves_what_another_call_goes_on_with(tmp_path: Path) -> None:
    """Its workers end with it; one process makes the rest, to the same end."""
    make, options = CASES["crystals"]
    model, output = make(tmp_path), tmp_path / "out.h5"
    with one_thread():
        generate(model, tmp_path / "alone.h5", device="cpu", **options)
    work = tmp_path / "out.h5.work"
    process = get_context("spawn").Process(target=run, args=(model, output, options | SHARED))
    process.start()
    seen: list[Any] = []

    def some_are_there() -> bool:
        if committed(work) >= 5:
            seen.append(status(output))
        return bool(seen)

    send_when(some_are_there, process, signal.SIGKILL)
    process.join(60)
    assert (seen[0].kind, seen[0].state, seen[0].total) == ("generate", "running", 60)
    assert seen[0].workers
    assert not output.exists()
    assert 5 <= committed(work) < 60
    with one_thread():
        result = generate(model, output, device="cpu", resume=True, **options)
    assert result.resumed >= 5
    assert_same_columns(output, tmp_path / "alone.h5")
