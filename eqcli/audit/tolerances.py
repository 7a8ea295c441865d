"""Every limit that an audit judges by, in one table, with what the audit means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ENERGY_FLOOR: Final = 1e-3
"""eV per atom: interaction energies below this count as this when an error is made relative."""

FORCE_FLOOR: Final = 1e-3
"""eV/Å: root mean square forces below this count as this when an error is made relative."""

STRESS_FLOOR: Final = 1e-3
"""eV/Å^3: stresses below this count as this when an error is made relative."""

RATTLE_BELOW: Final = 0.1
"""eV/Å: structures with smaller root mean square forces are rattled, since zeros by symmetry hide errors."""


ROUNDING: Final[dict[str, float]] = {"float64": 1e-12, "float32": 1e-5}
"""Relative error of a function, by its precision, that is rounding and no broken symmetry."""


@dataclass(frozen=True)
class Tolerance:
    """The limit of one check.

    `claimed` says whether every potential of this tool claims the property: a
    claimed property that fails is a failed audit, the others are findings. `group`
    is one of :data:`eqcli.audit.groups.GROUPS`; a check without a group belongs to every audit.
    """

    title: str
    limit: float
    unit: str
    claimed: bool
    group: str
    meaning: str


_SAME = "In exact arithmetic this is zero; in float64 only rounding may remain."

TOLERANCES: Final[dict[str, Tolerance]] = {
    "finite": Tolerance(
        "Finite output",
        0,
        "values",
        True,
        "",
        "Energies, forces and stresses of the audited structures are numbers, not NaN or infinity.",
    ),
    "rotation": Tolerance(
        "Rotations", 1e-10, "relative", True, "equivariance", f"Energy stays, forces and stress turn along. {_SAME}"
    ),
    "reflection": Tolerance(
        "Reflections",
        1e-10,
        "relative",
        True,
        "equivariance",
        f"The mirror image has the same energy and mirrored forces. {_SAME}",
    ),
    "translation": Tolerance(
        "Translations",
        1e-10,
        "relative",
        True,
        "equivariance",
        f"Nothing depends on where the structure lies, 100 Å away too. {_SAME}",
    ),
    "permutation": Tolerance(
        "Permutations", 1e-10, "relative", True, "equivariance", f"Nothing depends on the order of the atoms. {_SAME}"
    ),
    "periodicity": Tolerance(
        "Choice of cell",
        1e-10,
        "relative",
        True,
        "equivariance",
        f"Nothing depends on which image of an atom or which lattice vectors describe the crystal. {_SAME}",
    ),
    "origin": Tolerance(
        "Origin of the cell",
        1e-10,
        "relative",
        True,
        "equivariance",
        f"A crystal moved by fractions of its lattice vectors and wrapped into its cell is the same crystal. {_SAME}",
    ),
    "handedness": Tolerance(
        "Handedness",
        0,
        "outputs",
        False,
        "equivariance",
        "An output tells a molecule from its mirror image exactly when its declared law lets it: energies do not.",
    ),
    "run_symmetry": Tolerance(
        "All symmetries, as run",
        1e-3,
        "relative",
        False,
        "equivariance",
        "The same operations in the precision the model runs in: rounding sets the level.",
    ),
    "forces_fd": Tolerance(
        "Forces are the gradient",
        1e-6,
        "relative",
        True,
        "conservation",
        "Forces equal finite differences of the energy: dynamics and relaxation follow one energy surface.",
    ),
    "stress_fd": Tolerance(
        "Stress is the strain gradient",
        1e-6,
        "relative",
        True,
        "conservation",
        "The stress equals finite differences of the energy under strain: sign, units and volume are right.",
    ),
    "hessian": Tolerance(
        "Symmetric Hessian",
        1e-6,
        "relative",
        True,
        "conservation",
        "Second derivatives do not depend on their order: the forces have no curl, and vibrations are real.",
    ),
    "acoustic": Tolerance(
        "Acoustic sum rule",
        1e-6,
        "relative",
        True,
        "conservation",
        "Moving one atom makes no net force: momentum is kept, and crystals have three acoustic branches.",
    ),
    "extensivity": Tolerance(
        "Extensivity",
        1e-10,
        "relative",
        True,
        "extensivity",
        "Two copies out of each other's reach, or a doubled cell, have twice the energy and the same forces.",
    ),
    "supercell": Tolerance(
        "Any supercell",
        1e-10,
        "relative",
        True,
        "extensivity",
        "A crystal in a supercell of any shape has the energy of its cells, and every image the same forces.",
    ),
    "isolated": Tolerance(
        "Isolated atoms",
        1e-8,
        "eV, eV/Å",
        True,
        "extensivity",
        "An atom without neighbours has its reference energy and no force: dissociation ends where it should.",
    ),
    "batch": Tolerance(
        "A batch is its members",
        1e-10,
        "relative",
        True,
        "extensivity",
        "Structures evaluated together give what each gives alone.",
    ),
    "cutoff_energy": Tolerance(
        "Energy at the cutoff",
        1e-6,
        "eV",
        True,
        "smoothness",
        "The energy does not jump when an atom crosses the cutoff.",
    ),
    "cutoff_forces": Tolerance(
        "Forces at the cutoff", 1e-4, "eV/Å", True, "smoothness", "Forces do not jump when an atom crosses the cutoff."
    ),
    "cutoff_curvature": Tolerance(
        "Force slope at the cutoff",
        0.1,
        "eV/Å²",
        False,
        "smoothness",
        "The slope of the force does not jump either, which vibrations and accurate dynamics need.",
    ),
    "determinism": Tolerance(
        "Same call, same bits",
        0,
        "values",
        False,
        "equivariance",
        "Repeating a call changes no bit of the result, as run.",
    ),
    "drift": Tolerance(
        "Energy drift",
        1.0,
        "meV/atom/ps",
        False,
        "conservation",
        "At constant energy the total energy stays; what exceeds twice the uncertainty of the short run is counted.",
    ),
    "time_step": Tolerance(
        "Energy follows the time step",
        0.5,
        "|log4(ratio) - 1|",
        False,
        "conservation",
        "Halving the time step divides the fluctuation of the total energy by four when forces are smooth gradients.",
    ),
    "dimer_repulsion": Tolerance(
        "Short-range repulsion",
        0,
        "pairs",
        False,
        "smoothness",
        "Two atoms at half their bond length push each other apart; pairs that do not can collapse in dynamics.",
    ),
    "dimer_flips": Tolerance(
        "One well per pair",
        1,
        "sign changes",
        False,
        "smoothness",
        "The force between two atoms changes its sign once at most: more means spurious wells.",
    ),
    "dimer_tortuosity": Tolerance(
        "Straight dimer curves",
        1.2,
        "ratio",
        False,
        "smoothness",
        "Length of the energy curve up and down over that of one well; 1 is a curve without bumps.",
    ),
    "dimer_jump": Tolerance(
        "No jumps between two atoms",
        1.0,
        "eV",
        False,
        "smoothness",
        "Energy steps on either side of every turn of the curve, added up: a smooth well turns once, in small steps.",
    ),
    "gwl": Tolerance(
        "Tells apart what theory says",
        0,
        "pairs",
        True,
        "expressivity",
        "Pairs of graphs of the geometric Weisfeiler-Leman tests that the architecture, with random weights, "
        "treats otherwise than its depth, degrees and body order say.",
    ),
}
"""Key of each check -> its limit and meaning."""
