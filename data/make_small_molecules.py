"""Makes data/small_molecules: molecules of H, C, N, O, F and S with up to seven heavy atoms, at rest in GFN2-xTB.

    python data/make_small_molecules.py [--out FOLDER] [--workers N] [--limit N]

Needs the `data` extra (tblite). No network. About ten minutes on one core. What has been computed is kept in
`small_molecules/partial.jsonl` until the files are written: a run that was stopped goes on there.

All molecules of the enumeration (`small_graphs.py`) with up to five heavy atoms are taken and a draw of those with
six and seven. Each has one conformer and, where it has stereoisomers, one of them, as the embedding made it.
"""

from __future__ import annotations

import argparse
import json
import os
import warnings
import zlib
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.optimize import BFGS
from ase.units import Bohr, Hartree
from labels import xtb
from rdkit import Chem
from rdkit.Chem import AllChem
from rdkit.Chem.rdchem import Mol
from small_graphs import enumerated
from tblite.interface import Calculator

METHOD = "GFN2-xTB"
COMPLETE = 5  # heavy atoms: up to these, every molecule
DRAWN = {6: 800, 7: 1250}  # molecules of larger ones
TEST_SHARE = 0.1
SEED = 31
FMAX = 0.01  # eV/Å
STEPS = 400
LEAST_GAP = 1.0  # eV: with less it is hardly a closed shell
BOND_REACH = 1.2  # times the sum of the covalent radii: what is nearer is bonded
DECIMALS = 4  # of the positions, as an SD file has them
SDF_ORDERS = {Chem.BondType.SINGLE: 1, Chem.BondType.DOUBLE: 2, Chem.BondType.TRIPLE: 3}


def chosen() -> list[str]:
    """The constitutions of the set, SMILES without stereochemistry, in an order that does not depend on chance."""
    rng = np.random.default_rng(SEED)
    molecules = enumerated(max(DRAWN) - 1)
    smiles = [one for size in range(1, COMPLETE + 1) for one in molecules[size]]
    for size, count in DRAWN.items():
        drawn = rng.choice(len(molecules[size]), count, replace=False)
        smiles += [molecules[size][k] for k in sorted(drawn)]
    print("enumerated: " + ", ".join(f"{len(one)} of {size}" for size, one in molecules.items()), flush=True)
    return smiles


def embedded(smiles: str) -> Mol | None:
    """The molecule with hydrogens, Kekulé bonds and one conformer relaxed by MMFF94."""
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    parameters = AllChem.ETKDGv3()
    parameters.randomSeed = zlib.crc32(f"{SEED} {smiles}".encode()) % 2**31  # its own, whatever else is in the set
    if AllChem.EmbedMolecule(molecule, parameters) != 0:
        return None
    AllChem.MMFFOptimizeMolecule(molecule, maxIters=2000)
    Chem.Kekulize(molecule, clearAromaticFlags=True)
    return molecule


def bonds(molecule: Mol) -> list[tuple[int, int, int]]:
    return [(b.GetBeginAtomIdx(), b.GetEndAtomIdx(), SDF_ORDERS[b.GetBondType()]) for b in molecule.GetBonds()]


def same_bonds(molecule: Mol, atoms: Atoms) -> bool:
    """Whether exactly the bonded atoms are near each other."""
    radii = covalent_radii[atoms.numbers]
    near = np.triu(atoms.get_all_distances() < BOND_REACH * (radii[:, None] + radii), 1)
    return set(zip(*map(np.ndarray.tolist, near.nonzero()), strict=True)) == {
        (min(i, j), max(i, j)) for i, j, _ in bonds(molecule)
    }


def computed(smiles: str) -> dict[str, Any]:
    """One molecule at rest with its labels, or why it is left out."""
    molecule = embedded(smiles)
    if molecule is None:
        return {"graph": smiles, "dropped": "no conformer"}
    atoms = Atoms([a.GetSymbol() for a in molecule.GetAtoms()], molecule.GetConformer().GetPositions())
    atoms.calc = xtb(METHOD)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            converged = BFGS(atoms, logfile=None).run(fmax=FMAX, steps=STEPS)
        except (RuntimeError, ValueError):
            converged = False
    if not converged:
        return {"graph": smiles, "dropped": "not at rest"}
    if not same_bonds(molecule, atoms):
        return {"graph": smiles, "dropped": "bonds changed"}
    atoms.positions = (atoms.positions - atoms.get_center_of_mass()).round(DECIMALS)
    found = labels(atoms)
    if found["gap"] < LEAST_GAP:
        return {"graph": smiles, "dropped": "small gap"}
    return {
        "graph": smiles,
        "smiles": isomer(molecule, atoms),
        "symbols": atoms.get_chemical_symbols(),
        "positions": atoms.positions.tolist(),
        "bonds": bonds(molecule),
        **found,
    }


