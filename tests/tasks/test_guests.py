"""Calculators of other packages in predict, relax, evaluate and pipelines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eqcli.cli.app import main
from eqcli.errors import ErrorGroup, ExitCode, InputError
from eqcli.io import read_structures, write_structures
from eqcli.io.structure import Structure
from eqcli.recipe.load import load_pipeline
from eqcli.recipe.plan import plan
from eqcli.tasks.evaluate import evaluate
from eqcli.tasks.inference import load_for_inference
from eqcli.tasks.pipeline import run_pipeline
from eqcli.tasks.predict import predict
from eqcli.tasks.relax import relax
from tests.listener import Listener

LJ = Path("ase:ase.calculators.lj:LennardJones")
ARGUMENTS = {"epsilon": 0.0104, "sigma": 3.4, "rc": 8.0, "smooth": True}

BROKEN = '''
import numpy as np
from ase.calculators.lj import LennardJones


class Leaning(LennardJones):
    """An energy that prefers a direction, and the force that belongs to it."""

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        x = self.atoms.positions - self.atoms.positions.mean(axis=0)
        self.results["energy"] += 0.01 * (x[:, 0] ** 2).sum()
        self.results["forces"] = self.results["forces"] - 0.02 * x * np.array([1.0, 0, 0])


class Scaled(LennardJones):
    """Forces that are not the gradient."""

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        self.results["forces"] = 1.01 * self.results["forces"]
'''


def clusters(count: int = 3) -> list[Structure]:
    place = np.array([[0, 0, 0], [3.8, 0, 0], [1.9, 3.3, 0], [1.9, 1.1, 3.1]])
    rng = np.random.default_rng(0)
    return [Structure(np.full(4, 18), place + rng.normal(size=(4, 3)) * 0.1) for _ in range(count)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Clusters of argon with the labels of the calculator itself."""
    bare = tmp_path / "bare.extxyz"
    write_structures(bare, clusters())
    labelled = tmp_path / "argon.extxyz"
    predict(LJ, [bare], labelled, model_arguments=ARGUMENTS)
    return labelled


def statuses(result: Any) -> dict[str, str]:
    return {check.key: check.status for check in result.audit.checks}


def test_predictions_name_the_calculator(data: Path) -> None:
    import ase

    text = data.read_text(encoding="utf-8")
    header = text.split('eqcli_provenance="_JSON ')[1].split('" pbc')[0].replace('\\"', '"')
    model = json.loads(header)["model"]
    assert model["calculator"] == str(LJ)
    assert (model["package"], model["version"]) == ("ase", ase.__version__)
    assert model["arguments"] == ARGUMENTS


