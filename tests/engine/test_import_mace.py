"""Imported models against the results that mace-torch itself gave for them.

`make peers` writes the models and results; without them these tests are skipped.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from eqcli.engine.import_mace import convert_mace_torch, import_mace
from eqcli.engine.model_file import load_model
from eqcli.errors import InputError
from eqcli.graph.atom_graph import build_graph
from eqcli.io import read_structures
from eqcli.models.potentials.derive import evaluate
from eqcli.models.potentials.mace import MACE

REFERENCE = Path(__file__).resolve().parents[2] / ".peers" / "mace"
AGREEMENT = 1e-8
"""Relative difference allowed in float64."""

needs_peers = pytest.mark.skipif(
    not (REFERENCE / "configs.json").exists(), reason="no reference results of mace-torch: run `make peers`"
)
NAMES = ["residual", "agnostic", "scalar", "density", "soft"]


@needs_peers
@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_mace_torch(name: str) -> None:
    """On a molecule, a crystal, a one-atom cell and an isolated atom."""
    agrees(import_mace(REFERENCE / f"{name}.model"), name)


@needs_peers
def test_one_of_several_heads_agrees_with_mace_torch() -> None:
    agrees(import_mace(REFERENCE / "heads.model", head="second"), "heads")
    with pytest.raises(InputError, match=r"several heads \(first, second\)"):
        import_mace(REFERENCE / "heads.model")


def agrees(potential: MACE, name: str) -> None:
    expected = json.loads((REFERENCE / f"{name}.json").read_text())
    structures = list(read_structures(REFERENCE / "structures.extxyz"))
    assert len(structures) == len(expected) == 4
    for s, reference in zip(structures, expected, strict=True):
        out = evaluate(potential, build_graph(s.numbers, s.positions, s.cell, s.pbc, potential.cutoff), stress=True)
        assert float(out["energy"]) == pytest.approx(reference["energy"], rel=AGREEMENT)
        close(out["forces"], torch.tensor(reference["forces"], dtype=torch.float64))
        if reference["stress"] is not None:
            close(out["stress"][0], torch.tensor(reference["stress"], dtype=torch.float64))


def close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    # The forces of a one-atom cell vanish by symmetry; rounding is then all there is.
    assert float((ours - theirs).abs().max()) <= AGREEMENT * max(float(theirs.abs().max()), 1e-6)


@needs_peers
def test_a_converted_file_gives_the_same_results(tmp_path: Path) -> None:
    output = tmp_path / "out.safetensors"
    converted = convert_mace_torch(REFERENCE / "residual.model", output).potential
    s = next(iter(read_structures(REFERENCE / "structures.extxyz")))
    results = []
    for potential in (converted, load_model(output).potential):
        graph = build_graph(s.numbers, s.positions, s.cell, s.pbc, potential.cutoff)
        results.append(evaluate(potential.requires_grad_(False), graph))
    assert torch.equal(results[0]["forces"], results[1]["forces"])
    with pytest.raises(InputError, match="exists already"):
        convert_mace_torch(REFERENCE / "residual.model", output)


@needs_peers
def test_an_unknown_head_is_refused() -> None:
    with pytest.raises(InputError, match="no head 'dft'"):
        import_mace(REFERENCE / "residual.model", head="dft")


def test_another_module_is_refused(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "other.model")
    with pytest.raises(InputError, match="where MACE or ScaleShiftMACE was expected"):
        import_mace(tmp_path / "other.model")
