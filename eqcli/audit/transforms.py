"""Structures made from structures: the operations that audits compare under. Labels are left behind."""

from __future__ import annotations

import numpy as np

from eqcli.io.structure import FloatArray, Structure


def bare(
    structure: Structure,
    *,
    numbers: np.ndarray | None = None,
    positions: np.ndarray | None = None,
    cell: np.ndarray | None = None,
) -> Structure:
    """A copy without labels, with some of its parts replaced; n times the atoms have n times the charge and spin."""
    times = 1.0 if numbers is None else len(numbers) / max(1, len(structure))
    return Structure(
        numbers=structure.numbers if numbers is None else numbers,
        positions=structure.positions if positions is None else positions,
        cell=structure.cell if cell is None else cell,
        pbc=structure.pbc,
        charge=None if structure.charge is None else times * structure.charge,
        info={} if structure.spin is None else {"spin": times * (structure.spin - 1) + 1},
        where=structure.where,
    )


def random_rotation(rng: np.random.Generator) -> FloatArray:
    """A proper rotation drawn uniformly from SO(3), `[3, 3]`."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else -q


def random_direction(rng: np.random.Generator) -> FloatArray:
    """A unit vector drawn uniformly from the sphere, `[3]`."""
    vector = rng.normal(size=3)
    unit: FloatArray = vector / np.linalg.norm(vector)
    return unit


def axis_rotation(axis: FloatArray, angle: float) -> FloatArray:
    """Rotation by `angle` (radians) about the unit vector `axis`, `[3, 3]`, exact at angle zero."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def rotate(structure: Structure, matrix: FloatArray) -> Structure:
    """Positions and cell under an orthogonal matrix, proper or not."""
    return bare(structure, positions=structure.positions @ matrix.T, cell=structure.cell @ matrix.T)


def translate(structure: Structure, shift: FloatArray) -> Structure:
    """All atoms moved by `shift` (Å, `[3]`), the cell kept."""
    return bare(structure, positions=structure.positions + shift)


def permute(structure: Structure, order: np.ndarray) -> Structure:
    """Atom k of the result is atom `order[k]`."""
    return bare(structure, numbers=structure.numbers[order], positions=structure.positions[order])


def other_images(structure: Structure, images: np.ndarray) -> Structure:
    """Atoms moved by whole lattice vectors, `images` `[N, 3]` integers; open directions are left alone."""
    return bare(structure, positions=structure.positions + (images * structure.pbc) @ structure.cell)


def other_basis(structure: Structure, rng: np.random.Generator) -> Structure:
    """The same lattice with other vectors: one periodic vector added to another, or one reversed.

    Reversal makes the cell left-handed, which may not change any sign.
    """
    periodic = np.flatnonzero(structure.pbc)
    cell = structure.cell.copy()
    if len(periodic) > 1 and rng.random() < 0.5:
        a, b = rng.choice(periodic, size=2, replace=False)
        cell[a] = cell[a] + cell[b]
    else:
        a = rng.choice(periodic)
        cell[a] = -cell[a]
    return bare(structure, cell=cell)


def other_origin(structure: Structure, fraction: FloatArray) -> Structure:
    """All atoms moved by `fraction` (`[3]`) of each lattice vector and wrapped into the cell; open directions stay."""
    periodic = np.flatnonzero(structure.pbc)
    inverse = np.linalg.pinv(structure.cell[periodic])  # [3, P]
    fractional = structure.positions @ inverse + fraction[periodic]
    # Back by whole lattice vectors alone: what lies off the periodic directions is not touched.
    back = (fraction[periodic] - np.floor(fractional)) @ structure.cell[periodic]
    return bare(structure, positions=structure.positions + back)


