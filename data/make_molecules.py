"""Makes data/ethanol and data/chno: GFN2-xTB molecular dynamics of small CHNO molecules.

    python data/make_molecules.py [ethanol] [chno] [--out FOLDER]

Needs the `data` extra (tblite). No network. About ten minutes on one core.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.constraints import FixCom
from ase.md.langevin import Langevin
from ase.optimize import BFGS
from labels import isolated_atom, labelled, write_frames, xtb
from rdkit import Chem
from rdkit.Chem import AllChem

METHOD = "GFN2-xTB"
TEMPERATURE = 500.0  # K
TIME_STEP = 0.5  # fs: a twentieth of the shortest period, that of the O-H bond
FRICTION = 0.02  # 1/fs: velocities forget themselves in 50 fs
EQUILIBRATION = 4000  # steps, 2 ps
SPACING = 200  # steps between frames, 100 fs
CONFIG_TYPE = "md_500K"

MOLECULES = {
    "methanol": "CO",
    "formaldehyde": "C=O",
    "acetic acid": "CC(=O)O",
    "methylamine": "CN",
    "formamide": "NC=O",
    "acetonitrile": "CC#N",
    "dimethyl ether": "COC",
    "glycine": "NCC(=O)O",
}


def conformer(smiles: str, seed: int) -> Atoms:
    """A geometry of the molecule, relaxed with the label method so that the dynamics starts without strain."""
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    if AllChem.EmbedMolecule(molecule, randomSeed=seed) != 0:
        raise RuntimeError(f"no geometry found for {smiles}")
    atoms = Atoms([a.GetSymbol() for a in molecule.GetAtoms()], molecule.GetConformer().GetPositions())
    atoms.calc = xtb(METHOD)
    BFGS(atoms, logfile=None).run(fmax=0.05, steps=200)
    return atoms


def dynamics(smiles: str, count: int, seed: int, spacing: int = SPACING) -> list[Atoms]:
    """`count` labelled frames of one Langevin trajectory of its own."""
    atoms = conformer(smiles, seed)
    atoms.set_constraint(FixCom())
    run = Langevin(
        atoms,
        TIME_STEP * units.fs,
        temperature_K=TEMPERATURE,
        friction=FRICTION / units.fs,
        fixcm=False,
        rng=np.random.default_rng(seed),
    )
    run.run(EQUILIBRATION)
    frames = []
    for _ in range(count):
        run.run(spacing)
        frames.append(labelled(atoms, CONFIG_TYPE))
    return frames


def free_atoms() -> list[Atoms]:
    return [isolated_atom(symbol, METHOD) for symbol in ("H", "C", "N", "O")]


def make_ethanol(folder: Path) -> None:
    write_frames(folder / "train.extxyz", free_atoms() + dynamics("CCO", 500, seed=1))
    write_frames(folder / "test.extxyz", dynamics("CCO", 200, seed=2))


def make_chno(folder: Path) -> None:
    train, test = free_atoms(), []
    for k, smiles in enumerate(MOLECULES.values()):
        train += dynamics(smiles, 12, seed=100 + k)
        test += dynamics(smiles, 4, seed=200 + k)
    write_frames(folder / "train.extxyz", train)
    write_frames(folder / "test.extxyz", test)


def main() -> None:
    makers = {"ethanol": make_ethanol, "chno": make_chno}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=list(makers), help="ethanol, chno; both by default")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder that gets one folder per set")
    options = parser.parse_args()
    for name in options.sets:
        makers[name](options.out / name)


if __name__ == "__main__":
    main()
