"""Training on properties: masked loss, statistics, checks, and a model of dipoles from labels to a report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eqcli.data.frames import FrameTable, Survey
from eqcli.data.graphs import structure_graph
from eqcli.data.statistics import property_scales
from eqcli.engine.model_file import make_potential
from eqcli.engine.training_figures import ErrorFigures
from eqcli.engine.training_loss import Loss
from eqcli.errors import ErrorGroup, InputError
from eqcli.graph.atom_graph import batch_graphs
from eqcli.io import read_structures
from eqcli.io.structure import Structure
from eqcli.models.potentials.configs.mace import MACEConfig
from eqcli.models.potentials.derive import evaluate
from eqcli.models.potentials.properties import Property, properties_of
from eqcli.recipe.schema import LossSection, TrainRecipe
from eqcli.tasks.check import check_data
from eqcli.tasks.evaluate import evaluate as evaluate_model
from eqcli.tasks.predict import predict
from eqcli.tasks.relax import relax
from eqcli.tasks.train import train
from tests.engine.training_case import BASE, write

HEADS: dict[str, Any] = {
    "mu": {"kind": "dipole", "entry": "dipole", "unit": "Debye"},
    "volume": {"kind": "scalar"},
    "charges": {"kind": "charges"},
    "alpha": {"kind": "tensor"},
}
CHARGES = {1: 0.4, 6: 0.1, 8: -0.7}
DEBYE = 0.20819433270935603
SMALL = {"name": "mace", "cutoff": 3.0, "channels": 4, "radial_MLP": [8], "MLP_irreps": "4x0e", "max_ell": 1}


def molecule(random: np.random.Generator) -> Structure:
    """A molecule whose dipole is that of charges by element, made neutral; no energy, no forces."""
    n = int(random.integers(3, 6))
    numbers = random.choice([1, 6, 8], n)
    positions = BASE[:n] + random.normal(0, 0.1, (n, 3))
    charges = np.array([CHARGES[int(z)] for z in numbers])
    charges -= charges.mean()
    info = {
        "dipole": (charges @ positions / DEBYE).tolist(),
        "volume": float(20.0 * n + random.normal()),
        "alpha": [float(n), float(n), float(n), 0.1, 0.0, 0.0],
    }
    return Structure(numbers, positions, info=info, arrays={"charges": charges})


def molecules(count: int, seed: int = 0) -> list[Structure]:
    random = np.random.default_rng(seed)
    return [molecule(random) for _ in range(count)]


def properties() -> tuple[Property, ...]:
    return properties_of(MACEConfig.model_validate({**SMALL, "heads": HEADS}))


def recipe(data: Path, heads: dict[str, Any], **changes: Any) -> TrainRecipe:
    return TrainRecipe.model_validate(
        {
            "name": "properties",
            "data": {"train": str(data), "split": {"valid": 8, "test": 8}},
            "model": {**SMALL, "energy": False, "heads": heads},
            "training": {
                "max_epochs": 12,
                "batch": {"structures": 4},
                "optimizer": {"lr": 0.02},
                "schedule": {"name": "cosine"},
                "ema": 0.9,
            },
            **changes,
        }
    )


def test_the_loss_is_in_units_of_the_scale_and_masks_what_is_absent() -> None:
    structures = molecules(3)
    del structures[1].info["dipole"], structures[2].info["volume"]
    config = MACEConfig.model_validate({**SMALL, "heads": HEADS, "energy": False})
    potential = make_potential(config, [1, 6, 8])
    members = [structure_graph(s, 3.0, w, properties()) for s, w in zip(structures, (2.0, 1.0, 0.5), strict=True)]
    batch = batch_graphs(members)
    scales = {"mu": 0.3, "volume": 2.0, "charges": 0.1, "alpha": 4.0}
    weights = {"mu": 3.0, "volume": 5.0, "charges": 0.0}
    loss = Loss(LossSection.model_validate({"properties": weights}), properties(), scales, energy=False)
    prediction = evaluate(potential, batch, training=True)
    found = {name: value.detach().numpy() for name, value in prediction.items()}
    atoms = np.array([len(s) for s in structures])
    mu = [structures[k].info["dipole"] for k in (0, 2)]
    mu_errors = (found["mu"][[0, 2]] - np.array(mu) * DEBYE) / 0.3
    volumes = (found["volume"][:2] - [s.info["volume"] for s in structures[:2]]) / atoms[:2] / 2.0
    alpha = (found["alpha"] - [np.array([[n, 0, 0], [0, n, 0.1], [0, 0.1, n]]) for n in atoms]) / 4.0
    alpha /= atoms[:, None, None]
    expected = 3 * np.mean(mu_errors**2 * np.array([[2.0], [0.5]])) + 5 * np.mean(volumes**2 * [2.0, 1.0])
    expected += np.mean(alpha**2 * np.array([2.0, 1.0, 0.5])[:, None, None])
    value = loss(prediction, batch)
    assert value.item() == pytest.approx(expected, rel=1e-10)
    value.backward()
    gradients = [p.grad for name, p in potential.named_parameters() if name.startswith("heads")]
    # The head without weight too: distributed training waits for every gradient.
    assert all(g is not None and bool(g.isfinite().all()) for g in gradients)

    figures = ErrorFigures(loss)
    figures.add(prediction, batch)
    assert figures.result()["mu_mae"] == pytest.approx(np.abs(mu_errors).mean() * 0.3, rel=1e-10)
    assert figures.result()["volume_mae"] == pytest.approx(np.abs(volumes * atoms[:2]).mean() * 2.0, rel=1e-10)


def table(structures: list[Structure]) -> FrameTable:
    survey = Survey(3.0, properties())
    for structure in structures:
        survey.add(structure)
    return survey.table()


def test_statistics_of_labels(tmp_path: Path) -> None:
    structures = molecules(30)
    for structure in structures[::3]:
        structure.info.pop("volume")
    rows = table(structures)
    rows.save(tmp_path / "frames.npz")
    scales = property_scales(FrameTable.load(tmp_path / "frames.npz"), np.arange(30), properties())
    known = [s.info["volume"] / len(s) for s in structures if "volume" in s.info]
    assert scales["volume"] == pytest.approx((np.mean(known), np.std(known)), rel=1e-9)
    dipoles = np.array([s.info["dipole"] for s in structures]) * DEBYE
    assert scales["mu"] == pytest.approx((0.0, np.sqrt(np.mean(dipoles**2))))
    assert scales["alpha"][0] == pytest.approx(1.0)
    assert rows.labelled("volume").sum() == 20


def test_faults_of_labels_are_found_before_training(tmp_path: Path) -> None:
    structures = molecules(30)
    path = write(tmp_path / "train.h5", structures)
    with pytest.raises(ErrorGroup, match=r"no train structure has 'dipol'.*\n.*Did you mean 'dipole'"):
        check_data(recipe(path, {"mu": {"kind": "dipole", "entry": "dipol"}}))
    with pytest.raises(ErrorGroup, match="the dipole 'alpha' is 3"):
        check_data(recipe(path, {"alpha": {"kind": "dipole"}}))
    for structure in structures:
        structure.charge = 1.0
    charged = write(tmp_path / "charged.h5", structures)
    with pytest.raises(ErrorGroup, match=r"14 train structures are charged \(the first \+1 e\)"):
        check_data(recipe(charged, {"volume": HEADS["volume"]}))
    with pytest.raises(ValueError, match="no head 'nu'"):
        recipe(path, HEADS, loss={"properties": {"nu": 1.0}})
    report = check_data(recipe(path, HEADS))
    facts = dict(report.facts)
    assert facts["head mu"].startswith("dipole from 'dipole' in Debye; scale 0.")
    assert "not needed" in facts["reference energies"]
    assert report.warnings == []


def test_a_model_of_dipoles_from_labels_to_report(tmp_path: Path) -> None:
    structures = molecules(48)
    for structure in structures[::4]:
        structure.info.pop("volume")
    data = write(tmp_path / "train.h5", structures)
    heads = {name: HEADS[name] for name in ("mu", "volume")}
    result = train(recipe(data, heads), tmp_path / "run", device="cpu")
    assert set(result.metrics["test"]) == {"loss", "mu_mae", "mu_rmse", "volume_mae", "volume_rmse"}
    assert result.units == {"mu": "e*Angstrom", "volume": ""}
    spread = np.std([s.info["dipole"] for s in structures]) * DEBYE
    assert result.metrics["test"]["mu_rmse"] < 0.5 * spread
    assert "valid_mu_mae" in (tmp_path / "run" / "metrics.csv").read_text().splitlines()[0]

    fresh = write(tmp_path / "fresh.h5", molecules(6, seed=9))
    found = predict(result.model, [fresh], tmp_path / "out.extxyz", device="cpu")
    assert {"mu", "volume"} <= dict(found.summary()).keys()
    frames = list(read_structures(tmp_path / "out.extxyz"))
    assert all(len(f.info["mu"]) == 3 and f.energy is None and "dipole" in f.info for f in frames)
    assert all(f.info["REF_volume"] != f.info["volume"] for f in frames)

    report = evaluate_model(result.model, [fresh], tmp_path / "report", device="cpu", audit_structures=2)
    assert report.audit is not None
    assert report.audit.passed
    assert {"rotation", "reflection", "permutation"} <= {check.key for check in report.audit.checks}
    content = json.loads((tmp_path / "report" / "report.json").read_text())
    errors = np.array([np.subtract(f.info["mu"], np.multiply(f.info["dipole"], DEBYE)) for f in frames])
    assert content["figures"]["total"]["properties"]["mu"]["mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-5)
    assert (tmp_path / "report" / "plots" / "parity-property-mu.svg").is_file()
    with pytest.raises(InputError, match="relaxation needs forces"):
        relax(result.model, [fresh], None, device="cpu")