def isomer(molecule: Mol, atoms: Atoms) -> str:
    """Canonical SMILES with the stereochemistry of the positions."""
    placed = Chem.Mol(molecule)
    placed.GetConformer().SetPositions(atoms.positions)
    Chem.SanitizeMol(placed)
    Chem.AssignStereochemistryFrom3D(placed)
    return Chem.MolToSmiles(Chem.RemoveHs(placed))


def labels(atoms: Atoms) -> dict[str, Any]:
    """Total energy and gap between the frontier orbitals in eV, dipole in e·Å, of exactly these positions."""
    calculator = Calculator(METHOD, atoms.numbers, atoms.positions / Bohr)
    calculator.set("verbosity", 0)
    calculator.set("accuracy", 0.1)
    result = calculator.singlepoint()
    levels, filled = result.get("orbital-energies"), result.get("orbital-occupations") > 1
    return {
        "energy": float(result.get("energy")) * Hartree,
        "gap": float(levels[~filled].min() - levels[filled].max()) * Hartree,
        "dipole": (result.get("dipole") * Bohr).tolist(),
    }


def all_computed(smiles: list[str], partial: Path, workers: int) -> list[dict[str, Any]]:
    """The rows of these molecules in their order; every row is written to `partial` as soon as it is there."""
    rows = {}
    if partial.exists():
        lines = partial.read_text(encoding="utf-8").splitlines(keepends=True)
        rows = {row["graph"]: row for row in (json.loads(line) for line in lines if line.endswith("\n"))}
        partial.write_text("".join(line for line in lines if line.endswith("\n")), encoding="utf-8")
    missing = [one for one in smiles if one not in rows]
    with partial.open("a", encoding="utf-8") as file, ProcessPoolExecutor(workers) as pool:
        for row in pool.map(computed, missing):
            rows[row["graph"]] = row
            file.write(json.dumps(row) + "\n")
            file.flush()
    return [rows[one] for one in smiles]


def record(row: dict[str, Any]) -> str:
    """The record of an SD file: atoms and bonds without the columns that would hold nothing but zeros."""
    lines = [
        "",
        "     GFN2-xTB       3D",
        "",
        f"{len(row['symbols']):3d}{len(row['bonds']):3d}  0  0  0  0            999 V2000",
    ]
    for symbol, (x, y, z) in zip(row["symbols"], row["positions"], strict=True):
        lines.append(f"{x + 0.0:10.4f}{y + 0.0:10.4f}{z + 0.0:10.4f} {symbol:<3}")
    lines += [f"{i + 1:3d}{j + 1:3d}{order:3d}" for i, j, order in row["bonds"]]
    dipole = np.array(row["dipole"])
    items = {
        "smiles": row["smiles"],
        "energy": f"{row['energy']:.5f}",
        "gap": f"{row['gap']:.4f}",
        "dipole": f"{np.linalg.norm(dipole):.4f}",
        "dipole_vector": " ".join(f"{component + 0.0:.4f}" for component in dipole.round(4)),
    }
    lines += ["M  END", *(f"> <{name}>\n{value}\n" for name, value in items.items()), "$$$$"]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder that gets small_molecules")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--limit", type=int, default=None, help="only the first N molecules, to try it")
    options = parser.parse_args()
    folder = options.out / "small_molecules"
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / "partial.jsonl"
    rows = all_computed(chosen()[: options.limit], partial, options.workers)
    kept = [row for row in rows if "dropped" not in row]
    for reason in sorted({row["dropped"] for row in rows if "dropped" in row}):
        print(f"{sum(row.get('dropped') == reason for row in rows)} left out: {reason}")
    test = set(np.random.default_rng(SEED).choice(len(kept), round(TEST_SHARE * len(kept)), replace=False).tolist())
    for part in ("train", "test"):
        members = [row for k, row in enumerate(kept) if (k in test) == (part == "test")]
        (folder / f"{part}.sdf").write_text("".join(map(record, members)), encoding="utf-8", newline="\n")
        print(f"{folder / part}.sdf: {len(members)} molecules, {sum(len(row['symbols']) for row in members)} atoms")
    partial.unlink()


if __name__ == "__main__":
    main()