def test_the_command_line_takes_arguments_as_yaml(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [f"--model-arg={key}={json.dumps(value)}" for key, value in ARGUMENTS.items()]
    output = tmp_path / "again.extxyz"
    with pytest.raises(SystemExit) as ended:
        main(["predict", str(LJ), str(data), "-o", str(output), "--json", *arguments])
    assert ended.value.code == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["structures"] == 3
    first, again = (list(read_structures(path)) for path in (data, output))
    assert [one.energy for one in again] == pytest.approx([one.energy for one in first], abs=1e-12)


@pytest.mark.parametrize("text", ["epsilon", "=3", "1x=3", "a=[1, 2]", "a={b: 1}", "a='"])
def test_what_is_no_argument_is_refused(data: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["predict", str(LJ), str(data), "--model-arg", text])
    assert ended.value.code == ExitCode.BAD_INPUT
    assert text in capsys.readouterr().err


def test_arguments_are_for_calculators(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="calculators of other packages"):
        load_for_inference(tmp_path / "model.safetensors", "cpu", None, {"a": 1})


def test_elements_that_a_calculator_does_not_know_are_rows(tmp_path: Path) -> None:
    metal = Structure(np.array([13, 13]), np.array([[0, 0, 0], [2.7, 0, 0]]))
    write_structures(tmp_path / "mixed.extxyz", [metal, *clusters(1), metal])
    result = predict(Path("ase:ase.calculators.emt:EMT"), [tmp_path / "mixed.extxyz"], tmp_path / "out.extxyz")
    assert result.exit_code == ExitCode.PARTIAL
    assert result.structures == 2
    (failure,) = result.failures
    assert "No EMT-potential for Ar" in failure.reason
    assert failure.where.frame == 1


def test_relaxation_ends_where_the_formula_says(tmp_path: Path) -> None:
    dimer = Structure(np.array([18, 18]), np.array([[0, 0, 0], [4.2, 0.1, 0]]))
    write_structures(tmp_path / "dimer.extxyz", [dimer])
    told = Listener()
    arguments = {"epsilon": 0.0104, "sigma": 3.4, "rc": 20.0}
    output = tmp_path / "out.extxyz"
    result = relax(
        LJ, [tmp_path / "dimer.extxyz"], output, fmax=1e-6, optimizer="lbfgs", model_arguments=arguments, report=told
    )
    assert result.exit_code == ExitCode.OK
    assert not told.warnings
    (found,) = read_structures(output)
    distance = float(np.linalg.norm(found.positions[1] - found.positions[0]))
    assert distance == pytest.approx(3.4 * 2 ** (1 / 6), abs=1e-5)


def test_the_audit_of_a_sound_calculator_passes(tmp_path: Path, data: Path) -> None:
    result = evaluate(LJ, [data], tmp_path / "report", model_arguments=ARGUMENTS, audit_structures=1)
    assert result.exit_code == ExitCode.OK
    assert result.figures["total"]["energy_per_atom"]["mae"] == pytest.approx(0, abs=1e-3)
    found = statuses(result)
    for key in ("rotation", "reflection", "permutation", "forces_fd", "hessian", "drift", "dimer_repulsion"):
        assert found[key] == "pass", key
    assert not {"cutoff_energy", "isolated", "batch", "extensivity"} & found.keys()
    content = json.loads(result.report_json.read_text(encoding="utf-8"))
    assert {entry["key"] for entry in content["audit"]["skipped"]} == {
        "cutoff_energy",
        "isolated",
        "batch",
        "extensivity",
    }
    assert content["model"]["calculator"] == str(LJ)
    page = result.report_html.read_text(encoding="utf-8")
    assert "LennardJones" in page
    assert "a calculator does not tell its cutoff" in page


@pytest.mark.parametrize(
    ("name", "broken", "sound"),
    [("Leaning", "rotation", "forces_fd"), ("Scaled", "forces_fd", "rotation")],
)
def test_the_audit_finds_what_is_broken(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, name: str, broken: str, sound: str
) -> None:
    module = f"broken_{tmp_path.name}"
    (tmp_path / f"{module}.py").write_text(BROKEN, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    result = evaluate(
        Path(f"ase:{module}:{name}"), [data], tmp_path / "report", model_arguments=ARGUMENTS, audit_structures=1
    )
    assert result.exit_code == ExitCode.AUDIT_FAILED
    found = statuses(result)
    assert (found[broken], found[sound]) == ("fail", "pass")


def test_an_audit_needs_structures(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not tell which elements"):
        evaluate(LJ, [], tmp_path / "report")


PIPELINE = """
task: pipeline
name: p
steps:
  - id: predict
    task: predict
    with: {{model: "{model}", model_arguments: {{sigma: {sigma}}}, inputs: argon.extxyz}}
  - id: errors
    task: evaluate
    with: {{model: "{model}", data: "${{predict.output}}", audit: false}}
"""


def run(folder: Path, model: str = str(LJ), sigma: float = 3.4) -> dict[str, bool]:
    """Which steps were left as they were."""
    file = folder / "pipeline.yaml"
    file.write_text(PIPELINE.format(model=model, sigma=sigma), encoding="utf-8")
    done = run_pipeline("p", plan(load_pipeline(file)), folder / "run")
    assert done.exit_code == ExitCode.OK
    return {step.id: step.unchanged for step in done.steps}


def test_a_pipeline_runs_again_what_changed(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = data.parent
    assert run(folder) == {"predict": False, "errors": False}
    assert run(folder) == {"predict": True, "errors": True}
    assert run(folder, sigma=3.3) == {"predict": False, "errors": False}
    newer = {"package": "ase", "version": "99"}
    monkeypatch.setattr("eqcli.tasks.pipeline_state.version_facts", lambda name: newer)
    assert run(folder, sigma=3.3) == {"predict": False, "errors": False}
    assert run(folder, sigma=3.3) == {"predict": True, "errors": True}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("ase:no_such_module:C", "there is no Python module 'no_such_module'"),
        ("ase:nothing", "a calculator is named as ase:module:Class"),
        ("argon.extxyz", "model_arguments are those of a calculator"),
    ],
)
def test_mistakes_in_a_pipeline_are_found_before_any_work(data: Path, model: str, message: str) -> None:
    file = data.parent / "pipeline.yaml"
    file.write_text(PIPELINE.format(model=model, sigma=3.4), encoding="utf-8")
    with pytest.raises(ErrorGroup) as found:
        load_pipeline(file)
    assert any(message in error.message for error in found.value.errors)
    assert all(error.where.line for error in found.value.errors)
