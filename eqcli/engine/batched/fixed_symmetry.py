"""The space group of each structure, kept while it moves.

A displacement field has the symmetry when it is the mean of its images under all operations. Of each orbit of
equivalent atoms it is enough to know the displacement of the first: each atom i keeps one matrix T_i such that
v = sum_i u_i T_i, over the orbit, and u_j = v T_j^T is that mean. Here M_g is the rotation (of row vectors) by an
operation g that takes the first atom to i, S the mean of the rotations that leave the first atom in place, m the
number of atoms of the orbit, and T_i = M_g^T S / sqrt(m). Tensors such as stresses are averaged by one matrix
`[9, 9]` for each structure.

Rotations stay what they are at the start: a deformation with the symmetry of the crystal commutes with them, so they
serve for displacements of the positions at the start and for tensors in the moving cell alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from eqcli.engine.batched.rows import largest
from eqcli.engine.batched.state import BatchState, join, per_atom
from eqcli.engine.space_group import asymmetric_fixed_atoms, refine_to_symmetry, space_group
from eqcli.graph.segments import segment_sum

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray


def begin_symmetry(state: BatchState, symprec: float) -> BatchState:
    """The state with positions and cells refined to the symmetry within `symprec` (Å), which is remembered.

    Raises InputError for a structure without a space group, or whose fixed atoms do not have its symmetry.
    """
    alone = [state.select(torch.tensor([k], device=state.batch.device)) for k in range(state.n_structures)]
    return join([_begin_one(one, symprec) for one in alone])


def symmetric_vectors(state: BatchState, vectors: Tensor) -> Tensor:
    """The part of forces or displacements `[N, 3]` that has the symmetry of each structure."""
    turns = state.atoms["symmetry/turns"]
    counts = state.counts
    first = state.atoms["symmetry/first"] + per_atom(state, counts.cumsum(0) - counts)
    # Sums in the order of the atoms on every device.
    order = torch.argsort(first, stable=True)
    turned = torch.bmm(vectors[:, None], turns).squeeze(1)
    of_first = segment_sum(turned[order], first[order], len(first))
    return torch.bmm(of_first[first][:, None], turns.transpose(1, 2)).squeeze(1)


def symmetric_tensors(state: BatchState, tensors: Tensor) -> Tensor:
    """The part of stresses or strains `[B, 3, 3]` that has the symmetry of each structure."""
    return torch.bmm(state.systems["symmetry/average"], tensors.reshape(-1, 9, 1)).reshape(-1, 3, 3)


def symmetry_loss(state: BatchState) -> Tensor:
    """How far each structure is from the symmetry of its start, in Å: an atom from its image, or a cell vector."""
    start = state.systems["symmetry/cell"]
    to_start = torch.bmm(torch.linalg.inv_ex(state.cell).inverse, start)
    back = torch.bmm(state.positions[:, None], per_atom(state, to_start)).squeeze(1)
    moved = back - state.atoms["symmetry/positions"]
    astray = largest(state, (moved - symmetric_vectors(state, moved)).norm(dim=1))
    # Rows of `strain` are the images of x, y and z; a symmetry keeps their scalar products.
    strain = torch.bmm(torch.linalg.inv_ex(start).inverse, state.cell)
    products = torch.bmm(strain, strain.transpose(1, 2))
    misfit = (products - symmetric_tensors(state, products)).abs().amax((1, 2))
    return torch.maximum(astray, misfit * start.norm(dim=2).amax(1))


def _begin_one(state: BatchState, symprec: float) -> BatchState:
    atoms = _atoms(state, state.positions, state.cell)
    rotations, shifts = refine_to_symmetry(atoms, symprec)
    held = ~state.free.any(dim=1).cpu().numpy()
    cell = atoms.cell.array
    first, turns = _orbits(atoms.get_scaled_positions(), cell, rotations, shifts)
    if (held != held[first]).any():
        raise asymmetric_fixed_atoms()
    matrices = _on_rows(rotations, cell)
    average = np.einsum("kac,kbd->abcd", matrices, matrices).reshape(9, 9) / len(matrices)
    like = state.positions
    positions, start = like.new_tensor(atoms.positions), like.new_tensor(cell)[None]
    return state.with_(
        positions=positions,
        cell=start,
        atoms={
            "symmetry/first": torch.as_tensor(first, device=like.device),
            "symmetry/turns": like.new_tensor(turns),
            "symmetry/positions": positions.clone(),
        },
        systems={"symmetry/average": like.new_tensor(average)[None], "symmetry/cell": start.clone()},
    )


def space_groups(state: BatchState, symprec: float) -> tuple[str | None, str | None]:
    """The space groups that the only structure of a state had at the start, and has now."""
    start = _atoms(state, state.atoms["symmetry/positions"], state.systems["symmetry/cell"])
    return space_group(start, symprec), space_group(_atoms(state, state.positions, state.cell), symprec)


def _atoms(state: BatchState, positions: Tensor, cell: Tensor) -> Atoms:
    from ase import Atoms

    numbers, places, vectors, pbc = (x.cpu().numpy() for x in (state.numbers, positions, cell[0], state.pbc[0]))
    return Atoms(numbers, places, cell=vectors, pbc=pbc)


def _on_rows(rotations: NDArray[np.intp], cell: NDArray[np.float64]) -> NDArray[np.float64]:
    """M of each operation with x' = x M for Cartesian row vectors, `[K, 3, 3]`."""
    turned: NDArray[np.float64] = np.linalg.inv(cell) @ rotations.transpose(0, 2, 1) @ cell
    return turned


def _orbits(
    scaled: NDArray[np.float64], cell: NDArray[np.float64], rotations: NDArray[np.intp], shifts: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The first atom of each atom's orbit, `[N]`, and the matrices T, `[N, 3, 3]`."""
    matrices = _on_rows(rotations, cell)
    first = np.full(len(scaled), -1, dtype=np.int64)
    turns = np.zeros((len(scaled), 3, 3))
    for atom in range(len(scaled)):
        if first[atom] >= 0:
            continue
        images = _images(scaled, rotations @ scaled[atom] + shifts)
        orbit, operations = np.unique(images, return_index=True)
        stabiliser = matrices[images == atom].mean(axis=0)
        first[orbit] = atom
        turns[orbit] = matrices[operations].transpose(0, 2, 1) @ stabiliser / np.sqrt(len(orbit))
    return first, turns


def _images(scaled: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.int64]:
    """The atom nearest to each fractional point, `[K]`."""
    nearest = np.empty(len(points), dtype=np.int64)
    # In pieces, as a supercell has many operations and many atoms.
    for begin in range(0, len(points), 256):
        apart = points[begin : begin + 256, None] - scaled
        apart -= np.round(apart)
        nearest[begin : begin + 256] = (apart**2).sum(axis=2).argmin(axis=1)
    return nearest
