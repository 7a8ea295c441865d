"""A model as an ASE calculator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from eqcli.engine.hosted import HostedModel
from eqcli.engine.predictor import require_evaluable
from eqcli.graph.atom_graph import AtomGraph, build_graph
from eqcli.io.structure import Structure
from eqcli.nn.backend import Backend

if TYPE_CHECKING:
    from ase import Atoms

    from eqcli.engine.model_file import ModelFile


class PotentialCalculator(Calculator):
    """Energy, forces and stress of `Atoms` by a loaded model, in its precision and on its device.

    The neighbour list is made anew for each geometry, results are kept until the
    atoms change, and global settings of torch are left alone. There is a stress
    for structures that are periodic in three directions, in ASE's sign and order
    (tensile positive; xx yy zz yz xz xy). For the total charge see :func:`total_charge`.

    Parameters
    ----------
    model
        The loaded model.
    backend
        Kernels for messages between atoms.

    Raises
    ------
    InputError
        An element that the model does not know, a charge it does not take, an unusable geometry.

    Attributes
    ----------
    graph
        The graph of the last geometry that was calculated.
    """

    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress"]  # noqa: RUF012 (as ASE has it)

    def __init__(self, model: ModelFile, *, backend: str | Backend = Backend.AUTO) -> None:
        super().__init__()
        self.hosted = HostedModel(model, backend)
        self.potential = model.potential
        self.graph: AtomGraph | None = None

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """What has changed since the last calculation; ASE itself does not look at `info`."""
        changes: list[str] = super().check_state(atoms, tol=tol)
        if (
            self.atoms is not None
            and "initial_charges" not in changes
            and total_charge(atoms) != total_charge(self.atoms)
        ):
            changes.append("initial_charges")
        return changes

    def calculate(
        self, atoms: Atoms | None = None, properties: Sequence[str] = ("energy",), system_changes: Any = all_changes
    ) -> None:
        """Fills `results` with everything that the model gives for `atoms`."""
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        atoms = self.atoms
        positions, cell, pbc = atoms.positions, atoms.cell.array, atoms.pbc
        charge = total_charge(atoms)
        structure = Structure(atoms.numbers, positions, cell, pbc, charge=charge, info=atoms.info)
        require_evaluable(self.potential, structure)
        self.graph = build_graph(
            atoms.numbers, positions, cell, pbc, self.potential.cutoff, charge=charge, spin=structure.spin
        )
        prediction = self.hosted.evaluate(self.graph, stress=bool(pbc.all()))
        values = {key: value.cpu().numpy() for key, value in prediction.items()}
        energy = float(values["energy"][0])
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "energies": values["atomic_energies"],
            "forces": values["forces"],
        }
        if "stress" in values:
            self.results["stress"] = full_3x3_to_voigt_6_stress(values["stress"][0])


CHARGE_DIGITS = 2
"""Digits of a sum of partial charges that mean something: files round each."""


def total_charge(atoms: Atoms) -> float | None:
    """The total charge in e: `atoms.info["charge"]`, else the sum of the initial charges; None without either."""
    stated = atoms.info.get("charge")
    if stated is not None:
        return float(stated)
    if not atoms.has("initial_charges"):
        return None
    # Adding zero takes the sign off a negative zero.
    return round(float(atoms.get_initial_charges().sum()), CHARGE_DIGITS) + 0.0
