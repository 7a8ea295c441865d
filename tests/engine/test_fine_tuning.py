"""Training from a trained model: what is taken over, what is added, what is frozen, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eqcli.data.graphs import structure_graph
from eqcli.engine.fine_tuning import adopt, freeze, refit_references
from eqcli.engine.model_file import load_model, make_potential, save_model
from eqcli.errors import ErrorGroup, InputError
from eqcli.models.potentials.base import Potential, Statistics
from eqcli.models.potentials.config import MACEConfig
from eqcli.models.potentials.derive import evaluate
from eqcli.models.potentials.uncertainty import LastLayerUncertainty
from eqcli.recipe.load import load_train_recipe
from eqcli.tasks.train import train
from tests.engine.training_case import isolated_atoms, molecules, write

SMALL: dict[str, Any] = {"name": "mace", "cutoff": 4.0, "channels": 4, "radial_MLP": (8,), "max_ell": 2, "max_L": 1}
NOWHERE = Path("model.safetensors")


def potential(elements: list[int], seed: int = 0, **changes: Any) -> Potential:
    torch.manual_seed(seed)
    made = make_potential(MACEConfig(**{**SMALL, **changes}), elements)
    made.initialise(Statistics(avg_num_neighbors=3.0 + seed, shift=-0.2, scale=0.7 + seed))
    with torch.no_grad():
        made.reference_energies.copy_(torch.arange(len(elements)) - 10.0 * (seed + 1))
    return made


def energies(model: Potential, seed: int = 0) -> torch.Tensor:
    graphs = [structure_graph(s, model.cutoff) for s in molecules(4, seed)]
    return torch.cat([evaluate(model, graph, forces=False)["energy"] for graph in graphs])


@pytest.mark.parametrize("kind", ["residual", "agnostic", "density"])
@pytest.mark.parametrize("more", [[1, 6, 8], [1, 6, 7, 8], [1, 6, 8, 14, 79]])
def test_known_elements_keep_their_energies(more: list[int], kind: str) -> None:
    base = potential([1, 6, 8], interaction_first=kind)
    new = potential(more, seed=1, interaction_first=kind)
    assert not torch.allclose(energies(new), energies(base))
    assert adopt(new, base, NOWHERE) == []
    assert torch.allclose(energies(new), energies(base), rtol=1e-13, atol=0)


def test_an_uncertainty_is_left_behind() -> None:
    base = potential([1, 6, 8])
    base.uncertainty = LastLayerUncertainty(8)
    new = potential([1, 6, 8, 14], seed=1)
    adopt(new, base, NOWHERE)
    assert new.uncertainty is None


def test_new_heads_stay_fresh_and_old_ones_are_taken_over() -> None:
    gap, dipole = {"kind": "scalar", "reduce": "mean"}, {"kind": "dipole"}
    base = potential([1, 6, 8], heads={"gap": gap})
    new = potential([1, 6, 8], seed=1, heads={"gap": gap, "dipole": dipole})
    fresh = adopt(new, base, NOWHERE)
    assert fresh
    assert all("dipole" in name for name in fresh)
    weights = dict(new.named_parameters())
    name = next(name for name in weights if "gap" in name)
    assert torch.equal(weights[name], dict(base.named_parameters())[name])
    # A head that the recipe leaves out is left behind.
    assert adopt(potential([1, 6, 8], seed=1), base, NOWHERE) == []


@pytest.mark.parametrize("changes", [{"channels": 8}, {"max_L": 0}, {"num_interactions": 3}])
def test_another_architecture_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="to start from"):
        adopt(potential([1, 6, 8], **changes), potential([1, 6, 8]), NOWHERE)


def test_freezing_names_parts() -> None:
    model = potential([1, 6, 8])
    frozen = freeze(model, ["embedding", "layers.0", "readouts.*.hidden"])
    names = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert {"embedding", "readouts.1.hidden"} <= names
    assert any(name.startswith("layers.0.") for name in names)
    assert not any(name.startswith("layers.1.") for name in names)
    assert frozen == sum(p.numel() for name, p in model.named_parameters() if name in names)
    with pytest.raises(InputError, match="no part of the model is called 'embeding'") as caught:
        freeze(model, ["embeding"])
    assert "embedding" in caught.value.hint
    with pytest.raises(InputError, match="nothing to train"):
        freeze(model, ["*"])


def test_refitting_finds_a_shift_by_element() -> None:
    model = potential([1, 6, 8])
    shift = {1: 0.3, 6: -1.1, 8: 2.0}
    graphs = []
    for structure in molecules(20):
        graph = structure_graph(structure, model.cutoff)
        energy = evaluate(model, graph, forces=False)["energy"]
        graph.energy = energy + sum(shift[int(z)] for z in structure.numbers)
        graphs.append(graph)
    before = model.reference_energies.clone()
    found = refit_references(model, graphs)
    assert found == pytest.approx({"H": 0.3, "C": -1.1, "O": 2.0}, rel=1e-9)
    assert (model.reference_energies - before).tolist() == pytest.approx(list(shift.values()), rel=1e-9)
    graphs[0].energy.fill_(float("nan"))
    assert refit_references(model, graphs[:1]) == {}


RECIPE = """
name: tuned
data:
  train: {data}
  split: {{valid: 6}}
