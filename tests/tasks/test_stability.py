"""Relaxed, certified, stable, unique and novel: each word means what its docstring says, and a kill costs little."""

from __future__ import annotations

import csv
import multiprocessing
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pymatgen", reason="pymatgen compares crystals: pip install eqcli[crystals]")

from eqcli.errors import ExitCode, InputError
from eqcli.io import DatasetFile
from eqcli.io.structure import Structure
from eqcli.tasks.relax_many import PARTS
from eqcli.tasks.stability import RELAXED, TABLE, displacement, stability
from eqcli.tasks.stability_result import StabilityResult
from tests.alloys import EMT, alloy, alloys, shaken
from tests.listener import Listener

CU, AU = 29, 79


def study(generated: list[Structure], output: Path, **options: Any) -> StabilityResult:
    given: dict[str, Any] = {"relaxer": EMT, "hull": alloys(), "training": alloys(), "workers": 1, **options}
    return stability(generated, output=output, **given)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> StabilityResult:
    cu3au = alloy({CU, AU}, "L1_2")
    lost = replace(shaken(cu3au, 4), positions=np.full((4, 3), np.nan))
    foreign = replace(shaken(alloy({CU}, "A1"), 5), numbers=np.array([26]))
    generated = [
        shaken(cu3au, 1, sample=7),
        shaken(cu3au, 2),
        shaken(alloy({CU, AU}, "CH40"), 3),
        lost,
        foreign,
    ]
    return study(generated, tmp_path_factory.mktemp("study"), training=[cu3au])


def test_rows_are_in_the_order_of_the_crystals(result: StabilityResult) -> None:
    assert [row.item for row in result.rows] == list(range(5))
    assert [row.sample for row in result.rows] == [7, None, None, None, None]


def test_a_shaken_crystal_comes_to_rest_where_it_was(result: StabilityResult) -> None:
    first = result.rows[0]
    assert first.certified
    assert first.converged
    target = alloy({CU, AU}, "L1_2")
    assert target.energy is not None
    assert first.energy == pytest.approx(target.energy / 4, abs=2e-3)
    assert first.volume_per_atom == pytest.approx(target.volume / 4, rel=0.01)
    assert first.formation_energy is not None
    assert first.formation_energy < 0
    assert first.displacement is not None
    assert 0.03 < first.displacement < 0.3


def test_the_same_crystal_twice_is_a_duplicate_and_the_training_has_it(result: StabilityResult) -> None:
    first, second, third = result.rows[:3]
    assert (first.unique, first.duplicate_of) == (True, None)
    assert (second.unique, second.duplicate_of) == (False, 0)
    assert (first.novel, first.known_as) == (False, 0)
    assert third.unique
    assert third.novel
    assert not first.sun
    assert third.sun == third.stable


def test_what_cannot_be_relaxed_is_a_row_with_a_reason_and_a_failure(result: StabilityResult) -> None:
    lost, foreign = result.rows[3:]
    assert "not finite" in lost.reason
    assert "EMT" in foreign.reason
    assert not lost.certified
    assert foreign.unique is None
    assert len(result.failures) == 2
    assert result.exit_code is ExitCode.PARTIAL


def test_figures_are_counted_from_the_rows(result: StabilityResult) -> None:
    figures = result.figures
    assert figures["generated"] == 5
    assert figures["certified"] == 3
    assert figures["rates"]["certified"] == pytest.approx(0.6)
    assert figures["sun"] == sum(row.sun for row in result.rows)
    assert figures["unique_of_certified"] == pytest.approx(2 / 3)
    assert result.as_dict()["reference"] == {"hull": len(alloys()), "training": 1}
    assert any("novel" in name for name, _ in result.summary())


def test_files_say_what_the_rows_say(result: StabilityResult) -> None:
    with result.table.open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [row["formula"] for row in table][:3] == ["AuCu3", "AuCu3", "Au2Cu2"]
    assert table[1]["duplicate_of"] == "0"
    assert result.relaxed is not None
    with DatasetFile(result.relaxed) as dataset:
        relaxed = list(dataset)
        assert dataset.provenance["relaxer"]["calculator"] == EMT
        assert dataset.provenance["threshold"] == 0.1
    assert [s.info["item"] for s in relaxed] == [0, 1, 2]
    for structure, row in zip(relaxed, result.rows, strict=False):
        assert structure.info["energy_above_hull"] == row.energy_above_hull
        assert structure.info["stable"] is row.stable
        assert structure.energy == pytest.approx(row.energy * len(structure))
    assert relaxed[0].info["sample"] == 7
    assert not list(result.table.parent.glob(f"{PARTS}*"))


