"""Clouds as arrays of NumPy: .npy of rows or structured, .npz of named arrays. Objects are never unpickled."""

from __future__ import annotations

import zipfile
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.io.cloud_columns import cloud_of, colours_of, columns_of
from eqcli.io.cloud_source import Source, first_line
from eqcli.io.cloud_text_columns import named_by_values
from eqcli.io.point_cloud import PointCloud

POINT_KEYS = (
    *("points", "xyz", "pos", "position", "positions", "coords", "coordinates", "vertices", "verts"),
    *("point_cloud", "pointcloud", "cloud", "pcd", "pc", "pts", "data", "arr_0"),
)
"""Names of arrays of points, the likeliest first."""
NORMAL_KEYS = ("normals", "normal")
COLOUR_KEYS = ("colours", "colors", "colour", "color", "rgb")
INTENSITY_KEYS = ("intensity", "intensities", "reflectance", "remission")
WEIGHT_KEYS = ("weights", "weight")
RESERVED = ("file", "allow_pickle")
"""Names that `numpy.savez` takes for its own."""


def read(source: Source, samples: int, seed: int) -> PointCloud:
    """The cloud of an .npy or .npz file, told by its first bytes."""
    if source.data.startswith(b"PK"):
        return _of_archive(source)
    try:
        array = np.load(BytesIO(source.data), allow_pickle=False)
    except Exception as error:
        # NumPy parses the header as Python, and raises errors of many kinds for damaged ones.
        raise _damaged(source, error) from error
    return _of_array(array, source)


def _damaged(source: Source, error: BaseException) -> Exception:
    if "allow_pickle" in str(error):
        return source.wrong("the array holds Python objects, which are never loaded: save it as numbers", byte=0)
    if not isinstance(error, (zipfile.BadZipFile, zlib.error)) and source.data.startswith(b"\x93NUMPY"):
        message = f"the array is damaged, or the file ends early: {first_line(error)}"
        return source.wrong(message, byte=len(source.data))
    return source.wrong(f"no array of NumPy: {first_line(error)}", byte=0)


def _of_archive(source: Source) -> PointCloud:
    arrays: dict[str, NDArray[Any]] = {}
    skipped: list[str] = []
    try:
        with np.load(BytesIO(source.data), allow_pickle=False) as archive:
            for name in archive.files:
                try:
                    member = archive[name]
                    if isinstance(member, np.ndarray):
                        arrays[name] = member
                except ValueError as error:
                    if "allow_pickle" not in str(error):
                        raise
                    skipped.append(name)
    except Exception as error:
        raise _damaged(source, error) from error
    if skipped:
        source.notes.append(f"arrays of Python objects were passed over: {', '.join(skipped)}")
    key = _found(arrays, POINT_KEYS)
    if key is None and {"x", "y", "z"} <= {name.lower() for name in arrays}:
        return cloud_of({n: a for n, a in arrays.items() if a.ndim == 1}, source)
    if key is None:
        key = next((n for n, a in arrays.items() if len(arrays) == 1 and a.ndim == 2), None)
    if key is None:
        names = ", ".join(arrays) or "none"
        hint = f"Name it one of {', '.join(POINT_KEYS)}."
        raise source.wrong(f"no array of points among the arrays of this file: {names}", byte=0, hint=hint)
    return _with_arrays(_of_array(arrays.pop(key), source), arrays)


def _with_arrays(cloud: PointCloud, arrays: dict[str, NDArray[Any]]) -> PointCloud:
    """Sets what the other arrays of an archive say of each point."""
    for key, shape in ((_found(arrays, NORMAL_KEYS), "normals"), (_found(arrays, COLOUR_KEYS), "colours")):
        if key is not None and arrays[key].shape == cloud.points.shape and arrays[key].dtype.kind in "iuf":
            values = arrays[key] if shape == "normals" else colours_of(arrays[key])
            if values is not None:
                del arrays[key]
                setattr(cloud, shape, values.astype(np.float64) if shape == "normals" else values)
    for key, place in ((_found(arrays, INTENSITY_KEYS), "intensity"), (_found(arrays, WEIGHT_KEYS), "weights")):
        if key is not None and arrays[key].size == len(cloud) and arrays[key].dtype.kind in "iuf":
            setattr(cloud, place, arrays.pop(key).reshape(-1))
    units, viewpoint = arrays.pop("units", None), arrays.pop("viewpoint", None)
    if units is not None and units.ndim == 0 and units.dtype.kind == "U":
        cloud.units = str(units)
    if viewpoint is not None and viewpoint.shape == (7,):
        cloud.viewpoint = viewpoint.astype(np.float64)
    cloud.fields |= {name: a for name, a in arrays.items() if a.ndim and len(a) == len(cloud)}
    return cloud


def _found(arrays: dict[str, NDArray[Any]], keys: tuple[str, ...]) -> str | None:
    named = {name.lower(): name for name in reversed(list(arrays))}
    return next((named[key] for key in keys if key in named), None)


def _of_array(array: NDArray[Any], source: Source) -> PointCloud:
    """The cloud of an array `[N, 3 or more]`, `[3, N]`, `[H, W, 3]` or structured."""
    if array.dtype.names is not None:
        flat = array.reshape(-1)
        return cloud_of({name: flat[name] for name in array.dtype.names}, source)
    if array.dtype.kind not in "iuf":
        raise source.wrong(f"an array of {array.dtype} holds no coordinates", byte=0)
    shape = array.shape
    if array.ndim == 3 and shape[-1] >= 3:
        source.notes.append(f"an array of {' x '.join(map(str, shape))}: its rows were put one after the other")
        array = array.reshape(-1, shape[-1])
    elif array.ndim == 2 and shape[0] == 3 and (shape[1] == 2 or shape[1] > 12):
        source.notes.append(f"an array of 3 x {shape[1]}: its columns were taken as points")
        array = array.T
    if array.ndim != 2 or array.shape[1] < 3:
        raise source.wrong(f"an array of shape {shape} is no list of points: [N, 3] or more is expected", byte=0)
    if shape == (4, 4) and (array[3] == [0, 0, 0, 1]).all():
        raise source.wrong("this array of 4 x 4 is a motion, not a cloud", byte=0)
    if array.shape[1] == 4 and len(array) and (array[:, 3] == 1).all():
        source.notes.append("the fourth column is one throughout: taken as homogeneous coordinates and left out")
        array = array[:, :3]
    return cloud_of(named_by_values(array.astype(np.float64), source), source)


def write(cloud: PointCloud, path: Path) -> None:
    """Writes .npz with an array for each part, or .npy: `[N, 3]` for points alone, else a structured array."""
    if path.suffix.lower() == ".npz":
        parts: dict[str, Any] = {"points": cloud.points, "normals": cloud.normals, "colours": cloud.colours}
        parts |= {"intensity": cloud.intensity, "weights": cloud.weights, "viewpoint": cloud.viewpoint}
        parts["units"] = None if cloud.units is None else np.array(cloud.units)
        parts = {name: part for name, part in parts.items() if part is not None}
        parts |= {f"{name}_" if name in parts or name in RESERVED else name: a for name, a in cloud.fields.items()}
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, **parts)
        return
    columns = columns_of(cloud)
    with path.open("wb") as file:
        if len(columns) == 3:
            np.save(file, cloud.points)
        else:
            rows = np.empty(len(cloud), dtype=np.dtype([(name, v.dtype) for name, v in columns.items()]))
            for name, values in columns.items():
                rows[name] = values
            np.save(file, rows)
