"""Units of length of clouds: conversion, and the notice that two clouds without units differ in scale."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from scipy.spatial import cKDTree

from eqcli.errors import InputError, Where
from eqcli.io.point_cloud import FloatArray, PointCloud, first_of_each

METRES: Final[dict[str, float]] = {
    "m": 1.0,
    "mm": 1e-3,
    "cm": 1e-2,
    "um": 1e-6,
    "nm": 1e-9,
    "Angstrom": 1e-10,
    "in": 0.0254,
    "ft": 0.3048,
    "us-ft": 1200 / 3937,
}
"""Factors from each unit to metres; `us-ft` is the foot of surveys in the United States."""

FACTORS: Final[dict[float, str]] = {
    1000.0: "mm against m",
    100.0: "cm against m",
    10.0: "mm against cm, or Angstrom against nm",
    25.4: "mm against in",
    304.8: "mm against ft",
}
"""Ratios of scale that mistaken units make, and what they usually are."""

TOLERANCE = 0.15
"""How far, as a share, the ratio of extents may be from a factor."""
SPACING_TOLERANCE = 0.25
"""Spacings also differ by density: their ratio may be off by this power of the factor, 1.8 for 10 and 5.6 for 1000."""
SEEN = 2000
"""Points on which the spacing is measured."""


def in_units(cloud: PointCloud, given: str, wanted: str) -> PointCloud:
    """The cloud in units `wanted`, its numbers taken as `given`: points and viewpoint scaled, with a note.

    Raises InputError for a unit that is not in `METRES`.
    """
    for unit in (given, wanted):
        if unit not in METRES:
            where = Where(cloud.path or cloud.name or None)
            raise InputError(f"'{unit}' is no unit of length", where, f"Known are {', '.join(METRES)}.")
    if given == wanted:
        return replace(cloud, units=wanted)
    factor = METRES[given] / METRES[wanted]
    viewpoint = None if cloud.viewpoint is None else cloud.viewpoint * np.array([factor] * 3 + [1.0] * 4)
    note = f"converted from {given} to {wanted}: lengths times {factor:.9g}"
    return replace(cloud, points=cloud.points * factor, viewpoint=viewpoint, units=wanted, notes=[*cloud.notes, note])


def in_like_units(source: PointCloud, target: PointCloud) -> PointCloud:
    """The source in the units of the target where both state different ones, with a note; else as it is."""
    if source.units is None or target.units is None or source.units == target.units:
        return source
    return in_units(source, source.units, target.units)


def scale_note(source: PointCloud, target: PointCloud) -> str | None:
    """What to say when one of two clouds looks as if it were in other units than the other, else None.

    Both the extents and the spacings between neighbours must differ by one of `FACTORS`, the extents within
    `TOLERANCE`: a small object in a large scene has another extent and the same spacing, a thinned cloud another
    spacing and the same extent. Clouds that both state their units are never noticed.
    """
    if source.units is not None and target.units is not None:
        return None
    sizes = [(_extent(c.points), _spacing(c.points)) for c in (source, target)]
    if any(not (extent > 0 and spacing > 0) for extent, spacing in sizes):
        return None
    extents, spacings = sizes[0][0] / sizes[1][0], sizes[0][1] / sizes[1][1]
    larger, smaller = ("source", "target") if extents > 1 else ("target", "source")
    if extents < 1:
        extents, spacings = 1 / extents, 1 / spacings
    factor = min(FACTORS, key=lambda f: abs(np.log(extents / f)))
    agree = abs(np.log(extents / factor)) <= np.log1p(TOLERANCE)
    if not agree or abs(np.log(spacings / factor)) > SPACING_TOLERANCE * np.log(factor):
        return None
    return (
        f"the {larger} is {extents:.4g} times as large as the {smaller} and its points lie {spacings:.4g} times as far "
        f"apart: this looks like units that differ by {factor:g} ({FACTORS[factor]})"
    )


def _finite(points: FloatArray) -> FloatArray:
    return points[np.isfinite(points).all(axis=1)]


def _extent(points: FloatArray) -> float:
    """Twice the 90 % quantile of the distances from the median point; 0 for no points. Few far points do not count."""
    kept = _finite(points)
    if not len(kept):
        return 0.0
    return 2 * float(np.quantile(np.linalg.norm(kept - np.median(kept, axis=0), axis=1), 0.9))


def _spacing(points: FloatArray) -> float:
    """Median distance to the nearest other point, over `SEEN` to 2 `SEEN` points, evenly in the order of the file."""
    kept = _finite(points)
    kept = kept[first_of_each(kept)]
    if len(kept) < 2:
        return 0.0
    step = max(len(kept) // SEEN, 1)
    distance, _ = cKDTree(kept).query(kept[::step], k=2)
    return float(np.median(distance[:, 1]))
