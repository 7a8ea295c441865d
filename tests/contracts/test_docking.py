"""Every docking network keeps the contract of the family."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from eqcli.data.ligand_features import LIGAND_CODES, RECEPTOR_CODES
from eqcli.engine.model_file import load_model, save_model
from eqcli.graph.ligand_graph import ligand_graph
from eqcli.graph.residue_graph import residue_graph
from eqcli.models.docking.base import DockingNetwork
from eqcli.models.docking.build import make_docking_network
from eqcli.models.docking.config import DOCKING
from tests.contracts.docking_complexes import batch_of, chain, complex_of, judged_of, truth_of, zigzag

EXACT = 1e-6
"""Å in float64: what the poses of a network may differ by."""

SMALL = {"channels": 16, "num_layers": 3, "key_points": 6}


def network(name: str, **changes: object) -> DockingNetwork:
    """A small network whose layers move the ligand noticeably, unlike fresh ones."""
    torch.manual_seed(0)
    config = DOCKING[name][2].model_validate({"name": name, **SMALL, **changes})
    made = make_docking_network(config, ligand_codes=LIGAND_CODES, receptor_codes=RECEPTOR_CODES)
    with torch.no_grad():
        for label, parameter in made.named_parameters():
            if label.endswith("step"):
                parameter.fill_(1.0)
    return made.eval()


def rotation(seed: int) -> Tensor:
    torch.manual_seed(seed)
    q, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))
    return q * torch.linalg.det(q)


names = pytest.mark.parametrize("name", sorted(DOCKING))


@names
def test_poses_move_with_the_receptor(name: str) -> None:
    kinds, *backbone = chain(40, 1)
    codes, positions, bonds = zigzag(9, 2)
    ligand = (ligand_graph(codes, positions, bonds), bonds)
    turn, shift = rotation(3), torch.tensor([11.0, -40.0, 7.0], dtype=torch.float64)
    model = network(name)
    here = model.poses(batch_of([residue_graph(kinds, *backbone)], [ligand]))
    moved = [x @ turn.T + shift for x in backbone]
    there = model.poses(batch_of([residue_graph(kinds, *moved)], [ligand]))
    for output in ("rigid", "uncorrected"):
        expected = getattr(here, output) @ turn.T + shift
        assert (getattr(there, output) - expected).abs().max() < EXACT
    assert (here.uncorrected - here.rigid).abs().max() > 1e-3, "the cloud is nothing but the conformer"


@names
def test_poses_do_not_depend_on_where_the_ligand_was(name: str) -> None:
    kinds, *backbone = chain(40, 1)
    codes, positions, bonds = zigzag(9, 2)
    model = network(name)
    outputs = []
    for place in (positions, positions @ rotation(5).T + 25.0):
        batch = batch_of([residue_graph(kinds, *backbone)], [(ligand_graph(codes, place, bonds), bonds)])
        outputs.append(model.poses(batch))
    assert (outputs[0].uncorrected - outputs[1].uncorrected).abs().max() < EXACT
    assert (outputs[0].rigid - outputs[1].rigid).abs().max() < EXACT


@names
def test_poses_see_the_hand_of_the_receptor(name: str) -> None:
    """A mirrored receptor is another one: invariance under reflections would be one symmetry too many."""
    kinds, *backbone = chain(40, 1)
    codes, positions, bonds = zigzag(9, 2)
    mirror = torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
    ligand = (ligand_graph(codes, positions, bonds), bonds)
    model = network(name)
    here = model.poses(batch_of([residue_graph(kinds, *backbone)], [ligand])).rigid
    there = model.poses(batch_of([residue_graph(kinds, *(x * mirror for x in backbone))], [ligand])).rigid
    assert (here * mirror - there).abs().max() > 1e-3


@names
def test_order_does_not_matter(name: str) -> None:
    kinds, *backbone = chain(40, 1)
    codes, positions, bonds = zigzag(9, 2)
    model = network(name)
    here = model.poses(batch_of([residue_graph(kinds, *backbone)], [(ligand_graph(codes, positions, bonds), bonds)]))
    torch.manual_seed(7)
    residues, atoms = torch.randperm(40), torch.randperm(9)
    place = torch.argsort(atoms)
    new_bonds = torch.cat([place[bonds[:, :2]], bonds[:, 2:]], dim=1)
    receptor = residue_graph(kinds[residues], *(x[residues] for x in backbone))
    there = model.poses(batch_of([receptor], [(ligand_graph(codes[atoms], positions[atoms], new_bonds), new_bonds)]))
    assert (here.uncorrected[atoms] - there.uncorrected).abs().max() < EXACT
    assert (here.rigid[atoms] - there.rigid).abs().max() < EXACT


@names
def test_a_batch_is_its_members(name: str) -> None:
    sizes = [(40, 9), (25, 14), (60, 1), (30, 2)]
    receptors = [residue_graph(*chain(r, k)) for k, (r, _) in enumerate(sizes)]
    ligands = []
    for k, (_, atoms) in enumerate(sizes):
        codes, positions, bonds = zigzag(atoms, k)
        ligands.append((ligand_graph(codes, positions, bonds), bonds))
    model = network(name)
    together = model.poses(batch_of(receptors, ligands))
    counts = [atoms for _, atoms in sizes]
    for k, part in enumerate(together.uncorrected.split(counts)):
        alone = model.poses(batch_of([receptors[k]], [ligands[k]]))
        assert (part - alone.uncorrected).abs().max() < 1e-9
        assert torch.isfinite(alone.rigid).all()


@names
def test_the_loss_has_a_gradient_for_every_weight_and_matches_finite_differences(name: str) -> None:
    batch = complex_of(20, 7, 3)
    batch = replace(batch, truth=truth_of(batch), judged=judged_of(3, 7, 4))
    # The points of the pocket follow the ligand without a gradient: that term alone would not match.
    model = network(name, weights={"transport": 0.0})
    terms = model.losses(batch)
    weights = model.config.weights
    total = sum(getattr(weights, term) * value for term, value in terms.items() if term != "loss")
    assert torch.isclose(terms["loss"], torch.as_tensor(total))
    terms["loss"].backward()
    silent = [label for label, p in model.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    # The receptor's own positions of the last layer are all that its messages of that layer still lead to.
    assert not [label for label in silent if "update" not in label and "judge" not in label], silent
    for label in ("enter_ligand.weight", "own.query.weight"):
        parameter = dict(model.named_parameters())[label]
        assert parameter.grad is not None
        flat, step = int(parameter.grad.abs().argmax()), 1e-6
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter.view(-1)[flat] += sign * step
                values.append(float(model.losses(batch)["loss"]))
                parameter.view(-1)[flat] -= sign * step
        slope = (values[0] - values[1]) / (2 * step)
        assert slope == pytest.approx(float(parameter.grad.view(-1)[flat]), rel=1e-3)


@names
def test_gradients_are_finite_where_the_superposition_is_undetermined(name: str) -> None:
    """A ligand of one atom has key points that all coincide."""
    batch = complex_of(20, 1, 3)
    model = network(name)
    terms = model.losses(replace(batch, truth=truth_of(batch)))
    terms["loss"].backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@names
def test_saved_and_loaded_networks_say_the_same(name: str, tmp_path: object) -> None:
    model = network(name)
    batch = complex_of(30, 8, 5)
    path = tmp_path / "dock.safetensors"  # type: ignore[operator]
    save_model(path, model, training={}, provenance={})
    loaded = load_model(path).model
    assert torch.equal(loaded.poses(batch).rigid, model.poses(batch).rigid)  # type: ignore[operator]


@names
def test_confidence_is_a_number_for_each_pose_and_alone_as_together(name: str) -> None:
    model = network(name)
    asked = judged_of(4, 7, 6)
    found = model.confidence(asked)
    assert found is not None
    assert found.shape == (4,)
    assert ((found > 0) & (found < 1)).all()
    first = replace(
        asked,
        ligand_codes=asked.ligand_codes[:7],
        counts=asked.counts[:1],
        edges=asked.edges[:, : 7 * 4],
        lengths=asked.lengths[: 7 * 4],
        bonds=asked.bonds[:, : 2 * 6],
    )
    alone = model.confidence(first)
    assert alone is not None
    assert torch.allclose(alone, found[:1], atol=1e-12)
    assert network(name, confidence=None).confidence(asked) is None


@names
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees_with_the_cpu(name: str) -> None:
    model, batch = network(name), complex_of(30, 8, 5)
    here = model.poses(batch).rigid
    there = model.to("cuda").poses(batch.to("cuda")).rigid.cpu()
    assert (here - there).abs().max() < EXACT


@names
def test_float32_is_near_float64(name: str) -> None:
    model, batch = network(name), complex_of(30, 8, 5)
    here = model.poses(batch).rigid
    there = model.float().poses(batch.to(dtype=torch.float32)).rigid
    assert there.dtype == torch.float32
    assert (here - there).abs().max() < 0.05


@names
def test_shared_layers_are_one_layer(name: str) -> None:
    few, many = (sum(p.numel() for p in network(name, shared_layers=True, num_layers=n).parameters()) for n in (3, 6))
    assert few == many
