"""One request by several processes under a pool."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from eqcli.engine.cluster.workers import Lost
from eqcli.engine.model_file import make_potential, save_model
from eqcli.io import read_structures, write_structures
from eqcli.models.potentials.config import MACEConfig
from eqcli.recipe.cluster import ClusterRecipe
from eqcli.tasks.predict_chunks import open_predict
from eqcli.tasks.stream import share as sharing
from tests.killed_workers import one_killed
from tests.listener import Listener
from tests.tasks.stream.case import assert_same_columns, here, in_process, run, slow_run, structure, write_store

__all__ = ["here"]

ONE_THREAD = ClusterRecipe(task="cluster", scheduler="local", workers=2, cores=1)


@pytest.fixture
def mace(here: Path) -> Path:
    """The folder with a model that any process can load, and inputs that are read in order."""
    torch.manual_seed(0)
    config = MACEConfig(cutoff=3.0, channels=4, max_L=0, max_ell=1, correlation=1, num_interactions=1)
    save_model(here / "model.safetensors", make_potential(config, [1, 6, 8]), training={}, provenance={})
    write_structures(here / "in.extxyz", [structure(n, element=26 if n == 17 else 6) for n in range(60)])
    return here


def test_workers_give_what_one_process_gives_though_one_is_killed(mace: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        alone = run(mace, ["in.extxyz"], "alone.h5", device="cpu")
    finally:
        torch.set_num_threads(before)
    with one_killed(mace / "out.h5.work") as killed:
        report = Listener()
        result = run(mace, ["in.extxyz"], "out.h5", device="cpu", workers=2, cluster=ONE_THREAD, report=report)
    assert killed
    assert (result.structures, len(result.failures)) == (alone.structures, 1) == (59, 1)
    assert result.failures[0].where.frame == 17
    assert_same_columns(mace / "out.h5", mace / "alone.h5")
    assert result.energy_range == alone.energy_range
    assert not (mace / "out.h5.work").exists()


def test_what_workers_die_over_is_a_failure_that_says_so(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool that gives up one chunk and does the others here."""
    write_store(here / "in.h5", range(60))

    class Pool:
        count = 2

        def __enter__(self) -> Pool:
            return self

        def __exit__(self, *error: object) -> None: ...

        def map(self, function, numbers, *arguments, progress=None):  # type: ignore[no-untyped-def]
            for number in numbers:
                yield number, Lost("3 workers died over it") if number == 1 else function(*arguments, number)

    monkeypatch.setattr(sharing, "open_workers", lambda *args, **options: Pool())
    result = run(here, ["in.h5"], "out.h5", workers=2)
    found = [one.info["number"] for one in read_structures(here / "out.h5")]
    lost = sorted(set(range(60)) - set(found))
    assert lost == list(range(lost[0], lost[-1] + 1))
    assert 0 < len(lost) < 60
    assert int(result.exit_code) == 3
    assert {failure.reason for failure in result.failures} == {"it was given up: 3 workers died over it"}
    assert (result.structures, result.failed) == (60 - len(lost), len(lost))


def test_a_structure_that_cannot_be_shared_keeps_its_reason(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spooled frames that cannot be stored fail with what is wrong with them."""
    given = [replace(structure(n), positions=structure(n).positions * (np.nan if n == 2 else 1)) for n in range(4)]
    monkeypatch.setattr("eqcli.tasks.stream.items.ReadItems.items", lambda self: _items(given))
    (here / "in.extxyz").write_text("1\n\nC 0 0 0\n")

    class Pool:
        def __enter__(self) -> Pool:
            return self

        def __exit__(self, *error: object) -> None: ...

        def map(self, function, numbers, *arguments, progress=None):  # type: ignore[no-untyped-def]
            return ((number, function(*arguments, number)) for number in numbers)

    monkeypatch.setattr(sharing, "open_workers", lambda *args, **options: Pool())
    result = run(here, ["in.extxyz"], "out.h5", workers=2)
    assert result.structures == 3
    assert "NaN" in result.failures[0].reason


def _items(structures):  # type: ignore[no-untyped-def]
    from eqcli.tasks.stream.item import Item

    return iter([Item(number, one) for number, one in enumerate(structures)])


def test_progress_counts_what_the_workers_did_since_it_began(tmp_path: Path) -> None:
    from eqcli.tasks.stream.heartbeat import Heartbeat

    heart = Heartbeat(tmp_path, "cpu", "float64")
    heart.beat.items, heart.beat.failed = 10, 2
    heart.say(at_once=True)
    report = Listener()
    with sharing._watched(tmp_path, report):
        heart.beat.items = 25
        heart.say(at_once=True)
    assert report.count == 15


def test_a_processor_opens_anywhere(here: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From the request of another working directory."""
    from eqcli.tasks.stream.work_folder import WorkFolder

    write_store(here / "in.h5", range(30))
    monkeypatch.chdir(here)
    process = in_process(slow_run, Path(), ["in.h5"], "out.h5", seconds=0.05)
    while not WorkFolder(here / "out.h5.work").exists:
        time.sleep(0.001)
    process.kill()
    process.join()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    request = WorkFolder(here / "out.h5.work").request()
    assert request.inputs == (here / "in.h5",)
    assert open_predict(request).device == "cpu"
