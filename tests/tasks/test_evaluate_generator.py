"""`evaluate` of a generator of molecules: bounds and loss terms of given molecules, report and failures."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eqcli.engine.bound_evaluator import BoundEvaluator, MoleculeTerms
from eqcli.engine.model_file import save_model
from eqcli.errors import ExitCode, Failure, InputError
from eqcli.io import write_structures
from eqcli.io.structure import Structure
from eqcli.models.molecules.base import MoleculeGenerator
from eqcli.models.molecules.build import make_molecule_generator
from eqcli.models.molecules.config import MOLECULE_GENERATORS
from eqcli.models.molecules.vocabulary import Vocabulary
from eqcli.tasks.evaluate import evaluate
from eqcli.tasks.evaluate_generator import GeneratorEvaluation, term_figures
from tests.listener import Listener

EGNN = {"name": "egnn", "channels": 8, "num_layers": 1}
OPTIONS: dict[str, dict[str, Any]] = {
    "edm": {"timesteps": 20},
    "flow-matching": {},
    "eqgat-diff": {"timesteps": 20},
}
SIZES = [0, 0, 1, 2, 0, 3]


def generator(name: str) -> MoleculeGenerator:
    torch.manual_seed(0)
    config = MOLECULE_GENERATORS[name][2].model_validate({"name": name, "denoiser": EGNN, **OPTIONS[name]})
    vocabulary = Vocabulary((1, 6, 8), (0,), (1, 3, 4), (0, 1, 2))
    return make_molecule_generator(config, vocabulary=vocabulary, sizes=SIZES)


def saved(folder: Path, name: str) -> Path:
    path = folder / f"{name}.safetensors"
    save_model(path, generator(name), training={}, provenance={})
    return path


WATER = ([8, 1, 1], [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]], [[0, 1, 1], [0, 2, 1]])
METHANE = (
    [6, 1, 1, 1, 1],
    [[0, 0, 0], [0.63, 0.63, 0.63], [-0.63, -0.63, 0.63], [-0.63, 0.63, -0.63], [0.63, -0.63, -0.63]],
    [[0, n, 1] for n in range(1, 5)],
)
METHANAL = (
    [6, 8, 1, 1],
    [[0, 0, 0], [1.2, 0, 0], [-0.6, 0.93, 0], [-0.6, -0.93, 0]],
    [[0, 1, 2], [0, 2, 1], [0, 3, 1]],
)
FLUORIDE = ([9, 1], [[0, 0, 0], [0.92, 0, 0]], [[0, 1, 1]])


def molecule(parts: tuple[list[int], list[list[float]], list[list[int]]]) -> Structure:
    numbers, positions, bonds = parts
    return Structure(np.array(numbers), np.array(positions, dtype=np.float64), info={"bonds": bonds})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "test.sdf"
    write_structures(path, [molecule(parts) for parts in (WATER, METHANE, METHANAL, FLUORIDE)])
    return path


def evaluated(model: Path, data: Path, output: Path, **options: Any) -> GeneratorEvaluation:
    found = evaluate(model, [data], output, device="cpu", **options)
    assert isinstance(found, GeneratorEvaluation)
    return found


def test_the_bound_of_every_molecule_and_its_mean_are_written(tmp_path: Path, data: Path) -> None:
    listener = Listener()
    found = evaluated(saved(tmp_path, "edm"), data, tmp_path / "report", report=listener)
    assert found.kind == "bound"
    assert found.exit_code is ExitCode.PARTIAL
    assert ["does not know F" in failure.reason for failure in found.failures] == [True]
    rows = list(csv.DictReader(found.table.read_text().splitlines()))
    assert [int(row["atoms"]) for row in rows] == [3, 5, 4]
    # Four atoms did not occur in training.
    assert [math.isinf(float(row["total"])) for row in rows] == [False, False, True]
    assert float(rows[0]["size"]) == pytest.approx(-math.log(2 / 6))
    totals = [float(row["total"]) for row in rows[:2]]
    assert found.figures["terms"]["total"]["value"] == pytest.approx(np.mean(totals))
    assert found.figures["per_atom"]["value"] == pytest.approx(sum(totals) / 8)
    assert found.figures["unknown_size"] == 1
    assert any("did not occur in training" in text for text in listener.warnings)
    for row in rows[:2]:
        parts = sum(float(row[name]) for name in ("prior", "diffusion", "reconstruction", "size"))
        assert float(row["total"]) == pytest.approx(parts)
    content = json.loads(found.report_json.read_text())
    assert content["figures"]["terms"]["total"]["value"] == pytest.approx(np.mean(totals))
    assert content["steps"] == 100
    page = found.report_html.read_text()
    assert "Variational bound" in page
    assert "does not know F" in page


@pytest.mark.parametrize("name", ["flow-matching", "eqgat-diff"])
def test_models_without_a_bound_show_their_loss_and_say_so(tmp_path: Path, data: Path, name: str) -> None:
    found = evaluated(saved(tmp_path, name), data, tmp_path / "report")
    assert found.kind == "loss"
    assert {"loss", "positions", "elements", "bonds"} <= set(found.figures["terms"])
    assert "total" not in found.figures["terms"]
    assert found.figures["molecules"] == 3
    assert "no bound on the likelihood" in found.report_html.read_text()


@pytest.mark.parametrize("name", ["edm", "flow-matching"])
def test_a_molecule_has_the_same_terms_beside_others(name: str) -> None:
    model = generator(name)
    every = [molecule(parts) for parts in (WATER, METHANE)]
    lost: list[Failure] = []
    together = list(BoundEvaluator(model, steps=3).evaluate(every, lost.append))
    # The first one is refused, and takes its place nevertheless.
    strange = [molecule(FLUORIDE), every[1]]
    alone = list(BoundEvaluator(model, steps=3).evaluate(strange, lost.append))
    assert len(lost) == 1
    assert alone[0].terms == pytest.approx(dict(together[1].terms))
    other = list(BoundEvaluator(model, steps=3, seed=1).evaluate(every, lost.append))
    last = "total" if name == "edm" else "loss"
    assert other[1].terms[last] != pytest.approx(together[1].terms[last], rel=1e-6)


def test_drawn_steps_lie_about_the_sum_of_all() -> None:
    model = generator("edm")
    copies = [molecule(WATER)] * 300
    exact = term_figures(list(BoundEvaluator(model, steps=None).evaluate(copies, print)))["terms"]["total"]
    drawn = term_figures(list(BoundEvaluator(model, steps=4).evaluate(copies, print)))["terms"]["total"]
    assert exact["low"] < exact["value"] < exact["high"]
    assert drawn["low"] - (exact["high"] - exact["low"]) < exact["value"] < drawn["high"] + exact["high"] - exact["low"]


def test_figures_without_any_known_size_have_no_total() -> None:
    rows = [MoleculeTerms("a", 4, {"diffusion": 1.0, "size": math.inf, "total": math.inf})]
    figures = term_figures(rows)
    assert math.isnan(figures["terms"]["total"]["value"])
    assert figures["terms"]["diffusion"]["value"] == 1.0
    assert figures["unknown_size"] == 1


def test_what_cannot_be_evaluated_is_refused(tmp_path: Path, data: Path) -> None:
    model = saved(tmp_path, "edm")
    with pytest.raises(InputError, match="none were given"):
        evaluate(model, [], tmp_path / "a", device="cpu")
    with pytest.raises(InputError, match="no audit"):
        evaluate(model, [data], tmp_path / "b", device="cpu", audit=["equivariance"])
    strange = tmp_path / "strange.sdf"
    write_structures(strange, [molecule(FLUORIDE)])
    with pytest.raises(InputError, match="no molecule could be evaluated"):
        evaluate(model, [strange], tmp_path / "c", device="cpu")
