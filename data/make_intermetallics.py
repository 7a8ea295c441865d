"""Makes data/intermetallics: ordered alloys of seven metals, relaxed and labelled with an effective-medium potential.

    python data/make_intermetallics.py [--out FOLDER]

Needs the `crystals` extra (spglib, pymatgen). No network. A few minutes on two cores.

Every prototype is filled with every choice of metals, the ternary ones with a draw of them; the cell and the
positions are relaxed without leaving the symmetry of the prototype, and what ends far above the convex hull of the
whole set, or as a crystal that is there already, is left out.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
import spglib
from ase import Atoms
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixSymmetry
from ase.filters import FrechetCellFilter
from ase.io import write
from ase.optimize import FIRE
from prototypes import PROTOTYPES, Prototype
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Composition
from pymatgen.io.ase import AseAtomsAdaptor

METALS = ("Al", "Cu", "Ag", "Au", "Ni", "Pd", "Pt")
VOLUME = {"Al": 16.0, "Cu": 11.6, "Ag": 16.9, "Au": 17.0, "Ni": 10.8, "Pd": 14.6, "Pt": 15.2}
"""Å^3 per atom of each metal, where the relaxations start."""

TERNARIES = 45  # of each ternary prototype
TEST_SHARE = 0.1  # of the compositions
FMAX = 1e-4  # eV/Å, of atoms and of the filter's cell forces
STEPS = 1000
VOLUME_RATIO = (0.7, 1.4)  # of the relaxed volume to that of the metals
MAX_ABOVE_HULL = 0.1  # eV per atom
SAME_ENERGY = 2e-4  # eV per atom: further apart are different crystals
DECIMALS = 8
SYMPREC = 1e-3


def chosen_metals(prototype: Prototype, rng: np.random.Generator) -> list[tuple[str, ...]]:
    """Every way, different for the crystal, to give the prototype's sites to metals."""
    if prototype.kinds == 1:
        return [(metal,) for metal in METALS]
    if prototype.kinds == 2:
        return list(combinations(METALS, 2) if prototype.symmetric else permutations(METALS, 2))
    pairs = [(a, *rest) for a in METALS for rest in combinations([m for m in METALS if m != a], 2)]
    return [pairs[k] for k in sorted(rng.choice(len(pairs), TERNARIES, replace=False))]


def crystal(prototype: Prototype, metals: tuple[str, ...]) -> Atoms:
    """The prototype filled with metals, in its primitive cell, at the volume of the pure metals."""
    symbols = [metals["ABC".index(kind)] for kind in prototype.sites]
    atoms = Atoms(symbols, cell=prototype.cell, scaled_positions=prototype.positions, pbc=True)
    scale = (sum(VOLUME[s] for s in symbols) / atoms.get_volume()) ** (1 / 3)
    atoms.set_cell(atoms.cell * scale, scale_atoms=True)
    return primitive(atoms)


def primitive(atoms: Atoms) -> Atoms:
    """The Niggli-reduced primitive cell, right-handed, atoms inside it and sorted by element."""
    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    lattice, positions, numbers = spglib.find_primitive(cell, symprec=SYMPREC)
    reduced = spglib.niggli_reduce(lattice, eps=1e-6)
    reduced = reduced if np.linalg.det(reduced) > 0 else -reduced
    found = Atoms(numbers, positions=positions @ lattice, cell=reduced, pbc=True)
    found.wrap(eps=1e-6)
    lengths, angles = found.cell.lengths(), found.cell.angles()
    found.set_cell([*lengths, *angles], scale_atoms=True)
    return found[np.argsort(found.numbers, kind="stable")]


def relaxed(task: tuple[str, tuple[str, ...]]) -> tuple[str, Atoms | None]:
    """The crystal at rest; None where it did not come to rest or is no crystal of these metals any more."""
    name, metals = task
    atoms = crystal(PROTOTYPES[name], metals)
    expected = sum(VOLUME[s] for s in atoms.symbols)
    atoms.calc = EMT()
    atoms.set_constraint(FixSymmetry(atoms, symprec=SYMPREC))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            converged = FIRE(FrechetCellFilter(atoms), logfile=None).run(fmax=FMAX, steps=STEPS)
        except (RuntimeError, ValueError, np.linalg.LinAlgError):
            return name, None
    ratio = atoms.get_volume() / expected
    atoms.set_constraint()
    if not converged or not VOLUME_RATIO[0] < ratio < VOLUME_RATIO[1]:
        return name, None
    return name, labelled(primitive(atoms), name)


