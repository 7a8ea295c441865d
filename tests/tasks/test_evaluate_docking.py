"""Evaluation of docking, with methods that need no network."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eqcli.errors import ExitCode, Failure, InputError
from eqcli.tasks import evaluate_docking as task
from eqcli.tasks.evaluate_docking_input import DockingCase, docking_cases
from eqcli.tasks.evaluate_docking_methods import AT_BOX, AT_CENTROID, Method, baseline_methods
from eqcli.tasks.evaluate_docking_result import DockingEvaluation
from eqcli.tasks.evaluate_docking_run import check_poses, dock_case
from eqcli.tasks.evaluate_docking_training import TrainingProteins, chains_of
from tests.tasks.evaluate_docking_case import fails, method, off_by, write_complexes


@pytest.fixture(scope="module")
def complexes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_complexes(tmp_path_factory.mktemp("complexes"), broken=True)


@pytest.fixture(scope="module")
def cases(complexes: Path) -> list[DockingCase]:
    return list(docking_cases([complexes], TrainingProteins(None), lambda failure: None))


def _evaluated(
    complexes: Path, output: Path, methods: list[Method], monkeypatch: pytest.MonkeyPatch, **options: Any
) -> DockingEvaluation:
    monkeypatch.setattr("eqcli.tasks.evaluate_docking_rivals.docking_methods", lambda *args, **more: methods)
    given: dict[str, Any] = {"posebusters": False, "baselines": False, "bootstrap": 50} | options
    return task.evaluate_docking(None, [complexes], output, **given)


def test_the_start_knows_nothing_of_the_crystal(cases: list[DockingCase]) -> None:
    for case in cases:
        crystal = case.ligand.structure.positions
        assert np.abs(case.conformer.mean(axis=0) - crystal.mean(axis=0)).max() > 3.0
    assert [len(case.places.copies) for case in cases] == [2, 1, 1]


def test_what_is_incomplete_is_told_and_the_others_go_on(complexes: Path) -> None:
    failures: list[Failure] = []
    found = list(docking_cases([complexes], TrainingProteins(None), failures.append, limit=2))
    assert [case.name for case in found] == ["c0", "c1"]
    whole = list(docking_cases([complexes], TrainingProteins(None), failures.append))
    assert len(whole) == 3
    assert [failure.item for failure in failures] == ["lost"]


def test_errors_are_to_the_nearest_copy(cases: list[DockingCase]) -> None:
    case = cases[0]
    elsewhere = case.places.copies[1].positions
    (found,) = dock_case(case, [method("other", lambda *given: [_pose(elsewhere)])])
    assert found.errors is not None
    assert found.errors.rmsd[0] == pytest.approx(0.0, abs=1e-3)


def _pose(positions: Any) -> Any:
    from eqcli.engine.docking_pose import PoseResult

    return PoseResult(positions, "stub", -1.0)


def test_baselines_stand_where_they_say(cases: list[DockingCase]) -> None:
    case = cases[0]
    found = {one.method.name: one for one in dock_case(case, baseline_methods("both"))}
    heavy = case.ligand.structure.numbers > 1
    middle = case.receptor.structure.positions[case.receptor.heavy].mean(axis=0)
    np.testing.assert_allclose(found[AT_CENTROID].poses[0].positions[heavy].mean(axis=0), middle, atol=1e-9)
    assert found[AT_BOX].errors is not None
    assert found[AT_BOX].errors.centroid[0] < 2.0
    assert found[AT_BOX].method.mode == "known pocket"


def test_only_methods_of_a_known_pocket_get_its_box(cases: list[DockingCase]) -> None:
    seen: dict[str, Any] = {}

    def spy(name: str) -> Any:
        def dock(receptor: Any, ligand: Any, conformer: Any, site: Any) -> Any:
            seen[name] = site
            return [_pose(conformer)]

        return dock

    dock_case(cases[1], [method("blind", spy("blind")), method("known", spy("known"), known_pocket=True)])
    assert seen["blind"] is None
    positions = cases[1].ligand.structure.positions[cases[1].ligand.structure.numbers > 1]
    np.testing.assert_allclose(seen["known"].size, np.ptp(positions, axis=0) + 10.0)


def test_a_method_may_keep_its_own_time_and_preparation_is_not_counted(cases: list[DockingCase]) -> None:
    from time import sleep

    from eqcli.tasks.evaluate_docking_rivals import Timed

    timed = method("timed", lambda *given: Timed([_pose(given[2])], 123.0))
    prepared = method("prepared", lambda *given: [_pose(given[2])], prepare=lambda receptor: sleep(0.3))
    first, second = dock_case(cases[1], [timed, prepared])
    assert first.seconds == 123.0
    assert second.seconds < 0.25


def test_the_whole_evaluation_with_a_failing_method(
    complexes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    methods = [method("good", off_by(1.0, 3.0)), method("second", off_by(6.0, 1.5)), method("broken", fails)]
    result = _evaluated(complexes, tmp_path / "out", methods, monkeypatch)
    assert result.exit_code == ExitCode.PARTIAL
    (table,) = result.tables
    rows = {row.method: row.figures for row in table.rows}
    assert rows["good"].figures["rmsd_below_2"].value == 1.0
    assert rows["good"].figures["rmsd_p50"].value == pytest.approx(1.0, abs=1e-3)
    assert rows["second"].figures["rmsd_below_2"].value == 0.0
    assert rows["second"].figures["best_rmsd_below_2"].value == 1.0
    assert (rows["broken"].failed, rows["broken"].figures["rmsd_below_2"].value) == (3, 0.0)
    assert sorted({failure.item.split(",")[0] for failure in result.failures}) == ["c0", "c1", "c2", "lost"]
    assert any("it broke" in failure.reason for failure in result.failures)
    data = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))
    assert data["provenance"]["eqcli"]
    assert data["counts"]["complexes"] == 3
    with (tmp_path / "out" / "complexes.csv").open(encoding="utf-8") as file:
        written = list(csv.DictReader(file))
    assert len(written) == 9
    assert {row["status"] for row in written if row["method"] == "broken"} == {"failed"}
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert 'href="pages/c0.html"' in page
    assert (tmp_path / "out" / "pages" / "c0.html").is_file()
    assert "http" not in page.replace("http://www.w3.org", "")


def test_poses_are_written_with_their_items(complexes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from eqcli.io import read_structures

    _evaluated(complexes, tmp_path / "out", [method("good", off_by(1.0, 3.0))], monkeypatch, pages=False)
    first, second = read_structures(tmp_path / "out" / "poses" / "c1.sdf")
    assert [first.info[key] for key in ("rank", "method", "site", "score")] == ["1", "good", "blind", "-5.0"]
    assert float(second.info["rmsd"]) == pytest.approx(3.0, abs=1e-3)
    assert {"receptor", "ligand", "clashes", "strain"} <= set(first.info)
    assert not (tmp_path / "out" / "pages").exists()


def test_proteins_of_the_training_are_a_table_of_their_own(cases: list[DockingCase]) -> None:
    sequence = "".join(chains_of(cases[0].receptor.residues.sequence()))
    named, alike, strange = (
        TrainingProteins(proteins).familiar("c0", cases[0].receptor).status
        for proteins in ({"c0": "A"}, {"other": {"A": sequence}}, {"other": "WWWWHHHHWWWWHHHHWWWW"})
    )
    assert (named, alike, strange) == ("seen", "seen", "unseen")
    assert TrainingProteins(None).familiar("c0", cases[0].receptor).status == "unknown"


def test_pooled_figures_come_after_the_parts_and_say_what_they_pool(tmp_path: Path) -> None:
    from dataclasses import replace

    from eqcli.metrics.docking.docking_table import PairOutcome
    from eqcli.tasks.evaluate_docking_rows import PairRecord, add_tables

    one = PairRecord("m", "blind", "seen", PairOutcome("a", "a", rmsd=1.0), {})
    other = replace(one, status="unseen", outcome=PairOutcome("b", "b", rmsd=9.0))
    result = task.new_result(tmp_path)
    add_tables(result, [one, other], bootstrap=10, seed=0)
    assert [table.split for table in result.tables] == ["unseen", "seen", "all"]
    assert "1 of them of proteins that the model was trained on" in result.tables[-1].words
    values = [table.rows[0].figures.figures["rmsd_below_2"].value for table in result.tables]
    assert values == [0.0, 1.0, 0.5]
    only = task.new_result(tmp_path)
    add_tables(only, [one], bootstrap=10, seed=0)
    assert [table.split for table in only.tables] == ["seen"]


def test_poses_are_checked_and_a_late_check_is_unknown(cases: list[DockingCase]) -> None:
    pytest.importorskip("posebusters")
    from dataclasses import replace

    case = replace(cases[1], checked=True)
    docked = dock_case(case, [method("good", off_by(0.0)), method("broken", fails)])
    check_poses(docked, workers=1, timeout=60.0)
    assert docked[0].outcome().valid is not None
    assert docked[1].outcome().failed
    check_poses(docked, workers=1, timeout=1e-3)
    assert docked[0].outcome().valid is None
    assert not docked[0].outcome().failed


def test_bad_requests_are_refused_before_any_work(complexes: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown pocket"):
        task.evaluate_docking(None, [complexes], tmp_path / "a", pocket="somewhere")
    with pytest.raises(InputError, match="no complexes were given"):
        task.evaluate_docking(None, [], tmp_path / "a")
    with pytest.raises(InputError, match="no such"):
        task.evaluate_docking(None, [tmp_path / "nowhere"], tmp_path / "a", posebusters=False)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(InputError, match="exists already"):
        task.evaluate_docking(None, [complexes], tmp_path / "full")


def test_cofactors_become_part_of_the_receptor(tmp_path: Path) -> None:
    from eqcli.data.complex_reading import with_cofactors
    from eqcli.io import write_structures
    from eqcli.io.receptor import read_receptor
    from tests.tasks.dock_case import write_receptor
    from tests.tasks.evaluate_docking_case import ligand_at

    receptor = read_receptor(write_receptor(tmp_path))
    write_structures(
        tmp_path / "cofactors.sdf", [ligand_at("CCO", (30.0, 0.0, 0.0)), ligand_at("CO", (40.0, 0.0, 0.0))]
    )
    joined, notes = with_cofactors(receptor, tmp_path / "cofactors.sdf")
    added = len(joined.structure) - len(receptor.structure)
    assert added == 9 + 6
    assert all(len(values) == len(joined.structure) for values in joined.structure.arrays.values())
    assert joined.structure.arrays["hetero"][-added:].all()
    assert len(set(joined.structure.arrays["residue"][-added:].tolist())) == 2
    heavy = joined.structure.numbers[-added:] > 1
    assert ((joined.structure.arrays["atom_type"][-added:] >= 0) == heavy).all()
    assert "2 cofactors" in notes[0]


class _Loaded:
    def __init__(self, **header: Any) -> None:
        self.header = {"family": "docking", **header}


def test_the_header_says_what_was_trained_on() -> None:
    loaded: Any = _Loaded(training={"proteins": {"a": {"A": "GAS"}}})
    assert task.training_of(loaded).chains == {"a": ("GAS",)}
    unsaid: Any = _Loaded(training={"epoch": 3})
    assert not task.training_of(unsaid).known


def test_each_output_of_a_network_is_a_method(cases: list[DockingCase]) -> None:
    from eqcli.engine.docker import Docker, DockSettings
    from eqcli.tasks.evaluate_docking_rivals import OUTPUTS, network_methods

    class Network:
        asked = 0

        def encode(self, receptor: Any) -> Any:
            return receptor.name

        def poses(self, prepared: Any, ligands: Any, site: Any) -> Any:
            self.asked += 1
            return [{name: x + k for k, name in enumerate(OUTPUTS)} for _, x in ligands]

        def confidences(self, prepared: Any, ligand: Any, positions: Any) -> None:
            return None

    network = Network()
    methods = network_methods(network, lambda: Docker(network, DockSettings(search=False)), known_pocket=False)
    docked = dock_case(cases[1], methods)
    assert [one.method.name for one in docked] == list(OUTPUTS.values())
    shifts = [float((one.poses[0].positions - cases[1].conformer).mean()) for one in docked]
    assert shifts == pytest.approx([0.0, 1.0, 2.0])
    assert network.asked == len(OUTPUTS) + 1
