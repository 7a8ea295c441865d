"""Whether labels look like what they are said to be: units, signs, outliers."""

from __future__ import annotations

import numpy as np

from eqcli.data.frames import FrameTable
from eqcli.data.split import Indices
from eqcli.data.statistics import ReferenceEnergies, interaction_per_atom
from eqcli.units import ENERGY, STRESS, force_factor

LARGEST_INTERACTION = 20.0
"""|E - sum of E0| / N in eV above which reference energies and energies hardly belong together."""
FORCE_RANGE = (1e-3, 10.0)
"""Root mean square force component, eV/Å, of usual data."""
LARGEST_STRESS = 0.7
"""Root mean square stress component, eV/Å^3 (112 GPa), of usual data."""
SIGN_CORRELATION, SIGN_SIGNIFICANCE = -0.25, -4.0
"""Correlation of stress and volume at one composition, and its t value, below which the sign looks turned.

Both are weak in data at many temperatures (0.31 and 5.5 for the mlearn copper set), and never negative.
"""

PER_ATOM_RATIO = 3.0
"""How much better energies fit their composition as energies per atom before they look like ones.

5 to 20 for the mlearn sets as they stand; at most 0.5 for energies of whole structures.
"""

SAMPLE = 20_000
"""Frames that a correlation is taken over."""

ATOM_TOTALS = (0.0, 0.5, 2.9, 7.5, 14.7, 24.7, 37.8, 54.6, 75.1, 99.7, 128.9, 162.2, 200.0, 242.3, 289.3, 341.2,
               398.1, 460.1, 527.5)  # fmt: skip
"""All-electron energies of the atoms up to argon, -Hartree: they betray the unit of total energies."""


def energy_warnings(table: FrameTable, frames: Indices, reference: ReferenceEnergies | None) -> list[str]:
    """What is odd about the energies."""
    found = []
    unit = all_electron_unit(table, frames)
    if unit is not None and unit != "eV":
        found.append(
            f"the energies look like all-electron total energies in {unit}, not in eV; "
            f"if so, set data.labels.energy_unit to {unit}"
        )
    if looks_per_atom(table, frames):
        found.append(
            "the energies do not grow with the number of atoms; if they are per atom, "
            "set data.labels.energy_per_atom to true"
        )
    if reference is not None and reference.true_atoms:
        interaction = interaction_per_atom(table, frames, reference)
        known = interaction[np.isfinite(interaction)]
        largest = float(np.abs(known).max(initial=0.0))
        if largest >= LARGEST_INTERACTION:
            found.append(
                f"energies and reference energies do not fit together: |E - sum of E0| / N reaches {largest:.4g} eV "
                f"(mean {known.mean():.4g}); were the reference energies made with the same method and unit?"
            )
    return found


