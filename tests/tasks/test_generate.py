"""Generation from a model file to a file of structures."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eqcli.engine.model_file import load_model
from eqcli.errors import ExitCode, InputError
from eqcli.files import sha256
from eqcli.io import DatasetFile, read_structures, write_structures
from eqcli.io.structure import Structure
from eqcli.models.generators.flowmm import FlowMM
from eqcli.progress import Silent
from eqcli.tasks.evaluate import evaluate
from eqcli.tasks.generate import generate
from eqcli.tasks.generate_chunks import chunk_items, prepare
from eqcli.tasks.generate_request import GenerationRequest
from eqcli.tasks.predict import predict
from eqcli.tasks.relax import relax
from eqcli.tasks.status.status import status
from tests.listener import Listener
from tests.stopping import power_cut
from tests.tasks.generate_case import broken, committed, models, one_thread, run
from tests.tasks.stream.case import assert_same_columns
from tests.toy_model import register_toy, save_toy

PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload(["eqcli.tasks.generate", "eqcli.engine.crystal_sampler", "tests.tasks.generate_case"])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models, and a file of crystals of which the second has an element that the models do not know."""
    folder = models(tmp_path_factory.mktemp("models"))
    crystals = [crystal([3, 8]), crystal([3, 79]), crystal([22, 8, 8]), crystal([26])]
    write_structures(folder / "known.extxyz", crystals)
    return folder


def crystal(numbers: list[int], side: float = 4.0) -> Structure:
    places = np.arange(len(numbers))[:, None] * np.array([1.1, 1.3, 0.9])
    return Structure(np.array(numbers), places, side * np.eye(3), np.ones(3, dtype=bool))


def read(path: Path) -> list[Structure]:
    return list(read_structures(path))


def assert_same(found: Path, expected: Path) -> None:
    """Structures are equal to the last bit, with all that is said of them."""
    for one, other in zip(read(found), read(expected), strict=True):
        assert one.info == other.info
        for name in ("numbers", "positions", "cell", "pbc"):
            assert np.array_equal(getattr(one, name), getattr(other, name)), name