fine_tune:
  model: {model}
  freeze: [embedding, layers.0]
training:
  max_epochs: 2
  batch: {{structures: 4}}
  ema: null
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "base" / "model.safetensors"
    save_model(path, potential([1, 6]).to(torch.float32), training={}, provenance={})
    return path


def test_a_run_from_a_model(base: Path, tmp_path: Path) -> None:
    data = write(tmp_path / "frames.h5", molecules(20))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(data=data, model=base))
    loaded = load_train_recipe(recipe)
    assert loaded.model == MACEConfig(**SMALL)
    result = train(loaded, tmp_path / "run", device="cpu")
    before, after = load_model(base).potential, load_model(result.model).potential
    assert after.elements.tolist() == [1, 6, 8]
    old, new = (dict(m.named_parameters()) for m in (before, after))
    assert torch.equal(new["layers.0.linear_up.weight"], old["layers.0.linear_up.weight"])
    assert not torch.equal(new["layers.1.linear_up.weight"], old["layers.1.linear_up.weight"])
    np.testing.assert_allclose(new["embedding"][:2].numpy(), old["embedding"].numpy() * np.sqrt(3 / 2), rtol=1e-6)
    # A second start of the same run goes on from its checkpoint.
    again = train(loaded, tmp_path / "run", device="cpu", resume=True)
    assert again.steps == result.steps


def test_isolated_atoms_in_the_data_give_the_reference_energies(base: Path, tmp_path: Path) -> None:
    data = write(tmp_path / "frames.h5", molecules(20) + isolated_atoms())
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(data=data, model=base))
    result = train(load_train_recipe(recipe, ["training.max_epochs=1"]), tmp_path / "run", device="cpu")
    assert load_model(result.model).potential.reference_energies.tolist() == [-13.0, -1000.0, -2000.0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("fine_tune.model=recipe.yaml", "no model file"),
        ("fine_tune.model=absent.safetensors", "no such file"),
        ("model.name=nequip", "to start from is 'mace'"),
        ("fine_tune.freze=[a]", "freeze"),
    ],
)
def test_mistakes_in_a_recipe(
    change: str, said: str, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = write(tmp_path / "frames.h5", molecules(3))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(data=data, model=base))
    with pytest.raises(ErrorGroup) as caught:
        load_train_recipe(recipe, [change])
    assert said in str(caught.value)


@pytest.mark.parametrize("changes", [{"freeze": ["layer.0"]}, {"freeze": ["*"]}])
def test_what_cannot_be_frozen_is_found_before_any_work(base: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    data = write(tmp_path / "frames.h5", molecules(20))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(data=data, model=base))
    override = f"fine_tune.freeze={changes['freeze']}"
    with pytest.raises((InputError, ErrorGroup), match=r"frozen|called 'layer.0'"):
        train(load_train_recipe(recipe, [override]), tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()
