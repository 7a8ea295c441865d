"""The graph of a structure: what every interatomic potential takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch_geometric.data import Data

from eqcli.graph.neighbours import neighbour_list
from eqcli.graph.segments import segment_counts

if TYPE_CHECKING:
    from torch import Tensor


class AtomGraph(Data):  # type: ignore[misc]
    """Atoms and their neighbours, alone or as a batch.

    Attributes (B structures, N atoms, E directed edges)
    ----------
    positions : `[N, 3]` float64, Å
    numbers : `[N]` int64, atomic numbers
    cell : `[B, 3, 3]` float64, Å, rows are the lattice vectors
    pbc : `[B, 3]` bool
    edge_index : `[2, E]` int64, row 0 the neighbour j (sender), row 1 the centre i (receiver), sorted by i
    edge_shift : `[E, 3]` float64, integer cell shifts S: `r_ij = positions[j] - positions[i] + S @ cell`
    batch : `[N]` int64, the structure of each atom
    charge : `[B]` float64 e, the total charge; zero where a structure states none
    spin : `[B]` float64, the spin multiplicity 2S + 1; NaN where a structure states none
    energy : `[B]` float64 eV; forces : `[N, 3]` float64 eV/Å; stress : `[B, 3, 3]` float64 eV/Å^3.
        Targets; present where the data has them, with NaN rows where one structure lacks one.
    """

    positions: Tensor
    numbers: Tensor
    cell: Tensor
    pbc: Tensor
    edge_shift: Tensor
    charge: Tensor
    spin: Tensor

    def __inc__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        if key == "edge_index":
            return self.numbers.numel()
        return 0

    def __cat_dim__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        return 1 if key == "edge_index" else 0

    @property
    def n_structures(self) -> int:
        """B, the number of structures."""
        return int(self.cell.shape[0])

    @property
    def atom_counts(self) -> Tensor:
        """Atoms of each structure, `[B]` int64."""
        return segment_counts(self.batch, self.n_structures)

    @property
    def num_nodes(self) -> int:
        """N, the number of atoms."""
        return int(self.numbers.shape[0])


def build_graph(
    numbers: NDArray[Any],
    positions: NDArray[Any],
    cell: NDArray[Any],
    pbc: NDArray[Any],
    cutoff: float,
    *,
    charge: float | None = None,
    spin: float | None = None,
    energy: float | None = None,
    forces: NDArray[Any] | None = None,
    stress: NDArray[Any] | None = None,
) -> AtomGraph:
    """The graph of one structure, every neighbour image within `cutoff` (Å) an edge.

    Absent targets become NaN, so that structures with and without a label batch together.
    """
    edge_index, shift = neighbour_list(positions, cell, pbc, cutoff)
    n = len(numbers)
    nan = float("nan")
    return AtomGraph(
        positions=torch.as_tensor(np.ascontiguousarray(positions), dtype=torch.float64),
        numbers=torch.as_tensor(np.ascontiguousarray(numbers), dtype=torch.int64),
        cell=torch.as_tensor(np.ascontiguousarray(cell), dtype=torch.float64).reshape(1, 3, 3),
        pbc=torch.as_tensor(np.ascontiguousarray(pbc), dtype=torch.bool).reshape(1, 3),
        edge_index=torch.as_tensor(edge_index, dtype=torch.int64),
        edge_shift=torch.as_tensor(shift, dtype=torch.float64),
        batch=torch.zeros(n, dtype=torch.int64),
        charge=torch.tensor([charge or 0.0], dtype=torch.float64),
        spin=torch.tensor([nan if spin is None else spin], dtype=torch.float64),
        energy=torch.tensor([nan if energy is None else energy], dtype=torch.float64),
        forces=torch.full((n, 3), nan, dtype=torch.float64)
        if forces is None
        else torch.as_tensor(forces, dtype=torch.float64),
        stress=torch.full((1, 3, 3), nan, dtype=torch.float64)
        if stress is None
        else torch.as_tensor(stress, dtype=torch.float64).reshape(1, 3, 3),
    )


def batch_graphs(graphs: list[AtomGraph]) -> AtomGraph:
    """One graph holding several; members keep their order, and may be batches themselves.

    Concatenates directly: `torch_geometric`'s general collation takes longer than a small model.
    """
    if not graphs:
        raise ValueError("a batch needs at least one graph")
    members = [graph.to_dict() for graph in graphs]
    joined = {
        key: torch.cat([member[key] for member in members], dim=1 if key == "edge_index" else 0) for key in members[0]
    }
    atoms = [len(member["numbers"]) for member in members]
    structures = [len(member["cell"]) for member in members]
    edges = [member["edge_index"].shape[1] for member in members]
    joined["edge_index"] = joined["edge_index"] + _starts(atoms, edges).to(joined["edge_index"].device)
    joined["batch"] = joined["batch"] + _starts(structures, atoms).to(joined["batch"].device)
    return AtomGraph(**joined)


def _starts(counts: list[int], repeats: list[int]) -> Tensor:
    """The running sum of `counts` before each member, repeated `repeats` times."""
    before = torch.tensor([0, *counts[:-1]]).cumsum(0)
    return torch.repeat_interleave(before, torch.tensor(repeats))
