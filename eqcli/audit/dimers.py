"""Two atoms from contact to the cutoff: the short-range behaviour of every pair of elements.

The measures are those of the homonuclear diatomics of MLIP Arena and Matbench Discovery:
number of force sign changes; tortuosity, the length of the energy curve up and down over
the length that a curve with one well needs; and energy jump, the steps of the energy on
either side of every turn of the curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from eqcli.audit.effort import Effort
from eqcli.audit.result import Check
from eqcli.audit.subject import Subject
from eqcli.audit.transforms import dimer
from eqcli.elements import COVALENT_RADII, SYMBOLS
from eqcli.errors import Where
from eqcli.io.structure import FloatArray, Structure

SHORTEST = 0.5
"""Where the scan begins, in units of the sum of the covalent radii."""

FORCE_NOISE = 1e-2
"""eV/Å: sign changes of smaller forces do not count."""


ENERGY_NOISE = 1e-3
"""eV: smaller steps of the energy are no turns."""


def element_pairs(elements: Sequence[int], structures: Sequence[Structure], limit: int) -> list[tuple[int, int]]:
    """Pairs of the elements that the model knows, those of the structures first, at most `limit`."""
    present = {int(z) for structure in structures for z in structure.numbers}
    pairs = [(a, b) for k, a in enumerate(elements) for b in elements[k:]]
    return sorted(pairs, key=lambda pair: (len(set(pair) - present), pair))[:limit]


def scan(subject: Subject, pair: tuple[int, int], points: int) -> dict[str, Any]:
    """Energy relative to the separated atoms (eV) and force (eV/Å, positive pushes apart) against distance (Å)."""
    name = "-".join(SYMBOLS[z] for z in pair)
    bond = COVALENT_RADII[pair[0]] + COVALENT_RADII[pair[1]]
    # Denser where the curve is steep: equal steps in the logarithm of the distance.
    distances = np.geomspace(SHORTEST * bond, subject.cutoff + 0.1, points)
    structures = [dimer(*pair, distance) for distance in distances]
    for structure, distance in zip(structures, distances, strict=True):
        structure.where = Where(f"{name} at {distance:.3f} Å")
    outcomes = subject.predict(structures)
    energy = np.array([outcome.interaction for outcome in outcomes])
    force = np.array([outcome.forces[1, 0] for outcome in outcomes if outcome.forces is not None])
    return {
        "pair": name,
        "distance": distances.tolist(),
        "energy": energy.tolist(),
        "force": force.tolist(),
        "repulsive": bool(force[0] > 0),
        "flips": sign_changes(force),
        "tortuosity": tortuosity(energy),
        "jump": energy_jump(energy),
        "well_eV": float(energy.min()),
        "well_at": float(distances[int(energy.argmin())]),
    }


def sign_changes(force: FloatArray) -> int:
    """How often a force changes its sign, leaving out values below the noise."""
    signs = np.sign(force[np.abs(force) > FORCE_NOISE])
    return int((np.diff(signs) != 0).sum())


def tortuosity(energy: FloatArray) -> float:
    """Total variation of the curve over that of a curve that falls to its minimum and rises again."""
    lowest = energy.min()
    straight = (energy[0] - lowest) + (energy[-1] - lowest)
    return float(np.abs(np.diff(energy)).sum() / straight) if straight > 1e-6 else 1.0


def energy_jump(energy: FloatArray) -> float:
    """Sum of the steps before and after every turn of the curve, eV; steps below the noise are left out.

    A smooth curve turns where its steps are small; one that jumps turns in large ones.
    """
    steps = np.diff(energy)
    steps = steps[np.abs(steps) > ENERGY_NOISE]
    turns = np.flatnonzero(np.sign(steps[1:]) != np.sign(steps[:-1]))
    return float(np.abs(steps[turns]).sum() + np.abs(steps[turns + 1]).sum())


def check_dimers(subject: Subject, structures: Sequence[Structure], effort: Effort) -> list[Check]:
    """Repulsion at short range, number of wells and straightness, over pairs of elements."""
    pairs = element_pairs(subject.elements, structures, effort.dimer_pairs)
    known = len(subject.elements) * (len(subject.elements) + 1) // 2
    curves = [scan(subject, pair, effort.dimer_points) for pair in pairs]
    counted = f"{len(pairs)} of {known} pairs of elements, from {SHORTEST:g} bond lengths to the cutoff"
    soft = [curve["pair"] for curve in curves if not curve["repulsive"]]
    wells = [curve["pair"] for curve in curves if curve["flips"] > 1]
    repulsion = Check(
        "dimer_repulsion",
        float(len(soft)),
        counted + (f"; not repulsive: {', '.join(soft)}" if soft else ""),
        subject.precision,
        figures={"pairs": soft},
        curves={"dimers": curves},
    )
    flips = Check(
        "dimer_flips",
        float(max(curve["flips"] for curve in curves)),
        counted + (f"; more than one well: {', '.join(wells)}" if wells else ""),
        subject.precision,
        figures={"pairs": wells},
        distribution=[float(curve["flips"]) for curve in curves],
    )
    straight = [curve["tortuosity"] for curve in curves]
    winding = Check(
        "dimer_tortuosity",
        float(np.max(straight)),
        f"{counted}; worst {curves[int(np.argmax(straight))]['pair']}",
        subject.precision,
        distribution=straight,
    )
    jumps = [curve["jump"] for curve in curves]
    jump = Check(
        "dimer_jump",
        float(np.max(jumps)),
        f"{counted}; worst {curves[int(np.argmax(jumps))]['pair']}",
        subject.precision,
        distribution=jumps,
    )
    return [repulsion, flips, winding, jump]
