"""Neighbour lists made on the device that holds the positions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eqcli.errors import InputError
from eqcli.graph.dense_pairs import dense_pairs, image_reach
from eqcli.graph.many import list_pairs
from eqcli.graph.neighbours import MAX_COORDINATE, MAX_PAIRS
from eqcli.graph.pair_table import PairTable, join_tables, sorted_table

DENSE_TRIALS = 1 << 20
"""Pairs of atoms and images of one structure up to which a device tries them all, with others at once."""


@dataclass(frozen=True)
class _Box:
    positions: NDArray[np.float64]
    cell: NDArray[np.float64]
    pbc: NDArray[np.bool_]


def device_pairs(
    positions: Tensor, atoms: Tensor, cell: Tensor, pbc: Tensor, cutoff: float
) -> tuple[PairTable, dict[int, InputError]]:
    """Neighbours of B structures within `cutoff` (Å) on the device of `positions`, and why some have none.

    On the CPU and of structures that need a closer look the lists are those of
    :func:`eqcli.graph.many.list_pairs`. On a CUDA device small structures are listed together by trying all pairs;
    large ones by `vesin-torch`, one after the other, where it is installed, else on the CPU. The pairs and their
    order are the same in any case.

    Parameters
    ----------
    positions
        `[N, 3]` float64, Å.
    atoms
        Atoms of each structure, `[B]` int64.
    cell, pbc
        `[B, 3, 3]` float64 Å and `[B, 3]` bool.
    """
    if not positions.is_cuda:
        return list_pairs(_boxes(positions, atoms, cell, pbc), cutoff)
    return by_ways(positions, atoms, cell, pbc, cutoff, _ways(positions, atoms, cell, pbc, cutoff))


def by_ways(
    positions: Tensor, atoms: Tensor, cell: Tensor, pbc: Tensor, cutoff: float, way: Tensor
) -> tuple[PairTable, dict[int, InputError]]:
    """The lists of structures by the way of each, `[B]`: 0 all pairs, 1 the library on the device, 2 the CPU."""
    found: list[PairTable] = []
    order: list[Tensor] = []
    failures: dict[int, InputError] = {}
    home = torch.repeat_interleave(atoms)
    for number in (0, 1, 2):
        which = (way == number).nonzero().squeeze(1)
        if len(which) == 0:
            continue
        some = (positions[(way == number)[home]], atoms[which], cell[which], pbc[which])
        table = dense_pairs(*some, cutoff) if number == 0 else library_pairs(*some, cutoff) if number == 1 else None
        if table is None:
            table, failed = list_pairs(_boxes(*some), cutoff)
            table = table.to(positions.device)
            failures |= {int(which[k]): error for k, error in failed.items()}
        found.append(table)
        order.append(which)
    if not found:
        return dense_pairs(positions, atoms, cell, pbc, cutoff), failures
    return join_tables(found).select(torch.cat(order).argsort()), failures


def library_pairs(positions: Tensor, atoms: Tensor, cell: Tensor, pbc: Tensor, cutoff: float) -> PairTable | None:
    """The lists of usable structures by `vesin-torch` on their device; None where it is not installed or refuses."""
    try:
        from vesin_torch import NeighborList

        calculator = NeighborList(cutoff=float(cutoff), full_list=True)
        ends = atoms.cumsum(0).tolist()
        listed = [
            calculator.compute(positions[end - n : end].contiguous(), _complete(box, p), p.clone(), "ijS")
            for end, n, box, p in zip(ends, atoms.tolist(), cell, pbc, strict=True)
        ]
    except (ImportError, OSError, RuntimeError):
        # Lists of the CPU do as well: the library has no build for this torch, or none for this device.
        return None
    counts = atoms.new_tensor([len(centre) for centre, _, _ in listed])
    receiver, sender, shift = (torch.cat(parts).long() for parts in zip(*listed, strict=True))
    return sorted_table(atoms, torch.repeat_interleave(counts), receiver, sender, shift)


def _complete(cell: Tensor, pbc: Tensor) -> Tensor:
    """The box of three or of no periods, as the library takes it."""
    return cell.contiguous() if bool(pbc.all()) else torch.eye(3, dtype=cell.dtype, device=cell.device)


def _ways(positions: Tensor, atoms: Tensor, cell: Tensor, pbc: Tensor, cutoff: float) -> Tensor:
    """How each structure is listed on a device, `[B]`; whatever is not plainly usable is left to the CPU."""
    home = torch.repeat_interleave(atoms)
    reached = positions.abs().amax(dim=1).nan_to_num(nan=torch.inf)
    most = reached.new_zeros(len(atoms)).scatter_reduce(0, home, reached, "amax")
    boxed, loose = pbc.all(dim=1), ~pbc.any(dim=1)
    volume = torch.linalg.det(cell).abs()
    roomy = volume > 1e-6 * cell.norm(dim=2).prod(dim=1)
    density = 4.2 * cutoff**3 / volume
    usable = (most <= MAX_COORDINATE) & (atoms > 0)
    usable &= loose | (boxed & roomy & (atoms.double() ** 2 * density < MAX_PAIRS))
    safe = torch.where((usable & boxed)[:, None, None], cell, torch.eye(3, dtype=cell.dtype, device=cell.device))
    trials = atoms.double() ** 2 * (2 * image_reach(safe, pbc, cutoff) + 1).double().prod(dim=1)
    return torch.where(usable, torch.where(trials <= DENSE_TRIALS, 0, 1), 2)


def _boxes(positions: Tensor, atoms: Tensor, cell: Tensor, pbc: Tensor) -> list[_Box]:
    ends = atoms.cumsum(0).tolist()[:-1]
    points = np.split(positions.detach().cpu().numpy(), ends)
    boxes, periods = cell.detach().cpu().numpy(), pbc.cpu().numpy()
    return [_Box(points[k], boxes[k], periods[k]) for k in range(len(boxes))]
