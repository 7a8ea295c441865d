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


@dataclass(frozen=True)
class Tolerance:
    """The limit of one check.

    `claimed` says whether every potential of this tool claims the property: a
    claimed property that fails is a failed audit, the others are findings.
    """

    title: str
    limit: float
    unit: str
    claimed: bool
    meaning: str


_SAME = "In exact arithmetic this is zero; in float64 only rounding may remain."

TOLERANCES: Final[dict[str, Tolerance]] = {
    "finite": Tolerance(
        "Finite output",
        0,
        "values",
        True,
        "Energies, forces and stresses of the audited structures are numbers, not NaN or infinity.",
    ),
    "rotation": Tolerance("Rotations", 1e-10, "relative", True, f"Energy stays, forces and stress turn along. {_SAME}"),
    "reflection": Tolerance(
        "Reflections", 1e-10, "relative", True, f"The mirror image has the same energy and mirrored forces. {_SAME}"
    ),
    "translation": Tolerance(
        "Translations", 1e-10, "relative", True, f"Nothing depends on where the structure lies, 100 Å away too. {_SAME}"
    ),
    "permutation": Tolerance(
        "Permutations", 1e-10, "relative", True, f"Nothing depends on the order of the atoms. {_SAME}"
    ),
    "periodicity": Tolerance(
        "Choice of cell",
        1e-10,
        "relative",
        True,
        f"Nothing depends on which image of an atom or which lattice vectors describe the crystal. {_SAME}",
    ),
    "run_symmetry": Tolerance(
        "All symmetries, as run",
        1e-3,
        "relative",
        False,
        "The same operations in the precision the model runs in: rounding sets the level.",
    ),
    "forces_fd": Tolerance(
        "Forces are the gradient",
        1e-6,
        "relative",
        True,
        "Forces equal finite differences of the energy: dynamics and relaxation follow one energy surface.",
    ),
    "stress_fd": Tolerance(
        "Stress is the strain gradient",
        1e-6,
        "relative",
        True,
        "The stress equals finite differences of the energy under strain: sign, units and volume are right.",
    ),
    "extensivity": Tolerance(
        "Extensivity",
        1e-10,
        "relative",
        True,
        "Two copies out of each other's reach, or a doubled cell, have twice the energy and the same forces.",
    ),
    "isolated": Tolerance(
        "Isolated atoms",
        1e-8,
        "eV, eV/Å",
        True,
        "An atom without neighbours has its reference energy and no force: dissociation ends where it should.",
    ),
    "batch": Tolerance(
        "A batch is its members", 1e-10, "relative", True, "Structures evaluated together give what each gives alone."
    ),
    "cutoff_energy": Tolerance(
        "Energy at the cutoff", 1e-6, "eV", True, "The energy does not jump when an atom crosses the cutoff."
    ),
    "cutoff_forces": Tolerance(
        "Forces at the cutoff", 1e-4, "eV/Å", True, "Forces do not jump when an atom crosses the cutoff."
    ),
    "cutoff_curvature": Tolerance(
        "Force slope at the cutoff",
        0.1,
        "eV/Å²",
        False,
        "The slope of the force does not jump either, which vibrations and accurate dynamics need.",
    ),
    "determinism": Tolerance(
        "Same call, same bits", 0, "values", False, "Repeating a call changes no bit of the result, as run."
    ),
    "drift": Tolerance(
        "Energy drift",
        1.0,
        "meV/atom/ps",
        False,
        "At constant energy the total energy stays; what exceeds twice the uncertainty of the short run is counted.",
    ),
    "time_step": Tolerance(
        "Energy follows the time step",
        0.5,
        "|log4(ratio) - 1|",
        False,
        "Halving the time step divides the fluctuation of the total energy by four when forces are smooth gradients.",
    ),
    "dimer_repulsion": Tolerance(
        "Short-range repulsion",
        0,
        "pairs",
        False,
        "Two atoms at half their bond length push each other apart; pairs that do not can collapse in dynamics.",
    ),
    "dimer_flips": Tolerance(
        "One well per pair",
        1,
        "sign changes",
        False,
        "The force between two atoms changes its sign once at most: more means spurious wells.",
    ),
    "dimer_tortuosity": Tolerance(
        "Straight dimer curves",
        1.2,
        "ratio",
        False,
        "Length of the energy curve up and down over that of one well; 1 is a curve without bumps.",
    ),
}
"""Key of each check -> its limit and meaning."""