def test_formulas(files: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.extxyz"
    result = generate(
        files / "csp.safetensors", output, formula=["LiFeO2", "TiO2"], formula_units=2, n=3, seed=7, device="cpu"
    )
    made = read(output)
    assert [s.numbers.tolist() for s in made] == [[3, 26, 8, 8] * 2] * 3 + [[22, 8, 8] * 2] * 3
    assert [s.info["sample"] for s in made] == list(range(6))
    assert {(s.info["seed"], s.info["model"]) for s in made} == {(7, "flowmm")}
    assert all(s.pbc.all() and np.linalg.det(s.cell) > 0 for s in made)
    assert all("target" not in s.info for s in made)
    assert (result.structures, result.wanted, result.calls, result.exit_code) == (6, 6, 4, ExitCode.OK)
    assert not output.with_name("out.extxyz.work").exists()
    assert len(result.rows) == 6


def test_compositions_of_a_file(files: Path, tmp_path: Path) -> None:
    """`target` is the row in the file, also behind a row that is left out."""
    result = generate(
        files / "csp.safetensors", tmp_path / "o.h5", composition_of=files / "known.extxyz", n=2, device="cpu"
    )
    made = read(tmp_path / "o.h5")
    assert [s.info["target"] for s in made] == [0, 0, 2, 2, 3, 3]
    assert [s.numbers.tolist() for s in made[::2]] == [[3, 8], [22, 8, 8], [26]]
    assert "not trained on Au" in result.failures[0].reason
    assert result.exit_code is ExitCode.PARTIAL
    few = generate(
        files / "csp.safetensors", tmp_path / "few.h5", composition_of=files / "known.extxyz", limit=1, device="cpu"
    )
    assert (few.structures, few.failures) == (1, [])


def test_archives_count_their_members(files: Path, tmp_path: Path) -> None:
    source = tmp_path / "known.cif.zip"
    write_structures(source, [crystal([3, 8]), crystal([22, 8, 8]), crystal([26, 26])])
    generate(files / "csp.safetensors", tmp_path / "o.h5", composition_of=source, device="cpu")
    assert [s.info["target"] for s in read(tmp_path / "o.h5")] == [0, 1, 2]


def test_new_structures(files: Path, tmp_path: Path) -> None:
    """As many atoms as in training, elements that are known; or as many and such as are asked for."""
    generate(files / "dng.safetensors", tmp_path / "free.h5", n=40, device="cpu")
    free = read(tmp_path / "free.h5")
    assert {len(s) for s in free} == {1, 2, 3, 4}
    assert {int(z) for s in free for z in s.numbers} <= {3, 8, 22, 26}
    assert len({int(z) for s in free for z in s.numbers}) > 2
    generate(files / "dng.safetensors", tmp_path / "asked.h5", n=10, atoms=6, system="Li-O", device="cpu")
    asked = read(tmp_path / "asked.h5")
    assert {len(s) for s in asked} == {6}
    assert {int(z) for s in asked for z in s.numbers} <= {3, 8}


def test_properties_steer(files: Path, tmp_path: Path) -> None:
    for value, guidance in ((-2.0, 1.0), (2.0, 1.0), (2.0, 0.0), (-2.0, 0.0)):
        output = tmp_path / f"{value}-{guidance}.h5"
        generate(files / "steered.safetensors", output, n=3, value=value, guidance=guidance, device="cpu")
        assert {s.info["wanted_value"] for s in read(output)} == {value}
    low, high, one, other = (
        np.stack([s.cell for s in read(tmp_path / f"{name}.h5")])
        for name in ("-2.0-1.0", "2.0-1.0", "2.0-0.0", "-2.0-0.0")
    )
    assert not np.allclose(low, high)
    assert np.array_equal(one, other)


@pytest.mark.parametrize("model", ["csp", "dng", "steered"])
def test_refinement(files: Path, tmp_path: Path, model: str) -> None:
    given = [crystal([3, 8]), crystal([26])]
    write_structures(tmp_path / "given.extxyz", given)
    options: dict[str, Any] = {"refine": tmp_path / "given.extxyz", "device": "cpu", "precision": "float64"}
    generate(files / f"{model}.safetensors", tmp_path / "near.h5", strength=1e-6, n=2, **options)
    near = read(tmp_path / "near.h5")
    assert [s.info["target"] for s in near] == [0, 0, 1, 1]
    assert [s.numbers.tolist() for s in near] == [[3, 8], [3, 8], [26], [26]]
    assert all(abs(s.volume - 64.0) < 12.0 for s in near)
    generate(files / f"{model}.safetensors", tmp_path / "far.h5", strength=1.0, n=2, **options)
    assert all(abs(s.volume - 64.0) > 1e-3 for s in read(tmp_path / "far.h5"))


def test_a_seed_and_a_number_make_a_structure(files: Path, tmp_path: Path) -> None:
    model = files / "dng.safetensors"
    generate(model, tmp_path / "a.h5", n=12, seed=3, device="cpu")
    generate(model, tmp_path / "b.h5", n=12, seed=3, device="cpu")
    assert_same(tmp_path / "b.h5", tmp_path / "a.h5")
    generate(model, tmp_path / "few.h5", n=5, seed=3, batch_atoms=3, device="cpu")
    for one, other in zip(read(tmp_path / "few.h5"), read(tmp_path / "a.h5"), strict=False):
        assert np.array_equal(one.numbers, other.numbers)
        np.testing.assert_allclose(one.positions, other.positions, atol=1e-9)
    generate(model, tmp_path / "other.h5", n=12, seed=2**64 - 1, device="cpu")
    assert not np.allclose(read(tmp_path / "other.h5")[0].cell, read(tmp_path / "a.h5")[0].cell)


def test_what_is_wrong_is_flagged_and_kept(files: Path, tmp_path: Path) -> None:
    """Twelve atoms of a network that knows nothing, in a small cell, are in each other's way."""
    result = generate(files / "csp.safetensors", tmp_path / "o.h5", formula="Li4O8", n=5, device="cpu")
    flags = [s.info.get("flags") for s in read(tmp_path / "o.h5")]
    assert "overlap" in flags
    assert result.flags["overlap"] == flags.count("overlap")
    assert result.exit_code is ExitCode.OK


def test_cells_that_are_none_are_failures(tmp_path: Path) -> None:
    result = generate(broken(tmp_path), tmp_path / "o.cif.zip", formula="LiO", n=30, seed=1, device="cpu")
    made = {s.info["sample"] for s in read(tmp_path / "o.cif.zip")}
    failed = {int(failure.item.split()[1]) for failure in result.failures}
    assert made
    assert failed
    assert made | failed == set(range(30))
    assert not made & failed
    assert result.exit_code is ExitCode.PARTIAL
    with pytest.raises(InputError, match="no structure came out"):
        generate(broken(tmp_path, 1e5), tmp_path / "p.h5", formula="LiO", n=3, device="cpu")
    assert [path.name for path in tmp_path.glob("p.h5*")] == ["p.h5.failed.csv"]
    assert (tmp_path / "p.h5.failed.csv").read_text().count("lattice vector") == 3


def test_provenance(files: Path, tmp_path: Path) -> None:
    generate(files / "csp.safetensors", tmp_path / "o.h5", formula="LiO", sampling={"method": "heun"}, device="cpu")
    with DatasetFile(tmp_path / "o.h5") as file:
        facts = file.provenance
    assert facts["model"]["sha256"] == sha256(files / "csp.safetensors")
    assert facts["generation"]["formulas"] == ["LiO"]
    assert facts["generation"]["sampling"]["method"] == "heun"
    assert facts["generation"]["seed"] == 0


def test_large_cells_are_warned_of(files: Path, tmp_path: Path) -> None:
    listener = Listener()
    generate(files / "csp.safetensors", tmp_path / "o.h5", formula="Li9", device="cpu", report=listener)
    assert any("cells of 9 atoms" in text for text in listener.warnings)


MISTAKES: list[tuple[str, dict[str, Any], str]] = [
    ("csp", {}, "given compositions"),
    ("csp", {"formula": "Xx2"}, "'Xx'"),
    ("csp", {"formula": "AuO"}, "not trained on Au"),
    ("csp", {"formula": "LiO", "composition_of": Path("known.extxyz")}, "exclude"),
    ("csp", {"formula": "LiO", "refine": Path("known.extxyz")}, "exclude"),
    ("csp", {"formula": "LiO", "system": "Li-O"}, "draw the species"),
    ("csp", {"formula": "LiO", "atoms": 4}, "draw the species"),
    ("csp", {"formula": "LiO", "value": 1.0}, "without a property"),
    ("csp", {"formula": "LiO", "sampling": {"stepps": 4}}, "no sampling setting 'stepps'"),
    ("csp", {"formula": "LiO", "sampling": {"eta": 1.0}}, "no sampling setting 'eta'"),
    ("csp", {"formula": "LiO", "sampling": {"method": "leap"}}, "method"),
    ("csp", {"formula": "LiO", "steps": 0}, "steps"),
    ("csp", {"formula": "LiO", "n": 0}, "at least 1"),
    ("csp", {"formula": "LiO", "formula_units": 0}, "at least 1"),
    ("csp", {"composition_of": Path("absent.extxyz")}, "no such file"),
    ("csp", {"refine": Path("known.extxyz"), "strength": 0.0}, "strength"),
    ("csp", {"refine": Path("known.extxyz"), "strength": 1.1}, "strength"),
    ("csp", {"refine": Path("known.extxyz"), "strength": float("nan")}, "strength"),
    ("dng", {"formula": "LiO"}, "takes no composition"),
    ("dng", {"composition_of": Path("known.extxyz")}, "takes no composition"),
    ("dng", {"system": "Li-Xx"}, "'Xx'"),
    ("dng", {"system": "Li-Au"}, "not trained on Au"),
    ("dng", {"system": ""}, "not a chemical element"),
    ("dng", {"atoms": 0}, "at least 1"),
    ("dng", {"refine": Path("known.extxyz"), "atoms": 2}, "exclude"),
    ("steered", {"value": float("nan")}, "--value"),
    ("steered", {"guidance": float("inf")}, "--guidance"),
    ("dng", {"precision": "float16"}, "precision"),
]


@pytest.mark.parametrize(("model", "options", "message"), MISTAKES, ids=[str(case[1:2]) for case in MISTAKES])
def test_mistakes(files: Path, tmp_path: Path, model: str, options: dict[str, Any], message: str) -> None:
    """Nothing is left behind by them."""
    whole = {k: files / v if isinstance(v, Path) else v for k, v in options.items()}
    with pytest.raises(InputError, match=message):
        generate(files / f"{model}.safetensors", tmp_path / "o.h5", device="cpu", **whole)
    assert list(tmp_path.iterdir()) == []


def test_outputs_that_cannot_be(files: Path, tmp_path: Path) -> None:
    model = files / "dng.safetensors"
    (tmp_path / "there.h5").touch()
    for name, message in (("there.h5", "exists"), ("o.unknown", "unknown|format")):
        with pytest.raises(InputError, match=message):
            generate(model, tmp_path / name, device="cpu")
    with pytest.raises(InputError, match="input"):
        generate(model, files / "known.extxyz", refine=files / "known.extxyz", overwrite=True, device="cpu")
    generate(model, tmp_path / "there.h5", overwrite=True, device="cpu")
    assert len(read(tmp_path / "there.h5")) == 1


def test_other_models_make_no_structures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register_toy(monkeypatch)
    save_toy(tmp_path / "toy.safetensors")
    with pytest.raises(InputError, match="makes no structures"):
        generate(tmp_path / "toy.safetensors", tmp_path / "o.h5", device="cpu")


@pytest.mark.parametrize("task", [relax, evaluate])
def test_generators_are_no_potentials(files: Path, tmp_path: Path, task: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="generators"):
        task(files / "csp.safetensors", [files / "known.extxyz"], tmp_path / "o", device="cpu")


OPTIONS: dict[str, Any] = {"n": 60, "steps": 40, "batch_atoms": 8, "seed": 5}


@pytest.fixture(scope="module")
def undisturbed(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("whole") / "o.h5"
    with one_thread():
        generate(files / "dng.safetensors", output, device="cpu", **OPTIONS)
    return output


def start(model: Path, output: Path, options: dict[str, Any]) -> BaseProcess:
    process = PROCESSES.Process(target=run, args=(model, output, options))
    process.start()
    return process


def stop_at(count: int, process: BaseProcess, work: Path, number: int) -> None:
    """Sends a signal when so many structures are there."""
    deadline = time.monotonic() + 60
    while committed(work) < count:
        assert process.is_alive(), "the generation ended before it could be stopped"
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert process.pid is not None
    os.kill(process.pid, number)
    process.join(60)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_stopped_and_continued(files: Path, undisturbed: Path, tmp_path: Path, number: int) -> None:
    """Twice in the middle; the file at the end is the one of a generation that was not stopped."""
    model, output = files / "dng.safetensors", tmp_path / "o.h5"
    work = tmp_path / "o.h5.work"
    for count in (5, 30):
        stop_at(count, start(model, output, OPTIONS), work, number)
        assert count <= committed(work) < 60
        assert not output.exists()
    found = status(output)
    assert (found.kind, found.state, found.done, found.total) == ("generate", "stopped", committed(work), 60)
    with pytest.raises(InputError, match="unfinished"):
        generate(model, output, device="cpu", **OPTIONS)
    for changes in ({"seed": 6}, {"n": 61}, {"steps": 41}, {"system": "Li-O"}, {"batch_atoms": 9}):
        with pytest.raises(InputError, match=f"asked for with another {next(iter(changes))}"):
            generate(model, output, device="cpu", resume=True, **{**OPTIONS, **changes})
    with pytest.raises(InputError, match="model"):
        generate(files / "steered.safetensors", output, device="cpu", resume=True, **OPTIONS)
    with one_thread():
        result = generate(model, output, device="cpu", resume=True, **OPTIONS)
    assert 30 <= result.resumed < 60
    assert (result.structures, result.wanted, status(output).done) == (60, 60, 60)
    assert_same_columns(output, undisturbed)
    assert not work.exists()


@pytest.mark.parametrize("call", [1, 2, 4, 7])
def test_failures_of_an_earlier_call_are_told_again(tmp_path: Path, call: int) -> None:
    """Wherever it was cut off, they are rows of the same table in the end."""
    model, options = broken(tmp_path), {"formula": "LiO", "n": 30, "seed": 1, "batch_atoms": 8, "device": "cpu"}
    whole = generate(model, tmp_path / "whole.h5", **options)
    with power_cut(FlowMM, "sample", call):
        generate(model, tmp_path / "o.h5", **options)
    again = generate(model, tmp_path / "o.h5", resume=True, **options)
    assert again.resumed == 4 * (call - 1)
    assert again.failures == whole.failures
    assert again.figures.as_dict() == whole.figures.as_dict()
    assert_same_columns(tmp_path / "o.h5", tmp_path / "whole.h5")
    tables = [(tmp_path / f"{name}.h5.failed.csv").read_text() for name in ("o", "whole")]
    assert tables[0] == tables[1]


def test_starting_again(files: Path, tmp_path: Path) -> None:
    """--resume of nothing begins; --overwrite throws away what is unfinished."""
    model, output = files / "dng.safetensors", tmp_path / "o.h5"
    with power_cut(FlowMM, "sample", 2):
        generate(model, output, n=20, device="cpu")
    generate(model, output, n=2, overwrite=True, device="cpu")
    assert len(read(output)) == 2
    generate(model, tmp_path / "new.h5", n=2, resume=True, device="cpu")
    assert_same(tmp_path / "new.h5", output)


@pytest.mark.parametrize(
    ("options", "samples", "sizes"),
    [
        ({"n": 9, "seed": 4}, [2, 3, 7], None),
        ({"n": 9, "atoms": 5}, [0, 8], [5, 5]),
        ({"formula": ("LiO", "TiO2"), "n": 3}, [1, 2, 3, 5], [2, 2, 3, 3]),
    ],
)
def test_any_wish_without_the_others(
    files: Path, options: dict[str, Any], samples: list[int], sizes: list[int] | None
) -> None:
    loaded = load_model(files / f"{'csp' if 'formula' in options else 'dng'}.safetensors")
    wishes = prepare(loaded, GenerationRequest(**options), [], Silent()).wishes
    every = wishes.of(range(len(wishes)))
    assert [wish.sample for wish in every] == list(range(len(wishes)))
    some = wishes.of(samples)
    assert [wish.sample for wish in some] == samples
    for one in some:
        assert one.numbers.tolist() == every[one.sample].numbers.tolist()
    if sizes is not None:
        assert [len(one.numbers) for one in some] == sizes


def test_chunks_depend_on_the_request_alone() -> None:
    assert [chunk_items(count, "cpu") for count in (1, 20, 128, 160, 1600, 10**6)] == [8, 8, 8, 10, 100, 256]
    assert [chunk_items(count, "cuda") for count in (20, 10**6)] == [1024, 8192]


def test_a_format_for_one_structure_takes_no_more(files: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds one structure"):
        generate(files / "dng.safetensors", tmp_path / "POSCAR", n=2, device="cpu")
    assert list(tmp_path.iterdir()) == []
    assert generate(files / "dng.safetensors", tmp_path / "POSCAR", device="cpu").structures == 1


@pytest.mark.parametrize("model", ["dng", "steered"])
def test_generators_without_likelihoods_say_so(files: Path, tmp_path: Path, model: str) -> None:
    with pytest.raises(InputError, match="says nothing of given ones"):
        predict(files / f"{model}.safetensors", [files / "known.extxyz"], tmp_path / "o.extxyz", device="cpu")
    with pytest.raises(InputError, match="generators"):
        predict(files / "csp.safetensors", [files / "known.extxyz"], None, device="cpu", compile=True)
    assert list(tmp_path.iterdir()) == []


def test_flows_say_how_likely_crystals_are(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for another cell of the same crystal; labels are kept under other names."""
    few_steps = {"method": "heun", "steps": 4, "divergence": "exact"}
    monkeypatch.setattr("eqcli.engine.likelihood_predictor.INTEGRATION", few_steps)
    given = [crystal([3, 8]), crystal([22, 8, 8]), crystal([3, 79]), crystal([3, 8])]
    for structure in given:
        structure.cell = np.array([[3.6, 0.0, 0.0], [0.3, 3.9, 0.0], [0.5, 0.7, 4.4]])
    given[0].energy = -1.0
    given[3].cell = np.array([[1, 0, 0], [1, 1, 0], [-2, 3, 1]]) @ given[3].cell
    write_structures(tmp_path / "in.h5", given)
    options: dict[str, Any] = {"device": "cpu", "precision": "float64"}
    result = predict(files / "csp.safetensors", [tmp_path / "in.h5"], tmp_path / "out.h5", **options)
    made = read(tmp_path / "out.h5")
    one, two, other_cell = (s.info["log_likelihood"] for s in made)
    assert one == pytest.approx(other_cell, rel=1e-6)
    assert abs(one - two) > 0.03
    assert (made[0].energy, made[0].info["REF_energy"]) == (None, -1.0)
    assert result.units == {"log_likelihood": "nats"}
    assert result.energy_range is None
    assert [failure.reason.split(":")[0] for failure in result.failures] == ["its composition"]
    predict(files / "csp.safetensors", [tmp_path / "in.h5"], tmp_path / "out.csv", batch_atoms=1, **options)
    header, first, *_ = (tmp_path / "out.csv").read_text().splitlines()
    column = header.split(",").index("log_likelihood")
    assert float(first.split(",")[column]) == pytest.approx(one, rel=1e-6)
