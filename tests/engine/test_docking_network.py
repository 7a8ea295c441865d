"""A network asked about receptors and ligands as they are read: what its poses keep, and what they depend on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from eqcli.data.complex_batches import FEWEST
from eqcli.data.ligand_features import LIGAND_CODES, RECEPTOR_CODES
from eqcli.engine import docking_network as module
from eqcli.engine.docking_box import Box
from eqcli.engine.docking_network import NetworkPoses
from eqcli.engine.docking_receptor import PreparedReceptor
from eqcli.engine.pose_network import FLEXIBLE, RIGID, UNCORRECTED, PoseNetwork
from eqcli.errors import InputError
from eqcli.geometry.torsions import turned
from eqcli.io.ligand import Ligand
from eqcli.io.ligand_topology import topology
from eqcli.io.rdkit_molecule import molecule_of, sanitised
from eqcli.io.receptor import Receptor
from eqcli.models.docking.base import BoundPoses
from eqcli.models.docking.build import make_docking_network
from eqcli.models.docking.configs.equibind import EquiBindConfig
from tests.data.docking_case import receptor
from tests.data.test_ligand_features import permuted
from tests.docking_folder import shape_of
from tests.rotations import random_rotation

Floats = NDArray[np.float64]

EXACT = 1e-6
"""Å."""

SMILES = ("c1ccccc1CCC(F)CO", "C[C@H](N)C(=O)NC1CCCCC1", "C[C@@H](N)C(=O)NC1CCCCC1", "CC(=O)Nc1ccc(O)cc1", "CCO")
"""Torsions, rings, both hands of a stereocentre, and none of them."""


def network(**changes: object) -> NetworkPoses:
    """Small, with layers that bend the ligand noticeably, unlike fresh ones."""
    torch.manual_seed(0)
    config = EquiBindConfig.model_validate({"channels": 16, "num_layers": 3, "key_points": 6, **changes})
    made = make_docking_network(config, ligand_codes=LIGAND_CODES, receptor_codes=RECEPTOR_CODES)
    with torch.no_grad():
        for label, parameter in made.named_parameters():
            if label.endswith("step"):
                parameter.fill_(3.0)
    return NetworkPoses(made)


def prepared(asked: NetworkPoses, own: Receptor) -> PreparedReceptor:
    return PreparedReceptor(own, asked.encode(own))


def moved(own: Receptor, turn: Floats, shift: Floats) -> Receptor:
    residues = own.residues
    backbone = {name: np.asarray(getattr(residues, name)) @ turn.T + shift for name in ("n", "ca", "c")}
    structure = replace(own.structure, positions=own.structure.positions @ turn.T + shift)
    return replace(own, structure=structure, residues=replace(residues, **backbone))


def place(asked: NetworkPoses, own: Receptor, ligand: Ligand, conformer: Floats | None = None) -> dict[str, Floats]:
    shape = ligand.structure.positions if conformer is None else conformer
    return asked.poses(prepared(asked, own), [(ligand, shape)], None)[0]


def volumes(ligand: Ligand, positions: Floats) -> Floats:
    """Signed volumes of three bonds of every atom: the hand of its neighbourhood."""
    neighbours: dict[int, list[int]] = {}
    for i, j, _ in ligand.structure.info["bonds"]:
        neighbours.setdefault(int(i), []).append(int(j))
        neighbours.setdefault(int(j), []).append(int(i))
    found = []
    for centre, around in neighbours.items():
        if len(around) > 2:
            found.append(np.linalg.det(positions[sorted(around)[:3]] - positions[centre]))
    return np.array(found)


def angles(ligand: Ligand, positions: Floats) -> Floats:
    """Distances of bonded atoms, and of those bonded to one atom: bond lengths and angles."""
    bonds = [(int(i), int(j)) for i, j, _ in ligand.structure.info["bonds"]]
    ends = {
        tuple(sorted((a, b)))
        for i, j in bonds
        for k, m in bonds
        if len({i, j, k, m}) == 3
        for a, b in [sorted({i, j} ^ {k, m})]
    }
    pairs = np.array([*bonds, *sorted(ends)])
    return np.asarray(np.linalg.norm(positions[pairs[:, 0]] - positions[pairs[:, 1]], axis=1))


def inner_ring_distances(ligand: Ligand, positions: Floats) -> Floats:
    molecule = sanitised(molecule_of(ligand.structure))
    rings = molecule.GetRingInfo().AtomRings()
    found = [np.linalg.norm(positions[list(r)][:, None] - positions[list(r)], axis=-1).ravel() for r in rings]
    return np.concatenate(found) if found else np.zeros(0)


def test_it_is_what_docking_asks_for() -> None:
    assert isinstance(network(), PoseNetwork)


@pytest.mark.parametrize("smiles", SMILES)
def test_outputs_keep_the_conformer(smiles: str) -> None:
    asked, ligand = network(), shape_of(smiles)
    conformer = ligand.structure.positions
    found = place(asked, receptor(0), ligand)
    assert set(found) == {FLEXIBLE, RIGID, UNCORRECTED}
    for output in (FLEXIBLE, RIGID):
        for measure in (angles, inner_ring_distances, volumes):
            assert np.allclose(measure(ligand, found[output]), measure(ligand, conformer), atol=1e-8), (output, measure)
    i, j = np.triu_indices(len(conformer), 1)
    lengths = {name: np.linalg.norm(x[i] - x[j], axis=1) for name, x in {**found, "given": conformer}.items()}
    assert np.allclose(lengths[RIGID], lengths["given"], atol=1e-8)
    assert np.abs(lengths[UNCORRECTED] - lengths["given"]).max() > 0.05
    if smiles == SMILES[0]:
        assert np.abs(lengths[FLEXIBLE] - lengths["given"]).max() > 0.005, "no torsion was turned"


@pytest.mark.parametrize("smiles", SMILES)
def test_the_flexible_output_meets_a_cloud_with_other_torsions(smiles: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hydrogens included: they turn with the atoms that they are bonded to."""
    asked, ligand = network(), shape_of(smiles)
    shape, conformer = topology(ligand), ligand.structure.positions
    angles = torch.linspace(0.8, 2.9, len(shape.rotatable), dtype=torch.float64)
    bent = turned(torch.from_numpy(conformer), torch.from_numpy(shape.rotatable), torch.from_numpy(shape.moved), angles)
    goal = (bent @ random_rotation(1).T + 4.0).numpy()
    heavy = ligand.structure.numbers > 1
    cloud = torch.from_numpy(goal[heavy])
    monkeypatch.setattr(asked.network, "poses", lambda batch: BoundPoses(cloud, cloud, cloud, cloud))
    found = place(asked, receptor(0), ligand)
    # A group that only hydrogens tell apart (OH, NH2) has no torsion among heavy atoms.
    assert np.abs(found[FLEXIBLE][heavy] - goal[heavy]).max() < 1e-6
    assert np.array_equal(found[UNCORRECTED][heavy], goal[heavy])
    if len(shape.rotatable):
        assert np.abs(found[RIGID][heavy] - goal[heavy]).max() > 0.1


