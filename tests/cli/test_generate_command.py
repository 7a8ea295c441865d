"""`eqcli generate` on real models: what is wrong is told in two lines, and exit codes say how it ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from eqcli.io import read_structures, write_structures
from eqcli.tasks.stream.request import StreamRequest
from eqcli.tasks.stream.work_folder import WorkFolder
from tests.tasks.generate_case import broken, models
from tests.tasks.test_generate import crystal
from tests.toy_model import register_toy, save_toy

from .conftest import Ended

Run = Callable[..., Ended]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models(tmp_path_factory.mktemp("models"))


def test_structures_and_a_summary(eqcli: Run, files: Path) -> None:
    words = ("--formula", "LiFeO2", "--n", "3", "-o", "out.cif.zip", "--sampling", "method=heun", "--device", "cpu")
    ended = eqcli("generate", str(files / "csp.safetensors"), *words)
    assert ended.code == 0
    assert "3 of 1 formulas" in ended.out + ended.err
    assert len(list(read_structures(Path("out.cif.zip")))) == 3


def test_a_document_for_programs(eqcli: Run, files: Path) -> None:
    ended = eqcli("generate", str(files / "dng.safetensors"), "--n", "2", "-o", "o.h5", "--json", "--device", "cpu")
    found = json.loads(ended.out)
    assert ended.code == found["exit_code"] == 0
    assert (found["structures"], found["wanted"], found["network_calls_per_structure"]) == (2, 2, 4)


def unfinished(output: str) -> None:
    """The folder of work that was asked for otherwise."""
    folder = WorkFolder.of(Path(output))
    folder.path.mkdir()
    folder.create(StreamRequest("generate", (), count=3), {})
    (folder.path / "chunk-000000.done").touch()


@pytest.mark.parametrize(
    ("model", "words", "said"),
    [
        ("csp", ("--formula", "LiXx"), "'Xx'"),
        ("csp", ("--formula", "LiO", "--composition-of", "known.extxyz"), "exclude"),
        ("toy", (), "makes no structures"),
        ("absent", (), "no such file"),
        ("csp", ("--formula", "LiO", "--sampling", "stps=4"), "no sampling setting 'stps'"),
        ("csp", ("--formula", "LiO", "--sampling", "steps"), "name and a value"),
        ("csp", ("--formula", "LiO", "--sampling", "slope=-1"), "slope"),
        ("dng", ("--refine", "known.extxyz", "--strength", "1.5"), "strength"),
        ("dng", ("--refine", "known.extxyz", "--strength", "0"), "strength"),
        ("dng", ("--value", "1"), "without a property"),
        ("dng", ("-o", "known.extxyz"), "exists"),
        ("dng", ("-o", "o.docx"), "docx"),
        ("dng", ("-o", "half.h5"), "unfinished"),
        ("dng", ("-o", "half.h5", "--resume"), "asked for with another"),
        ("dng", ("--n", "0"), "--n"),
        ("dng", ("--workers", "0"), "--workers"),
        ("dng", ("--cluster", "absent.yaml"), "absent.yaml"),
        ("dng", ("--system", "Li-Fo"), "'Fo'"),
    ],
)
def test_mistakes(
    eqcli: Run, files: Path, monkeypatch: pytest.MonkeyPatch, model: str, words: tuple[str, ...], said: str
) -> None:
    register_toy(monkeypatch)
    save_toy(files / "toy.safetensors")
    write_structures(Path("known.extxyz"), [crystal([3, 8])])
    unfinished("half.h5")
    output = () if "-o" in words else ("-o", "o.h5")
    ended = eqcli("generate", str(files / f"{model}.safetensors"), *words, *output, "--device", "cpu")
    assert ended.code == 2
    assert said in " ".join(ended.err.split())
    assert "Traceback" not in ended.err
    assert {path.name for path in Path().iterdir()} == {"known.extxyz", "half.h5.work"}


@pytest.mark.parametrize("seed", ["0", "18446744073709551615", "99999999999999999999999"])
def test_seeds_of_any_size(eqcli: Run, files: Path, seed: str) -> None:
    words = ("-o", f"{seed}.h5", "--seed", seed, "--device", "cpu")
    assert eqcli("generate", str(files / "dng.safetensors"), *words).code == 0


def test_failures_are_listed(eqcli: Run, tmp_path: Path) -> None:
    words = ("--formula", "LiO", "--n", "20", "-o", "o.cif.zip", "--device", "cpu")
    ended = eqcli("generate", str(broken(tmp_path)), *words)
    assert ended.code == 3
    assert "sample " in ended.err + ended.out
    assert "lattice vector" in ended.err + ended.out
