"""Named columns of numbers, the common form of clouds in files, to a cloud and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.io.cloud_source import Source
from eqcli.io.point_cloud import PointCloud

Columns = Mapping[str, NDArray[Any]]

POSITIONS = (
    ("x", "y", "z"),
    ("points:0", "points:1", "points:2"),
    ("points_0", "points_1", "points_2"),
    ("easting", "northing", "elevation"),
)
NORMALS = (
    ("nx", "ny", "nz"),
    ("normal_x", "normal_y", "normal_z"),
    ("normalx", "normaly", "normalz"),
    ("normals:0", "normals:1", "normals:2"),
)
COLOURS = (
    ("red", "green", "blue"),
    ("r", "g", "b"),
    ("rf", "gf", "bf"),
    ("diffuse_red", "diffuse_green", "diffuse_blue"),
)
INTENSITY = ("intensity", "scalar_intensity", "reflectance", "remission", "i")
WEIGHT = ("weight", "weights")


def cloud_of(columns: Columns, source: Source, **stated: Any) -> PointCloud:
    """The cloud whose columns have these names, in any case; what has no place of its own becomes a field.

    `stated` goes to the cloud as it is (units, viewpoint). Raises InputError where there are no x, y and z.
    """
    left = {name: np.asarray(values) for name, values in columns.items()}
    positions = _take(left, POSITIONS)
    if positions is None:
        names = ", ".join(columns) or "none"
        raise source.wrong(f"there are no columns x, y and z among the columns of this file: {names}")
    normals = _take(left, NORMALS)
    coloured = _take(left, COLOURS)
    colours = None if coloured is None else colours_of(coloured)
    if coloured is not None and colours is None:
        source.notes.append("colours outside 0 to 255 were kept as fields")
        left.update({f"colour_{axis}": column for axis, column in zip("rgb", coloured.T, strict=True)})
    intensity = _take_one(left, INTENSITY)
    weights = _take_one(left, WEIGHT)
    if weights is not None and not (np.issubdtype(weights.dtype, np.number) and (weights >= 0).all()):
        left["weight"], weights = weights, None
    return PointCloud(
        positions.astype(np.float64),
        None if normals is None else normals.astype(np.float64),
        colours,
        intensity,
        weights,
        fields=left,
        name=source.path.name,
        path=source.path,
        notes=source.notes,
        **stated,
    )


def colours_of(values: NDArray[Any]) -> NDArray[np.uint8] | None:
    """Colours `[N, 3]` as bytes: from bytes, 16 bit, fractions of one or floats up to 255; None for other numbers."""
    if values.dtype == np.uint8:
        return values
    if not np.isfinite(values).all() or (values.size and values.min() < 0):
        return None
    greatest = float(values.max()) if values.size else 0.0
    if greatest <= 1 and np.issubdtype(values.dtype, np.floating) and (values != np.round(values)).any():
        return np.round(values * 255).astype(np.uint8)
    if greatest <= 255:
        return np.round(values).astype(np.uint8)
    if greatest <= 65535 and (values == np.round(values)).all():
        return np.round(values / 257).astype(np.uint8)
    return None


def columns_of(cloud: PointCloud) -> dict[str, NDArray[Any]]:
    """All of a cloud as columns of the usual names; fields of several numbers per point become several columns."""
    columns: dict[str, NDArray[Any]] = dict(zip("xyz", cloud.points.T, strict=True))
    if cloud.normals is not None:
        columns |= dict(zip(NORMALS[0], cloud.normals.T, strict=True))
    if cloud.colours is not None:
        columns |= dict(zip(COLOURS[0], cloud.colours.T, strict=True))
    if cloud.intensity is not None:
        columns["intensity"] = cloud.intensity
    if cloud.weights is not None:
        columns["weight"] = cloud.weights
    for name, values in cloud.fields.items():
        flat = values.reshape(len(cloud), -1) if values.size else values.reshape(len(cloud), 0)
        for i, column in enumerate(flat.T):
            own = plain_name(name if values.ndim == 1 else f"{name}_{i}")
            while own in columns:
                own += "_"
            columns[own] = column
    return columns


def numeric(columns: Columns) -> dict[str, NDArray[Any]]:
    """The columns that are numbers, as types that binary formats have: truth as bytes; text is left out."""
    kept: dict[str, NDArray[Any]] = {}
    for name, values in columns.items():
        if values.dtype == bool:
            kept[name] = values.astype(np.uint8)
        elif values.dtype == np.float16:
            kept[name] = values.astype(np.float32)
        elif values.dtype.kind in "iuf":
            kept[name] = values if values.dtype.itemsize <= 8 else values.astype(np.float64)
    return kept


def plain_name(name: str) -> str:
    """A name without blanks and separators, as headers of columns need."""
    return "_".join(name.replace(",", " ").replace(";", " ").split()) or "field"


def _take(left: dict[str, NDArray[Any]], choices: tuple[tuple[str, str, str], ...]) -> NDArray[Any] | None:
    """Removes the first complete choice of three numeric columns from `left` and gives it as `[N, 3]`."""
    named = {name.lower().strip(): name for name in reversed(list(left))}
    for choice in choices:
        found = [named.get(name) for name in choice]
        if all(name is not None and left[name].ndim == 1 and left[name].dtype.kind in "biuf" for name in found):
            return np.column_stack([left.pop(str(name)) for name in found])
    return None


def _take_one(left: dict[str, NDArray[Any]], choices: tuple[str, ...]) -> NDArray[Any] | None:
    named = {name.lower().strip(): name for name in reversed(list(left))}
    for choice in choices:
        name = named.get(choice)
        if name is not None and left[name].ndim == 1 and left[name].dtype.kind in "iuf":
            return left.pop(name)
    return None
