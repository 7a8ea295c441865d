"""Which reader a file of points needs, by its ending and its first bytes."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from eqcli.errors import InputError, Where
from eqcli.io.cloud_source import Source, open_source
from eqcli.io.point_cloud import PointCloud

READERS = {
    ".ply": "cloud_ply",
    ".pcd": "cloud_pcd",
    ".xyz": "cloud_text",
    ".xyzn": "cloud_text",
    ".xyzrgb": "cloud_text",
    ".txt": "cloud_text",
    ".asc": "cloud_text",
    ".csv": "cloud_text",
    ".tsv": "cloud_text",
    ".pts": "cloud_text",
    ".npy": "cloud_numpy",
    ".npz": "cloud_numpy",
    ".bin": "cloud_kitti",
    ".las": "cloud_las",
    ".laz": "cloud_las",
    ".vtk": "cloud_vtk",
    ".mrc": "cloud_mrc",
    ".map": "cloud_mrc",
    ".ccp4": "cloud_mrc",
    ".obj": "mesh_obj",
    ".off": "mesh_off",
    ".stl": "mesh_stl",
    ".glb": "mesh_gltf",
    ".gltf": "mesh_gltf",
}
"""The module of `eqcli.io` that reads each ending; all others are those of structures."""

MAGIC = (
    (b"ply\n", ".ply"),
    (b"ply\r", ".ply"),
    (b"# .PCD", ".pcd"),
    (b"# vtk DataFile", ".vtk"),
    (b"\x93NUMPY", ".npy"),
    (b"LASF", ".las"),
    (b"glTF", ".glb"),
)
"""First bytes that leave no doubt of the format, whatever the ending says."""


def read(path: Path, samples: int, seed: int) -> PointCloud:
    """See `eqcli.io.point_cloud.read_cloud`."""
    if samples < 1:
        raise InputError(f"{samples} points cannot be drawn from a mesh; at least 1 is needed", Where(path))
    source = open_source(path)
    suffix = _suffix(source)
    if suffix not in READERS or _is_of_structures(source, suffix):
        from eqcli.io.cloud_structures import read as read_structure

        return read_structure(source)
    return import_module(f"eqcli.io.{READERS[suffix]}").read(source, samples, seed)


def _suffix(source: Source) -> str:
    """The ending that tells the reader: that of the name, unless the first bytes are those of another format."""
    told = next((suffix for magic, suffix in MAGIC if source.data.startswith(magic)), None)
    if told is None and source.data[208:212] == b"MAP " and source.suffix not in (".mrc", ".map", ".ccp4"):
        told = ".mrc"
    if told is None or READERS.get(source.suffix) == READERS[told]:
        return source.suffix
    source.notes.append(f"read as {told[1:].upper()}, which its first bytes are, although it is named {source.suffix}")
    return told


def _is_of_structures(source: Source, suffix: str) -> bool:
    """Whether a file with an ending that structures share with clouds holds atoms."""
    from eqcli.io.cloud_structures import holds_atoms

    return suffix in (".xyz", ".npz", ".csv", ".npy") and holds_atoms(source)
