"""Whether two crystals are the same, as pymatgen's StructureMatcher judges it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Final

from eqcli.io.structure import Structure
from eqcli.metrics.crystals.convert import composition_of, to_pymatgen, volume_error


@dataclass(frozen=True)
class Tolerances:
    """How far crystals may be apart that count as the same.

    Attributes
    ----------
    ltol
        Lengths of lattice vectors: by a factor of `1 + ltol` after both cells are scaled to the same volume.
    stol
        Sites, in units of (V/N)^(1/3); root mean square distances are in the same units and below it.
    angle_tol
        Angles of the lattice, degrees.
    """

    ltol: float
    stol: float
    angle_tol: float

    def as_dict(self) -> dict[str, float]:
        """The three numbers by their names."""
        return asdict(self)


PUBLISHED: Final = Tolerances(0.3, 0.5, 10.0)
"""Of the match rates in the papers since CDVAE; loose: crystals of different space groups may match."""
STRICT: Final = Tolerances(0.2, 0.3, 5.0)
"""pymatgen's defaults, of most figures of uniqueness and novelty."""


@dataclass(frozen=True)
class Match:
    """Two crystals that match.

    Attributes
    ----------
    rmse
        Root mean square distance of their sites in units of (V/N)^(1/3): no unit, and blind to the volume.
    max_distance
        The largest distance of two sites, in the same units.
    volume_error
        |V / V_ref - 1| of the volumes per atom; the matcher scales both to one volume, so it is told apart.
    """

    rmse: float
    max_distance: float
    volume_error: float


@lru_cache
def matcher_of(tolerances: Tolerances) -> Any:
    """The StructureMatcher of the field: primitive cells, scaled to one volume, no supercells."""
    from pymatgen.analysis.structure_matcher import StructureMatcher

    return StructureMatcher(ltol=tolerances.ltol, stol=tolerances.stol, angle_tol=tolerances.angle_tol)


def match_pair(prediction: Structure, target: Structure, tolerances: Tolerances = PUBLISHED) -> Match | None:
    """How `prediction` matches `target`, or None where it does not.

    Raises
    ------
    ValueError
        One of them is no crystal: no atoms, no volume, not finite. The message says what.
    MissingDependency
        pymatgen is not installed.
    """
    if composition_of(prediction.numbers) != composition_of(target.numbers):
        return None
    found = matcher_of(tolerances).get_rms_dist(to_pymatgen(prediction), to_pymatgen(target))
    if found is None:
        return None
    rmse, largest = found
    return Match(float(rmse), float(largest), volume_error(prediction, target))
