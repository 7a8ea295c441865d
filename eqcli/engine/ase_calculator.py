"""A model as an ASE calculator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from eqcli.engine.device import threads_for
from eqcli.engine.predictor import require_evaluable
from eqcli.graph.atom_graph import AtomGraph, build_graph
from eqcli.io.structure import Structure
from eqcli.models.potentials.derive import evaluate

if TYPE_CHECKING:
    from ase import Atoms

    from eqcli.engine.model_file import ModelFile


class PotentialCalculator(Calculator):
    """Energy, forces and stress of `Atoms` by a loaded model, in its precision and on its device.

    The neighbour list is made anew for each geometry, results are kept until the
    atoms change, and global settings of torch are left alone. There is a stress
    for structures that are periodic in three directions, in ASE's sign and order
    (tensile positive; xx yy zz yz xz xy). A total charge is taken from `atoms.info["charge"]`.

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

    def __init__(self, model: ModelFile) -> None:
        super().__init__()
        self.potential = model.potential
        self.graph: AtomGraph | None = None

    def calculate(
        self, atoms: Atoms | None = None, properties: Sequence[str] = ("energy",), system_changes: Any = all_changes
    ) -> None:
        """Fills `results` with everything that the model gives for `atoms`."""
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        atoms = self.atoms
        positions, cell, pbc = atoms.positions, atoms.cell.array, atoms.pbc
        charge = atoms.info.get("charge")
        require_evaluable(self.potential, Structure(atoms.numbers, positions, cell, pbc, charge=charge))
        self.graph = build_graph(atoms.numbers, positions, cell, pbc, self.potential.cutoff)
        device = next(self.potential.parameters()).device
        with threads_for(self.graph.edge_index.shape[1]):
            prediction = evaluate(self.potential, self.graph.to(device), stress=bool(pbc.all()))
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
