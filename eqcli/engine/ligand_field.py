"""The energy of a ligand's own bonds, angles, torsions and contacts: MMFF94s, or UFF where that lacks parameters.

As in RDKit; charges act with a dielectric that grows with the distance, since the ligand is not in a vacuum: bare
charges would fold it upon itself. Energies are in kcal/mol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eqcli.errors import InputError

if TYPE_CHECKING:
    from eqcli.io.ligand import Ligand

FloatArray = NDArray[np.float64]

DIELECTRIC = 4.0
STEPS = 500
"""Steps of the minimisation of a free conformer."""


class LigandField:
    """The force field of one ligand.

    Raises
    ------
    InputError
        Neither force field has the parameters, or RDKit refuses the molecule.
    """

    def __init__(self, ligand: Ligand) -> None:
        from rdkit import rdBase

        from eqcli.io.rdkit_molecule import molecule_of, sanitised

        self.molecule = sanitised(molecule_of(ligand.structure))
        with rdBase.BlockLogs():
            self.name, self._field = _field(self.molecule)
        self._field.Initialize()

    def energy(self, positions: FloatArray) -> float:
        """kcal/mol at `[N, 3]` Å."""
        return float(self._field.CalcEnergy(positions.reshape(-1).tolist()))

    def energy_and_gradient(self, positions: FloatArray) -> tuple[float, FloatArray]:
        """kcal/mol, and kcal/mol/Å `[N, 3]`."""
        flat = positions.reshape(-1).tolist()
        # The energy comes first: RDKit takes its gradient from distances that the last energy was made of.
        energy = float(self._field.CalcEnergy(flat))
        return energy, np.asarray(self._field.CalcGrad(flat), dtype=np.float64).reshape(-1, 3)

    def relaxed_energy(self, positions: FloatArray, steps: int = STEPS) -> float:
        """kcal/mol of the free minimum next to a conformer `[N, 3]`."""
        self.molecule.GetConformer().SetPositions(np.ascontiguousarray(positions))
        with _quiet():
            self._field.Initialize()
            self._field.Minimize(maxIts=steps)
        return float(self._field.CalcEnergy())


def strains(field: LigandField, poses: FloatArray, conformers: FloatArray) -> list[float | None]:
    """kcal/mol by which each pose `[P, N, 3]` lies above the lowest free minimum that is known; None if not finite.

    Known are the minima next to the conformers `[C, N, 3]` and next to the first pose.
    """
    starts = [*conformers, *poses[:1]]
    free = [energy for energy in map(field.relaxed_energy, starts) if np.isfinite(energy)]
    if not free:
        return [None] * len(poses)
    found = [field.energy(pose) - min(free) for pose in poses]
    return [value if np.isfinite(value) else None for value in found]


def _field(molecule: Any) -> tuple[str, Any]:
    from rdkit.Chem import rdForceFieldHelpers as fields

    parameters = fields.MMFFGetMoleculeProperties(molecule, mmffVariant="MMFF94s")
    if parameters is not None:
        parameters.SetMMFFDielectricModel(True)
        parameters.SetMMFFDielectricConstant(DIELECTRIC)
        field = fields.MMFFGetMoleculeForceField(molecule, parameters)
        if field is not None:
            return "MMFF94s", field
    if fields.UFFHasAllMoleculeParams(molecule):
        return "UFF", fields.UFFGetMoleculeForceField(molecule)
    raise InputError("neither MMFF94s nor UFF has parameters for this ligand")


def _quiet() -> Any:
    from rdkit import rdBase

    return rdBase.BlockLogs()
