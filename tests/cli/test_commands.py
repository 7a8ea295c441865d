"""Options become arguments of the tasks; results become text or JSON; endings become exit codes."""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eqcli.errors import EqcliError, ErrorGroup, ExitCode, Failure, InputError, Where

from .conftest import Ended, StandIn

Run = Callable[..., Ended]
Task = Callable[..., list[tuple[tuple[Any, ...], dict[str, Any]]]]


def test_train_passes_recipe_and_options(eqcli: Run, task: Task, recipe: Path) -> None:
    calls = task("train")
    words = ("train", "recipe.yaml", "model.channels=8", "--seed", "5", "-o", "x", "--device", "cpu", "--resume")
    assert eqcli(*words).code == 0
    ((args, kwargs),) = calls
    assert args[0].model.channels == 8
    assert args[0].seed == 5
    assert args[1] == Path("x")
    assert (kwargs["device"], kwargs["resume"], kwargs["overwrite"]) == ("cpu", True, False)


def test_one_process_of_a_training_speaks_for_all(eqcli: Run, task: Task, recipe: Path) -> None:
    task("train", lambda *args, **kwargs: StandIn(is_first=False))
    ended = eqcli("train", "recipe.yaml", "--json")
    assert (ended.code, ended.out) == (0, "")


def test_train_has_a_folder_of_its_own_by_default(eqcli: Run, task: Task, recipe: Path) -> None:
    calls = task("train")
    eqcli("train", "recipe.yaml")
    assert calls[0][0][1] == Path("runs/run")


def test_a_wrong_recipe_starts_nothing(eqcli: Run, task: Task, recipe: Path) -> None:
    calls = task("train")
    ended = eqcli("train", "recipe.yaml", "model.chanels=8", "sed=1")
    assert (ended.code, ended.out, calls) == (2, "", [])
    assert "model.chanels" in ended.err
    assert "Did you mean 'seed'?" in ended.err


def test_labels_become_a_convention(eqcli: Run, task: Task) -> None:
    calls = task("predict")
    words = ("--energy-key", "E", "--energy-unit", "kcal/mol", "--stress-sign", "vasp", "--pbc", "on")
    assert eqcli("predict", "m.safetensors", "a.xyz", "b.cif", "-o", "o.h5", *words, "--no-stress").code == 0
    ((args, kwargs),) = calls
    assert args == (Path("m.safetensors"), [Path("a.xyz"), Path("b.cif")], Path("o.h5"))
    labels = kwargs["labels"]
    assert (labels.energy, labels.energy_unit, labels.stress_sign, labels.pbc) == ("E", "kcal/mol", "vasp", "on")
    assert kwargs["stress"] is False
    assert kwargs["precision"] is None


def test_every_label_option_reaches_the_convention() -> None:
    from eqcli.cli.options import LABELS, convention
    from eqcli.io.conventions import LabelConvention

    assert set(LABELS) == set(LabelConvention.model_fields)
    assert convention({name: default for name, (_, default, _, _) in LABELS.items()}) == LabelConvention()


def test_relax_options(eqcli: Run, task: Task) -> None:
    calls = task("relax")
    words = ("--fmax", "0.02", "--cell", "full", "--optimizer", "lbfgs", "--keep-symmetry", "--trajectory", "t.h5")
    assert eqcli("relax", "m.safetensors", "some/POSCAR", *words).code == 0
    ((args, kwargs),) = calls
    assert args == (Path("m.safetensors"), [Path("some/POSCAR")], Path("POSCAR-relaxed.extxyz"))
    chosen = {key: kwargs[key] for key in ("fmax", "cell", "optimizer", "keep_symmetry", "trajectory", "precision")}
    assert chosen == {
        "fmax": 0.02,
        "cell": "full",
        "optimizer": "lbfgs",
        "keep_symmetry": True,
        "trajectory": Path("t.h5"),
        "precision": "float64",
    }


