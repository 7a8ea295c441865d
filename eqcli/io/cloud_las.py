"""LAS and LAZ, the formats of airborne lidar, through laspy: scale and offset applied, all dimensions kept.

Units come from the coordinate system that the file states (WKT or GeoTIFF keys). Source: ASPRS LAS 1.4.
"""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.errors import InputError, MissingDependency, Where
from eqcli.io.cloud_columns import cloud_of, columns_of, numeric
from eqcli.io.cloud_las_checks import check
from eqcli.io.cloud_source import Source, first_line
from eqcli.io.cloud_units import METRES
from eqcli.io.point_cloud import PointCloud

HINT = "pip install 'eqcli[registration]'"
STEPS = 1e9
"""Steps of the stored integers across the largest extent of a written cloud; they have room for 2e9."""
UNIT = re.compile(r"(?:LENGTHUNIT|UNIT)\s*\[\s*\"([^\"]*)\"\s*,\s*([-+0-9.eE]+)")
GEO_UNITS = {9001: "m", 9002: "ft", 9003: "us-ft"}
"""EPSG codes of linear units."""
LINEAR_UNITS, MODEL, PROJECTED = 3076, 1024, 3072
"""GeoTIFF keys: unit of the projection, kind of the coordinates (2: degrees), code of the projection."""


def _laspy() -> Any:
    try:
        import laspy
    except ImportError as error:
        raise MissingDependency("LAS and LAZ files need laspy, which is not installed", hint=HINT) from error
    return laspy


def read(source: Source, samples: int, seed: int) -> PointCloud:
    """The cloud; dimensions that are zero throughout say nothing and are left out."""
    laspy = _laspy()
    if not source.data.startswith(b"LASF"):
        raise source.wrong("a LAS file begins with LASF", byte=0)
    check(source)
    try:
        las = laspy.read(BytesIO(source.data))
        columns = {name: np.asarray(las[name]) for name in las.point_format.dimension_names}
        columns |= {axis.lower(): np.asarray(getattr(las, axis.lower())) for axis in "XYZ"}
        announced, found = int(las.header.point_count), len(las.points)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        # laspy raises errors of many kinds for damaged files, and its decompressor, in Rust, panics outside Exception.
        message = f"the file is damaged or ends early: {first_line(error)}"
        raise source.wrong(message, byte=len(source.data)) from error
    if announced != found:
        raise source.wrong(f"the file ends after {found} of the {announced} points", byte=len(source.data))
    for axis in "XYZ":
        columns.pop(axis, None)
    named = {name: v for name, v in columns.items() if name in ("x", "y", "z") or v.any()}
    for name in [name for name in named if name.endswith("_") and name[:-1] not in named]:
        # The writer puts numbers that do not fit a dimension of the format into one with a mark behind its name.
        named[name[:-1]] = named.pop(name)
    return cloud_of(named, source, units=_units(las, source))


def _units(las: Any, source: Source) -> str | None:
    records = [*las.header.vlrs, *(las.evlrs or [])]
    texts = [r.string for r in records if type(r).__name__ == "WktCoordinateSystemVlr"]
    keys = {k.id: k.value_offset for r in records if type(r).__name__ == "GeoKeyDirectoryVlr" for k in r.geo_keys}
    if texts:
        found, degrees = unit_of_wkt(texts[0])
    else:
        found = GEO_UNITS.get(keys.get(LINEAR_UNITS, 0)) or _unit_of_projection(keys.get(PROJECTED, 0))
        degrees = keys.get(MODEL) == 2
    if degrees:
        source.notes.append("the coordinates are degrees: a rigid motion of them has no meaning")
    return found


def _unit_of_projection(code: int) -> str | None:
    """Metres for the UTM zones of WGS 84, ETRS89 and NAD83; the unit of other projections is left open."""
    zones = (range(32601, 32661), range(32701, 32761), range(25828, 25839), range(26901, 26924))
    return "m" if any(code in zone for zone in zones) else None


def unit_of_wkt(text: str) -> tuple[str | None, bool]:
    """The unit of length that a coordinate system in WKT states for x and y, and whether these are degrees."""
    level = re.split(r"VERT_?C(?:S|RS)\s*\[", text)[0]
    if not re.search(r"PROJC(?:S|RS)|LOCAL_CS|ENGCRS|ENGINEERINGCRS|GEOCCS", level):
        return None, bool(re.search(r"GEOGC(?:S|RS)|GEODCRS", level))
    factors = [float(value) for name, value in UNIT.findall(level) if "deg" not in name.lower()]
    if not factors:
        return None, False
    return next((name for name, metres in METRES.items() if abs(factors[-1] / metres - 1) < 5e-7), None), False


def write(cloud: PointCloud, path: Path) -> None:
    """Writes LAS 1.4, compressed for `.laz`; what has no dimension of its own becomes an extra one.

    Positions are rounded to a billionth of the extent. Raises InputError for points that are not finite.
    """
    laspy = _laspy()
    if not np.isfinite(cloud.points).all():
        raise InputError("LAS files cannot hold points that are not finite", Where(path), "Write .ply instead.")
    header = laspy.LasHeader(point_format=7 if cloud.colours is not None else 6, version="1.4")
    extent = float(np.ptp(cloud.points, axis=0).max()) if len(cloud) else 0.0
    header.scales = np.full(3, 10.0 ** np.ceil(np.log10(extent / STEPS)) if extent > 0 else 1e-6)
    header.offsets = np.floor(cloud.points.min(axis=0)) if len(cloud) else np.zeros(3)
    if cloud.units in METRES:
        text = f'LOCAL_CS["local",UNIT["{cloud.units}",{METRES[cloud.units]!r}]]'
        header.vlrs.append(laspy.vlrs.known.WktCoordinateSystemVlr(text))
        header.global_encoding.wkt = True
    own, extra = _placed(cloud, header.point_format)
    for name, values in extra.items():
        header.add_extra_dim(laspy.ExtraBytesParams(name=name, type=values.dtype))
    las = laspy.LasData(header)
    las.x, las.y, las.z = cloud.points.T
    for name, values in (own | extra).items():
        las[name] = values
    with path.open("wb") as file:
        las.write(file, do_compress=path.suffix.lower() == ".laz")


def _placed(cloud: PointCloud, kinds: Any) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Columns for the dimensions of the format, where these can hold them, and all others; names are cut to fit."""
    own: dict[str, NDArray[Any]] = {}
    extra: dict[str, NDArray[Any]] = {}
    known = set(kinds.dimension_names)
    for name, values in numeric(columns_of(cloud)).items():
        if name in ("x", "y", "z"):
            continue
        if name in ("red", "green", "blue"):
            own[name] = values.astype(np.uint16) * 257
        elif name in known and _held(values, kinds.dimension_by_name(name)):
            own[name] = values
        else:
            free = name.encode()[:28].decode(errors="ignore")
            while free in known or free in extra or free in ("X", "Y", "Z"):
                free += "_"
            extra[free] = values
    return own, extra


def _held(values: NDArray[Any], dimension: Any) -> bool:
    if dimension.kind.name == "FloatingPoint":
        return True
    whole = np.isfinite(values).all() and (values == np.round(values)).all()
    return bool(whole and (not len(values) or (values.min() >= dimension.min and values.max() <= dimension.max)))
