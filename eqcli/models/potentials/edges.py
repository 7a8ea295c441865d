"""Edges as convolutions in their frames take them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from eqcli.geometry.edge_rotation import EdgeRotation
from eqcli.models.potentials.base import Capabilities
from eqcli.nn.edge_embedding import Edges
from eqcli.nn.envelope import polynomial_envelope
from eqcli.nn.radial import RADIAL_BASES

if TYPE_CHECKING:
    from eqcli.models.potentials.configs.convolutions import FrameConfig
    from eqcli.models.potentials.features import AtomInputs

UNLIMITED = 1000
"""Degree and number of neighbours of what a nonlinear function of angles to all neighbours holds."""


class FrameEdges(nn.Module):
    """Makes :class:`eqcli.nn.edge_embedding.Edges` of a batch: one rotation and one radial basis for all layers."""

    def __init__(self, config: FrameConfig, n_elements: int) -> None:
        super().__init__()
        self.config, self.n_elements = config, n_elements
        self.basis = RADIAL_BASES[config.radial_type](config.cutoff, config.num_radial_basis)
        self.envelope = polynomial_envelope(config.cutoff, config.num_cutoff_basis)
        # The same vectors serve the radial networks of all layers.
        self.elements = nn.Parameter(torch.randn(2, n_elements, config.edge_channels))

    @property
    def factors(self) -> tuple[int, nn.Parameter, int]:
        """What :class:`eqcli.nn.edge_embedding.EdgeFactors` take."""
        return self.config.num_radial_basis, self.elements, self.config.edge_channels

    def forward(self, inputs: AtomInputs) -> Edges:
        species, sender, receiver = inputs.species, inputs.sender, inputs.receiver
        directions = inputs.vectors / inputs.distances.unsqueeze(1)
        return Edges(
            sender=sender,
            receiver=receiver,
            pair=species.index_select(0, sender) * self.n_elements + species.index_select(0, receiver),
            basis=self.basis(inputs.distances),
            envelope=self.envelope(inputs.distances),
            rotation=EdgeRotation(directions, self.config.lmax, self.config.mmax),
            n_atoms=inputs.n_atoms,
        )


def capabilities(config: FrameConfig, depth: int) -> Capabilities | None:
    """What `depth` layers can tell apart that see features of all degrees; None on a grid, which no theory covers.

    In the frame of an edge to one neighbour, components of order 0 are sums of Legendre polynomials of the angles
    to all others. Any function of those has angles and products of every degree.
    """
    if config.activation != "gate":
        return None
    angles = UNLIMITED if config.lmax else 0
    return Capabilities(depth, edge_degree=angles, message_degree=config.lmax if config.mmax else 0, factors=UNLIMITED)
