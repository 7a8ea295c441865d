"""From matches to a motion: one interface for all solvers.

Matches without a common motion are no error of any solver: few of them are inliers in the result then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eqcli.errors import InputError
from eqcli.models.pointcloud.cliques import Clique
from eqcli.models.pointcloud.matches import Matches, checked
from eqcli.models.pointcloud.one_match import OneMatch
from eqcli.models.pointcloud.procrustes import Procrustes
from eqcli.models.pointcloud.ransac import Ransac
from eqcli.models.pointcloud.solved import Solved, Solver
from eqcli.models.pointcloud.spectral import Spectral

__all__ = ["SOLVERS", "Matches", "Solved", "Solver", "checked", "make_solver"]

SOLVERS: dict[str, Callable[..., Solver]] = {
    "procrustes": Procrustes,
    "one-match": OneMatch,
    "ransac": Ransac,
    "clique": Clique,
    "spectral": Spectral,
}
"""Solvers by name; their settings are the fields of their classes."""


def make_solver(name: str, **settings: Any) -> Solver:
    """A solver by name, with the settings of its class.

    Raises
    ------
    InputError
        For a name or a setting that is not known.
    """
    if name not in SOLVERS:
        raise InputError(f"no solver is called '{name}'", hint=f"Known: {', '.join(SOLVERS)}.")
    try:
        return SOLVERS[name](**settings)
    except TypeError as error:
        raise InputError(f"the solver '{name}' has no such setting: {error}") from error