def supercell(structure: Structure, matrix: np.ndarray) -> Structure:
    """The crystal with lattice vectors `matrix @ cell`, `matrix` `[3, 3]` integers of positive determinant n.

    Copy k of the N atoms stands in rows k N to (k + 1) N - 1, k = 0 .. n - 1. Open directions must be left
    alone by `matrix`.
    """
    count = round(abs(float(np.linalg.det(matrix))))
    reach = int(np.abs(matrix).sum())
    steps = np.arange(-reach, reach + 1)
    points = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    # Lattice points inside the supercell: fractions from 0 to 1, the end left out.
    inside = points @ np.linalg.inv(matrix)
    chosen = points[((inside > -1e-9) & (inside < 1 - 1e-9)).all(axis=1)]
    assert len(chosen) == count
    shifts = chosen @ structure.cell
    return bare(
        structure,
        numbers=np.tile(structure.numbers, count),
        positions=(structure.positions[None] + shifts[:, None]).reshape(-1, 3),
        cell=matrix @ structure.cell,
    )


def random_supercell(pbc: np.ndarray, rng: np.random.Generator, largest: int = 4) -> np.ndarray:
    """A skewed integer matrix of determinant 2 to `largest` that leaves open directions alone, `[3, 3]`."""
    periodic = np.flatnonzero(pbc)
    while True:
        matrix = np.eye(3, dtype=np.int64)
        matrix[np.ix_(periodic, periodic)] = rng.integers(-2, 3, size=(len(periodic), len(periodic)))
        if 2 <= round(float(np.linalg.det(matrix))) <= largest:
            return matrix


def strained(structure: Structure, strain: FloatArray) -> Structure:
    """Positions and cell under `1 + strain`, strain symmetric `[3, 3]`."""
    deform = np.eye(3) + strain
    return bare(structure, positions=structure.positions @ deform, cell=structure.cell @ deform)


def displaced(structure: Structure, atom: int, shift: FloatArray) -> Structure:
    """One atom moved by `shift` (Å)."""
    positions = structure.positions.copy()
    positions[atom] += shift
    return bare(structure, positions=positions)


def rattled(structure: Structure, amplitude: float, rng: np.random.Generator) -> Structure:
    """Every coordinate displaced by a normal deviate of `amplitude` Å."""
    return bare(structure, positions=structure.positions + rng.normal(scale=amplitude, size=structure.positions.shape))


def doubled(structure: Structure, axis: int) -> Structure:
    """The cell repeated twice along one periodic axis: atoms 0..N-1, then their copies."""
    cell = structure.cell.copy()
    copies = structure.positions + cell[axis]
    cell[axis] = 2 * cell[axis]
    return bare(
        structure,
        numbers=np.concatenate([structure.numbers, structure.numbers]),
        positions=np.concatenate([structure.positions, copies]),
        cell=cell,
    )


def far_copies(structure: Structure, distance: float) -> Structure:
    """Two copies of a molecule whose nearest atoms are at least `distance` Å apart along x."""
    extent = float(np.ptp(structure.positions[:, 0]))
    copies = structure.positions + np.array([extent + distance, 0.0, 0.0])
    return bare(
        structure,
        numbers=np.concatenate([structure.numbers, structure.numbers]),
        positions=np.concatenate([structure.positions, copies]),
    )


def stretched(structure: Structure, distance: float) -> Structure:
    """A molecule scaled about its centre until all its atoms are more than `distance` Å apart."""
    centred = structure.positions - structure.positions.mean(axis=0)
    pairs = np.linalg.norm(centred[:, None] - centred[None], axis=-1)
    nearest = pairs[~np.eye(len(structure), dtype=bool)].min(initial=np.inf)
    factor = max(1.0, 1.01 * distance / max(nearest, 1e-6)) if np.isfinite(nearest) else 1.0
    return Structure(numbers=structure.numbers, positions=centred * factor, where=structure.where)


def dimer(first: int, second: int, distance: float) -> Structure:
    """Two atoms along x; the first at the origin."""
    return Structure(numbers=np.array([first, second]), positions=np.array([[0.0, 0, 0], [distance, 0, 0]]))