@pytest.mark.parametrize("smiles", SMILES)
def test_poses_move_with_the_receptor(smiles: str) -> None:
    asked, ligand = network(), shape_of(smiles)
    turn, shift = random_rotation(2).numpy(), np.array([31.0, -80.0, 5.0])
    here = place(asked, receptor(0), ligand)
    there = place(asked, moved(receptor(0), turn, shift), ligand)
    for output, positions in here.items():
        assert np.abs(there[output] - (positions @ turn.T + shift)).max() < EXACT, output


@pytest.mark.parametrize("smiles", SMILES)
def test_poses_do_not_depend_on_where_the_ligand_was(smiles: str) -> None:
    asked, ligand = network(), shape_of(smiles)
    here = place(asked, receptor(0), ligand)
    start = ligand.structure.positions @ random_rotation(5).numpy().T + 60.0
    there = place(asked, receptor(0), ligand, start)
    for output, positions in here.items():
        assert np.abs(there[output] - positions).max() < EXACT, output


@pytest.mark.parametrize("smiles", SMILES)
def test_order_of_atoms_does_not_matter(smiles: str) -> None:
    asked, ligand = network(), shape_of(smiles)
    here = place(asked, receptor(0), ligand)
    for seed in range(2):
        order = np.random.default_rng(seed).permutation(len(ligand.structure))
        other = replace(ligand, structure=permuted(ligand.structure, order))
        there = place(asked, receptor(0), other)
        for output, positions in here.items():
            assert np.abs(there[output] - positions[order]).max() < EXACT, output


@pytest.mark.parametrize("smiles", [SMILES[0], SMILES[3]])
def test_which_bonds_of_an_aromatic_ring_are_drawn_double_does_not_matter(smiles: str) -> None:
    asked, ligand = network(), shape_of(smiles)
    molecule = sanitised(molecule_of(ligand.structure))
    ring = {frozenset((b.GetBeginAtomIdx(), b.GetEndAtomIdx())) for b in molecule.GetBonds() if b.GetIsAromatic()}
    bonds = [[i, j, 3 - k if {i, j} in ring else k] for i, j, k in ligand.structure.info["bonds"]]
    assert bonds != ligand.structure.info["bonds"]
    info = {**ligand.structure.info, "bonds": bonds}
    here = place(asked, receptor(0), ligand)
    there = place(asked, receptor(0), replace(ligand, structure=replace(ligand.structure, info=info)))
    for output, positions in here.items():
        assert np.abs(there[output] - positions).max() < EXACT, output


