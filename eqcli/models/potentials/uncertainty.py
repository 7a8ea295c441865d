"""How uncertain an energy is, from the last layer that it is linear in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from eqcli.graph.atom_graph import AtomGraph


class LastLayerUncertainty(nn.Module):
    """Standard deviation of the energy by the Laplace approximation of the last layer.

    sigma = N alpha (f^T (F^T F + s^2)^-1 f)^(1/2), with f the mean of the last-layer features of the N atoms of a
    structure and F those of the training structures (Bigi, Chong, Ceriotti and Grasselli, Mach. Learn.: Sci.
    Technol. 5, 045018 (2024), eq. 24). alpha and s are calibrated on held-out structures.

    Attributes
    ----------
    whitening
        L `[size, size]` float64 with L^T L = alpha^2 (F^T F + s^2)^-1.
    """

    whitening: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("whitening", torch.zeros(size, size, dtype=torch.float64))

    def _apply(self, fn: Any, recurse: bool = True) -> LastLayerUncertainty:
        """Moves as usual, and stays in float64: the matrix spans many orders of magnitude."""
        kept = self.whitening
        super()._apply(fn, recurse)
        self.whitening = kept.to(device=self.whitening.device)
        return self

    def forward(self, features: Tensor, graph: AtomGraph) -> Tensor:
        """Last layer `[N, size]` -> standard deviation of each energy `[B]`, eV, float64; no gradient flows."""
        return (summed_features(features.detach(), graph) @ self.whitening.T).norm(dim=1)


def summed_features(features: Tensor, graph: AtomGraph) -> Tensor:
    """Sum over the atoms of each structure, `[N, F] -> [B, F]` float64."""
    features = features.double()
    return features.new_zeros(graph.n_structures, features.shape[1]).index_add(0, graph.batch, features)
