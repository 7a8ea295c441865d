"""Deep ensembles: the mean of several potentials, and their spread (Lakshminarayanan et al., NeurIPS 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from eqcli.graph.segments import segment_sum
from eqcli.models.potentials.base import Potential, Statistics
from eqcli.models.potentials.build import make_potential
from eqcli.models.potentials.configs.ensemble import EnsembleConfig
from eqcli.models.potentials.properties import properties_of

if TYPE_CHECKING:
    from eqcli.graph.atom_graph import AtomGraph


class Ensemble(Potential):
    """Energies, and whatever else all members give, averaged over potentials that were trained apart.

    Forces and stress are derivatives of the mean energy. `energy_std` and, where forces are asked for, `forces_std`
    are the standard deviations over the members, which for forces costs as many derivatives again.
    """

    config: EnsembleConfig
    members: Any  # a ModuleList of potentials: torch types no elements

    def __init__(self, config: EnsembleConfig, elements: list[int]) -> None:
        super().__init__(config, elements)
        self.members = nn.ModuleList(make_potential(member, elements) for member in config.members)
        self.direct = tuple(name for name in ("forces", "stress") if any(name in m.direct for m in self.members))
        self.exact = all(m.exact for m in self.members)
        self.reflections = all(m.reflections for m in self.members)
        self.quantities = {p.name: p.quantity for p in properties_of(config)}
        standard = [name for name in ("energy", "forces", "stress") if all(name in m.outputs for m in self.members)]
        self.outputs = (*standard, *self.quantities)

    @classmethod
    def of(cls, members: Sequence[Potential]) -> Ensemble:
        """An ensemble of trained potentials, which must know the same elements."""
        made = cls(EnsembleConfig(members=tuple(m.config for m in members)), members[0].elements.tolist())
        made.to(members[0].dtype)
        for own, member in zip(made.members, members, strict=True):
            own.load_state_dict({k: v for k, v in member.state_dict().items() if not k.startswith("uncertainty.")})
        made.reference_energies.copy_(torch.stack([m.reference_energies for m in members]).mean(0))
        return made

    @property
    def accepts_charge(self) -> bool:  # type: ignore[override]
        """Whether all members do."""
        return all(m.accepts_charge for m in self.members)

    def initialise(self, statistics: Statistics) -> None:
        for member in self.members:
            member.initialise(statistics)

    def interaction_energies(self, graph: AtomGraph, vectors: Tensor) -> Tensor:
        found = [m.interaction_energies(*self._seen(m, graph, vectors)) for m in self.members]
        return torch.stack(found).mean(0)

    def compute(self, graph: AtomGraph, vectors: Tensor) -> dict[str, Tensor]:
        found = [member.compute(*self._seen(member, graph, vectors)) for member in self.members]
        wanted = [name for name in found[0] if name in (*self.quantities, *self.direct, "atomic_energies")]
        result = {name: torch.stack([one[name] for one in found]).mean(0) for name in wanted}
        if "atomic_energies" not in result:
            return result
        own = self.reference_energies - torch.stack([m.reference_energies for m in self.members]).mean(0)
        result["atomic_energies"] = result["atomic_energies"] + own[self.species(graph)]
        energies = [_sum(one["atomic_energies"], graph.batch, graph.n_structures) for one in found]
        result["energy_std"] = torch.stack([energy.detach() for energy in energies]).std(0)
        forces = [one["forces"].detach() for one in found] if "forces" in self.direct else None
        if forces is None and vectors.requires_grad and not self.training:
            forces = [_forces(energy, graph, vectors) for energy in energies]
        if forces is not None:
            result["forces_std"] = torch.stack(forces).std(0)
        return result

    def _seen(self, member: Potential, graph: AtomGraph, vectors: Tensor) -> tuple[AtomGraph, Tensor]:
        """The edges that a member knows."""
        return within(graph, vectors, member.cutoff) if member.cutoff < self.cutoff else (graph, vectors)


def within(graph: AtomGraph, vectors: Tensor, cutoff: float) -> tuple[AtomGraph, Tensor]:
    """The edges that a member with a shorter cutoff knows; all where none is longer."""
    near = vectors.detach().norm(dim=1) < cutoff
    if bool(near.all()):
        return graph, vectors
    slim = copy(graph)
    slim.edge_index, slim.edge_shift = graph.edge_index[:, near], graph.edge_shift[near]
    return slim, vectors[near]


def _forces(energy: Tensor, graph: AtomGraph, vectors: Tensor) -> Tensor:
    """-dE/dx of one member from the derivative by edge vectors, which the others need the graph of, `[N, 3]`."""
    (slope,) = torch.autograd.grad(energy.sum(), vectors, retain_graph=True, allow_unused=True)
    if slope is None:
        return torch.zeros_like(graph.positions)
    sender, receiver = graph.edge_index
    return segment_sum(slope, receiver, graph.num_nodes) - _sum(slope, sender, graph.num_nodes)


def _sum(values: Tensor, index: Tensor, n: int) -> Tensor:
    return values.new_zeros(n, *values.shape[1:]).index_add(0, index, values)
