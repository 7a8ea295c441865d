"""Screens: streamed, each row once, whatever interrupts them."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from eqcli.errors import ExitCode, InputError
from eqcli.io import read_structures
from eqcli.locks import FolderLock
from eqcli.tasks.dock import dock
from eqcli.tasks.dock_request import DockRequest
from eqcli.tasks.dock_rows import COLUMNS
from tests.tasks.dock_case import LIGANDS, StubNetwork, use_network, write_ligands, write_receptor

VARYING = {"seconds"}


def make_table(folder: Path) -> Path:
    """Two receptors, a library, single SMILES and rows with faults."""
    write_receptor(folder, "one.pdb")
    write_receptor(folder, "two.pdb")
    write_ligands(folder)
    lines = [
        "receptor,ligand,name,record",
        "one.pdb,library.smi,,",
        "two.pdb,CCO,ethanol,",
        "missing.pdb,CCO,lost,",
        "two.pdb,library.smi,third,3",
        "two.pdb,library.smi,,99",
        "one.pdb,C[,broken,",
        "two.pdb,CCN,amine,",
    ]
    (folder / "screen.csv").write_text("\n".join(lines) + "\n")
    return folder / "screen.csv"


def asked(table: Path, **options: object) -> DockRequest:
    return DockRequest("model.safetensors", table=table, network_only=True, device="cpu", **options)  # type: ignore[arg-type]


def rows_of(folder: Path, name: str = "results.csv") -> list[dict[str, str]]:
    with (folder / name).open(newline="") as file:
        return [{k: v for k, v in row.items() if k not in VARYING} for row in csv.DictReader(file)]


def test_every_pair_has_one_row_with_its_reason_or_its_poses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = use_network(monkeypatch, StubNetwork())
    result = dock(asked(make_table(tmp_path)), tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    assert list(rows[0]) == [name for name in COLUMNS if name not in VARYING]
    assert [row["name"] for row in rows] == [
        *(f"lig{k}" for k in range(8)), "ethanol", "lost", "third", "library", "broken", "amine",
    ]  # fmt: skip
    failed = {row["name"]: row["reason"] for row in rows if row["status"] == "failed"}
    assert set(failed) == {"lost", "library", "broken"}
    assert "no such file" in failed["lost"]
    assert "no record 99" in failed["library"]
    assert result.exit_code == ExitCode.PARTIAL
    assert (result.pairs, result.docked, len(result.failures)) == (14, 11, 3)
    assert sorted(network.encoded) == ["one", "two"]


def test_a_row_says_where_its_poses_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_network(monkeypatch, StubNetwork())
    dock(asked(make_table(tmp_path), poses=2), tmp_path / "out")
    for row in rows_of(tmp_path / "out"):
        if row["status"] == "ok":
            content = (tmp_path / "out" / row["poses"]).read_bytes()[int(row["start"]) : int(row["end"])]
            assert content.decode().splitlines()[0] == row["name"]
            assert content.count(b"$$$$") == int(row["count"])


def test_the_ranking_is_by_the_best_pose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_network(monkeypatch, StubNetwork())
    result = dock(asked(make_table(tmp_path), rank_by="score"), tmp_path / "out")
    ranked = rows_of(tmp_path / "out", "ranked.csv")
    scores = [float(row["score"]) for row in ranked]
    assert [int(row["rank"]) for row in ranked] == list(range(1, 12))
    assert scores == sorted(scores)
    assert [row.ligand for row in result.rows] == [row["name"] for row in ranked]


KILLED = """
import sys
sys.path.insert(0, sys.argv[1])
import pytest
from pathlib import Path
from tests.tasks.dock_case import StubNetwork, use_network
from eqcli.tasks.dock import dock
from eqcli.tasks.dock_request import DockRequest
import eqcli.tasks.dock_work as work
import eqcli.tasks.dock_shards as shards
work.TOGETHER = 3
with pytest.MonkeyPatch.context() as patch:
    use_network(patch, StubNetwork(pause=0.15))
    table = Path(sys.argv[2])
    request = DockRequest("model.safetensors", table=table, network_only=True, device="cpu")
    dock(request, Path(sys.argv[3]), resume="--resume" in sys.argv)
