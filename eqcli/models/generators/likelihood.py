"""How likely a flow makes a given crystal."""

from __future__ import annotations

import torch
from torch import Tensor

from eqcli.diffusion.integrate import Method, State, anti_annealed
from eqcli.diffusion.likelihood import Divergence, log_likelihood
from eqcli.diffusion.noise import Noise
from eqcli.errors import InputError
from eqcli.geometry.torus import torus_exp
from eqcli.graph.crystal_batch import CrystalBatch
from eqcli.models.generators.charts import StandardChart
from eqcli.models.generators.flowmm import STEPS, FlowMM
from eqcli.models.generators.species import GivenSpecies


def flow_log_likelihood(
    model: FlowMM,
    batch: CrystalBatch,
    noise: Noise | None,
    *,
    steps: int,
    method: Method,
    tolerance: float,
    divergence: Divergence,
    guidance: float,
    slope: float,
) -> Tensor:
    """log p(coordinates, lattice | species, number of atoms) of each crystal, in nats, `[B]` float64.

    The density is that of the fractional coordinates of all atoms, in the order they are given in, and of the
    lattice as three lengths in Å and three angles in radians. The velocity is without drift: a draw stays where the
    uniform base has put it as a whole, so that its translation is uniform too. It adds 0, and the density is the
    same for a shifted crystal; that of the differences of coordinates alone is the same number.

    Parameters
    ----------
    noise
        Where the random directions of an estimated divergence come from.
    steps, method, tolerance
        Of the integration backwards in time. A trained flow contracts fast at its end, where equal steps give too high
        densities: on perovskites 50 steps of Heun's method were 100 nats off, and adaptive ones of tolerance 0.03 (a
        number of calls like that) less than 0.1. The tolerance is one in nats too.
    divergence
        `exact`, with a backward pass for each coordinate of the largest crystal and call, or `hutchinson`, one
        backward pass: an unbiased estimate.
    guidance
        Weight of the conditions.
    slope
        Of anti-annealing; at 0 it is the density that was learned, not the sharper one that sampling draws from.

    Raises
    ------
    InputError
        The model draws species too.
    ValueError
        The divergence is to be estimated without noise.
    """
    if not isinstance(model.species, GivenSpecies):
        raise InputError(
            "likelihoods are defined for models of given species, and this one draws them",
            hint="Train with `model.species: given`.",
        )
    assert isinstance(model.chart, StandardChart)
    chart, tokens = model.chart, model.species.index(batch.numbers)
    look, _ = model.guided(batch, guidance)

    def velocity(state: State, time: float) -> State:
        out = look(tokens, state[0], state[1], STEPS * time)
        coordinates, *others = model.velocity(batch, out)
        return (anti_annealed(coordinates, time, slope, 0.0), *others)

    cell = batch.cell.to(model.dtype)
    found, _ = log_likelihood(
        velocity,
        (batch.fractional.to(model.dtype), chart.encode(cell)),
        lambda state: chart.base_log_density(state[1]),
        move=lambda state, tangent: (torus_exp(state[0], tangent[0]), state[1] + tangent[1]),
        owners=(batch.batch, torch.arange(len(batch), device=cell.device)),
        count=len(batch),
        steps=steps,
        method=method,
        tolerance=tolerance,
        divergence=divergence,
        noise=None if noise is None else (noise.normal_atoms(3).sign(), noise.normal_crystals(chart.size).sign()),
    )
    return found + chart.log_volume_element(cell).to(torch.float64)
