"""Relaxation of one structure: atoms, and on request the cell, moved to where the forces vanish.

The optimisers, the cell coordinates and the constraints are ASE's; what counts as
converged is decided here, on the forces and the stress themselves.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from eqcli.engine.device import out_of_memory
from eqcli.engine.space_group import space_group, symmetry_constraint, symmetry_error
from eqcli.errors import EqcliError, InputError
from eqcli.graph.distances import closest_contact
from eqcli.io.ase_bridge import to_ase
from eqcli.units import STRESS

if TYPE_CHECKING:
    from ase import Atoms
    from ase.constraints import FixSymmetry
    from ase.optimize.optimize import Optimizer

    from eqcli.engine.ase_calculator import PotentialCalculator
    from eqcli.io.structure import Structure

CellMode = Literal["none", "isotropic", "full"]
OptimizerName = Literal["fire", "lbfgs"]

MIN_CONTACT = 0.35
"""Atoms closer than this share of the sum of their covalent radii have fallen into a hole of the model."""

MAX_VOLUME_CHANGE = 8.0
"""A cell that grows or shrinks by more than this factor is no longer the structure that was asked for."""


@dataclass(frozen=True)
class RelaxSettings:
    """How to relax.

    Attributes
    ----------
    fmax
        Converged when no free atom has a larger force, eV/Å.
    smax
        And, where the cell moves, no component of the stress differs more from that of the target pressure, eV/Å^3
        (`isotropic`: their mean over the diagonal).
    steps
        Most steps.
    cell
        `none` keeps the cell, `isotropic` scales it, `full` changes its shape too. Fixed atoms keep their place in
        the cell.
    pressure
        Target pressure, GPa.
    optimizer
        `fire` or `lbfgs`.
    keep_symmetry
        Keep the space group of the start.
    symprec
        Distance in Å within which symmetries are found.
    """

    fmax: float = 0.01
    smax: float = 1e-4
    steps: int = 500
    cell: CellMode = "none"
    pressure: float = 0.0
    optimizer: OptimizerName = "fire"
    keep_symmetry: bool = False
    symprec: float = 1e-3

    def __post_init__(self) -> None:
        for name in ("fmax", "smax", "symprec"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be positive, not {getattr(self, name)}")
        if self.steps < 0:
            raise InputError(f"steps must not be negative, as {self.steps} is")
        for name, known in (("cell", ("none", "isotropic", "full")), ("optimizer", ("fire", "lbfgs"))):
            if getattr(self, name) not in known:
                raise InputError(f"unknown {name} '{getattr(self, name)}'", hint=f"Use {', '.join(known)}.")
        if not np.isfinite(self.pressure):
            raise InputError(f"the pressure must be a number, not {self.pressure}")
        if self.pressure and self.cell == "none":
            raise InputError("a pressure needs a cell that can move", hint="Add --cell full or --cell isotropic.")


@dataclass(frozen=True)
class Point:
    """Where a relaxation is: energy in eV, largest force in eV/Å and stress deviation in eV/Å^3 (None without cell)."""

    step: int
    energy: float
    fmax: float
    smax: float | None
    volume: float | None


class Relaxation:
    """One structure on its way to a minimum; `run` yields every geometry, and afterwards the results stand here.

    Raises InputError at once for what cannot be done: a moving cell of a
    structure that is not periodic in three directions, no symmetry to keep,
    an element that the model does not know.

    Attributes
    ----------
    start, point
        First and present point.
    converged
        Whether the present point meets the criterion.
    space_group_before, space_group_after
        None for structures without three periods.
    """

    def __init__(self, structure: Structure, calculator: PotentialCalculator, settings: RelaxSettings) -> None:
        require_relaxable(structure, settings)
        self.structure = structure
        self.settings = settings
        self.calculator = calculator
        self.free = structure.free_directions
        self.atoms = to_ase(structure)
        self.space_group_before = space_group(self.atoms, settings.symprec)
        self.space_group_after = self.space_group_before
        self.symmetry = self._constrain()
        self.atoms.calc = calculator
        self.converged = False
        self.start = self.point = self._measure(0)
        self._contact_at_start = self._contact_ratio()
        self._require_sane()

    def run(self) -> Iterator[Structure]:
        """Relaxes, yielding the structure at each step, the first one included.

        Raises EqcliError when the path leads nowhere: values that are not
        finite, atoms that fall into each other, a cell that explodes, a lost symmetry.
        """
        self.converged = self._is_converged()
        yield self.present()
        if not self.converged and self.settings.steps > 0:
            yield from self._steps()
        self.space_group_after = space_group(self.atoms, self.settings.symprec)
        if self.symmetry is not None:
            self._require_symmetry(self.symmetry)

    def present(self) -> Structure:
        """The structure as it is now, with energy, forces, stress, and how far it is from converged."""
        results = self.calculator.results
        info = {k: v for k, v in self.structure.info.items() if not k.startswith("REF_")}
        arrays = {k: v for k, v in self.structure.arrays.items() if not k.startswith("REF_")}
        info |= {"converged": bool(self.converged), "relax_steps": self.point.step, "fmax": self.point.fmax}
        if self.point.smax is not None:
            info["smax"] = self.point.smax
        periodic = bool(self.structure.pbc.all())
        return replace(
            self.structure,
            positions=self.atoms.positions.copy(),
            cell=self.atoms.cell.array.copy(),
            energy=self.point.energy,
            forces=results["forces"].copy(),
            stress=self.atoms.get_stress(voigt=False, apply_constraint=False) if periodic else None,
            info=info,
            arrays={**arrays, "atomic_energies": results["energies"].copy()},
        )

    def _constrain(self) -> FixSymmetry | None:
        kept = list(self.atoms.constraints)
        symmetry = None
        if self.settings.keep_symmetry:
            # Fixed atoms too are refined to the symmetry.
            self.atoms.set_constraint()
            symmetry = symmetry_constraint(self.atoms, self.structure.fixed, self.settings.symprec)
            self.atoms.set_constraint([*kept, symmetry])
        return symmetry

    def _steps(self) -> Iterator[Structure]:
        optimizer = _make_optimizer(self.atoms, self.settings)
        path = optimizer.irun(fmax=0.0, steps=self.settings.steps)
        next(path)  # the starting point, known already
        for step in range(1, self.settings.steps + 1):
            with warnings.catch_warnings():
                # FixSymmetry warns of large steps; whether the symmetry holds is checked at the end.
                warnings.simplefilter("ignore")
                _advance(path, step)
            self.point = self._measure(step)
            self._require_sane()
            self.converged = self._is_converged()
            yield self.present()
            if self.converged:
                return

    def _measure(self, step: int) -> Point:
        energy = float(self.atoms.get_potential_energy())
        forces = self.atoms.get_forces(apply_constraint=False) * self.free
        fmax = float(np.linalg.norm(forces, axis=1).max(initial=0.0))
        volume = float(self.atoms.get_volume()) if self.structure.pbc.all() else None
        return Point(step, energy, fmax, self._stress_deviation(), volume)

    def _stress_deviation(self) -> float | None:
        if self.settings.cell == "none":
            return None
        stress = self.atoms.get_stress(voigt=False, apply_constraint=False)
        deviation = stress + self.settings.pressure * STRESS["GPa"] * np.eye(3)
        return float(abs(deviation.trace() / 3) if self.settings.cell == "isotropic" else np.abs(deviation).max())

    def _is_converged(self) -> bool:
        smax = self.point.smax
        return self.point.fmax < self.settings.fmax and (smax is None or smax < self.settings.smax)

    def _contact_ratio(self) -> float:
        contact = closest_contact(self.calculator.graph) if self.calculator.graph is not None else None
        return contact.ratio if contact else np.inf

    def _require_sane(self) -> None:
        values = (self.point.energy, self.point.fmax, self.point.smax or 0.0)
        contact = closest_contact(self.calculator.graph) if self.calculator.graph is not None else None
        if not np.isfinite(values).all():
            detail = f": {contact}" if contact else ""
            raise EqcliError(f"energy or forces are not finite at step {self.point.step}{detail}")
        if contact and contact.ratio < MIN_CONTACT <= self._contact_at_start:
            raise EqcliError(f"the atoms fell into each other at step {self.point.step}: {contact}")
        change = self.point.volume / self.start.volume if self.point.volume and self.start.volume else 1.0
        if not 1 / MAX_VOLUME_CHANGE < change < MAX_VOLUME_CHANGE:
            raise EqcliError(f"the volume changed by a factor of {change:.3g} by step {self.point.step}")

    def _require_symmetry(self, constraint: FixSymmetry) -> None:
        error = symmetry_error(self.atoms, constraint)
        if error > self.settings.symprec:
            raise EqcliError(
                f"the relaxation lost the symmetry {self.space_group_before} by {error:.2g} Å; "
                f"it is now {self.space_group_after}"
            )


def require_relaxable(structure: Structure, settings: RelaxSettings) -> None:
    """Raises InputError for a moving cell without three periods, and for held directions that mean nothing there."""
    if settings.cell != "none" and not structure.pbc.all():
        raise InputError(
            "the cell cannot be relaxed: the structure is not periodic in three directions", hint="Use --cell none."
        )
    free = structure.free_directions
    if not (free.any(axis=1) & ~free.all(axis=1)).any():
        return
    # Files and symmetries mean other directions than x, y and z.
    cell = structure.cell[structure.pbc]
    if (np.count_nonzero(np.abs(cell) > 1e-8, axis=1) > 1).any():
        raise InputError(
            "atoms are held in some directions only, and the lattice vectors are not along x, y and z",
            hint="Hold these atoms fully or not at all, or orient the cell along the axes.",
        )
    if settings.keep_symmetry or settings.cell != "none":
        raise InputError(
            "atoms held in some directions only allow neither a moving cell nor a kept symmetry",
            hint="Use --cell none without --keep-symmetry, or hold these atoms fully.",
        )


def _make_optimizer(atoms: Atoms, settings: RelaxSettings) -> Optimizer:
    from ase.filters import FrechetCellFilter

    from eqcli.engine.optimizers import make_optimizer

    if settings.cell == "none":
        return make_optimizer(settings.optimizer, atoms)
    pressure = settings.pressure * STRESS["GPa"]
    isotropic = settings.cell == "isotropic"
    cell_and_atoms = FrechetCellFilter(atoms, hydrostatic_strain=isotropic, scalar_pressure=pressure)
    return make_optimizer(settings.optimizer, cell_and_atoms)


def _advance(path: Iterator[bool], step: int) -> None:
    """One step of an ASE optimiser; its own complaints become errors that a batch can list."""
    try:
        next(path)
    except RuntimeError as error:
        if out_of_memory(error):
            raise EqcliError(f"there was not enough memory at step {step}") from error
        if "FixSymmetry" in str(error):
            raise EqcliError(f"the cell moved too far at once at step {step} to keep the symmetry") from error
        raise
    except np.linalg.LinAlgError as error:
        raise EqcliError(f"the cell became unusable at step {step}: {error}") from error
