"""Ensembles: mean and spread of their members, members with shorter cutoffs, files, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from eqcli.data.graphs import structure_graph
from eqcli.engine.ensembles import join_models
from eqcli.engine.model_file import load_model, save_model
from eqcli.errors import InputError
from eqcli.graph.atom_graph import batch_graphs
from eqcli.models.potentials.base import Potential
from eqcli.models.potentials.derive import evaluate
from eqcli.models.potentials.ensemble import Ensemble
from eqcli.tasks.convert import convert
from eqcli.tasks.evaluate import evaluate as evaluate_task
from eqcli.tasks.predict import predict
from tests.engine.test_fine_tuning import potential
from tests.engine.training_case import molecules, write

CHARGES = {"kind": "charges"}


@pytest.fixture
def members() -> list[Potential]:
    made = [potential([1, 6, 8], seed=k, heads={"charges": CHARGES}) for k in range(3)]
    return [m.eval().requires_grad_(False) for m in made]


@pytest.fixture
def files(members: list[Potential], tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{k}.safetensors" for k in range(3)]
    for path, member in zip(paths, members, strict=True):
        save_model(path, member, training={}, provenance={})
    return paths


def test_mean_and_spread_are_those_of_the_members(members: list[Potential]) -> None:
    ensemble = Ensemble.of(members).double().eval()
    batch = batch_graphs([structure_graph(s, 4.0) for s in molecules(5)])
    found = evaluate(ensemble, batch)
    alone = [evaluate(m, batch) for m in members]
    for name in ("energy", "forces"):
        values = torch.stack([one[name] for one in alone])
        assert torch.allclose(found[name], values.mean(0), rtol=1e-12, atol=1e-12)
        assert torch.allclose(found[f"{name}_std"], values.std(0), rtol=1e-9, atol=1e-12)
    charges = torch.stack([one["charges"] for one in alone]).mean(0)
    assert torch.allclose(found["charges"], charges, rtol=1e-12, atol=1e-13)
    assert float(found["forces_std"].min()) > 0
    assert "forces_std" not in evaluate(ensemble, batch, forces=False)


def test_each_member_keeps_its_cutoff() -> None:
    short, long = potential([1, 6, 8], seed=1, cutoff=1.5), potential([1, 6, 8])
    ensemble = Ensemble.of([short, long]).eval()
    assert ensemble.cutoff == 4.0
    for structure in molecules(4):
        both = [float(evaluate(m, structure_graph(structure, m.cutoff))["energy"]) for m in (short, long)]
        found = evaluate(ensemble, structure_graph(structure, 4.0))
        assert float(found["energy"]) == pytest.approx(sum(both) / 2, rel=1e-12)


def test_files_are_joined(files: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "ensemble.safetensors"
    convert(files, output)
    loaded = load_model(output)
    assert isinstance(loaded.potential, Ensemble)
    assert [m["path"] for m in loaded.header["training"]["members"]] == [str(p) for p in files]
    data = write(tmp_path / "frames.h5", molecules(4))
    predict(output, [data], tmp_path / "out.extxyz")
    text = (tmp_path / "out.extxyz").read_text()
    assert "energy_std=" in text
    assert "forces_std:R:3" in text


def test_an_evaluation_measures_the_spread(files: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "ensemble.safetensors"
    join_models(files, output)
    data = write(tmp_path / "frames.h5", molecules(12))
    result = evaluate_task(output, [data], tmp_path / "report", audit=False)
    uncertainty = result.figures["uncertainty"]
    assert uncertainty["energy_per_atom"]["count"] == 12
    assert uncertainty["forces"]["count"] == 3 * result.figures["atoms"]
    names = {path.stem for path in (tmp_path / "report" / "plots").glob("*.svg")}
    assert {"calibration-energy_per_atom", "coverage-forces"} <= names
    assert "Within 1 σ" in (tmp_path / "report" / "index.html").read_text()


def test_what_is_refused(files: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "ensemble.safetensors"
    with pytest.raises(InputError, match="two models"):
        join_models(files[:1], output)
    with pytest.raises(InputError, match="same model"):
        join_models([files[0], files[0]], output)
    save_model(tmp_path / "other.safetensors", potential([1, 6]), training={}, provenance={})
    with pytest.raises(InputError, match="knows H, C, and"):
        join_models([files[0], tmp_path / "other.safetensors"], output)
    save_model(tmp_path / "single.safetensors", potential([1, 6, 8]).float(), training={}, provenance={})
    with pytest.raises(InputError, match="precision"):
        join_models([files[0], tmp_path / "single.safetensors"], output)
    assert not output.exists()
    join_models(files, output)
    with pytest.raises(InputError, match="exists"):
        join_models(files, output)
    with pytest.raises(InputError, match="ensemble itself"):
        join_models([files[0], output], tmp_path / "nested.safetensors")
