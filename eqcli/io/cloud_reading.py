"""Which reader a file of points needs, by its ending and its first bytes."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

from eqcli.errors import InputError, Where
from eqcli.files import require_file
from eqcli.io.cloud_numbers import is_number
from eqcli.io.cloud_source import GZIP, Source, open_source
from eqcli.io.formats import FORMATS, format_of
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


HEAD = 1 << 12
"""Bytes that tell what a file is."""


def read(path: Path, samples: int, seed: int) -> PointCloud:
    """See `eqcli.io.point_cloud.read_cloud`."""
    if samples < 1:
        raise InputError(f"{samples} points cannot be drawn from a mesh; at least 1 is needed", Where(path))
    source = _opened(path)
    suffix = _suffix(source)
    if suffix not in READERS and _is_unknown(source):
        if not _begins_with_points(source):
            known = ", ".join(dict.fromkeys([*READERS, *(s for spec in FORMATS.values() for s in spec.suffixes)]))
            found = f"unknown file ending '{suffix}'" if suffix else "the name of this file does not tell its format"
            raise InputError(found, Where(path), f"Known are {known}.")
        source.notes.append("read as rows of numbers, which it begins with")
        suffix = ".xyz"
    if suffix not in READERS or _is_of_structures(source, suffix):
        from eqcli.io.cloud_structures import read as read_structure

        return read_structure(source)
    return import_module(f"eqcli.io.{READERS[suffix]}").read(source, samples, seed)


def _opened(path: Path) -> Source:
    """The file in memory, or only its beginning where a reader of structures takes it from the disk."""
    require_file(path)
    suffix = path.suffix.lower()
    if suffix in READERS or suffix == ".gz":
        return open_source(path)
    with path.open("rb") as file:
        head = Source(path, file.read(HEAD), suffix)
    if not head.data or head.data.startswith(GZIP) or _suffix(head) in READERS or _is_unknown(head):
        return open_source(path)
    return head


def _suffix(source: Source) -> str:
    """The ending that tells the reader: that of the name, unless the first bytes are those of another format."""
    told = next((suffix for magic, suffix in MAGIC if source.data.startswith(magic)), None)
    if told is None and source.data[208:212] == b"MAP " and source.suffix not in (".mrc", ".map", ".ccp4"):
        told = ".mrc"
    if told is None or READERS.get(source.suffix) == READERS[told]:
        return source.suffix
    note = f"read as {told[1:].upper()}, which its first bytes are, although its name ends in '{source.suffix}'"
    if note not in source.notes:
        source.notes.append(note)
    return told


def _is_unknown(source: Source) -> bool:
    """Whether no reader of structures knows the name."""
    try:
        format_of(re.sub(r"(?i)\.gz$", "", source.path.name) if source.compressed else source.path.name)
    except InputError:
        return True
    return False


def _begins_with_points(source: Source) -> bool:
    """Whether the first line that is no comment has three numbers or more."""
    for line in source.data[:HEAD].decode("latin-1").splitlines():
        if line.strip() and not line.startswith(("#", "/")):
            words = line.replace(",", " ").replace(";", " ").split()
            return len(words) >= 3 and all(is_number(word) for word in words)
    return False


def _is_of_structures(source: Source, suffix: str) -> bool:
    """Whether a file with an ending that structures share with clouds holds atoms."""
    from eqcli.io.cloud_structures import holds_atoms

    return suffix == source.suffix and suffix in (".xyz", ".npz", ".csv", ".npy") and holds_atoms(source)
