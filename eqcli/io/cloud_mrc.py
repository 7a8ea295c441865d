"""Density maps (MRC2014, CCP4) as weighted points, through mrcfile: the voxels above a threshold, in Å.

The threshold divides the voxels of positive density into two classes whose variances are least (Otsu, IEEE Trans.
SMC 9, 62 (1979)), so that zeros around the molecule, which differ from map to map, do not count. The weight of a
point is its density.
"""

from __future__ import annotations

import struct
import warnings
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.errors import MissingDependency
from eqcli.io.cells import cell_matrix
from eqcli.io.cloud_source import Source, first_line
from eqcli.io.point_cloud import FloatArray, PointCloud

BINS = 1024
SIZES = {0: 1, 1: 2, 2: 4, 3: 4, 4: 8, 6: 2, 12: 2}
"""Bytes of a voxel in each mode; others are refused later."""
DAMAGE = (ValueError, OSError, EOFError, MemoryError, OverflowError, TypeError)


def read(source: Source, samples: int, seed: int) -> PointCloud:
    """The voxels above the threshold, at their centres. Raises InputError for stacks, transforms and damage."""
    header, density = _contents(source)
    level = otsu_threshold(density[density > 0]) if (density > 0).any() else None
    if level is None:
        raise source.wrong("this map has no positive density", byte=1024)
    inside = np.argwhere(density > level)
    source.notes.append(
        f"a map of {' x '.join(map(str, density.shape[::-1]))} voxels: the {len(inside)} above {level:.6g} were taken, "
        "weighted by their density (threshold of Otsu among positive densities)"
    )
    return PointCloud(
        positions(header, inside, source),
        weights=density[tuple(inside.T)],
        units="Angstrom",
        name=source.path.name,
        path=source.path,
        notes=source.notes,
    )


def otsu_threshold(values: FloatArray) -> float:
    """The level between two classes of values with the greatest variance between them; below the greatest value."""
    counts, edges = np.histogram(values, BINS)
    centres = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts)[:-1].astype(np.float64)
    total = np.cumsum(counts * centres)
    above = len(values) - below
    good = (below > 0) & (above > 0)
    if not good.any():
        return float(np.nextafter(values.min(), -np.inf))
    between = np.zeros(len(below))
    means = total[:-1][good] / below[good] - (total[-1] - total[:-1][good]) / above[good]
    between[good] = below[good] * above[good] * means**2
    # Between two classes far apart every level is as good: the middle one is taken.
    best = np.flatnonzero(between == between.max())
    return float(edges[1 + int(best[len(best) // 2])])


def positions(header: Any, voxels: NDArray[np.int64], source: Source) -> FloatArray:
    """Positions `[N, 3]` in Å of voxels `[N, 3]` (section, row, column as stored).

    The header tells which axis each of them is and where the map begins: `origin`, or `nstart` where it is zero.
    """
    axes = [int(header.mapc), int(header.mapr), int(header.maps)]
    if sorted(axes) != [1, 2, 3]:
        axes = [1, 2, 3]
    grid = np.array([int(header.mx), int(header.my), int(header.mz)])
    lengths = np.array([float(header.cella[a]) for a in "xyz"])
    if (grid <= 0).any() or not np.isfinite(lengths).all() or (lengths <= 0).any():
        raise source.wrong("the header of this map states no size of a voxel", byte=28)
    angles = [float(header.cellb[a]) for a in ("alpha", "beta", "gamma")]
    cell = cell_matrix(list(lengths), angles if all(0 < a < 180 for a in angles) else [90.0] * 3)
    origin = np.array([float(header.origin[a]) for a in "xyz"])
    start = np.array([int(header.nxstart), int(header.nystart), int(header.nzstart)])
    stored = voxels[:, ::-1] + (start if not origin.any() else 0)
    index = np.empty(stored.shape)
    for column, axis in enumerate(axes):
        index[:, axis - 1] = stored[:, column]
    return (index / grid) @ cell + origin


def _check_size(source: Source) -> None:
    """Raises InputError where the file is shorter than its header says, before memory is taken for it."""
    order = ">" if source.data[212:213] == b"\x11" else "<"
    columns, rows, sections, mode = struct.unpack_from(order + "4i", source.data, 0)
    (extra,) = struct.unpack_from(order + "i", source.data, 92)
    if min(columns, rows, sections) < 1 or extra < 0:
        raise source.wrong(f"a map of {columns} x {rows} x {sections} voxels cannot be", byte=0)
    needed = 1024 + extra + columns * rows * sections * SIZES.get(mode, 1)
    if needed > len(source.data):
        message = f"the map ends early: its header announces {needed} bytes"
        raise source.wrong(message, byte=len(source.data))


def _contents(source: Source) -> tuple[Any, FloatArray]:
    try:
        from mrcfile.mrcinterpreter import MrcInterpreter
    except ImportError as error:
        message = "density maps need mrcfile, which is not installed"
        raise MissingDependency(message, hint="pip install 'eqcli[registration]'") from error
    if len(source.data) < 1024:
        raise source.wrong("the header of a map has 1024 bytes, and the file ends before", byte=len(source.data))
    _check_size(source)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            contents = MrcInterpreter(BytesIO(source.data), permissive=True)
        except DAMAGE as error:
            raise source.wrong(f"this is no map: {first_line(error)}", byte=0) from error
    if contents.data is None:
        reasons = "; ".join(str(w.message) for w in said)[:300]
        raise source.wrong(f"the map is damaged or ends early: {reasons}", byte=len(source.data))
    source.notes += [str(w.message) for w in said]
    data = np.asarray(contents.data)
    if data.ndim != 3 or data.dtype.kind not in "iuf":
        kind = "complex numbers" if data.dtype.kind == "c" else f"an array of {data.ndim} dimensions"
        raise source.wrong(f"a density map is one volume of real numbers, and this file holds {kind}", byte=1024)
    density = data.astype(np.float64)
    if not np.isfinite(density).all():
        source.notes.append(f"voxels that are not finite were left out: {int((~np.isfinite(density)).sum())}")
        density = np.where(np.isfinite(density), density, 0.0)
    return contents.header, density
