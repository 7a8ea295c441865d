"""PoseBusters' checks of docked poses (Buttenschoen, Morris, Deane, Chem. Sci. 15, 3130 (2024)), as they are.

`redock` compares with the crystal ligand (formula, bonds, chirality), `dock` has none to compare with. The check of the
RMSD is left out of the verdict, which is reported beside it. PoseBusters is given the residues of the receptor within
`REACH` of the pose alone: its checks look 6 Å far, and of a whole complex of many chains they take minutes.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from eqcli.errors import InputError
from eqcli.io.rdkit_molecule import molecule_of, sanitised
from eqcli.io.structure import Structure
from eqcli.metrics.posebusters import Checks, posebusters, quiet_posebusters, require_posebusters, verdict
from eqcli.metrics.work import Outcome, measure
from eqcli.progress import Reporter

if TYPE_CHECKING:
    from rdkit.Chem import Mol

REACH: Final = 8.0
"""Å. More than PoseBusters looks."""
TIMEOUT: Final = 60.0
"""Seconds for the checks of one pose."""


@dataclass(frozen=True)
class PosedPair:
    """What is checked.

    Attributes
    ----------
    pose
        The ligand with `info["bonds"]`, as docked.
    receptor
        Its atoms, with the arrays of a :class:`eqcli.io.receptor.Receptor`.
    crystal
        The ligand as the crystal has it, or None where that is unknown.
    """

    pose: Structure
    receptor: Structure
    crystal: Structure | None = None


def pose_checks(
    pairs: Sequence[PosedPair],
    *,
    workers: int | None = None,
    timeout: float | None = TIMEOUT,
    report: Reporter | None = None,
) -> list[Outcome[Checks]]:
    """The checks of each pose, or why there are none (such as that they took longer than `timeout` seconds).

    Raises nothing but MissingDependency.
    """
    require_posebusters("docking")
    near = [replace(pair, receptor=near_pose(pair.receptor, pair.pose.positions)) for pair in pairs]
    return measure(checks_of_pose, near, workers=workers, timeout=timeout, label="PoseBusters", report=report)


def checks_of_pose(pair: PosedPair) -> Checks:
    """The checks of a pose, without that of the RMSD.

    Raises
    ------
    MissingDependency
        posebusters is not installed.
    InputError
        The pose has no bonds, or bonds that are none of these atoms.
    """
    require_posebusters("docking")
    receptor = receptor_molecule(pair.receptor)
    with quiet_posebusters():
        busters = posebusters("dock" if pair.crystal is None else "redock")
        crystal = None if pair.crystal is None else _molecule(pair.crystal)
        row = busters.bust([_molecule(pair.pose)], crystal, receptor).iloc[0].to_dict()
    return Checks({str(name): verdict(value) for name, value in row.items() if not str(name).startswith("rmsd")})


def near_pose(receptor: Structure, positions: NDArray[np.float64]) -> Structure:
    """The residues with any atom within `REACH` of the pose; the nearest one where none is, so that it is too far."""
    from scipy.spatial import cKDTree

    distances, _ = cKDTree(positions).query(receptor.positions)
    residues = np.asarray(receptor.arrays["residue"])
    reached = distances <= max(REACH, float(distances.min()) + 1e-6)
    kept = np.isin(residues, np.unique(residues[reached]))
    arrays = {name: values[kept] for name, values in receptor.arrays.items()}
    return Structure(receptor.numbers[kept], receptor.positions[kept], arrays=arrays, where=receptor.where)


def receptor_molecule(receptor: Structure) -> Mol:
    """The atoms of a receptor without bonds, with the names by which PoseBusters tells protein from cofactors."""
    from rdkit import Chem
    from rdkit.Chem.rdchem import AtomPDBResidueInfo

    molecule = Chem.RWMol()
    arrays = receptor.arrays
    for i, number in enumerate(receptor.numbers.tolist()):
        atom = Chem.Atom(number)
        atom.SetNoImplicit(True)
        said = AtomPDBResidueInfo()
        said.SetName(str(arrays["atom_name"][i])[:4].ljust(4))
        said.SetResidueName(str(arrays["residue_name"][i]))
        said.SetChainId(str(arrays["chain"][i]))
        said.SetResidueNumber(int(arrays["residue"][i]))
        said.SetIsHeteroAtom(bool(arrays["hetero"][i]))
        atom.SetMonomerInfo(said)
        molecule.AddAtom(atom)
    conformer = Chem.Conformer(len(receptor))
    conformer.Set3D(True)
    conformer.SetPositions(np.ascontiguousarray(receptor.positions))
    molecule.AddConformer(conformer)
    plain: Mol = molecule.GetMol()
    return plain


def _molecule(structure: Structure) -> Mol:
    """Sanitised where that is possible: radicals are known only then."""
    molecule = molecule_of(structure)
    with suppress(InputError):
        molecule = sanitised(molecule)
    return molecule
