"""Optimal transport between two sets of points of equal weight."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def transport_plan(cost: Tensor) -> Tensor:
    """The cheapest plan that takes mass 1/m from each row to mass 1/n in each column, `[m, n]`, exactly.

    Solved without gradient: by POT's network simplex where that package is installed, else as a linear programme.
    The plans of the two differ where several are cheapest.

    Parameters
    ----------
    cost
        Of moving all mass from a row to a column, `[m, n]`, finite.
    """
    values = cost.detach().double().cpu().numpy()
    m, n = values.shape
    try:
        import ot
    except ImportError:
        plan = linear_programme(values)
    else:
        plan = ot.emd(np.full(m, 1.0 / m), np.full(n, 1.0 / n), np.ascontiguousarray(values))
    return torch.from_numpy(np.asarray(plan)).to(cost)


def linear_programme(
    cost: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The plan by a solver of linear programmes."""
    from scipy.optimize import linprog
    from scipy.sparse import coo_array

    m, n = cost.shape
    row, column = np.divmod(np.arange(m * n), n)
    which = np.concatenate([row, m + column])
    constraints = coo_array((np.ones(2 * m * n), (which, np.tile(np.arange(m * n), 2))), shape=(m + n, m * n)).tocsr()
    masses = np.concatenate([np.full(m, 1.0 / m), np.full(n, 1.0 / n)])
    found = linprog(cost.ravel(), A_eq=constraints, b_eq=masses, bounds=(0, None), method="highs")
    if found.x is None:
        raise ValueError(f"no plan was found: {found.message}")
    plan: NDArray[np.float64] = found.x.reshape(m, n)
    return plan