def test_evaluate_and_convert(eqcli: Run, task: Task) -> None:
    evaluated, converted = task("evaluate"), task("convert")
    assert eqcli("evaluate", "runs/x/model.safetensors", "test.extxyz", "--no-audit").code == 0
    assert evaluated[0][0][2] == Path("runs/x/evaluation-test")
    assert evaluated[0][1]["audit"] is False
    assert eqcli("evaluate", "m.safetensors", "test.extxyz").code == 0
    assert evaluated[1][1]["audit"] is True
    assert eqcli("evaluate", "runs/x/m.safetensors", "--audit", "smoothness", "--audit", "all").code == 0
    assert evaluated[2][0][1:3] == ([], Path("runs/x/audit"))
    assert evaluated[2][1]["audit"] == ["smoothness", "all"]
    assert "exclude each other" in eqcli("evaluate", "m", "a.xyz", "--audit", "all", "--no-audit").err
    assert eqcli("convert", "a.cif", "b.cif", "c.h5").code == 0
    assert converted[0][0] == ([Path("a.cif"), Path("b.cif")], Path("c.h5"))
    assert "a file to write" in eqcli("convert", "a.cif").err


def test_json_is_one_document_and_nothing_else(eqcli: Run, task: Task) -> None:
    def noisy(*args: Any, report: Any, **kwargs: Any) -> StandIn:
        print("a library talks")
        report.message("a message")
        return StandIn(value=float("nan"))

    task("predict", noisy)
    ended = eqcli("predict", "m", "a.xyz", "--json")
    assert json.loads(ended.out) == {"value": None, "exit_code": 0}
    assert "a library talks" in ended.err
    assert "a message" in ended.err
    human = eqcli("predict", "m", "a.xyz")
    assert human.out == "value  nan\n"


def test_failures_are_listed_and_counted(eqcli: Run, task: Task) -> None:
    failures = [Failure("a.xyz, frame 3", "no atoms"), Failure("b.xyz", "unreadable")]
    task("predict", StandIn(failures, ExitCode.PARTIAL))
    ended = eqcli("predict", "m", "a.xyz", "--quiet")
    assert (ended.code, ended.out) == (3, "")
    assert "2 failed" in ended.err
    assert "a.xyz, frame 3  no atoms" in ended.err


@pytest.mark.parametrize("code", [ExitCode.NOT_CONVERGED, ExitCode.AUDIT_FAILED])
def test_exit_codes_of_results(eqcli: Run, task: Task, code: ExitCode) -> None:
    task("relax", StandIn(exit_code=code))
    assert eqcli("relax", "m", "a.xyz").code == code


def _raiser(error: BaseException) -> Callable[..., Any]:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("no such thing", Where("f.xyz", line=3), "Try another."), 2),
        (ErrorGroup([InputError("first"), InputError("second")]), 2),
        (EqcliError("diverged", exit_code=ExitCode.NOT_CONVERGED), 4),
    ],
)
def test_errors_have_no_traceback(eqcli: Run, task: Task, error: EqcliError, code: int) -> None:
    task("relax", _raiser(error))
    ended = eqcli("relax", "m", "a.xyz", "--json")
    assert ended.code == code
    assert "Traceback" not in ended.err
    assert all(line in ended.err for single in str(error).split("\n") for line in [single.strip()])
    assert json.loads(ended.out)["error"]["exit_code"] in (code, int(error.exit_code))


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried")]
)
def test_short_memory_is_no_defect(eqcli: Run, task: Task, error: Exception) -> None:
    task("relax", _raiser(error))
    ended = eqcli("relax", "m", "a.xyz", "--json")
    assert ended.code == 2
    assert "Traceback" not in ended.err
    assert "not enough memory" in ended.err
    assert "not enough memory" in json.loads(ended.out)["error"]["message"]


def test_a_defect_shows_its_traceback(eqcli: Run, task: Task) -> None:
    task("relax", _raiser(ZeroDivisionError("oh")))
    ended = eqcli("relax", "m", "a.xyz", "--json")
    assert ended.code == 1
    assert "Traceback" in ended.err
    assert "defect of eqcli" in ended.err
    assert "oh" in json.loads(ended.out)["error"]["message"]


