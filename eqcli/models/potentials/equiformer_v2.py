"""EquiformerV2: an equivariant transformer of higher degrees (Liao et al., ICLR 2024, arXiv:2306.12059)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from eqcli.geometry.irreps import natural
from eqcli.models.potentials.edges import FrameEdges, capabilities
from eqcli.models.potentials.features import AtomInputs, FeaturePotential
from eqcli.models.potentials.heads import AtomStates, Widths, spherical_states
from eqcli.nn.drop import DropPath
from eqcli.nn.frame_activation import frame_activation
from eqcli.nn.frame_attention import EdgeDegreeEmbedding, FrameAttention
from eqcli.nn.layer_norm import EquivariantLayerNorm, NormScope, normalised
from eqcli.nn.spherical_mlp import spherical_mlp

if TYPE_CHECKING:
    from eqcli.models.potentials.base import Capabilities
    from eqcli.models.potentials.config import EquiformerV2Config
    from eqcli.nn.edge_embedding import Edges


class EquiformerV2(FeaturePotential):
    """Features of atoms by blocks of graph attention and feed-forward networks, each after a normalisation.

    An atom begins with a vector of its element and, for all degrees, a sum over its edges. Queries, keys and
    values are one nonlinear convolution in the frame of the edge; see
    :class:`eqcli.nn.frame_attention.FrameAttention`. The energy is read from the scalars after the last block;
    direct forces are the vector of one more attention block.

    With `activation: gate` and `parity: true` everything is exactly equivariant and smooth. The published model
    has `activation: s2-grid`, `forces: direct` and `parity: false`, and no envelope.
    """

    depth_key: ClassVar[str | None] = "num_layers"
    probe_gain: ClassVar[float] = 2.0

    config: EquiformerV2Config
    blocks: Any  # ModuleList of Block: torch types no elements

    def __init__(self, config: EquiformerV2Config, elements: list[int]) -> None:
        if config.forces == "direct":
            self.direct = ("forces",)
        c, lmax, last = config.channels, config.lmax, config.lmax_last
        widths = Widths(scalars=c, vectors=c if last >= 1 else 0, tensors=c if last >= 2 else 0)
        super().__init__(config, elements, widths, hidden=config.ffn_hidden_channels)
        self.exact, self.reflections = config.activation == "gate", config.parity
        self.embedding = nn.Parameter(torch.randn(len(self.elements), c))
        self.edges = FrameEdges(config, len(self.elements))
        self.degree_embedding = EdgeDegreeEmbedding(lmax, c, self.edges.factors)
        degrees = [lmax] * (config.num_layers - 1) + [last]
        self.blocks = nn.ModuleList(Block(config, self.edges, degree) for degree in degrees)
        self.norm = normalisation(config, last)
        self.force_block = attention(config, self.edges, 1, last) if self.direct else None

    def capabilities(self) -> Capabilities | None:
        return capabilities(self.config, self.config.num_layers)

    def states(self, inputs: AtomInputs) -> AtomStates:
        edges = self.edges(inputs)
        x = self.degree_embedding(edges) / self.avg_num_neighbors.to(edges.basis.dtype)
        scalars = x[:, :1] + self.embedding.index_select(0, inputs.species).unsqueeze(1)
        x = torch.cat([scalars, x[:, 1:]], dim=1)  # [M, (lmax+1)^2, C]
        for block in self.blocks:
            x = block(x, edges, inputs)
        x = normalised(self.norm, x)
        states = spherical_states(x)
        if self.force_block is not None:
            states.forces = self.force_block(x, edges)[:, 1:4, 0]
        return states


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed-forward(norm(x)), of which degrees up to `lmax_out` are kept."""

    norms: Any  # ModuleList of EquivariantLayerNorm

    def __init__(self, config: EquiformerV2Config, edges: FrameEdges, lmax_out: int) -> None:
        super().__init__()
        self.lmax_out = lmax_out
        c, self.n_elements = config.channels, edges.n_elements
        self.norms = nn.ModuleList(normalisation(config, degree) for degree in (config.lmax, lmax_out))
        self.attention = attention(config, edges, c, lmax_out)
        self.feed_forward = spherical_mlp(
            config.activation, lmax_out, c, config.ffn_hidden_channels, c, config.resolution
        )
        self.drop = DropPath(config.drop_path)

    def forward(self, x: Tensor, edges: Edges, inputs: AtomInputs) -> Tensor:
        # The lone atoms at the end are each a structure: their energies are taken off and must not be random.
        drop = partial(self.drop, batch=inputs.batch, n_structures=inputs.n_structures, kept=self.n_elements)
        x = x[:, : (self.lmax_out + 1) ** 2] + drop(self.attention(normalised(self.norms[0], x), edges))
        out: Tensor = x + drop(self.feed_forward(normalised(self.norms[1], x)))
        return out


def attention(config: EquiformerV2Config, edges: FrameEdges, channels_out: int, lmax_out: int) -> FrameAttention:
    """An attention block of the sizes in `config`, with results of degrees up to `lmax_out`."""
    # Through a gate, scalars see the components of order 0 alone.
    lmax, mmax = config.lmax, config.mmax if lmax_out else 0
    return FrameAttention(
        lmax,
        mmax,
        config.channels,
        channels_out,
        activation=frame_activation(
            config.activation, lmax, mmax, config.attn_hidden_channels, config.resolution, separable=True
        ),
        factors=edges.factors,
        heads=config.num_heads,
        logit_width=config.attn_alpha_channels,
        value_channels=config.attn_value_channels,
        dropout=config.alpha_drop,
        parity=config.parity,
        lmax_out=lmax_out,
    )


def normalisation(config: EquiformerV2Config, lmax: int) -> EquivariantLayerNorm:
    """The separable layer normalisation: scalars apart, all l > 0 together."""
    return EquivariantLayerNorm(natural(lmax, config.channels), NormScope.SEPARABLE, epsilon=config.norm_epsilon)
