"""eSCN: equivariant spherical channel network (Passaro and Zitnick, ICML 2023, arXiv:2302.03655)."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from eqcli.geometry.irreps import natural
from eqcli.models.potentials.edges import FrameEdges, capabilities
from eqcli.models.potentials.features import AtomInputs, FeaturePotential
from eqcli.models.potentials.heads import AtomStates, Widths, spherical_states
from eqcli.nn.frame_activation import frame_activation
from eqcli.nn.frame_message import FrameMessage
from eqcli.nn.layer_norm import EquivariantLayerNorm, NormScope, normalised
from eqcli.nn.spherical_mlp import spherical_mlp

if TYPE_CHECKING:
    from eqcli.models.potentials.base import Capabilities
    from eqcli.models.potentials.config import ESCNConfig
    from eqcli.nn.edge_embedding import Edges


class ESCN(FeaturePotential):
    """Features of atoms by messages that are convolved in the frame of each edge.

    An atom begins with a vector of its element. A message mixes sender and receiver (sec. 4.1), is made nonlinear,
    mixed again and turned back; the sum of the messages and the features of the atom make its new ones (sec. 4.2).
    With gates, energy and direct forces are read from the scalars and vectors of the last layer; with functions on
    the sphere, as published, from the means over it of a perceptron of their values, and of that times the direction.

    With `activation: gate` and `parity: true` everything is exactly equivariant and smooth. The published model has
    `activation: s2-grid`, `forces: direct` and `parity: false`, and no envelope.
    """

    depth_key: ClassVar[str | None] = "num_layers"
    least_depth: ClassVar[int] = 2
    probe_gain: ClassVar[float] = 2.0

    config: ESCNConfig
    layers: Any  # ModuleList of Layer: torch types no elements

    def __init__(self, config: ESCNConfig, elements: list[int]) -> None:
        if config.forces == "direct":
            self.direct = ("forces",)
        c, last = config.channels, config.lmax_last
        widths = Widths(scalars=c, vectors=c if last >= 1 else 0, tensors=c if last >= 2 else 0)
        super().__init__(config, elements, widths, hidden=config.hidden_channels)
        self.exact, self.reflections = config.activation == "gate", config.parity
        self.embedding = nn.Parameter(torch.randn(len(self.elements), c))
        self.edges = FrameEdges(config, len(self.elements))
        degrees = [0, *[config.lmax] * (config.num_layers - 1), last]
        self.layers = nn.ModuleList(Layer(config, self.edges, *pair) for pair in pairwise(degrees))
        self.sphere = update(config, last, c, c) if config.activation == "s2-grid" else None
        self.norm = normalisation(config, last)
        self.force_head = update(config, last, c, 1) if self.direct else None

    def capabilities(self) -> Capabilities | None:
        """The first layer makes what the others see; without normalisation nothing sees the length of vectors."""
        return capabilities(self.config, self.config.num_layers - 1) if self.config.norm != "none" else None

    def states(self, inputs: AtomInputs) -> AtomStates:
        edges = self.edges(inputs)
        x = self.embedding.index_select(0, inputs.species).unsqueeze(1)  # [M, (l+1)^2, C], l = 0 at first
        for layer in self.layers:
            x = layer(x, edges, self.avg_num_neighbors)
        x = x if self.norm is None else normalised(self.norm, x)
        states = spherical_states(x if self.sphere is None else self.sphere(x))
        if self.force_head is not None:
            # The grid gives a lone atom forces of rounding, where there must be none.
            bonded = x.new_zeros(inputs.n_atoms, 1).index_fill(0, inputs.receiver, 1.0)
            states.forces = self.force_head(x)[:, 1:4, 0] * bonded
        return states


class Layer(nn.Module):
    """x + update(x, sum of messages): features of degrees up to `lmax_in` to such up to `lmax_out`."""

    def __init__(self, config: ESCNConfig, edges: FrameEdges, lmax_in: int, lmax_out: int) -> None:
        super().__init__()
        # Scalars have order 0 in the frame, stay there, and through a gate see nothing else.
        lmax, mmax = config.lmax, config.mmax if lmax_in and lmax_out else 0
        self.message = FrameMessage(
            lmax,
            mmax,
            config.channels,
            lmax_in=lmax_in,
            lmax_out=lmax_out,
            activation=frame_activation(
                config.activation, lmax, mmax, config.hidden_channels, config.resolution, separable=False
            ),
            factors=edges.factors,
            parity=config.parity,
        )
        self.update = update(config, lmax_out, 2 * config.channels, config.channels)
        self.norm = normalisation(config, lmax_in)

    def forward(self, x: Tensor, edges: Edges, neighbors: Tensor) -> Tensor:
        normal = x if self.norm is None else normalised(self.norm, x)
        message = self.message(normal, edges) / neighbors.to(x.dtype)
        # Zeros for new degrees; a negative number takes those away that are not kept.
        missing = (0, 0, 0, message.shape[1] - x.shape[1])
        change = self.update(torch.cat([nn.functional.pad(normal, missing), message], dim=2))
        out: Tensor = nn.functional.pad(x, missing) + change
        return out


def update(config: ESCNConfig, lmax: int, channels_in: int, channels_out: int) -> nn.Module:
    """A perceptron of the features of an atom."""
    return spherical_mlp(
        config.activation,
        lmax,
        channels_in,
        config.hidden_channels,
        channels_out,
        config.resolution,
        separable=False,
    )


def normalisation(config: ESCNConfig, lmax: int) -> EquivariantLayerNorm | None:
    """What `config.norm` names."""
    if config.norm == "none":
        return None
    return EquivariantLayerNorm(natural(lmax, config.channels), NormScope.SEPARABLE, epsilon=config.norm_epsilon)