def test_a_batch_is_its_members(monkeypatch: pytest.MonkeyPatch) -> None:
    """However ligands are packed, and in whatever order they come."""
    asked, own = network(), receptor(0)
    ligands = [shape_of(smiles) for smiles in SMILES]
    pairs = [(x, x.structure.positions) for x in (*ligands, ligands[0])]
    alone = [place(asked, own, x) for x, _ in pairs]
    for nodes in (1, 120, 4000):
        monkeypatch.setattr(module, "NODES", nodes)
        together = asked.poses(prepared(asked, own), pairs, None)
        assert len(together) == len(pairs)
        for one, other in zip(alone, together, strict=True):
            assert all(np.abs(one[name] - other[name]).max() < 1e-9 for name in one)
    assert list(asked.poses(prepared(asked, own), [], None)) == []


def test_conformers_of_one_ligand_have_poses_of_their_own() -> None:
    asked, own, ligand = network(), receptor(0), shape_of(SMILES[0])
    first = ligand.structure.positions
    second = place(asked, own, ligand)[FLEXIBLE]
    found = asked.poses(prepared(asked, own), [(ligand, first), (ligand, second)], None)
    assert np.abs(found[0][FLEXIBLE] - place(asked, own, ligand, first)[FLEXIBLE]).max() < 1e-9
    assert np.abs(found[1][FLEXIBLE] - place(asked, own, ligand, second)[FLEXIBLE]).max() < 1e-9


def test_a_box_shows_the_residues_about_it() -> None:
    asked, own, ligand = network(), receptor(0), shape_of(SMILES[3])
    whole = place(asked, own, ligand)[RIGID]
    ready = prepared(asked, own)

    def within(box: Box) -> Floats:
        return asked.poses(ready, [(ligand, ligand.structure.positions)], box)[0][RIGID]

    centre = tuple(own.residues.ca.mean(0).tolist())
    assert np.abs(within(Box(centre, (60.0, 60.0, 60.0))) - whole).max() < 1e-9
    top = (*centre[:2], centre[2] + 22.0)
    assert np.abs(within(Box(top, (10.0, 10.0, 10.0))) - whole).max() > 0.01
    # The residues that are shown are those of the crop, and so near the box.
    near = module._near(ready.encoded.graph, Box(top, (10.0, 10.0, 10.0)))
    assert FEWEST <= len(near.positions) < len(own.residues.ca)
    shown = (near.positions - torch.tensor(top)).norm(dim=1).max()
    assert (
        shown <= max(module.REACH, float(np.sort(np.linalg.norm(own.residues.ca - np.array(top), axis=1))[19])) + 1e-9
    )


def test_confidences_move_with_the_pose_and_stand_alone() -> None:
    asked, own, ligand = network(), receptor(0), shape_of(SMILES[0])
    found = place(asked, own, ligand)
    poses = np.stack([found[FLEXIBLE], found[RIGID], found[FLEXIBLE] + 200.0])
    here = asked.confidences(prepared(asked, own), ligand, poses)
    assert here is not None
    assert here.shape == (3,)
    assert ((here > 0) & (here < 1)).all()
    assert len(set(here.round(8))) == 3
    turn, shift = random_rotation(8).numpy(), np.array([-9.0, 70.0, 3.0])
    there = asked.confidences(prepared(asked, moved(own, turn, shift)), ligand, poses @ turn.T + shift)
    assert there is not None
    assert np.abs(here - there).max() < 1e-9
    alone = asked.confidences(prepared(asked, own), ligand, poses[1:2])
    assert alone is not None
    assert abs(alone[0] - here[1]) < 1e-12
    order = np.random.default_rng(0).permutation(len(ligand.structure))
    other = replace(ligand, structure=permuted(ligand.structure, order))
    again = asked.confidences(prepared(asked, own), other, poses[:, order])
    assert again is not None
    assert np.abs(again - here).max() < 1e-12
    silent = network(confidence=None)
    assert silent.confidences(prepared(silent, own), ligand, poses) is None


def test_single_precision_is_near() -> None:
    asked, ligand = network(), shape_of(SMILES[3])
    here = place(asked, receptor(0), ligand)[FLEXIBLE]
    asked.network.float()
    there = place(asked, receptor(0), ligand)
    assert there[FLEXIBLE].dtype == np.float64
    assert np.abs(there[FLEXIBLE] - here).max() < 0.05
    assert np.allclose(angles(ligand, there[FLEXIBLE]), angles(ligand, ligand.structure.positions), atol=1e-6)


def test_a_receptor_without_amino_acids_is_refused() -> None:
    own = receptor(0)
    nothing = {
        name: getattr(own.residues, name)[:0] for name in ("names", "chains", "numbers", "amino_acid", "n", "ca")
    }
    bare = replace(own, residues=replace(own.residues, **nothing, c=own.residues.c[:0]))
    with pytest.raises(InputError, match="no amino acids"):
        network().encode(bare)
