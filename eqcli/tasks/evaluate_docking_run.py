"""One complex after the other: each method docks it, and its poses are measured against the crystal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eqcli.errors import EqcliError, Failure, InputError
from eqcli.io.structure import Structure
from eqcli.metrics.docking.docking_table import PairOutcome

if TYPE_CHECKING:
    from eqcli.engine.docking_box import Box
    from eqcli.engine.docking_pose import PoseResult
    from eqcli.metrics.docking.pose_errors import PoseErrors
    from eqcli.metrics.posebusters import Checks
    from eqcli.metrics.work import Outcome
    from eqcli.progress import Reporter
    from eqcli.tasks.evaluate_docking_input import DockingCase
    from eqcli.tasks.evaluate_docking_methods import Method

FloatArray = NDArray[np.float64]


@dataclass
class Docked:
    """What one method made of one complex.

    Attributes
    ----------
    poses
        The best first; none where it failed.
    errors
        Of each pose against the crystal.
    seconds
        Of the docking alone.
    failure
        Why there is no pose.
    checks
        What PoseBusters says of a pose, by its number; absent for those that were not asked for.
    clashes
        Of each pose with the receptor.
    strains
        kcal/mol of a pose, by its number.
    """

    case: DockingCase
    method: Method
    poses: Sequence[PoseResult] = ()
    errors: PoseErrors | None = None
    seconds: float = float("nan")
    failure: str = ""
    checks: dict[int, Outcome[Checks]] = field(default_factory=dict)
    clashes: list[int] = field(default_factory=list)
    strains: dict[int, float] = field(default_factory=dict)

    @property
    def best(self) -> int:
        """The pose with the lowest RMSD; the first of equals."""
        assert self.errors is not None
        return int(np.argmin(self.errors.rmsd))

    def valid(self, pose: int) -> bool | None:
        """Whether a pose passes PoseBusters; None where that is unknown."""
        outcome = self.checks.get(pose)
        return None if outcome is None or outcome.value is None else outcome.value.passes

    def outcome(self) -> PairOutcome:
        """As the table counts it."""
        name, protein = self.case.name, self.case.protein
        if self.errors is None:
            return PairOutcome(name, protein, checked=self.case.checked, failed=True)
        return PairOutcome(
            name,
            protein,
            float(self.errors.rmsd[0]),
            float(self.errors.centroid[0]),
            float(self.errors.kabsch[0]),
            self.valid(0),
            float(self.errors.rmsd[self.best]),
            self.valid(self.best),
            len(self.poses),
            float(self.clashes[0]) if self.clashes else np.nan,
            self.strains.get(0, np.nan),
            self.seconds,
            self.case.checked,
        )


def dock_case(case: DockingCase, methods: Sequence[Method]) -> list[Docked]:
    """Every method on one complex; what one raises is its failure, and the others go on."""
    return [_dock(case, method) for method in methods]


def _dock(case: DockingCase, method: Method) -> Docked:
    from eqcli.metrics.docking.clashes import receptor_clashes
    from eqcli.metrics.docking.pose_errors import pose_errors

    found = Docked(case, method)
    try:
        if method.prepare is not None:
            method.prepare(case.receptor)
        begun = perf_counter()
        poses = method.dock(case.receptor, case.ligand, case.conformer, _site(case, method))
        found.seconds = float(getattr(poses, "seconds", perf_counter() - begun))
        if not poses:
            raise InputError("no pose was found")
        positions = np.stack([pose.positions for pose in poses])
        if not np.isfinite(positions).all():
            raise InputError("a pose has positions that are no numbers")
        found.errors = pose_errors(case.places, positions)
        found.clashes = receptor_clashes(case.ligand, positions, case.receptor)
        found.poses = poses
    except (EqcliError, ValueError, RuntimeError, ArithmeticError, LookupError) as error:
        found.errors = None
        found.failure = Failure.of(case.name, error).reason
    return found


def _site(case: DockingCase, method: Method) -> Box | None:
    """The box around the crystal ligand where the method may know it."""
    from eqcli.engine.docking_box import box_around

    if not method.known_pocket:
        return None
    structure = case.ligand.structure
    return box_around(structure.positions[structure.numbers > 1])


def check_poses(
    docked: Sequence[Docked], *, workers: int | None, timeout: float | None, report: Reporter | None = None
) -> None:
    """PoseBusters on the first and on the best pose of each method; a pose that takes too long stays unchecked."""
    from eqcli.metrics.docking.validity import PosedPair, pose_checks

    asked = [(one, k) for one in docked if one.errors is not None for k in sorted({0, one.best})]
    pairs = [PosedPair(posed(one, k), one.case.receptor.structure, one.case.ligand.structure) for one, k in asked]
    outcomes = pose_checks(pairs, workers=workers, timeout=timeout, report=report)
    for (one, k), outcome in zip(asked, outcomes, strict=True):
        one.checks[k] = outcome


def measure_strain(docked: Sequence[Docked]) -> None:
    """The strain of the first pose of each method, kcal/mol; unknown where MMFF94s has no parameters."""
    from eqcli.metrics.molecules.strain import strain_mmff
    from eqcli.units import ENERGY

    for one in docked:
        if one.errors is not None:
            try:
                one.strains[0] = strain_mmff(posed(one, 0)).energy / ENERGY["kcal/mol"]
            except InputError:
                continue


def posed(docked: Docked, pose: int) -> Structure:
    """The ligand where a pose puts it."""
    structure = docked.case.ligand.structure
    kept = {key: structure.info[key] for key in ("bonds",) if key in structure.info}
    return replace(structure, positions=docked.poses[pose].positions, info=kept)
