"""How much energy a molecule gives off when it relaxes, by MMFF94s or GFN2-xTB, and how far its atoms go.

MMFF94s: Halgren, J. Comput. Chem. 20, 720 (1999), as in RDKit; it keeps the bonds that it is given, and forces between
fragments are left out. GFN2-xTB needs no bonds: atoms may rearrange, and whether they do is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eqcli.elements import COVALENT_RADII
from eqcli.errors import InputError
from eqcli.io.rdkit_molecule import molecule_of, sanitised
from eqcli.io.structure import Structure
from eqcli.metrics.molecules.xtb import METHOD, require_tblite, xtb_atoms
from eqcli.metrics.work import Outcome, measure
from eqcli.progress import Reporter
from eqcli.units import ENERGY

FloatArray = NDArray[np.float64]
StrainMethod = Literal["mmff", "xtb"]

STRETCH = 1.3
"""Atoms nearer than this times the sum of their covalent radii count as bonded, before and after."""
MMFF_STEPS = 5000
XTB_FMAX, XTB_STEPS = 0.05, 200
"""eV/Å, and steps of BFGS."""


@dataclass(frozen=True)
class Strain:
    """What became of one molecule that relaxed to the minimum next to it.

    Attributes
    ----------
    method
        `MMFF94s` or `GFN2-xTB`.
    energy
        eV; that of the structure less that of the minimum.
    per_atom
        eV, `energy` over the number of all atoms.
    rmsd
        Å; how far the heavy atoms went, after the best superposition; of all atoms where none is heavy.
    graph_kept
        Whether the same atoms are near enough to be bonded (`STRETCH`) before and after.
    converged
        Whether the minimum was reached; `energy` is a lower bound otherwise.
    """

    method: str
    energy: float
    per_atom: float
    rmsd: float
    graph_kept: bool
    converged: bool


def strain_mmff(structure: Structure, *, steps: int = MMFF_STEPS) -> Strain:
    """The strain by MMFF94s, with the bonds of `info["bonds"]`.

    Raises
    ------
    InputError
        RDKit cannot sanitise the molecule, it has radicals (as where hydrogens are missing), MMFF94s has no
        parameters for it, or its energy is not finite (atoms lie upon each other).
    """
    from rdkit import rdBase
    from rdkit.Chem import rdForceFieldHelpers as fields

    molecule = sanitised(molecule_of(structure))
    radicals = sum(atom.GetNumRadicalElectrons() for atom in molecule.GetAtoms())
    if radicals:
        raise InputError(f"MMFF94s knows no radicals, and this has {radicals} electrons unpaired", structure.where)
    with rdBase.BlockLogs():
        parameters = fields.MMFFGetMoleculeProperties(molecule, mmffVariant="MMFF94s")
        field = None if parameters is None else fields.MMFFGetMoleculeForceField(molecule, parameters)
    if field is None:
        raise InputError("MMFF94s has no parameters for this molecule", structure.where)
    field.Initialize()
    before = field.CalcEnergy()
    _check(before, structure)
    converged = field.Minimize(maxIts=steps) == 0
    relaxed = np.array(molecule.GetConformer().GetPositions(), dtype=np.float64)
    energies = [energy * ENERGY["kcal/mol"] for energy in (before, field.CalcEnergy())]
    return _strain("MMFF94s", structure, relaxed, energies, converged)


def strain_xtb(structure: Structure, *, fmax: float = XTB_FMAX, steps: int = XTB_STEPS) -> Strain:
    """The strain by GFN2-xTB: BFGS until no force is above `fmax` eV/Å, or for `steps` steps.

    Raises
    ------
    MissingDependency
        tblite is not installed.
    InputError
        It is no molecule, or the energy is not finite. What tblite raises, e.g. where charges do not become
        self-consistent, goes through.
    """
    from ase.optimize import BFGS

    atoms = xtb_atoms(structure)
    before = float(atoms.get_potential_energy())
    _check(before, structure)
    converged = bool(BFGS(atoms, logfile=None).run(fmax=fmax, steps=steps))
    return _strain(METHOD, structure, atoms.positions, [before, float(atoms.get_potential_energy())], converged)


def strains(
    structures: Sequence[Structure],
    method: StrainMethod = "mmff",
    *,
    workers: int | None = None,
    timeout: float | None = 60.0,
    report: Reporter | None = None,
) -> list[Outcome[Strain]]:
    """The strain of each structure, or why it has none. Raises MissingDependency where `xtb` needs tblite."""
    if method == "xtb":
        require_tblite()
    function = strain_mmff if method == "mmff" else strain_xtb
    label = f"strain ({method})"
    return measure(partial(function), structures, workers=workers, timeout=timeout, label=label, report=report)


def near_pairs(numbers: NDArray[np.int64], positions: FloatArray, stretch: float = STRETCH) -> set[tuple[int, int]]:
    """Pairs of atoms that are near enough to be bonded: below `stretch` times the sum of their covalent radii."""
    radii = np.asarray(COVALENT_RADII)[numbers]
    distances = np.linalg.norm(positions[:, None] - positions[None, :], axis=2)
    near = np.triu(distances < stretch * (radii[:, None] + radii[None, :]), k=1)
    return {(int(i), int(j)) for i, j in np.argwhere(near)}


def superposed_rmsd(first: FloatArray, second: FloatArray) -> float:
    """Å between two sets of points `[n, 3]`, one turned and moved onto the other; mirror images stay apart.

    The best rotation itself is not needed (Kabsch, Acta Cryst. A 32, 922 (1976)).
    """
    one, other = first - first.mean(axis=0), second - second.mean(axis=0)
    left, values, right = np.linalg.svd(one.T @ other)
    if np.linalg.det(left) * np.linalg.det(right) < 0:
        values[-1] = -values[-1]
    squares = (one**2).sum() + (other**2).sum() - 2 * values.sum()
    return float(np.sqrt(max(squares, 0.0) / len(first)))


def _check(energy: float, structure: Structure) -> None:
    if not np.isfinite(energy):
        raise InputError("the energy is not finite: atoms lie upon each other", structure.where)


def _strain(
    method: str, structure: Structure, relaxed: FloatArray, energies: Sequence[float], converged: bool
) -> Strain:
    if not (np.isfinite(relaxed).all() and np.isfinite(energies).all()):
        raise InputError("the relaxation ended without finite positions or energy", structure.where)
    heavy = structure.numbers > 1
    chosen = heavy if heavy.any() else ~heavy
    given = structure.positions
    return Strain(
        method=method,
        energy=energies[0] - energies[1],
        per_atom=(energies[0] - energies[1]) / len(structure),
        rmsd=superposed_rmsd(given[chosen], relaxed[chosen]),
        graph_kept=near_pairs(structure.numbers, given) == near_pairs(structure.numbers, relaxed),
        converged=converged,
    )