def looks_per_atom(table: FrameTable, frames: Indices) -> bool:
    """Whether the energies follow the composition better as energies per atom than as total energies.

    Each reading is fitted by one energy per element, and judged by what is left of it relative to its size.
    """
    frames = frames[np.isfinite(table.energy[frames])]
    frames = frames[:: max(1, len(frames) // SAMPLE)]
    atoms = table.n_atoms[frames]
    elements = table.elements(frames)
    if len(frames) < 3 + len(elements) or atoms.max() < 2 * atoms.min():
        return False
    shares = table.composition(frames, elements) / atoms[:, None]
    remaining = []
    for energies in (table.energy[frames], table.energy[frames] / atoms):
        fit = shares @ np.linalg.lstsq(shares, energies, rcond=None)[0]
        size = float(np.sqrt((energies**2).mean()))
        remaining.append(float(np.sqrt(((energies - fit) ** 2).mean())) / size if size else 1.0)
    return PER_ATOM_RATIO * remaining[0] < remaining[1]


def all_electron_unit(table: FrameTable, frames: Indices) -> str | None:
    """The unit in which the energies match those of all-electron atoms; None when they match in none.

    Binding changes a total energy by a percent or so, and the units are far
    apart, so that a match means something. Energies from pseudopotentials match
    nothing, nor do atomisation energies. Rydberg are left out: valence energies
    in eV are often near them.
    """
    frames = frames[np.isfinite(table.energy[frames])]
    elements = table.elements(frames)
    if not elements or elements[-1] >= len(ATOM_TOTALS):
        return None
    totals = table.sum_over_atoms({z: ATOM_TOTALS[z] for z in elements})[frames]
    ratio = float(np.median(-table.energy[frames] / totals))
    # The table above is in Hartree; the labels have been taken for eV.
    for unit in ("eV", "Hartree", "kcal/mol", "kJ/mol"):
        if abs(ratio * ENERGY[unit] / ENERGY["Hartree"] - 1) < 0.03:
            return unit
    return None


def force_warnings(table: FrameTable, frames: Indices) -> list[str]:
    """What is odd about the forces."""
    count = int(table.force_count[frames].sum())
    if not count:
        return []
    rms = float(np.sqrt(np.nansum(table.force_square[frames]) / count))
    if rms == 0:
        return ["all forces are zero"]
    if rms > FORCE_RANGE[1]:
        kcal = rms * force_factor("kcal/mol", "Angstrom")
        return [
            f"the forces are large: root mean square {rms:.3g} eV/Å; if they are in kcal/mol/Å it is {kcal:.3g} eV/Å "
            "(set data.labels.energy_unit to kcal/mol)"
        ]
    if rms < FORCE_RANGE[0]:
        atomic = rms * force_factor("Hartree", "Bohr")
        return [
            f"the forces are small: root mean square {rms:.3g} eV/Å; if they are in Hartree/Bohr it is {atomic:.3g} "
            "eV/Å (such files need data.labels.energy_unit and length_unit)"
        ]
    return []


def stress_warnings(table: FrameTable, frames: Indices) -> list[str]:
    """What is odd about size and sign of the stress."""
    frames = frames[np.isfinite(table.stress_square[frames])]
    if not len(frames):
        return []
    found = []
    rms = float(np.sqrt(table.stress_square[frames].mean() / 9))
    if rms > LARGEST_STRESS:
        found.append(
            f"the stresses are large: root mean square {rms:.3g} eV/Å^3; if they are in GPa it is "
            f"{rms * STRESS['GPa']:.3g}, in kbar {rms * STRESS['kbar']:.3g} (set data.labels.stress_unit)"
        )
    correlation, count = stress_volume_correlation(table, frames)
    t = correlation * np.sqrt(max(count - 2, 0) / max(1 - correlation**2, 1e-12))
    if correlation < SIGN_CORRELATION and t < SIGN_SIGNIFICANCE:
        found.append(
            f"the stress falls as the volume grows (correlation {correlation:.2f} over {count} frames of equal "
            "composition): tensile stress should be positive. If the file has the VASP sign, set "
            "data.labels.stress_sign to vasp"
        )
    return found


def stress_volume_correlation(table: FrameTable, frames: Indices) -> tuple[float, int]:
    """Correlation of the trace of the stress with the volume, each measured from the mean of its composition.

    Returns it with the number of frames it rests on; (0, 0) where volumes hardly differ.
    """
    volume, trace = table.volume[frames] / table.n_atoms[frames], table.stress_trace[frames]
    usable = np.isfinite(volume) & np.isfinite(trace) & (volume > 0)
    # A sample is enough to tell a sign.
    chosen = np.flatnonzero(usable)[:: max(1, int(usable.sum()) // SAMPLE)]
    frames, volume, trace = frames[chosen], volume[chosen], trace[chosen]
    elements = table.elements(frames)
    if not len(frames):
        return 0.0, 0
    counts = table.composition(frames, elements)
    _, group = np.unique(counts, axis=0, return_inverse=True)
    group = group.reshape(-1)
    size = np.bincount(group)
    relative = volume / (np.bincount(group, volume) / size)[group] - 1
    centred = trace - (np.bincount(group, trace) / size)[group]
    # Slabs and other boxes with vacuum say nothing: beyond 15 % strain the stress falls again.
    telling = (size[group] >= 2) & (np.abs(relative) < 0.15)
    relative, centred = relative[telling], centred[telling]
    if len(relative) < 2 or relative.std() < 3e-3 or centred.std() == 0:
        return 0.0, 0
    return float(np.corrcoef(relative, centred)[0, 1]), len(relative)


def duplicates(table: FrameTable, frames: Indices) -> int:
    """How many frames repeat an earlier one."""
    return len(frames) - len(np.unique(table.fingerprint[frames]))


def overlap(first: FrameTable, a: Indices, second: FrameTable, b: Indices) -> int:
    """How many frames of `b` occur in `a` too."""
    return int(np.isin(second.fingerprint[b], first.fingerprint[a]).sum())
