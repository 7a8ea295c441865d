# No future annotations: TorchScript and metatomic read the types of this file at run time.
"""What stands between metatomic's systems and a traced energy, in TorchScript."""

from typing import Dict, List, Optional, Tuple  # noqa: UP035 (metatomic compares the signature with these types)

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import ModelOutput, NeighborListOptions, System
from torch import Tensor, nn


class MetatomicShell(nn.Module):
    """Gathers systems and their neighbour lists into one graph and returns energies in eV.

    Parameters
    ----------
    energies
        The traced energy as TorchScript, with the arguments of :class:`eqcli.engine.tracing.Arguments`.
    elements
        Atomic numbers that the model knows, ascending.
    cutoff
        In Å.
    charged
        Whether the energy depends on the total charge.
    """

    def __init__(self, energies: torch.jit.ScriptModule, elements: list[int], cutoff: float, charged: bool) -> None:
        super().__init__()
        self.energies = energies
        self.request = NeighborListOptions(cutoff=cutoff, full_list=True, strict=True)
        self.charged = charged
        self.n_elements = len(elements)
        index = torch.full((120,), -1, dtype=torch.int64)
        index[elements] = torch.arange(len(elements))
        self.element_index: Tensor
        self.register_buffer("element_index", index)

    def requested_neighbor_lists(self) -> List[NeighborListOptions]:  # noqa: UP006
        return [self.request]

    def requested_inputs(self) -> Dict[str, ModelOutput]:  # noqa: UP006
        requested: Dict[str, ModelOutput] = {}  # noqa: UP006
        if self.charged:
            requested["charge"] = ModelOutput(unit="e", sample_kind="system")
        return requested

    def forward(
        self,
        systems: List[System],  # noqa: UP006
        outputs: Dict[str, ModelOutput],  # noqa: UP006
        selected_atoms: Optional[Labels],  # noqa: UP045
    ) -> Dict[str, TensorMap]:  # noqa: UP006
        result: Dict[str, TensorMap] = {}  # noqa: UP006
        if "energy" not in outputs:
            return result
        device = systems[0].positions.device
        vectors: List[Tensor] = []  # noqa: UP006
        edges: List[Tensor] = []  # noqa: UP006
        numbers: List[Tensor] = []  # noqa: UP006
        labels: List[Tensor] = []  # noqa: UP006
        charges = torch.zeros(len(systems), dtype=torch.float64, device=device)
        first = 0
        for k, system in enumerate(systems):
            n = len(system)
            neighbours = system.get_neighbor_list(self.request)
            pairs = neighbours.samples.values
            # A pair goes from the first atom, which is our receiver, to the second.
            edges.append(torch.stack([pairs[:, 1], pairs[:, 0]]).to(torch.int64) + first)
            vectors.append(neighbours.values.reshape(-1, 3).to(torch.float64))
            numbers.append(system.types.to(torch.int64))
            atoms = torch.arange(n, dtype=torch.int64, device=device)
            labels.append(torch.stack([torch.full_like(atoms, k), atoms], dim=1))
            if self.charged:
                charges[k] = system.get_data("charge").block().values.sum().to(torch.float64)
            first += n
        samples = torch.cat(labels)
        weights = torch.ones(samples.size(0), dtype=torch.float64, device=device)
        if selected_atoms is not None:
            sizes = torch.bincount(samples[:, 0], minlength=len(systems))
            chosen = selected_atoms.values.to(torch.int64)
            weights.zero_()
            weights[(torch.cumsum(sizes, 0) - sizes)[chosen[:, 0]] + chosen[:, 1]] = 1.0
        vector, edge = torch.cat(vectors), torch.cat(edges, dim=1)
        each, gradient = self._compute(vector, edge, torch.cat(numbers), samples[:, 0], charges, weights)
        # Zero, with the gradient of the energy of the selected atoms; engines differentiate by positions, also
        # where no atom has a neighbour.
        slope = torch.zeros(len(systems), dtype=torch.float64, device=device)
        slope = slope.index_add(0, samples[:, 0][edge[1]], ((vector - vector.detach()) * gradient).sum(dim=1))
        slope = slope + 0.0 * torch.stack([system.positions.sum() for system in systems])
        kept = weights > 0.0
        samples = samples[kept]
        count = torch.bincount(samples[:, 0], minlength=len(systems)).to(torch.float64)
        each = (each[kept] + (slope / count.clamp(min=1.0))[samples[:, 0]]).to(systems[0].positions.dtype)
        if outputs["energy"].sample_kind == "atom":
            named = Labels(["system", "atom"], samples.to(torch.int32))
            values = each
        else:
            systems_of = torch.arange(len(systems), dtype=torch.int32, device=device).reshape(-1, 1)
            named = Labels(["system"], systems_of)
            values = torch.zeros(len(systems), dtype=each.dtype, device=device).index_add(0, samples[:, 0], each)
        block = TensorBlock(
            values=values.reshape(-1, 1),
            samples=named,
            components=torch.jit.annotate(List[Labels], []),  # noqa: UP006
            properties=Labels(["energy"], torch.zeros(1, 1, dtype=torch.int32, device=device)),
        )
        keys = Labels(["_"], torch.zeros(1, 1, dtype=torch.int32, device=device))
        result["energy"] = TensorMap(keys, [block])
        return result

    def _compute(
        self, vectors: Tensor, edge_index: Tensor, numbers: Tensor, batch: Tensor, charges: Tensor, weights: Tensor
    ) -> Tuple[Tensor, Tensor]:  # noqa: UP006
        """Energies of atoms `[N]` and gradients `[E, 3]`, brought into the order of the trace and back."""
        species = self.element_index[numbers]
        order = torch.argsort(species, stable=True)
        place = torch.empty_like(order)
        place[order] = torch.arange(order.size(0), device=order.device)
        edge_index = place[edge_index]
        by_receiver = torch.argsort(edge_index[1], stable=True)
        counts = torch.bincount(species, minlength=self.n_elements)
        members: List[Tensor] = []  # noqa: UP006
        for e in range(self.n_elements):
            members.append(torch.empty(int(counts[e]), device=vectors.device))
        # The gradients are there already. (TorchScript fails on this block in a method that returns early.)
        with torch.no_grad():
            found = self.energies(
                vectors[by_receiver],
                edge_index[:, by_receiver],
                numbers[order],
                batch[order],
                charges,
                torch.full_like(charges, float("nan")),
                weights[order],
                members,
            )
        energies, gradients = found[0], found[1]
        of_edges = torch.empty_like(gradients)
        of_edges[by_receiver] = gradients
        return energies[place], of_edges
