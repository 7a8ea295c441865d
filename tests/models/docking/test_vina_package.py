"""The score term by term against the `vina` package, which is there with the extra `docking`.

The package reports with repulsion bent towards 1000 kcal/mol and reads energies from bins of 1/32 Å^2 without
interpolation: `cap=1000, binned=True` is the same to rounding, and the smooth sum differs by hundredths.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from eqcli.io.atom_types import type_of
from eqcli.io.ligand import ligand_of
from eqcli.io.ligand_topology import topology
from eqcli.models.docking.site import Site
from eqcli.models.docking.vina_score import VinaScore
from eqcli.models.docking.vina_terms import TERMS, WEIGHTS

vina = pytest.importorskip("vina")
meeko = pytest.importorskip("meeko")

PEPTIDE = "KWSDHYFRMC"
SMILES = "Oc1ccc(cc1)CCNC(=O)C(C)CS"
BOX = 28.0
POSES = 2


def embedded(molecule: Any, seed: int) -> Any:
    from rdkit import Chem
    from rdkit.Chem import AllChem

    molecule = Chem.AddHs(molecule)
    AllChem.EmbedMolecule(molecule, randomSeed=seed)
    return molecule


def carries_hydrogen(atom: Any) -> bool:
    return any(n.GetAtomicNum() == 1 for n in atom.GetNeighbors())


def pdbqt_type(atom: Any) -> str | None:
    """The type that AutoDock's preparation gives; None for the hydrogens it merges."""
    number = atom.GetAtomicNum()
    if number == 1:
        return "HD" if atom.GetNeighbors()[0].GetAtomicNum() in (7, 8) else None
    if number == 6:
        return "A" if atom.GetIsAromatic() else "C"
    if number == 7:
        return "NA" if atom.GetIsAromatic() and not carries_hydrogen(atom) else "N"
    return {8: "OA", 16: "S"}[number]


def own_type(atom: Any) -> int:
    polar = any(n.GetAtomicNum() not in (1, 6) for n in atom.GetNeighbors())
    return type_of(
        atom.GetAtomicNum(), polar=polar, donor=carries_hydrogen(atom), acceptor=pdbqt_type(atom) in ("NA", "OA")
    )


def write_receptor(molecule: Any, path: Path) -> None:
    lines = []
    for atom, (x, y, z) in zip(molecule.GetAtoms(), molecule.GetConformer().GetPositions(), strict=True):
        kind = pdbqt_type(atom)
        if kind is not None:
            place = f"{x:8.3f}{y:8.3f}{z:8.3f}"
            lines.append(f"ATOM  {len(lines) + 1:5d}  {atom.GetSymbol():<3s} PEP A   1    {place}{'':22s} {kind:<2s}\n")
    path.write_text("".join(lines))


def posed(molecule: Any, positions: np.ndarray) -> str:
    """PDBQT text of the ligand at these positions."""
    for index, place in enumerate(positions.tolist()):
        molecule.GetConformer().SetAtomPosition(index, place)
    setup = meeko.MoleculePreparation().prepare(molecule)[0]
    text, written, reason = meeko.PDBQTWriterLegacy.write_string(setup)
    assert written, reason
    return str(text)


class Case:
    """A peptide and poses of a ligand in and around it, all at three decimals."""

    def __init__(self, folder: Path) -> None:
        from rdkit import Chem
        from rdkit.Chem import AllChem

        self.receptor = folder / "receptor.pdbqt"
        peptide = embedded(Chem.MolFromSequence(PEPTIDE), 1)
        write_receptor(peptide, self.receptor)
        atoms = torch.tensor(peptide.GetConformer().GetPositions().round(3))
        types = torch.tensor([own_type(atom) for atom in peptide.GetAtoms()])
        self.site = Site.around(atoms, types, atoms.mean(0), torch.full((3,), BOX, dtype=torch.float64))
        ligand = embedded(Chem.MolFromSmiles(SMILES), 2)
        self.topology = topology(ligand_of(ligand, "ligand"))
        conformers = Chem.Mol(ligand)
        AllChem.EmbedMultipleConfs(conformers, POSES, randomSeed=3)
        random = np.random.default_rng(0)
        shifts = atoms.mean(0).numpy() + random.normal(size=(POSES, 3)) * 4
        shapes = [c.GetPositions() - c.GetPositions().mean(0) for c in conformers.GetConformers()]
        poses = [(shape + shift).round(3) for shape, shift in zip(shapes, shifts, strict=True)]
        self.texts = [posed(ligand, pose) for pose in poses]
        self.positions = torch.tensor(np.array(poses))

    def package(self, weights: dict[str, float]) -> Tensor:
        """What the package reports of each pose with these weights: `[P, 8]`, not rounded."""
        peer = vina.Vina(cpu=1, verbosity=0)
        peer.set_weights([*(weights.get(name, 0.0) for name in TERMS), 50.0, 0.05846])
        peer.set_receptor(str(self.receptor))
        peer.set_ligand_from_string(self.texts[0])  # maps are made for a ligand
        peer.compute_vina_maps(self.site.centre.tolist(), [BOX] * 3, spacing=2.0)
        rows = []
        for text in self.texts:
            peer.set_ligand_from_string(text)
            rows.append(peer._vina.score())
        return torch.tensor(rows, dtype=torch.float64)

    def score(self, **options: Any) -> VinaScore:
        return VinaScore.of(self.site, self.topology, **options)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(tmp_path_factory.mktemp("vina"))


def test_the_poses_touch_the_receptor_in_every_term(case: Case) -> None:
    terms = case.score().terms(case.positions)
    assert all((terms[name].abs() > 0.01).any() for name in TERMS)
    assert not terms["wall"].any()


def test_the_affinity_is_that_of_the_package(case: Case) -> None:
    expected = case.package(WEIGHTS)
    score = case.score(cap=1000.0, binned=True)
    assert torch.allclose(score.inter(case.positions), expected[:, 1], atol=1e-6)
    assert torch.allclose(score.intra(case.positions), expected[:, 5], atol=1e-6)
    assert torch.allclose(score.affinity(case.positions), expected[:, 0], atol=1e-6)


@pytest.mark.parametrize("name", TERMS)
def test_each_term_is_that_of_the_package(case: Case, name: str) -> None:
    expected = case.package({name: WEIGHTS[name]})
    terms = case.score(cap=1000.0, binned=True).terms(case.positions)
    assert torch.allclose(terms[name], expected[:, 1], atol=1e-6)
    assert torch.allclose(terms[f"intra_{name}"], expected[:, 5], atol=1e-6)


def test_the_smooth_sum_differs_from_the_table_by_hundredths(case: Case) -> None:
    smooth, binned = (case.score(cap=1000.0, binned=binned).inter(case.positions) for binned in (False, True))
    difference = (smooth - binned).abs()
    assert difference.max() > 1e-4
    assert (difference < 0.02 + 2e-3 * smooth.abs()).all()
