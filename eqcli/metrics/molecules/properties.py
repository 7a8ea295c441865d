"""Properties of molecules: descriptors by RDKit, and what a GFN2-xTB calculation of the structure as it is gives."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import numpy as np

from eqcli.errors import InputError
from eqcli.io.rdkit_molecule import molecule_of, sanitised
from eqcli.io.structure import Structure
from eqcli.metrics.molecules.xtb import require_tblite, xtb_atoms
from eqcli.metrics.work import Outcome, measure
from eqcli.progress import Reporter
from eqcli.units import ENERGY, LABELS

Values = dict[str, float]
PropertyKind = Literal["descriptors", "xtb"]

UNITS = {
    "molecular_weight": "g/mol",
    "log_p": "",
    "tpsa": "Angstrom^2",
    "qed": "",
    "fraction_sp3": "",
    "rings": "",
    "aromatic_rings": "",
    "rotatable_bonds": "",
    "hydrogen_bond_donors": "",
    "hydrogen_bond_acceptors": "",
    "formal_charge": "e",
    "heavy_atoms": "",
    "gap": "eV",
    "dipole": "e*Angstrom",
    "dipole_debye": "Debye",
    "energy_per_atom": "eV",
}
"""Every property and its unit."""
COUNTS = frozenset(
    {"rings", "aromatic_rings", "rotatable_bonds", "hydrogen_bond_donors", "hydrogen_bond_acceptors",
     "formal_charge", "heavy_atoms"}
)  # fmt: skip
"""Properties that are whole numbers."""


def descriptors_of(structure: Structure) -> Values:
    """RDKit's descriptors of a molecule with the bonds of `info["bonds"]`, in the order of `UNITS`.

    log_p and tpsa are the atom contributions of Wildman and Crippen (1999) and Ertl et al. (2000), qed is the
    estimate of Bickerton et al. (2012). RDKit's score of synthetic accessibility is left out: its table is a pickle.

    Raises
    ------
    InputError
        There are no bonds, or RDKit cannot sanitise the molecule.
    """
    from rdkit import Chem, rdBase
    from rdkit.Chem import QED, Crippen, Descriptors
    from rdkit.Chem import rdMolDescriptors as counted

    crippen: Any = Crippen
    descriptors: Any = Descriptors
    molecule = sanitised(molecule_of(structure))
    with rdBase.BlockLogs():
        # Hydrogens that are atoms would count as substituents in some patterns.
        plain = Chem.RemoveHs(molecule)
        values: Values = {
            "molecular_weight": descriptors.MolWt(plain),
            "log_p": crippen.MolLogP(plain),
            "tpsa": counted.CalcTPSA(plain),
            "qed": QED.qed(plain),
            "fraction_sp3": counted.CalcFractionCSP3(plain),
            "rings": counted.CalcNumRings(plain),
            "aromatic_rings": counted.CalcNumAromaticRings(plain),
            "rotatable_bonds": counted.CalcNumRotatableBonds(plain),
            "hydrogen_bond_donors": counted.CalcNumHBD(plain),
            "hydrogen_bond_acceptors": counted.CalcNumHBA(plain),
            "formal_charge": Chem.GetFormalCharge(plain),
            "heavy_atoms": plain.GetNumHeavyAtoms(),
        }
    return {name: float(values[name]) for name in UNITS if name in values}


def xtb_properties_of(structure: Structure) -> Values:
    """Gap of HOMO and LUMO, length of the dipole (in e Å and in Debye) and energy per atom by GFN2-xTB, unrelaxed.

    The dipole of an ion is that about its centre of mass.

    Raises
    ------
    MissingDependency
        tblite is not installed.
    InputError
        It is no molecule, or has no empty or no filled orbital. What tblite raises goes through.
    """
    atoms = xtb_atoms(structure)
    atoms.positions -= atoms.get_center_of_mass()
    energy = float(atoms.get_potential_energy())
    # ASE has no name for orbitals: they are in tblite's own results.
    results = atoms.calc._res
    dipole = float(np.linalg.norm(atoms.get_dipole_moment()))
    return {
        "gap": gap_of(results["orbital-energies"], results["orbital-occupations"]) * ENERGY["Hartree"],
        "dipole": dipole,
        "dipole_debye": dipole / LABELS["Debye"][1],
        "energy_per_atom": energy / len(atoms),
    }


def gap_of(energies: Any, occupations: Any) -> float:
    """Lowest energy of an orbital that is less than half full, less the highest of the others, in their unit.

    A singly occupied orbital counts as filled. Raises InputError where all are filled or none is.
    """
    levels, electrons = np.ravel(energies), np.ravel(occupations)
    filled = electrons >= 0.5
    if filled.all() or not filled.any():
        raise InputError("it has no empty or no filled orbital, and so no gap")
    return float(levels[~filled].min() - levels[filled].max())


def properties(
    structures: Sequence[Structure],
    kind: PropertyKind = "descriptors",
    *,
    workers: int | None = None,
    timeout: float | None = 30.0,
    report: Reporter | None = None,
) -> list[Outcome[Values]]:
    """The properties of each structure, or why it has none. Raises MissingDependency where `xtb` needs tblite."""
    if kind == "xtb":
        require_tblite()
    function = descriptors_of if kind == "descriptors" else xtb_properties_of
    label = f"properties ({kind})"
    return measure(partial(function), structures, workers=workers, timeout=timeout, label=label, report=report)
