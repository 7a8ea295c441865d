"""How two clouds are registered."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from eqcli.errors import InputError

Method = Literal["auto", "fpfh", "pare-net", "ume", "icp"]
Refinement = Literal["none", "point-to-point", "point-to-plane", "gicp"]


@dataclass(frozen=True)
class RegistrationSettings:
    """How two clouds are registered; every length but the voxel is a multiple of the voxel.

    Attributes
    ----------
    method
        Where matches come from: `fpfh` histograms, the given features (`pare-net`, `ume`), or nowhere (`icp`, which
        refines the start alone). `auto` takes histograms, and the given features as well, and keeps the better.
    voxel
        Edge of the voxels, unit of the clouds; chosen from their extent and density when absent, and then other
        sizes are tried where the first one gives no reliable motion.
    solver
        Name of one solver of `eqcli.models.pointcloud.solving`; several in turn when absent.
    refinement
        What moves the surfaces together in the end.
    seed
        Of all that is drawn.
    threads
        Of the refinement. With 1 a result is the same to the bit every time.
    threshold
        Voxels within which a motion must bring a match for the solvers.
    descriptor
        Radius of the descriptors in voxels.
    hypotheses
        Motions that are refined and verified, at most.
    fine_points
        Points of each cloud that the last refinement sees, about, at most.
    """

    method: Method = "auto"
    voxel: float | None = None
    solver: str | None = None
    refinement: Refinement = "gicp"
    seed: int = 0
    threads: int = 1
    threshold: float = 1.5
    descriptor: float = 5.0
    hypotheses: int = 8
    fine_points: int = 60_000

    def __post_init__(self) -> None:
        _known("method", self.method, get_args(Method))
        _known("refinement", self.refinement, get_args(Refinement))
        for name in ("threshold", "descriptor", "voxel"):
            value = getattr(self, name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise InputError(f"the {name} is {value:g}; a positive number is expected")
        if min(self.threads, self.hypotheses, self.fine_points) < 1:
            raise InputError("threads, hypotheses and points of the last refinement are at least 1")


def _known(name: str, value: str, words: tuple[str, ...]) -> None:
    if value not in words:
        raise InputError(f"there is no {name} '{value}'", hint=f"Known: {', '.join(words)}.")
