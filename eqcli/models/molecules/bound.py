"""The variational bound of EDM on how likely molecules are, in nats.

-log p(x, h, N) <= -log p(N) + KL(q(z_T | x, h) || p(z_T)) + sum_t E (SNR(t-1) / SNR(t) - 1) / 2 |eps - eps^|^2
- E log p(x, h | z_0) (Hoogeboom et al., ICML 2022, section 3.2 and appendix C; Kingma et al., NeurIPS 2021).

The density of positions is that on the 3 (N - 1) dimensions without drift, in Å^-3(N-1), of atoms in the order that
they are given in; that of elements is a probability.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from eqcli.diffusion.dense_noise import DenseNoise
from eqcli.graph.molecule_batch import MoleculeBatch

if TYPE_CHECKING:
    from eqcli.models.molecules.edm import EDM

TERMS = ("prior", "diffusion", "reconstruction", "size")
"""What the bound is the sum of."""


@torch.no_grad()
def variational_bound(
    model: EDM, batch: MoleculeBatch, noise: DenseNoise, *, steps: int | None = None, withheld: Tensor | None = None
) -> dict[str, Tensor]:
    """The terms of the bound for each molecule, and their `total`; `[B]` float64 each, in nats.

    An estimate without bias: each step that is taken has noise of its own, and drawn steps are weighted by how likely
    they are drawn. One number of atoms that did not occur in training makes `size` and `total` infinite, and so does
    an element that the model does not know.

    Parameters
    ----------
    model
        What is asked.
    batch
        Molecules; their properties are taken as conditions.
    noise
        Where random numbers come from.
    steps
        How many steps of the sum are drawn, one from each of as many strata, with one network call each; None takes
        all of them.
    withheld
        Properties that are hidden, `[B, P]`; none where None.
    """
    if withheld is None and model.conditions is not None:
        withheld = torch.zeros(len(batch), model.conditions.count, dtype=torch.bool, device=batch.counts.device)
    gamma, data = model.gamma(), model.data(batch)
    diffusion = torch.zeros(len(batch), dtype=torch.float64, device=data.device)
    for step, weight in _steps(gamma, len(batch), noise, steps):
        squared, _ = _error(model, batch, data, step, gamma, noise, withheld)
        diffusion += 0.5 * weight * squared.sum(dim=1)
    first = torch.zeros(len(batch), dtype=torch.int64, device=data.device)
    squared, z = _error(model, batch, data, first, gamma, noise, withheld)
    reconstruction = (
        0.5 * squared[:, :3].sum(dim=1) + _position_constants(batch, gamma) + _elements(model, batch, z, gamma)
    )
    counts = batch.counts.clamp(max=len(model.sizes) - 1)
    share = model.sizes[counts].double() / model.sizes.sum()
    size = torch.where(batch.counts < len(model.sizes), -share.log(), torch.inf)
    terms = dict(zip(TERMS, (_prior(data, batch, gamma), diffusion, reconstruction, size), strict=True))
    return {**terms, "total": torch.stack(list(terms.values())).sum(dim=0)}


def bound_losses(model: EDM, batch: MoleculeBatch, noise: DenseNoise, withheld: Tensor | None) -> dict[str, Tensor]:
    """The bound as a loss, in nats per number that a molecule has; that of molecules is `bound`.

    One step is drawn for each molecule, as often as its weight: the squared errors then count alike.
    """
    gamma, data = model.gamma(), model.data(batch)
    weights = _step_weights(gamma)
    drawn = weights.detach()
    step = _drawn(drawn, noise.uniform_molecules(1).squeeze(1).double())
    squared, _ = _error(model, batch, data, step, gamma, noise, withheld)
    # The elements of step 0 have a term of their own, for which no network is asked.
    counted = squared[:, :3].sum(dim=1) + torch.where(step > 0, squared[:, 3:].sum(dim=1), 0.0)
    diffusion = 0.5 * weights[step] / drawn[step] * drawn.sum() * counted
    z = model.noised(data, model.draw(batch, noise), gamma[:1].expand(len(batch)))
    elements = _elements(model, batch, z, gamma)
    prior = _prior(data, batch, gamma)
    bound = prior + diffusion + _position_constants(batch, gamma) + elements
    numbers = data.shape[-1] * batch.counts.sum().clamp(min=1)
    terms = {"bound": bound, "prior": prior, "diffusion": diffusion, "elements": elements}
    means = {name: term.mean().to(model.dtype) for name, term in terms.items()}
    return {"loss": (bound.sum() / numbers).to(model.dtype), **means}


def _step_weights(gamma: Tensor) -> Tensor:
    """Twice the factor of each squared error, `[T + 1]`: that of positions at step 0 is in the reconstruction."""
    return torch.cat([torch.ones_like(gamma[:1]), torch.expm1(gamma.diff())])


def _steps(gamma: Tensor, molecules: int, noise: DenseNoise, count: int | None) -> Iterator[tuple[Tensor, Tensor]]:
    """Steps `[B]` from 1 to T and their weights: each once, or drawn from strata of equal weight."""
    weights = _step_weights(gamma)[1:]
    if count is None:
        for number, weight in enumerate(weights):
            yield torch.full((molecules,), number + 1, dtype=torch.int64, device=gamma.device), weight
        return
    for stratum in range(count):
        uniform = noise.uniform_molecules(1).squeeze(1).double()
        yield 1 + _drawn(weights, (stratum + uniform) / count), weights.sum() / count


def _drawn(weights: Tensor, uniform: Tensor) -> Tensor:
    """Places drawn as often as their weights say, by the inverse of the distribution function."""
    cumulative = weights.cumsum(0)
    return torch.searchsorted(cumulative, uniform * cumulative[-1], right=True).clamp(max=len(weights) - 1)


def _error(
    model: EDM,
    batch: MoleculeBatch,
    data: Tensor,
    step: Tensor,
    gamma: Tensor,
    noise: DenseNoise,
    withheld: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Squared errors of the noise, summed over atoms, `[B, 3 + F]` float64, and what the network saw."""
    eps = model.draw(batch, noise)
    z = model.noised(data, eps, gamma[step])
    return (model.predict(batch, z, step, withheld) - eps).double().square().sum(dim=1), z


def _dimensions(batch: MoleculeBatch) -> Tensor:
    """Of positions without drift, `[B]` float64."""
    return 3.0 * (batch.counts - 1).clamp(min=0).double()


def _prior(data: Tensor, batch: MoleculeBatch, gamma: Tensor) -> Tensor:
    """KL(q(z_T | x, h) || N(0, I)) on all dimensions."""
    dimensions = _dimensions(batch) + (data.shape[-1] - 3) * batch.counts.double()
    signal, log_variance = torch.sigmoid(-gamma[-1]), logsigmoid(gamma[-1])
    return 0.5 * (signal * data.double().square().sum(dim=(1, 2)) - dimensions * (signal + log_variance))


def _position_constants(batch: MoleculeBatch, gamma: Tensor) -> Tensor:
    """Logarithm of the constant that makes the Gaussian of the positions about z_0 a density."""
    return 0.5 * _dimensions(batch) * (math.log(2.0 * math.pi) + gamma[0])


def _elements(model: EDM, batch: MoleculeBatch, z: Tensor, gamma: Tensor) -> Tensor:
    """-log p(h | z_0) of the elements of each molecule."""
    codes = z[..., 3:].double() / torch.sigmoid(-gamma[0]).sqrt()
    found = model.codes.log_probability(batch.numbers, codes, (0.5 * gamma[0]).exp())
    return -torch.where(batch.mask, found, 0.0).sum(dim=1)
