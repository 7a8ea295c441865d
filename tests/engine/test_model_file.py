"""Model files: what is written is what is read, and nothing else is."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from eqcli.engine import model_file
from eqcli.engine.model_file import FORMAT, VERSION, load_model, read_header, save_model
from eqcli.errors import ExitCode, InputError
from eqcli.graph.atom_graph import build_graph
from eqcli.models.potentials.derive import evaluate
from tests.toy import ToyPotential
from tests.toy_model import REFERENCE_ENERGIES, register_toy, save_toy, toy_model


@pytest.fixture(autouse=True)
def _toy(monkeypatch):
    register_toy(monkeypatch)


def water():
    positions = np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])
    return build_graph(np.array([8, 1, 1]), positions, np.zeros((3, 3)), np.zeros(3, bool), 4.0)


def header_of(path: Path) -> dict:
    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()[FORMAT])


def with_header(path: Path, change) -> Path:
    """The model file again, its header changed in place by `change`."""
    header = header_of(path)
    change(header)
    save_file(load_file(path), path, metadata={FORMAT: json.dumps(header)})
    return path


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_save_load_predict_is_bit_equal(tmp_path, dtype):
    potential = ToyPotential()
    with torch.no_grad():
        potential.distance.fill_(1.2345678901234567)
    potential.to(dtype)
    before = evaluate(potential, water())
    save_model(tmp_path / "m.safetensors", potential, training={}, provenance={})
    loaded = load_model(tmp_path / "m.safetensors")
    assert loaded.potential.dtype == dtype
    after = evaluate(loaded.potential, water())
    for key, value in before.items():
        assert torch.equal(after[key], value), key


def test_a_loaded_model_does_not_train(tmp_path):
    potential = load_model(save_toy(tmp_path / "m.safetensors")).potential
    assert not potential.training
    assert not any(p.requires_grad for p in potential.parameters())


def test_precision_on_request(tmp_path):
    path = save_toy(tmp_path / "m.safetensors", torch.float32)
    assert load_model(path, dtype=torch.float64).potential.dtype == torch.float64
    assert load_model(path).potential.dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_reference_energies_stay_in_float64(tmp_path, dtype):
    values = [-13.587222780835477, -1029.4889999855063, -2042.0330099956639]
    potential = ToyPotential()
    potential.reference_energies[:] = torch.tensor(values, dtype=torch.float64)
    potential.to(dtype)
    assert potential.reference_energies.tolist() == values
    save_model(tmp_path / "m.safetensors", potential.float(), training={}, provenance={})
    kept = load_model(tmp_path / "m.safetensors", dtype=torch.float32).potential.reference_energies
    assert kept.dtype == torch.float64
    assert kept.tolist() == values


def test_header_says_everything(tmp_path):
    path = tmp_path / "m.safetensors"
    save_model(path, toy_model().potential, training={"recipe": {"name": "x"}}, provenance={"eqcli": "1"})
    header = read_header(path)
    assert header["format"] == FORMAT
    assert header["version"] == VERSION
    assert header["family"] == "potentials"
    assert header["config"] == {"name": "toy", "cutoff": 4.0}
    assert header["elements"] == ["H", "C", "O"]
    assert header["reference_energies"] == {
        symbol: REFERENCE_ENERGIES[z] for symbol, z in (("H", 1), ("C", 6), ("O", 8))
    }
    assert header["units"] == {
        "length": "Angstrom",
        "energy": "eV",
        "forces": "eV/Angstrom",
        "stress": "eV/Angstrom^3",
    }
    assert header["precision"] == "float64"
    assert header["parameters"] == 3
    assert header["training"] == {"recipe": {"name": "x"}}
    assert header["provenance"] == {"eqcli": "1"}


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = save_toy(tmp_path / "m.safetensors")
    before = path.read_bytes()

    def killed(tensors, name, metadata):
        Path(name).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(model_file, "save_file", killed)
    with pytest.raises(KeyboardInterrupt):
        save_toy(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_newer_format_asks_for_an_update(tmp_path):
    path = with_header(save_toy(tmp_path / "m.safetensors"), lambda h: h.update(version=VERSION + 1))
    with pytest.raises(InputError, match=f"version {VERSION + 1}.*reads up to {VERSION}") as caught:
        load_model(path)
    assert caught.value.hint == "Update eqcli."


def test_an_older_format_is_upgraded_step_by_step(tmp_path, monkeypatch):
    path = save_toy(tmp_path / "m.safetensors")

    def to_first_format(header):
        header["version"] = VERSION - 2
        header["symbols"] = header.pop("elements")
        header["dtype"] = header.pop("precision")

    with_header(path, to_first_format)
    renamed = {
        VERSION - 2: lambda h: {("elements" if k == "symbols" else k): v for k, v in h.items()},
        VERSION - 1: lambda h: {("precision" if k == "dtype" else k): v for k, v in h.items()},
    }
    monkeypatch.setattr(model_file, "UPGRADES", renamed)
    header = read_header(path)
    assert header["version"] == VERSION
    assert header["elements"] == ["H", "C", "O"]
    expected = evaluate(toy_model().potential, water())["energy"]
    assert torch.equal(evaluate(load_model(path).potential, water())["energy"], expected)


def test_an_older_format_without_an_upgrade_is_refused(tmp_path):
    path = with_header(save_toy(tmp_path / "m.safetensors"), lambda h: h.update(version=-7))
    with pytest.raises(InputError, match="never released"):
        read_header(path)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path, share):
    path = save_toy(tmp_path / "m.safetensors")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match="not a model file") as caught:
        load_model(path)
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    assert caught.value.where.file == path


class Trap:
    """Unpickling this leaves a mark."""

    mark: Path

    def __reduce__(self):
        return (Path.touch, (self.mark,))


@pytest.mark.parametrize("name", ["model.safetensors", "model.pt", "model.pkl"])
def test_nothing_in_a_file_is_executed(tmp_path, name):
    Trap.mark = tmp_path / "executed"
    path = tmp_path / name
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(InputError, match="not a model file"):
        load_model(path)
    torch.save({"model": Trap()}, path)
    with pytest.raises(InputError, match="not a model file"):
        load_model(path)
    assert not Trap.mark.exists()


@pytest.mark.parametrize(
    "content", [b"", b"3\n\nH 0 0 0\n", b"<!DOCTYPE html><html><body>404</body></html>", bytes(64), b"\xff" * 64]
)
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_model(path)
    assert caught.value.exit_code == ExitCode.BAD_INPUT


def test_foreign_safetensors_are_refused(tmp_path):
    save_file({"w": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="not written by eqcli"):
        load_model(tmp_path / "other.safetensors")


def test_a_missing_file_names_a_near_one(tmp_path):
    save_toy(tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="no such file") as caught:
        load_model(tmp_path / "modle.safetensors")
    assert "model.safetensors" in caught.value.hint


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda h: h.pop("elements"), "lacks elements"),
        (lambda h: h.pop("version"), "no format version"),
        (lambda h: h["config"].update(name="unheard-of"), "unheard-of"),
        (lambda h: h["config"].update(cutoff="far"), "damaged"),
        (lambda h: h.update(elements=["H", "Qq"]), "Qq"),
        (lambda h: h.update(elements=["H", "C"]), "do not fit"),
    ],
)
def test_a_damaged_header_is_refused(tmp_path, change, said):
    path = with_header(save_toy(tmp_path / "m.safetensors"), change)
    with pytest.raises(InputError, match=said):
        load_model(path)


def test_a_header_that_is_not_json_is_refused(tmp_path):
    path = save_toy(tmp_path / "m.safetensors")
    save_file(load_file(path), path, metadata={FORMAT: "{not json"})
    with pytest.raises(InputError, match="damaged"):
        load_model(path)


def test_loading_leaves_global_settings_alone(tmp_path):
    path = save_toy(tmp_path / "m.safetensors")
    before = torch.get_default_dtype(), torch.is_grad_enabled(), torch.are_deterministic_algorithms_enabled()
    load_model(path)
    after = torch.get_default_dtype(), torch.is_grad_enabled(), torch.are_deterministic_algorithms_enabled()
    assert after == before
