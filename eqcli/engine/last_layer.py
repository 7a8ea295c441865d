"""Fits the uncertainty of a trained potential to its training data and calibrates it on held-out structures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch

from eqcli.errors import InputError
from eqcli.models.potentials.derive import edge_vectors, evaluate
from eqcli.models.potentials.uncertainty import LastLayerUncertainty, summed_features

if TYPE_CHECKING:
    from torch import Tensor

    from eqcli.graph.atom_graph import AtomGraph
    from eqcli.models.potentials.base import Potential

REGULARISERS = tuple(10.0**k for k in range(-12, 1))
"""s^2 as fractions of the mean eigenvalue of F^T F, tried in turn."""

LEAST = 10
"""Held-out structures with energies that a calibration needs."""


def fit_uncertainty(
    potential: Potential, train: Iterable[AtomGraph], held_out: Iterable[AtomGraph]
) -> dict[str, float]:
    """Gives a potential an uncertainty of its energies; returns what the calibration found.

    alpha^2 is the mean of squared errors in units of the raw variance, which maximises the likelihood of the errors;
    s^2 is the one of :data:`REGULARISERS` with the greatest likelihood.

    Raises
    ------
    InputError
        The potential has no last layer, or too few held-out structures have energies.
    """
    features = torch.cat([structure_features(potential, graph)[0] for graph in train])
    pairs = [structure_features(potential, graph) for graph in held_out]
    means, errors = torch.cat([pair[0] for pair in pairs]), torch.cat([pair[1] for pair in pairs])
    if len(errors) < LEAST:
        raise InputError(
            f"an uncertainty is calibrated on held-out energies, and there are {len(errors)}",
            hint=f"Hold at least {LEAST} labelled structures out (data.split.valid), or leave `uncertainty` out.",
        )
    values, vectors = torch.linalg.eigh(features.T @ features)
    found = [_calibrated(values, vectors, fraction, means, errors) for fraction in REGULARISERS]
    best = min(found, key=lambda item: item[1]["negative_log_likelihood"])
    uncertainty = LastLayerUncertainty(features.shape[1]).to(potential.elements.device)
    uncertainty.whitening.copy_(best[0])
    potential.uncertainty = uncertainty
    return best[1] | {"train_structures": float(len(features)), "held_out_structures": float(len(errors))}


def structure_features(potential: Potential, graph: AtomGraph) -> tuple[Tensor, Tensor]:
    """Mean features `[B', F]` and energy errors per atom `[B']` (eV) of the structures that have an energy label."""
    graph = graph.to(potential.elements.device)
    with torch.no_grad():
        features = potential.last_layer(graph, edge_vectors(graph, graph.positions, graph.cell))
        energy = evaluate(potential, graph, forces=False)["energy"]
    atoms = graph.atom_counts
    known = torch.isfinite(graph.energy)
    means = summed_features(features, graph) / atoms.unsqueeze(1)
    return means[known].cpu(), ((graph.energy - energy) / atoms)[known].cpu()


def _calibrated(
    values: Tensor, vectors: Tensor, fraction: float, means: Tensor, errors: Tensor
) -> tuple[Tensor, dict[str, float]]:
    """The whitening of one regulariser, and how likely it makes the held-out errors."""
    regulariser = fraction * float(values.clamp(min=0).mean())
    raw = (values.clamp(min=0) + regulariser).rsqrt().unsqueeze(1) * vectors.T
    variance = (means @ raw.T).square().sum(1).clamp(min=torch.finfo(torch.float64).tiny)
    alpha = float((errors.square() / variance).mean().sqrt())
    variance = variance * alpha**2
    likelihood = 0.5 * float((np.log(2 * np.pi) + variance.log() + errors.square() / variance).mean())
    return alpha * raw, {"alpha": alpha, "regulariser": regulariser, "negative_log_likelihood": likelihood}