"""


def run_killed(table: Path, out: Path, rows: int, *words: str) -> int:
    """A screen in a process of its own, killed when its table has so many lines; its exit status."""
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(root), str(table), str(out), *words], stderr=subprocess.DEVNULL
    )
    results = out / "results.csv"
    while process.poll() is None:
        if results.exists() and results.read_bytes().count(b"\n") > rows:
            os.kill(process.pid, signal.SIGKILL)
        time.sleep(0.005)
    return process.returncode


def test_a_killed_screen_goes_on_as_if_nothing_had_been(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = make_table(tmp_path)
    use_network(monkeypatch, StubNetwork())
    monkeypatch.setattr("eqcli.tasks.dock_work.TOGETHER", 3)
    dock(asked(table), tmp_path / "whole")
    out = tmp_path / "killed"
    assert run_killed(table, out, rows=3) == -signal.SIGKILL
    half = rows_of(out)
    assert 3 <= len(half) < 14
    # A kill in the middle of writing leaves part of a row, and poses that no row speaks of.
    with (out / "results.csv").open("ab") as file:
        file.write(b"1,4,li")
    with (out / "poses-0000.sdf").open("ab") as file:
        file.write(b"lig4\nhalf a record")
    network = use_network(monkeypatch, StubNetwork())
    result = dock(asked(table), out, resume=True)
    assert result.earlier == len(half)
    assert sum(map(len, network.batches)) == 11 - sum(row["status"] == "ok" for row in half)
    assert rows_of(out) == rows_of(tmp_path / "whole")
    assert rows_of(out, "ranked.csv") == rows_of(tmp_path / "whole", "ranked.csv")
    assert (out / "poses-0000.sdf").read_bytes() == (tmp_path / "whole" / "poses-0000.sdf").read_bytes()
    assert len(list(read_structures(out / "poses-0000.sdf"))) == 11


def test_an_interruption_keeps_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(StubNetwork):
        def poses(self, prepared, ligands, site):  # type: ignore[no-untyped-def]
            if len(self.batches) == 2:
                raise KeyboardInterrupt
            return super().poses(prepared, ligands, site)

    table = make_table(tmp_path)
    monkeypatch.setattr("eqcli.tasks.dock_work.TOGETHER", 2)
    use_network(monkeypatch, Interrupted())
    with pytest.raises(KeyboardInterrupt):
        dock(asked(table), tmp_path / "out")
    assert [row["name"] for row in rows_of(tmp_path / "out")] == ["lig0", "lig1", "lig2", "lig3"]
    use_network(monkeypatch, StubNetwork())
    assert dock(asked(table), tmp_path / "out", resume=True).pairs == 14


def test_a_finished_screen_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = make_table(tmp_path)
    use_network(monkeypatch, StubNetwork())
    dock(asked(table), tmp_path / "out")
    before = rows_of(tmp_path / "out")
    with pytest.raises(InputError, match="results of a screen"):
        dock(asked(table), tmp_path / "out")
    network = use_network(monkeypatch, StubNetwork())
    dock(asked(table), tmp_path / "out", resume=True)
    assert network.batches == []
    assert rows_of(tmp_path / "out") == before
    dock(asked(table), tmp_path / "out", overwrite=True)
    assert sum(map(len, network.batches)) == 11
    assert rows_of(tmp_path / "out") == before


def test_another_request_does_not_go_on_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = make_table(tmp_path)
    use_network(monkeypatch, StubNetwork())
    dock(asked(table), tmp_path / "out")
    with pytest.raises(InputError, match="another seed"):
        dock(asked(table, seed=1), tmp_path / "out", resume=True)
    with pytest.raises(InputError, match="another poses"):
        dock(asked(table, poses=5), tmp_path / "out", resume=True)


def test_two_processes_do_not_share_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_network(monkeypatch, StubNetwork())
    table = make_table(tmp_path)
    holder = subprocess.Popen(
        [sys.executable, "-c",
         "import sys, time; from pathlib import Path; from eqcli.locks import FolderLock\n"
         "lock = FolderLock(Path(sys.argv[1])); lock.take(); print('held', flush=True); time.sleep(60)",
         str(tmp_path / "out")],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(InputError, match="another process"):
            dock(asked(table), tmp_path / "out")
    finally:
        holder.kill()
        holder.wait()
    assert FolderLock(tmp_path / "out").folder.is_dir()


def test_the_folder_says_what_it_was_made_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_network(monkeypatch, StubNetwork())
    dock(asked(make_table(tmp_path)), tmp_path / "out")
    facts = json.loads((tmp_path / "out" / "screen.json").read_text())
    assert facts["request"]["network_only"] is True
    log = (tmp_path / "out" / "log.txt").read_text()
    assert "receptor one: hydrogens" in log
    assert "failed: broken" in log


def test_a_folder_as_output_makes_a_screen_of_a_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_network(monkeypatch, StubNetwork())
    receptor, library = write_receptor(tmp_path), write_ligands(tmp_path)
    request = DockRequest("m", receptor, [str(library)], network_only=True, device="cpu")
    assert dock(request, tmp_path / "out").docked == len(LIGANDS)
    assert len(rows_of(tmp_path / "out")) == len(LIGANDS)


def test_a_table_without_its_columns_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_network(monkeypatch, StubNetwork())
    (tmp_path / "t.csv").write_text("protein,smiles\na,b\n")
    with pytest.raises(InputError, match="no column receptor and no column ligand"):
        dock(asked(tmp_path / "t.csv"), tmp_path / "out")
    (tmp_path / "t.csv").write_text("receptor,ligand\n")
    with pytest.raises(InputError, match="no pairs"):
        dock(asked(tmp_path / "t.csv"), tmp_path / "out", overwrite=True)
