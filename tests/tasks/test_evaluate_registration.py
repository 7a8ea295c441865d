"""Evaluation of registration: what is measured, counted and written."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eqcli.data.cloud_pairs import CloudPair
from eqcli.errors import ExitCode, Failure, InputError
from eqcli.models.pointcloud.matches import Matches
from eqcli.tasks.evaluate_registration import RegistrationOptions, evaluate_registration
from eqcli.tasks.evaluate_registration_hypotheses import MatchesOf
from eqcli.tasks.evaluate_registration_input import PairRules, RegistrationCase, metre_of, random_turn, read_case
from eqcli.tasks.evaluate_registration_result import RegistrationEvaluation
from eqcli.tasks.evaluate_registration_run import Method, Registered, register_case
from tests.tasks.evaluate_registration_case import (
    FloatArray,
    bean,
    fails,
    method,
    off_by,
    with_matches,
    write_pair,
)

Evaluate = Callable[..., RegistrationEvaluation]
METRES = PairRules(lengths="m")


@pytest.fixture
def evaluate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Evaluate:
    """Evaluates pairs and methods that are given as objects."""

    def run(given: list[CloudPair | Failure], methods: list[Method], **more: Any) -> RegistrationEvaluation:
        def found(path: Path) -> Iterator[CloudPair | Failure]:
            yield from given

        monkeypatch.setattr("eqcli.data.cloud_pairs.find_pairs", found, raising=False)
        refine = more.pop("refine", None)
        stated: dict[str, Any] = {"pairs": METRES, "pictures": False} | more
        options = RegistrationOptions(**stated)
        return evaluate_registration(
            None, [tmp_path / "pairs.csv"], tmp_path / "out", options, methods=methods, refine=refine, overwrite=True
        )

    return run


def _figures(result: RegistrationEvaluation) -> dict[tuple[str, str], dict[str, float]]:
    return {
        (row.method, row.refinement): {name: interval.value for name, interval in row.figures.figures.items()}
        for row in result.methods
    }


def test_the_table_says_what_methods_were_told_to_do(tmp_path: Path, evaluate: Evaluate) -> None:
    pairs: list[CloudPair | Failure] = [write_pair(tmp_path / "c", f"p{k}", k, scene=f"s{k % 2}") for k in range(4)]
    methods = [
        method("right", with_matches(0.25)),
        method("near", off_by(2.0, 0.05, reliable=True)),
        method("far", off_by(90.0, reliable=False)),
        method("broken", fails),
    ]
    result = evaluate(pairs, methods, bootstrap=50)
    found = _figures(result)
    right, near, far = (found[name, "its own"] for name in ("right", "near", "far"))
    assert right["3dmatch"] == right["pare"] == right["kitti-finest"] == right["feature_recall"] == 1.0
    assert right["inlier_ratio"] == pytest.approx(0.25)
    assert right["hypotheses_p50"] == 40
    assert right["rre_mean"] == pytest.approx(0.0, abs=1e-5)
    assert (near["3dmatch"], near["kitti-loose"], near["kitti-strict"]) == (1.0, 1.0, 0.0)
    assert near["rre_p50"] == pytest.approx(2.0)
    assert (near["vouched_found"], near["vouched_wrong"]) == (1.0, 0.0)
    assert (far["3dmatch"], far["vouched"]) == (0.0, 0.0)
    assert "rre_mean" not in far
    assert found["broken", "its own"] == dict.fromkeys(found["broken", "its own"], 0.0)
    assert result.counts == {
        "pairs": 4, "scenes": 2, "without_truth": 0, "symmetric": 0, "metric": 4, "failed": 0,
    }  # fmt: skip
    assert result.exit_code is ExitCode.PARTIAL
    assert {failure.item for failure in result.failures} == {f"p{k}, broken" for k in range(4)}
    assert result.failures[0].reason == "it broke. Mend it."


def test_the_files_hold_every_pair_and_method(tmp_path: Path, evaluate: Evaluate) -> None:
    pairs: list[CloudPair | Failure] = [write_pair(tmp_path / "c", f"p{k}", k) for k in range(3)]
    pairs.append(Failure("p3", "no such file"))
    result = evaluate(pairs, [method("a", off_by(1.0)), method("<i>", fails)], pictures=True, bootstrap=10)
    with result.table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["pair"], row["method"], row["status"]) for row in rows[:2]] == [
        ("p0", "a", "ok"),
        ("p0", "<i>", "failed"),
    ]
    assert len(rows) == 6
    assert float(rows[0]["rre"]) == pytest.approx(1.0)
    assert rows[0]["unit"] == "m"
    assert 0 < float(rows[0]["overlap"]) < 1
    data = json.loads(result.metrics.read_text())
    assert data["provenance"]["eqcli"]
    assert data["counts"]["failed"] == 1
    assert [failure["item"] for failure in data["failures"]] == ["p3", "p0, <i>", "p1, <i>", "p2, <i>"]
    page = result.report_html.read_text()
    assert "<i>" not in page
    assert "0.2 m (3DMatch, gt.info and PARE-Net)" in page
    assert "5° and 2 m; 1.5° and 0.3 m; 1° and 0.1 m" in page
    assert {one.best for one in result.drawn} == {True, False}
    for one in result.drawn:
        assert (result.output / one.picture).read_bytes().startswith(b"\x89PNG")
        assert "cloud-data" in (result.output / one.page).read_text()
        assert one.picture in page


def test_a_refinement_makes_a_row_of_its_own(tmp_path: Path, evaluate: Evaluate) -> None:
    pairs: list[CloudPair | Failure] = [write_pair(tmp_path / "c", "p", 1)]

    def refine(case: RegistrationCase, motion: FloatArray) -> FloatArray:
        assert case.pair.truth is not None
        return case.pair.truth

    methods = [method("a", off_by(9.0), refined=True), method("own", off_by(1.0))]
    found = _figures(evaluate(pairs, methods, refine=refine, bootstrap=0))
    assert set(found) == {("a", "none"), ("a", "gicp"), ("own", "its own")}
    assert (found["a", "none"]["kitti-loose"], found["a", "gicp"]["kitti-finest"]) == (0.0, 1.0)
    assert found["a", "gicp"]["seconds"] >= found["a", "none"]["seconds"]


def test_a_refinement_that_fails_leaves_the_coarse_motion(tmp_path: Path, evaluate: Evaluate) -> None:
    def refine(case: RegistrationCase, motion: FloatArray) -> FloatArray:
        raise InputError("no point is near")

    pairs: list[CloudPair | Failure] = [write_pair(tmp_path / "c", "p", 1)]
    result = evaluate(pairs, [method("a", off_by(0.0), refined=True), method("b", fails, refined=True)], refine=refine)
    found = _figures(result)
    assert (found["a", "none"]["pare"], found["a", "gicp"]["pare"]) == (1.0, 0.0)
    # What fails before it is refined is told once.
    assert [one.item for one in result.failures] == ["p, a, refinement gicp", "p, b"]


def test_pairs_without_a_truth_are_counted_apart(tmp_path: Path, evaluate: Evaluate) -> None:
    pairs: list[CloudPair | Failure] = [
        write_pair(tmp_path / "c", "known", 1), write_pair(tmp_path / "c", "unknown", 2, truth=False),
    ]  # fmt: skip
    result = evaluate(pairs, [method("a", off_by(0.0, reliable=True))])
    assert (result.counts["pairs"], result.counts["without_truth"]) == (1, 1)
    assert result.methods[0].figures.pairs == 1
    row = result.pairs[1]
    assert (row["status"], row["reliable"], row["rre"], row["found_pare"], row["overlap"]) == (
        "no truth", True, None, None, None,
    )  # fmt: skip
    assert result.exit_code is ExitCode.OK


def test_a_turned_source_is_measured_as_it_stood(tmp_path: Path) -> None:
    pair = write_pair(tmp_path, "p", 3, information=np.diag([9.0] * 3 + [5.0] * 3))
    plain, turned = read_case(pair, METRES), read_case(pair, PairRules(lengths="m", turned=True))
    assert not np.allclose(plain.source.points, turned.source.points)
    assert turned.given == pytest.approx(plain.source.points)
    (a,), (b,) = (register_case(case, [method("a", off_by(4.0, 0.1))], None, "none") for case in (plain, turned))
    assert b.errors == pytest.approx(a.errors)
    assert (b.displacement, b.rmse, b.published) == pytest.approx((a.displacement, a.rmse, a.published))
    assert turned.angle != pytest.approx(plain.angle)
    again = read_case(pair, PairRules(lengths="m", turned=True))
    assert again.turn == pytest.approx(turned.turn)


def test_turns_are_rigid_about_the_middle_and_differ_by_name_and_seed() -> None:
    points = bean() + 5.0
    turn = random_turn(points, "a", 0)
    assert turn[:3, :3] @ turn[:3, :3].T == pytest.approx(np.eye(3))
    assert turn[:3, :3] @ points.mean(axis=0) + turn[:3, 3] == pytest.approx(points.mean(axis=0))
    assert not np.allclose(turn, random_turn(points, "b", 0))
    assert not np.allclose(turn, random_turn(points, "a", 1))


def test_of_a_symmetric_object_any_of_its_places_is_right(tmp_path: Path) -> None:
    half = np.diag([-1.0, -1.0, 1.0, 1.0])
    half[:3, 3] = [1.0, 0.0, 0.0]
    pair = write_pair(tmp_path, "p", 4, symmetries=np.stack([np.eye(4), half]))

    def other(case: RegistrationCase) -> Any:
        answer = off_by(0.0)(case)
        return method("", off_by(0.0)).solve(case).__class__(half @ answer.motion)

    (found,) = register_case(read_case(pair, METRES), [method("a", other)], None, "none")
    assert found.errors is not None
    assert (found.errors.rotation, found.displacement) == pytest.approx((0.0, 0.0), abs=1e-5)
    assert all(found.found[rule] for rule in ("3dmatch", "pare", "kitti-finest"))


@pytest.mark.parametrize("answer", [np.full((4, 4), np.nan), np.eye(3)])
def test_what_is_no_motion_is_a_failure(tmp_path: Path, answer: FloatArray) -> None:
    from eqcli.tasks.evaluate_registration_run import Answer

    case = read_case(write_pair(tmp_path, "p", 5), METRES)
    found: list[Registered] = register_case(case, [method("a", lambda case: Answer(answer))], None, "none")
    assert found[0].answer is None
    assert found[0].outcome().failed


def test_lengths_are_metres_where_something_says_so(tmp_path: Path) -> None:
    pair = write_pair(tmp_path, "p", 6)
    case = read_case(pair, PairRules())
    assert case.limits.metre is None
    assert case.limits.distance == pytest.approx(8 * case.voxel)
    benchmark = write_pair(tmp_path, "p", 6, information=np.eye(6))
    assert read_case(benchmark, PairRules()).limits.distance == pytest.approx(0.2)
    assert metre_of(pair, case.source, case.target, "mm") == 1000.0
    assert metre_of(benchmark, case.source, case.target, "voxels") is None
    case.source.units = case.target.units = "cm"
    assert metre_of(pair, case.source, case.target, "auto") == 100.0
    case.target.units = "m"
    assert metre_of(pair, case.source, case.target, "auto") is None


def test_two_pairs_of_one_name_stay_two(tmp_path: Path, evaluate: Evaluate) -> None:
    pairs: list[CloudPair | Failure] = [write_pair(tmp_path / f"{k}", "p", k) for k in (1, 2)]
    result = evaluate(pairs, [method("a", off_by(0.0))])
    assert [row["pair"] for row in result.pairs] == ["p", "p (2)"]


def test_curves_are_of_the_chosen_rule(tmp_path: Path, evaluate: Evaluate) -> None:
    pairs: list[CloudPair | Failure] = [
        write_pair(tmp_path / "c", f"p{k}", k, overlap=overlap) for k, overlap in enumerate((0.05, 0.15, 0.15, 0.9))
    ]
    curves = evaluate(pairs, [method("a", off_by(3.0))], rule="kitti-loose").curves
    assert curves["overlap"][0]["bins"] == [[0.0, 0.1, 1.0, 1], [0.1, 0.2, 1.0, 2], [0.8, 1.0, 1.0, 1]]
    assert sum(row[3] for row in curves["angle"][0]["bins"]) == 4
    strict = evaluate(pairs, [method("a", off_by(3.0))], rule="kitti-strict").curves
    assert [row[2] for row in strict["overlap"][0]["bins"]] == [0.0, 0.0, 0.0]


def test_pairs_that_follow_one_another_are_left_out_unless_asked_for(tmp_path: Path, evaluate: Evaluate) -> None:
    pairs: list[CloudPair | Failure] = [
        write_pair(tmp_path / "c", f"p{k}", k, adjacent=k == 1) for k in range(3)
    ]  # fmt: skip
    result = evaluate(pairs, [method("a", off_by(0.0))])
    assert result.counts["pairs"] == 2
    assert "1 pairs follow" in result.warnings[0]
    assert evaluate(pairs, [method("a", off_by(0.0))], pairs=PairRules(lengths="m", adjacent=True)).counts["pairs"] == 3
    with pytest.raises(InputError, match="follow one another"):
        evaluate(pairs[1:2], [method("a", off_by(0.0))])


def test_the_voxel_of_a_pair_counts(tmp_path: Path) -> None:
    pair = write_pair(tmp_path, "p", 7, voxel=0.05)
    assert read_case(pair, PairRules()).limits.distance == pytest.approx(0.4)
    assert read_case(pair, PairRules(voxel=0.1)).voxel == 0.1


def _half_right(case: RegistrationCase) -> tuple[Matches, float]:
    """Matches with rotations, every second one right; none of the pair p2."""
    if case.pair.name == "p2":
        raise InputError("no features")
    motion = torch.from_numpy(off_by(0.0)(case).motion)
    source = torch.from_numpy(case.source.points[:200])
    target = source @ motion[:3, :3].T + motion[:3, 3]
    wrong = torch.arange(200) % 2 == 0
    target[wrong] = target[wrong].roll(11, 0) + 9.0
    rotations = motion[:3, :3].expand(200, 3, 3).clone()
    rotations[wrong] = rotations[wrong].transpose(1, 2)
    return Matches.of(source, target, rotations=rotations), 0.1


@pytest.mark.parametrize("turned", [False, True])
def test_recall_against_hypotheses_is_of_the_same_matches(tmp_path: Path, evaluate: Evaluate, turned: bool) -> None:
    pairs: list[CloudPair | Failure] = [write_pair(tmp_path / "c", f"p{k}", k) for k in (1, 2)]
    made = Method("a", off_by(0.0), False, MatchesOf("net", _half_right, 1.0))
    rules = PairRules(lengths="m", voxel=0.1, turned=turned)
    result = evaluate(pairs, [made, method("b", off_by(0.0))], hypotheses=True, pairs=rules)
    one_match, ransac, edges = result.curves["hypotheses"]
    assert [one["method"] for one in (one_match, ransac, edges)] == [
        "net + one-match", "net + RANSAC", "net + RANSAC, edges compared first",
    ]  # fmt: skip
    # The pair without matches is a miss for all.
    assert one_match["reached"] == max(recall for _, recall in ransac["points"]) == 0.5
    assert one_match["needed"] < ransac["needed"]
    assert not result.failures
    assert "net, motions for a recall of 50 %: one-match" in result.report_html.read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rule": "best"}, "unknown rule"),
        ({"pairs": PairRules(lengths="inch")}, "unknown unit"),
        ({"pairs": PairRules(distance=0.0)}, "recall distance"),
        ({"pairs": PairRules(voxel=-1.0)}, "voxel"),
        ({"pairs": PairRules(share=1.0)}, "share"),
    ],
)
def test_options_that_cannot_be_are_refused_before_any_work(
    evaluate: Evaluate, tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        evaluate([write_pair(tmp_path / "c", "p", 1)], [method("a", off_by(0.0))], **options)
    assert not (tmp_path / "out").exists()


def test_nothing_to_evaluate_is_an_error_that_says_why(evaluate: Evaluate) -> None:
    with pytest.raises(InputError, match="no such file"):
        evaluate([Failure("p", "no such file")], [method("a", off_by(0.0))])


def test_a_pair_whose_cloud_is_missing_is_a_failure_and_the_others_go_on(tmp_path: Path, evaluate: Evaluate) -> None:
    lost, kept = (write_pair(tmp_path / "c", name, k) for k, name in enumerate(("lost", "kept")))
    lost.target.unlink()
    result = evaluate([lost, kept], [method("a", off_by(0.0))])
    assert [failure.item for failure in result.failures] == ["lost"]
    assert result.counts["pairs"] == result.counts["failed"] == 1