def test_the_threshold_decides_what_is_stable(result: StabilityResult, tmp_path: Path) -> None:
    height = result.rows[0].energy_above_hull
    assert height is not None
    for threshold, stable in ((height + 1e-3, True), (height - 1e-3, False)):
        again = study([shaken(alloy({CU, AU}, "L1_2"), 1)], tmp_path / str(stable), threshold=threshold)
        assert again.rows[0].stable is stable


def test_a_crystal_that_runs_out_of_steps_is_neither_certified_nor_stable(tmp_path: Path) -> None:
    (row,) = study([shaken(alloy({CU, AU}, "L1_2"), 1)], tmp_path, steps=2, threshold=10.0).rows
    assert not row.converged
    assert not row.certified
    assert not row.stable
    assert "2 steps" in row.reason


def test_without_training_novelty_is_unknown_and_said(tmp_path: Path) -> None:
    result = study([shaken(alloy({CU, AU}, "L1_2"), 1)], tmp_path, training=None)
    assert result.rows[0].novel is None
    assert result.figures["sun"] is None
    assert "training" in dict(result.summary())["stable, unique"]


def test_an_element_that_the_hull_lacks_leaves_a_reason(tmp_path: Path) -> None:
    only_copper = [s for s in alloys() if set(s.numbers.tolist()) == {CU}]
    (row,) = study([shaken(alloy({CU, AU}, "L1_2"), 1)], tmp_path, hull=only_copper).rows
    assert row.certified
    assert row.energy_above_hull is None
    assert not row.stable
    assert "no pure Au" in row.reason


def test_a_relaxer_without_stress_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="stress"):
        study([alloy({CU}, "A1")], tmp_path, relaxer="ase:ase.calculators.tip3p:TIP3P")


def test_a_second_call_relaxes_nothing_again(tmp_path: Path) -> None:
    generated = [shaken(alloy({CU, AU}, "L1_2"), seed) for seed in range(2)]
    first = study(generated, tmp_path)
    listener = Listener()
    second = study(generated, tmp_path, report=listener)
    assert "2 of 2 structures are relaxed already" in listener.messages
    assert [row.as_dict() for row in second.rows] == [row.as_dict() for row in first.rows]
    other = Listener()
    study(generated, tmp_path, fmax=0.03, report=other)
    assert not any("already" in text for text in other.messages)


def test_displacement_is_zero_for_a_strained_and_shifted_crystal() -> None:
    start = alloy({CU, AU}, "L1_2")
    strain = np.eye(3) + 0.05 * np.arange(9).reshape(3, 3) / 9
    end = replace(start, positions=(start.positions + 0.3) @ strain, cell=start.cell @ strain)
    assert displacement(start, end) == pytest.approx(0, abs=1e-12)
    moved = start.positions.copy()
    moved[0, 0] += 0.4
    # One of four atoms: 3/4 of the way after the drift is taken off, the others 1/4 back.
    expected = np.sqrt(((0.3) ** 2 + 3 * 0.1**2) / 4)
    assert displacement(start, replace(start, positions=moved)) == pytest.approx(expected)


def _work(output: Path) -> None:
    study(many(), output, workers=1)


def many() -> list[Structure]:
    return [shaken(alloy({CU, AU}, "D0_19"), seed, amount=0.2) for seed in range(6)]


def finished(output: Path) -> int:
    count = 0
    for path in output.glob(f"{PARTS}*/[!.]*.h5"):
        with DatasetFile(path) as dataset:
            count += len(dataset)
    return count


def test_after_a_kill_only_the_rest_is_relaxed(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_work, args=(tmp_path,))
    process.start()
    deadline = time.monotonic() + 60
    while finished(tmp_path) < 2 and process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    kept = finished(tmp_path)
    assert 2 <= kept < 6
    assert not (tmp_path / RELAXED).exists()
    listener = Listener()
    result = study(many(), tmp_path, report=listener)
    assert f"{kept} of 6 structures are relaxed already" in listener.messages
    assert len(result.rows) == 6
    assert all(row.converged for row in result.rows)
    assert (tmp_path / TABLE).is_file()


def test_processes_find_what_one_finds(tmp_path: Path) -> None:
    generated = [shaken(alloy({CU, AU}, "L1_2"), seed) for seed in range(3)]
    rows = [
        [row.as_dict() for row in study(generated, tmp_path / str(workers), workers=workers).rows] for workers in (1, 2)
    ]
    for one, two in zip(*rows, strict=True):
        assert one.keys() == two.keys()
        assert one["energy"] == pytest.approx(two["energy"], abs=1e-9)
        assert (one["certified"], one["duplicate_of"]) == (two["certified"], two["duplicate_of"])
