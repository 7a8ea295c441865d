"""EGNN: messages from distances, vectors along edges (Satorras et al., ICML 2021, arXiv:2102.09844)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, silu

from eqcli.graph.segments import segment_sum, spread
from eqcli.models.potentials.base import Capabilities
from eqcli.models.potentials.features import AtomInputs, FeaturePotential
from eqcli.models.potentials.heads import AtomStates, Widths
from eqcli.nn.egnn import EGNNLayer
from eqcli.nn.envelope import ENVELOPES
from eqcli.nn.radial import RADIAL_BASES

if TYPE_CHECKING:
    from eqcli.models.potentials.configs.egnn import EGNNConfig

GAIN = 1.4
"""Of initial weights: about what SiLU takes from the variance."""

RESIDUAL = 0.5
"""Of initial updates beside the features they are added to."""

MOVE = 0.02
"""Initial weights that move atoms."""


class EGNN(FeaturePotential):
    """Energies and properties from E(n)-equivariant graph convolutions.

    Every message is multiplied by an envelope, which is not in the paper: there graphs were complete. Where layers
    move atoms, what moves are the edge vectors, r_ij + u_j - u_i with displacements u that begin at zero; so
    crystals need no positions.
    """

    depth_key: ClassVar[str | None] = "num_layers"

    config: EGNNConfig
    layers: Any

    def __init__(self, config: EGNNConfig, elements: list[int]) -> None:
        if config.forces == "direct":
            self.direct = ("forces",)
        width = config.channels
        super().__init__(config, elements, Widths(width, vectors=width), width)
        self.embedding = nn.Embedding(len(self.elements), width)
        self.envelope = ENVELOPES[config.envelope](config.cutoff)
        size = config.num_radial_basis
        self.basis = RADIAL_BASES[config.radial_type](config.cutoff, size) if size else None
        self.layers = nn.ModuleList(
            EGNNLayer(
                width,
                size,
                # Nothing would see the last layer's.
                update_positions=config.update_positions and t < config.num_layers - 1,
                velocity=False,
                attention=config.attention,
                residual=True,
                mean=False,
            )
            for t in range(config.num_layers)
        )
        needs = {"vector", "atom-vector", "dipole", "tensor"}
        vectors = any(head.kind in needs for head in config.heads.values())
        self.vectors = EdgeVectors(width, size, width) if vectors else None
        self.forces = EdgeVectors(width, size, 1) if self.direct else None
        self._reset()

    def _reset(self) -> None:
        """Initial weights under which forces, which are derivatives, begin at about their scale.

        Distances have few numbers beside the features of two atoms: with one fan-in for all, an untrained energy
        would hardly depend on them. By the same reason atoms move by more than in dynamics.
        """
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=GAIN * module.in_features**-0.5)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for layer in self.layers:
            _reset_edges(layer.edge_first.weight, layer.hidden)
            with torch.no_grad():
                layer.feature[-1].weight.mul_(RESIDUAL)
            if layer.coordinate is not None:
                nn.init.normal_(layer.coordinate[-1].weight, std=MOVE)
        for vectors in (self.vectors, self.forces):
            if vectors is not None:
                _reset_edges(vectors.first.weight, vectors.width)

    def capabilities(self) -> Capabilities | None:
        # Moved atoms carry angles into later layers' distances, which degrees of tensors do not describe.
        return None if self.config.update_positions else Capabilities(self.config.num_layers, 0, 0, 1)

    def states(self, inputs: AtomInputs) -> AtomStates:
        envelope = self.envelope(inputs.distances)
        radial = None if self.basis is None else self.basis(inputs.distances)
        # Neighbours differ in sign: their sum grows as the root of their number.
        factor = envelope * self.avg_num_neighbors.to(envelope.dtype).rsqrt()
        h = self.embedding(inputs.species)
        moved = inputs.vectors.new_zeros(inputs.n_atoms, 3)
        for layer in self.layers:
            h, moved = layer(h, moved, inputs.edge_index, radial, envelope=factor, shifts=inputs.vectors)
        forces = None
        if self.forces is not None:
            forces = self.forces(h, inputs, radial, factor).squeeze(2)
        vectors = None if self.vectors is None else self.vectors(h, inputs, radial, factor)
        return AtomStates(h, vectors, None, forces)


class EdgeVectors(nn.Module):
    """sum_j u(r_ij) r_ij phi(h_i, h_j, |r_ij|^2, a_ij): vectors of atoms as in the update of positions, `[M, 3, V]`."""

    def __init__(self, width: int, edge_features: int, channels: int) -> None:
        super().__init__()
        self.width = width
        self.first = nn.Linear(2 * width + 1 + edge_features, width)
        self.last = nn.Linear(width, channels)

    def forward(self, h: Tensor, inputs: AtomInputs, radial: Tensor | None, factor: Tensor) -> Tensor:
        weight, n = self.first.weight, self.width
        edges = inputs.vectors.square().sum(1, keepdim=True)
        if radial is not None:
            edges = torch.cat([edges, radial], dim=1)
        pieces = spread(linear(h, weight[:, :n], self.first.bias), inputs.receiver)
        pieces = pieces + linear(h, weight[:, n : 2 * n]).index_select(0, inputs.sender)
        each = self.last(silu(torch.addmm(pieces, edges, weight[:, 2 * n :].t())))  # [E, V]
        along = (inputs.vectors * factor.unsqueeze(1)).unsqueeze(2) * each.unsqueeze(1)
        return segment_sum(along, inputs.receiver, inputs.n_atoms)


def _reset_edges(weight: Tensor, width: int) -> None:
    """Initial weights `[.., 2 width + 1 + edge features]` by kind of input: atoms, squared distance, radial basis."""
    radial = weight.shape[1] - 2 * width - 1
    with torch.no_grad():
        nn.init.normal_(weight[:, : 2 * width], std=(2 * width) ** -0.5)
        nn.init.normal_(weight[:, 2 * width], std=0.05)  # up to 25 Å^2
        if radial:
            nn.init.normal_(weight[:, 2 * width + 1 :], std=3.0 * radial**-0.5)
