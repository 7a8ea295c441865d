"""Which writer a cloud needs, by the ending of the file."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from eqcli.errors import InputError, Where
from eqcli.files import atomic_path
from eqcli.io.point_cloud import PointCloud

WRITERS = {
    ".ply": "cloud_ply",
    ".pcd": "cloud_pcd",
    ".xyz": "cloud_text",
    ".xyzn": "cloud_text",
    ".npy": "cloud_numpy",
    ".npz": "cloud_numpy",
    ".las": "cloud_las",
    ".laz": "cloud_las",
    ".vtk": "cloud_vtk",
    ".bin": "cloud_kitti",
}
"""The module of `eqcli.io` that writes each ending."""


def require_writable(path: Path) -> str:
    """The ending, in lower case. Raises InputError for one that is not written."""
    suffix = path.suffix.lower()
    if suffix not in WRITERS:
        found = f"'{suffix}' files of points are not written" if suffix else "the name of this file tells no format"
        raise InputError(found, Where(path), f"Files that can be written: {', '.join(WRITERS)}.")
    return suffix


def write(cloud: PointCloud, path: Path) -> None:
    """See `eqcli.io.point_cloud.write_cloud`."""
    module = import_module(f"eqcli.io.{WRITERS[require_writable(path)]}")
    with atomic_path(path) as temporary:
        try:
            module.write(cloud, temporary)
        except InputError as error:
            # The person knows the file by the name it would have had.
            raise InputError(error.message, Where(path), error.hint) from error
