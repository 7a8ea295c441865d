"""A small analytic potential for tests that need any potential, not a good one."""

from __future__ import annotations

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from eqcli.graph.atom_graph import AtomGraph
from eqcli.models.potentials.base import Potential, Statistics


class ToyConfig(BaseModel):
    model_config = ConfigDict(frozen=True)
    name: str = "toy"
    cutoff: float = 4.0


class ToyPotential(Potential):
    """Morse pairs with depth, width and distance as parameters, switched off smoothly at the cutoff."""

    def __init__(self, config: ToyConfig | None = None, elements: list[int] | None = None) -> None:
        super().__init__(config or ToyConfig(), elements or [1, 6, 8])
        self.depth = nn.Parameter(torch.tensor(1.0))
        self.width = nn.Parameter(torch.tensor(1.5))
        self.distance = nn.Parameter(torch.tensor(1.6))

    def initialise(self, statistics: Statistics) -> None:
        pass

    def interaction_energies(self, graph: AtomGraph, vectors: Tensor) -> Tensor:
        r = vectors.to(self.dtype).norm(dim=1)
        x = (r / self.cutoff).clamp(max=1.0)
        switch = 1 - 10 * x**3 + 15 * x**4 - 6 * x**5
        decay = torch.exp(-self.width * (r - self.distance))
        pair = 0.5 * self.depth * (decay**2 - 2 * decay) * switch
        energy = pair.new_zeros(graph.num_nodes).index_add(0, graph.edge_index[1], pair)
        return energy.double()