def test_a_full_disk_is_no_defect(eqcli: Run, task: Task) -> None:
    task("relax", _raiser(OSError(errno.ENOSPC, "No space left on device", "out.h5")))
    ended = eqcli("relax", "m", "a.xyz", "--json")
    assert ended.code == 2
    assert "Traceback" not in ended.err
    error = json.loads(ended.out)["error"]
    assert error["file"] == "out.h5"
    assert "relaxations" in error["hint"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_unwind_the_task(eqcli: Run, task: Task, recipe: Path, number: int) -> None:
    cleaned = []

    def slow(*args: Any, **kwargs: Any) -> Any:
        try:
            os.kill(os.getpid(), number)
            raise AssertionError("the signal did not raise")
        finally:
            cleaned.append(True)

    before = signal.getsignal(signal.SIGTERM)
    task("train", slow)
    ended = eqcli("train", "recipe.yaml")
    assert (ended.code, cleaned) == (130, [True])
    assert "--resume" in ended.err
    assert signal.getsignal(signal.SIGTERM) == before


def test_an_exit_of_a_library_after_a_signal_is_an_interruption(eqcli: Run, task: Task, recipe: Path) -> None:
    def swallowing(*args: Any, **kwargs: Any) -> Any:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except KeyboardInterrupt:
            raise SystemExit(1) from None

    task("train", swallowing)
    assert eqcli("train", "recipe.yaml").code == 130


@pytest.mark.parametrize(
    ("words", "found", "hint"),
    [
        (("relax", "m", "a", "--fmax", "abc"), "--fmax", ""),
        (("relax", "m", "a", "--fmax", "-1"), "--fmax", ""),
        (("relax", "m", "a", "--fmx", "1"), "No such option: --fmx", "Did you mean --fmax?"),
        (("relax", "m", "a", "--opitmizer=fire"), "--opitmizer", "Did you mean --optimizer?"),
        (("relax", "m", "a", "--cell", "ful"), "--cell", "full"),
        (("relax", "m"), "Missing argument", "--help"),
        (("relax", "m", "a", "--fmax"), "--fmax", ""),
        (("predict", "m", "a", "--energy-unit", "kcal"), "--energy-unit", "kcal/mol"),
        (("predict", "m", "a", "--stress-order", "xx"), "--stress-order", ""),
        (("predictt",), "predictt", "'predict'"),
        (("recipe", "chekc"), "chekc", "'check'"),
        (("recipe", "new", "trian"), "trian", "train"),
    ],
)
def test_wrong_options(eqcli: Run, words: tuple[str, ...], found: str, hint: str) -> None:
    ended = eqcli(*words)
    assert (ended.code, ended.out) == (2, "")
    assert found in ended.err
    assert hint in ended.err
    assert "Traceback" not in ended.err
    assert json.loads(eqcli(*words, "--json").out)["error"]["exit_code"] == 2


def test_unknown_devices_and_versions(eqcli: Run) -> None:
    from eqcli import __version__

    assert eqcli("--version") == (0, f"eqcli {__version__}\n", "")
    assert "Usage" in eqcli().out


def test_the_backend_holds_for_the_command_and_no_longer(eqcli: Run, task: Task) -> None:
    from eqcli.nn.backend import Backend, wanted_backend

    seen: list[Backend] = []

    def predict(*args: Any, **kwargs: Any) -> StandIn:
        seen.append(wanted_backend())
        return StandIn()

    task("predict", predict)
    assert eqcli("predict", "m.safetensors", "a.xyz", "-o", "b.xyz", "--backend", "compiled").code == 0
    assert eqcli("predict", "m.safetensors", "a.xyz", "-o", "b.xyz").code == 0
    assert seen == [Backend.COMPILED, Backend.AUTO]
    assert wanted_backend() is Backend.AUTO
    assert eqcli("predict", "m.safetensors", "a.xyz", "-o", "b.xyz", "--backend", "fast").code == 2


def test_a_backend_that_is_not_used_is_told_once(eqcli: Run, task: Task) -> None:
    import warnings

    from eqcli.nn.backend import BackendWarning

    def predict(*args: Any, **kwargs: Any) -> StandIn:
        for _ in range(3):
            warnings.warn("backend triton is not used on cpu", BackendWarning, stacklevel=1)
        return StandIn()

    task("predict", predict)
    ended = eqcli("predict", "m.safetensors", "a.xyz", "-o", "b.xyz", "--quiet")
    assert ended.err.count("backend triton is not used on cpu") == 1
    assert ".py:" not in ended.err
