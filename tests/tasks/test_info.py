"""What `info` says of each kind of file."""

from __future__ import annotations

from pathlib import Path

import pytest

from eqcli.errors import InputError
from eqcli.tasks.info import info

WATER = """3
Lattice="10 0 0 0 10 0 0 0 10" Properties=species:S:1:pos:R:3:forces:R:3 energy=-1.5 pbc="T T T"
O 0 0 0 0 0 0
H 0 0 1 0 0 0
H 0 1 0 0 0 0
"""


def test_structures(tmp_path: Path) -> None:
    path = tmp_path / "w.extxyz"
    path.write_text(WATER + '1\npbc="F F F"\nHe 0 0 0\n' + "1\nbad\n", encoding="utf-8")
    facts = info(path)
    assert (facts["kind"], facts["format"], facts["frames"], facts["malformed"]) == ("structures", "extxyz", 2, 1)
    assert facts["formulas"] == {"H2O": 1, "He": 1}
    assert facts["elements"] == ["H", "He", "O"]
    assert facts["atoms"] == {"least": 1, "most": 3, "total": 4}
    assert facts["periodic_directions"] == {"xyz": 1, "none": 1}
    assert facts["label_figures"]["taken"]["energy"] == {"energy": 1}
    assert facts["failures"][0]["frame"] == 2


def test_one_crystal_has_its_cell(tmp_path: Path) -> None:
    path = tmp_path / "w.extxyz"
    path.write_text(WATER.replace("10 0 0 0 10 0 0 0 10", "4 0 0 -2.5 4.330127018922193 0 0 0 6"), encoding="utf-8")
    cell = info(path)["cell"]
    expected = {"a": 4, "b": 5, "c": 6, "alpha": 90, "beta": 90, "gamma": 120, "volume": 103.92304845413264}
    assert cell == pytest.approx(expected, rel=1e-12)


def test_datasets(tmp_path: Path) -> None:
    from eqcli.tasks.convert import convert

    source = tmp_path / "w.extxyz"
    source.write_text(WATER * 3, encoding="utf-8")
    convert([source], tmp_path / "w.h5")
    facts = info(tmp_path / "w.h5")
    assert (facts["kind"], facts["frames"], facts["formulas"]) == ("dataset", 3, {"H2O": 3})
    assert facts["provenance"]["eqcli"]


def test_models(tmp_path: Path) -> None:
    from eqcli.engine.model_file import make_potential, save_model
    from eqcli.models.potentials.config import MACEConfig

    config = MACEConfig(name="mace", channels=4, max_L=0, max_ell=1, correlation=1, num_interactions=1)
    potential = make_potential(config, [1, 8])
    path = tmp_path / "model.safetensors"
    save_model(path, potential, training={"epoch": 3}, provenance={"eqcli": "x"})
    facts = info(path)
    assert (facts["kind"], facts["name"], facts["elements"]) == ("model", "mace", ["H", "O"])
    assert facts["parameters"] == sum(p.numel() for p in potential.parameters())
    assert facts["hyperparameters"]["channels"] == 4
    assert facts["training"] == {"epoch": 3}


@pytest.mark.parametrize(
    ("name", "text"), [("a.txt", "x"), ("a.extxyz", ""), ("a.extxyz", "x\n"), ("a.safetensors", "x")]
)
def test_anything_else_is_an_input_error(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(InputError):
        info(tmp_path / name)
