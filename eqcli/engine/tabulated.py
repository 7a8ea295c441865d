"""Potentials whose radial networks are read from tables, for the many evaluations of relaxations and dynamics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from eqcli.models.potentials.mace import MACE

if TYPE_CHECKING:
    from eqcli.models.potentials.base import Potential


def tabulate(potential: Potential) -> bool:
    """Makes a potential in float64 on a CPU use tables wherever it can; whether any of it does.

    A network of the distance alone is a curve. On a CPU half of the time of a small MACE goes into evaluating it anew
    for every pair of neighbours. What tables give differs in the last digits alone (forces by about 1e-9 of the
    largest), and forces are the gradient of the energy as before. In float32 the slopes would lose digits.
    """
    device, dtype = potential.reference_energies.device, next(potential.parameters()).dtype
    if dtype != torch.float64 or device.type != "cpu" or "compute" in vars(potential):
        return False
    models = [module for module in potential.modules() if isinstance(module, MACE)]
    made = [model.tables is not None or model.tabulate() for model in models]
    return any(made)