def labelled(atoms: Atoms, name: str) -> Atoms:
    """A copy with rounded cell and positions and the energy, forces and stress of exactly these."""
    frame = Atoms(atoms.numbers, atoms.positions.round(DECIMALS), cell=atoms.cell.array.round(DECIMALS), pbc=True)
    frame.calc = EMT()
    results = {"energy": frame.get_potential_energy(), "forces": frame.get_forces(), "stress": frame.get_stress()}
    results = {key: np.round(value, DECIMALS) + 0.0 for key, value in results.items()}
    found = spglib.get_spacegroup((frame.cell.array, frame.get_scaled_positions(), frame.numbers), symprec=SYMPREC)
    frame.info = {"config_type": name, "space_group": int(found.split("(")[1].rstrip(")"))}
    frame.calc = SinglePointCalculator(frame, **results)
    return frame


def energy_per_atom(atoms: Atoms) -> float:
    return float(atoms.get_potential_energy() / len(atoms))


def above_hull(frames: list[Atoms]) -> list[float]:
    """Energy of each frame above the convex hull of all frames made of its metals, eV per atom."""
    entries = [PDEntry(Composition(a.get_chemical_formula()), a.get_potential_energy()) for a in frames]
    systems = [frozenset(entry.composition.elements) for entry in entries]
    hulls = {
        system: PhaseDiagram([e for e, s in zip(entries, systems, strict=True) if s <= system])
        for system in set(systems)
    }
    return [float(hulls[system].get_e_above_hull(entry)) for entry, system in zip(entries, systems, strict=True)]


def distinct(frames: list[Atoms]) -> list[Atoms]:
    """One frame of each crystal, the one with the lowest energy; the order is kept."""
    matcher = StructureMatcher(ltol=0.1, stol=0.1, angle_tol=2, scale=False)
    kept: dict[str, list[Atoms]] = defaultdict(list)
    for atoms in sorted(frames, key=energy_per_atom):
        same = kept[Composition(atoms.get_chemical_formula()).reduced_formula]
        near = [other for other in same if abs(energy_per_atom(other) - energy_per_atom(atoms)) < SAME_ENERGY]
        crystals = [AseAtomsAdaptor.get_structure(other) for other in near]
        if not any(matcher.fit(AseAtomsAdaptor.get_structure(atoms), other) for other in crystals):
            same.append(atoms)
    chosen = {id(atoms) for same in kept.values() for atoms in same}
    return [atoms for atoms in frames if id(atoms) in chosen]


def divided(frames: list[Atoms], rng: np.random.Generator) -> tuple[list[Atoms], list[Atoms]]:
    """Training and test frames: no composition of one is in the other, and the elements are for training."""
    names = [Composition(atoms.get_chemical_formula()).reduced_formula for atoms in frames]
    mixed = sorted({name for name in names if name not in METALS})
    test = {mixed[k] for k in rng.choice(len(mixed), round(TEST_SHARE * len(mixed)), replace=False)}
    parts = ([], [])
    for atoms, name in zip(frames, names, strict=True):
        parts[name in test].append(atoms)
    return parts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder that gets intermetallics")
    folder = parser.parse_args().out / "intermetallics"
    rng = np.random.default_rng(21)
    tasks = [(name, metals) for name, kind in PROTOTYPES.items() for metals in chosen_metals(kind, rng)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        frames = [atoms for _, atoms in pool.map(relaxed, tasks, chunksize=8) if atoms is not None]
    print(f"{len(frames)} of {len(tasks)} came to rest", flush=True)
    frames = [atoms for atoms, height in zip(frames, above_hull(frames), strict=True) if height < MAX_ABOVE_HULL]
    print(f"{len(frames)} are within {MAX_ABOVE_HULL} eV per atom of the hull", flush=True)
    frames = distinct(frames)
    folder.mkdir(parents=True, exist_ok=True)
    for part, members in zip(("train", "test"), divided(frames, rng), strict=True):
        write(folder / f"{part}.extxyz", members, format="extxyz")
        print(f"{folder / part}.extxyz: {len(members)} frames, {sum(map(len, members))} atoms")


if __name__ == "__main__":
    main()
