"""Imported models against the results that torchmd-net itself gave for them.

`make peers` writes the checkpoints and results; without them these tests are skipped.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from eqcli.engine.import_tensornet import import_tensornet
from eqcli.engine.model_file import load_model, read_header
from eqcli.errors import InputError
from eqcli.graph.atom_graph import build_graph
from eqcli.io import read_structures
from eqcli.io.conventions import LabelConvention
from eqcli.models.potentials.derive import evaluate
from eqcli.models.potentials.tensornet import TensorNet
from eqcli.tasks.convert import convert
from eqcli.units import ENERGY

REFERENCE = Path(__file__).resolve().parents[2] / ".peers" / "tensornet"
AGREEMENT = 1e-11
"""Relative difference allowed in float64."""
ROUNDED = 1e-6
"""The same where the peer's kernels hold 1/3 in float32."""
SINGLE = 2e-5

needs_peers = pytest.mark.skipif(
    not (REFERENCE / "variants.json").exists(), reason="no reference results of torchmd-net: run `make peers`"
)
EXACT = [
    "two-layers",
    "one-layer",
    "embedding",
    "atomref",
    "scaled",
    "charge",
    "gauss-trainable",
    "old-names",
    "old-so3",
]


def results(name: str) -> list[dict[str, Any]]:
    return json.loads((REFERENCE / f"{name}.json").read_text())


@needs_peers
@pytest.mark.parametrize("name", EXACT)
def test_agrees_with_torchmd_net(name: str) -> None:
    """On a molecule, an ion, a crystal and an isolated atom."""
    agrees(import_tensornet(REFERENCE / f"{name}.ckpt"), name, AGREEMENT)


@needs_peers
@pytest.mark.parametrize("name", ["so3", "so3-charge"])
def test_agrees_with_the_kernels_of_warp(name: str) -> None:
    agrees(import_tensornet(REFERENCE / f"{name}.ckpt"), name, ROUNDED)


@needs_peers
def test_a_checkpoint_in_single_precision_agrees_to_its_rounding() -> None:
    potential = import_tensornet(REFERENCE / "float32.ckpt")
    assert potential.dtype == torch.float32
    agrees(potential, "float32", SINGLE)


def agrees(potential: TensorNet, name: str, allowed: float) -> None:
    expected = results(name)
    structures = list(read_structures(REFERENCE / "structures.extxyz"))
    assert [s.charge for s in structures] == [None, 1.0, None, None]
    for s, reference in zip(structures, expected, strict=True):
        charge = s.charge if potential.accepts_charge else None
        out = evaluate(potential, build_graph(s.numbers, s.positions, s.cell, s.pbc, potential.cutoff, charge=charge))
        assert float(out["energy"]) == pytest.approx(reference["energy"], rel=allowed)
        theirs = torch.tensor(reference["forces"], dtype=torch.float64)
        assert float((out["forces"] - theirs).abs().max()) <= allowed * float(theirs.abs().max())


@needs_peers
def test_the_references_feel_charge_and_handedness() -> None:
    """What the comparisons above are worth: the results differ by far more than they allow."""
    ion = [results(name)[1]["energy"] for name in ("two-layers", "charge")]
    assert abs(ion[0] - ion[1]) > 1e-3 * abs(ion[0])
    potential = import_tensornet(REFERENCE / "old-so3.ckpt")
    with torch.no_grad():
        potential.embedding.radial[1].neg_()
    with pytest.raises(AssertionError):
        agrees(potential, "old-so3", ROUNDED)


@needs_peers
def test_elements_are_those_that_the_training_saw() -> None:
    assert import_tensornet(REFERENCE / "two-layers.ckpt").elements.tolist() == [1, 6, 7, 8]


@needs_peers
def test_a_constant_per_structure_is_shared_among_the_atoms_of_a_formula() -> None:
    """Right for that composition; for others it is as if each atom had its share."""
    path, shares = REFERENCE / "shifted.ckpt", (1.0, 5 / 9, 27 / 9, 1 / 9)
    with pytest.raises(InputError, match="a constant of 3 that is added to every structure"):
        import_tensornet(path)
    potential = import_tensornet(path, formula="C2H6O")
    for s, reference, share in zip(
        read_structures(REFERENCE / "structures.extxyz"), results("shifted"), shares, strict=True
    ):
        out = evaluate(potential, build_graph(s.numbers, s.positions, s.cell, s.pbc, potential.cutoff))
        assert float(out["energy"]) == pytest.approx(reference["energy"] + 3.0 * (share - 1.0), rel=AGREEMENT)


@needs_peers
@pytest.mark.parametrize("formula", ["C2H6Q", "", "c2", "C0", "C2-H6"])
def test_formulae_are_read_strictly(formula: str) -> None:
    with pytest.raises(InputError, match="is no formula"):
        import_tensornet(REFERENCE / "shifted.ckpt", formula=formula)


@needs_peers
def test_a_converted_file_is_in_electronvolts(tmp_path: Path) -> None:
    output = tmp_path / "out.safetensors"
    convert([REFERENCE / "atomref.ckpt"], output, labels=LabelConvention(energy_unit="kcal/mol"))
    loaded = load_model(output).potential
    expected = results("atomref")[0]
    s = next(iter(read_structures(REFERENCE / "structures.extxyz")))
    out = evaluate(loaded, build_graph(s.numbers, s.positions, s.cell, s.pbc, loaded.cutoff))
    assert float(out["energy"]) == pytest.approx(expected["energy"] * ENERGY["kcal/mol"], rel=AGREEMENT)
    imported = read_header(output)["training"]["imported"]
    assert imported["from"] == "torchmd-net"
    assert imported["energy_unit"] == "kcal/mol"


def checkpoint(path: Path, **settings: Any) -> Path:
    given = {"model": "tensornet", "rbf_type": "expnorm", "num_layers": 0, **settings}
    torch.save({"state_dict": {"model.mean": torch.zeros(())}, "hyper_parameters": given}, path)
    return path


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "tensornet2"}, "architecture 'tensornet2'"),
        ({"activation": "tanh"}, "activation = 'tanh'"),
        ({"cutoff_lower": 0.5}, "cutoff_lower = 0.5"),
        ({"reduce_op": "mean"}, "reduce_op = 'mean'"),
        ({"output_model": "DipoleMoment"}, "output_model = 'DipoleMoment'"),
        ({"atom_filter": 1}, "an atom filter"),
        ({"rbf_type": "other"}, "a radial basis 'other'"),
    ],
)
def test_what_would_change_energies_is_refused(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        import_tensornet(checkpoint(tmp_path / "x.ckpt", **settings))


def test_other_files_are_refused(tmp_path: Path) -> None:
    torch.save({"weights": torch.zeros(2)}, tmp_path / "other.ckpt")
    with pytest.raises(InputError, match="not a checkpoint of torchmd-net"):
        import_tensornet(tmp_path / "other.ckpt")
    (tmp_path / "text.ckpt").write_text("no archive")
    with pytest.raises(InputError, match="not a file saved by PyTorch"):
        import_tensornet(tmp_path / "text.ckpt")
