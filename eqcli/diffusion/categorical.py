"""Diffusion of categories towards a prior: uniform, marginal or absorbing, as diffusion in steps and as a flow.

A category keeps its value with the probability `alpha_bar` and is otherwise drawn anew from a prior m:
q(z_t | x) = alpha_bar_t x + (1 - alpha_bar_t) m (D3PM, Austin et al., NeurIPS 2021; marginal priors: Vignac et al.,
ICLR 2023). With alpha_bar as the time that runs from 0 to 1, the same steps are those of a discrete flow from the
prior (Campbell et al., ICML 2024). The prior of absorbing diffusion is all on a category of its own, the mask.
"""

from __future__ import annotations

import torch
from torch import Tensor

from eqcli.diffusion.coefficients import Coefficient, along

TINY = 1e-30


def noised_categories(x: Tensor, alpha_bar: Coefficient, prior: Tensor, uniform: Tensor) -> Tensor:
    """States drawn from q(z_t | x).

    Parameters
    ----------
    x
        Categories, `[B, ...]` int64.
    alpha_bar
        One number, or one for each row, `[B]`.
    prior
        Probabilities of all S states, `[S]`.
    uniform
        Numbers from (0, 1), `[B, ..., 2]`: one decides whether, the other what.
    """
    kept = uniform[..., 0] < along(alpha_bar, x).to(uniform.dtype)
    return torch.where(kept, x, from_probabilities(prior.expand(*x.shape, -1), uniform[..., 1]))


def from_probabilities(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """A category for each row by the inverse of the distribution function: `[..., S]`, `[...] -> [...]`."""
    cumulative = probabilities.double().cumsum(dim=-1)
    point = uniform.double().unsqueeze(-1) * cumulative[..., -1:]
    return (cumulative <= point).sum(dim=-1).clamp(max=probabilities.shape[-1] - 1)


def posterior_probabilities(
    z: Tensor, clean: Tensor, alpha_bar_t: Coefficient, alpha_bar_s: Coefficient, prior: Tensor
) -> Tensor:
    """p(z_s | z_t) where the clean category is known by its probabilities, `[B, ..., S]`; alpha_bar_s >= alpha_bar_t.

    The sum over x of q(z_s | z_t, x) p(x), by Bayes' rule; one pass over the S states instead of S squared, since the
    kernel is a multiple of one plus a constant row. States that no x of `clean` can have led to stay as they are.

    Parameters
    ----------
    z
        States now, `[B, ...]` int64.
    clean
        Probabilities of what is behind them, `[B, ..., S]`; zero for the mask.
    """
    precise = [along(value, clean) for value in (alpha_bar_t, alpha_bar_s)]
    precise.append(precise[0] / precise[1].clamp(min=TINY))
    late, early, kept = (value.to(clean.dtype) for value in precise)
    lost_late, lost_early, lost = ((1 - value).to(clean.dtype) for value in precise)
    here = torch.nn.functional.one_hot(z, len(prior)).to(clean.dtype)
    prior = prior.to(clean.dtype)
    prior_here = (here * prior).sum(dim=-1, keepdim=True)
    # q(z_t | x) for every x, the denominator of Bayes' rule.
    seen = late * here + lost_late * prior_here
    weight = torch.where((clean > 0) & (seen > 0), clean / seen.clamp(min=TINY), 0.0)
    source = early * weight + lost_early * prior * weight.sum(dim=-1, keepdim=True)
    found = (kept * here + lost * prior_here) * source
    total = found.sum(dim=-1, keepdim=True)
    return torch.where(total > 0, found / total.clamp(min=TINY), here)


def reverse_categories(
    z: Tensor, clean: Tensor, alpha_bar_t: Coefficient, alpha_bar_s: Coefficient, prior: Tensor, uniform: Tensor
) -> Tensor:
    """States drawn from p(z_s | z_t), see `posterior_probabilities`; `uniform` `[B, ...]`."""
    return from_probabilities(posterior_probabilities(z, clean, alpha_bar_t, alpha_bar_s, prior), uniform)
