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
from eqcli.models.potentials.properties import properties_of
from eqcli.nn.backend import Backend

if TYPE_CHECKING:
    from ase import Atoms

    from eqcli.engine.model_file import ModelFile
    from eqcli.models.potentials.properties import Property


class PotentialCalculator(Calculator):
    """Energy, forces and stress of `Atoms` by a loaded model, in its precision and on its device.

    The neighbour list is made anew for each geometry, results are kept until the
    atoms change, and global settings of torch are left alone. There is a stress
    for structures that are periodic in three directions, in ASE's sign and order
    (tensile positive; xx yy zz yz xz xy). For the total charge see :func:`total_charge`.
    Properties of the model stand among `results` by their names; a head of kind dipole or
    charges is ASE's `dipole` (e Å) or `charges` (e) too.

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
        self.properties = properties_of(self.potential.config)
        standard = {"energy": ("energy", "free_energy", "energies"), "forces": ("forces",), "stress": ("stress",)}
        given = [name for output, names in standard.items() if output in self.potential.outputs for name in names]
        # ASE takes the properties that it asks for from this list, of the calculator or of its class.
        self.implemented_properties = list(dict.fromkeys([*given, *(n for p in self.properties for n in _names(p))]))

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
        self.results = {}
        if "energy" in values:
            energy = float(values["energy"][0])
            self.results = {"energy": energy, "free_energy": energy, "energies": values["atomic_energies"]}
        if "forces" in values:
            self.results["forces"] = values["forces"]
        if "stress" in values:
            self.results["stress"] = full_3x3_to_voigt_6_stress(values["stress"][0])
        for wanted in self.properties:
            if wanted.defined(structure):
                value = values[wanted.name] if wanted.per_atom else values[wanted.name][0]
                self.results |= dict.fromkeys(_names(wanted), value if value.ndim else float(value))


def _names(wanted: Property) -> list[str]:
    """Names of a property among the results: its own, and ASE's where the meaning and the unit are ASE's."""
    known = {("dipole", "e*Angstrom"): "dipole", ("charges", "e"): "charges"}
    standard = known.get((wanted.config.kind, wanted.unit))
    return [standard, wanted.name] if standard and standard != wanted.name else [wanted.name]


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
