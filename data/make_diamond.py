"""Makes data/diamond: GFN1-xTB energies, forces and stresses of a 64-atom cell of diamond.

    python data/make_diamond.py [--out FOLDER]

Needs the `data` extra (tblite). No network. About ten minutes on one core.

Frames are drawn from the classical harmonic ensemble of the method's own force constants, so that each is
independent of all others; their labels are the full method's, anharmonic as it is.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.io import write
from labels import isolated_atom, labelled, random_rotation, write_frames, xtb
from scipy.optimize import brentq

METHOD = "GFN1-xTB"
REPEAT = 2  # conventional cells along each axis: 64 atoms
MAX_STRAIN = 0.04
DISPLACEMENT = 0.01  # Å, for the force constants

TRAIN = {"thermal_300K": 25, "thermal_1000K": 25, "thermal_2000K": 20, "volume": 24, "shear": 30}
TEST = {"thermal_300K": 6, "thermal_1000K": 6, "thermal_2000K": 5, "volume": 6, "shear": 7}


def crystal(a: float, repeat: int = REPEAT) -> Atoms:
    """The perfect crystal with conventional lattice constant `a` in Å."""
    return bulk("C", "diamond", a=a, cubic=True).repeat(repeat)


def pressure_free_lattice_constant() -> float:
    """The lattice constant in Å at which the method's stress vanishes."""

    def stress(a: float) -> float:
        atoms = crystal(a)
        atoms.calc = xtb(METHOD)
        return float(atoms.get_stress()[:3].mean())

    return float(brentq(stress, 3.50, 3.60, xtol=1e-5))


def force_constants(atoms: Atoms) -> np.ndarray:
    """Second derivatives of the energy, `[3N, 3N]` eV/Å^2, by central differences.

    Atoms of one sublattice are images of each other under a translation that leaves the cell as it is, so the rows
    of the first atom of each sublattice give all others.
    """
    n = len(atoms)
    hessian = np.zeros((n, 3, n, 3))
    first_of_each = [0, 1]
    for source in first_of_each:
        row = np.zeros((3, n, 3))
        for axis in range(3):
            for sign in (1, -1):
                moved = atoms.copy()
                moved.positions[source, axis] += sign * DISPLACEMENT
                moved.calc = xtb(METHOD)
                row[axis] -= sign * moved.get_forces() / (2 * DISPLACEMENT)
        for target, image in translations(atoms, source).items():
            hessian[target][:, image] = row
    matrix = hessian.reshape(3 * n, 3 * n)
    return 0.5 * (matrix + matrix.T)


def translations(atoms: Atoms, source: int) -> dict[int, np.ndarray]:
    """For each atom that a lattice translation makes of `source`: the index that every atom is moved to, `[N]`."""
    fractional = atoms.get_scaled_positions()
    maps = {}
    for target in range(len(atoms)):
        moved = fractional + fractional[target] - fractional[source]
        offset = moved[:, None] - fractional[None]
        distance = np.abs(offset - np.round(offset)).max(axis=2)
        if (distance.min(axis=1) < 1e-6).all():
            maps[target] = distance.argmin(axis=1)
    return maps


def softness(hessian: np.ndarray) -> np.ndarray:
    """The inverse square root of the force constants, zero for the three translations, `[3N, 3N]` Å/eV^(1/2).

    Unlike eigenvectors it is unique where eigenvalues are degenerate, as they are here: rounding cannot turn it.
    """
    stiffness, vectors = np.linalg.eigh(hessian)
    print(f"softest modes: {np.round(stiffness[:6], 4)} eV/Å^2", flush=True)
    width = 1 / np.sqrt(np.where(stiffness < 1e-3, np.inf, stiffness))
    return (vectors * width) @ vectors.T


def thermal_displacements(soft: np.ndarray, temperature: float, rng: np.random.Generator) -> np.ndarray:
    """Displacements u `[N, 3]` in Å drawn from the classical harmonic ensemble, exp(-u H u / 2kT)."""
    return np.sqrt(units.kB * temperature) * (soft @ rng.normal(size=len(soft))).reshape(-1, 3)


def random_strain(kind: str, rng: np.random.Generator) -> np.ndarray:
    """A symmetric strain, `[3, 3]`: isotropic for `volume`; traceless for `shear`, in a random direction."""
    if kind == "volume":
        return rng.uniform(-MAX_STRAIN, MAX_STRAIN) * np.eye(3)
    sizes = rng.uniform(-MAX_STRAIN, MAX_STRAIN, size=3)
    axes = random_rotation(rng)
    return axes @ np.diag(sizes - sizes.mean()) @ axes.T


def frame(kind: str, perfect: Atoms, soft: np.ndarray, rng: np.random.Generator) -> Atoms:
    """One labelled frame of the given kind. Strained frames carry displacements of 300 K as well."""
    temperature = float(kind.removeprefix("thermal_").removesuffix("K")) if kind.startswith("thermal") else 300.0
    atoms = perfect.copy()
    atoms.positions += thermal_displacements(soft, temperature, rng)
    if not kind.startswith("thermal"):
        atoms.set_cell(atoms.cell @ (np.eye(3) + random_strain(kind, rng)), scale_atoms=True)
    return labelled(atoms, kind, xtb(METHOD))


def distorted_start(a: float, rng: np.random.Generator) -> Atoms:
    """The conventional cell pulled out of shape and out of place, for the relaxation to mend."""
    atoms = crystal(a, repeat=1)
    strain = np.diag([0.03, -0.02, 0.015]) + 0.02 * (np.ones((3, 3)) - np.eye(3))
    atoms.positions += rng.normal(scale=0.06, size=(len(atoms), 3))
    atoms.set_cell(atoms.cell @ (np.eye(3) + strain), scale_atoms=True)
    return atoms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder that gets the folder diamond")
    folder = parser.parse_args().out / "diamond"
    a = pressure_free_lattice_constant()
    print(f"lattice constant without pressure: {a:.4f} Å", flush=True)
    perfect = crystal(a)
    soft = softness(force_constants(perfect))
    for name, counts, seed in (("train", TRAIN, 11), ("test", TEST, 12)):
        rng = np.random.default_rng(seed)
        frames = [frame(kind, perfect, soft, rng) for kind, count in counts.items() for _ in range(count)]
        atoms = [isolated_atom("C", METHOD)] if name == "train" else []
        write_frames(folder / f"{name}.extxyz", atoms + frames)
    write(folder / "start.cif", distorted_start(a, np.random.default_rng(13)))


if __name__ == "__main__":
    main()
