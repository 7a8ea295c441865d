"""glTF scenes (.glb, .gltf), through trimesh: all meshes where the scene puts them, in metres as glTF defines."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np

from eqcli.errors import MissingDependency
from eqcli.io.cloud_source import Source, first_line
from eqcli.io.mesh_sampling import Mesh, cloud_of_mesh
from eqcli.io.point_cloud import PointCloud


def read(source: Source, samples: int, seed: int) -> PointCloud:
    """Points of the surfaces, or the points of the scene where it has no triangles."""
    try:
        import trimesh
    except ImportError as error:
        message = "glTF files need trimesh, which is not installed"
        raise MissingDependency(message, hint="pip install 'eqcli[registration]'") from error
    if source.suffix == ".glb" and not source.data.startswith(b"glTF"):
        raise source.wrong("a GLB file begins with glTF", byte=0)
    # A .gltf file names the files with its numbers, and the loader looks for them beside it.
    contents: Any = BytesIO(source.data) if source.suffix == ".glb" or source.compressed else str(source.path)
    kind = "glb" if source.data.startswith(b"glTF") else "gltf"
    try:
        scene = trimesh.load_scene(contents, file_type=kind, allow_remote=False)
        meshes = [part for part in scene.dump() if isinstance(part, trimesh.Trimesh)]
        points = [part for part in scene.dump() if isinstance(part, trimesh.PointCloud)]
    except Exception as error:
        # trimesh raises errors of many kinds for damaged files.
        raise source.wrong(f"the scene is damaged: {first_line(error)}", byte=0) from error
    parts = meshes or points
    if not parts:
        raise source.wrong("there are no triangles and no points in this scene", byte=0)
    starts = np.cumsum([0, *(len(part.vertices) for part in parts)])
    faces = [np.asarray(p.faces) + s for p, s in zip(meshes, starts, strict=False)] or [np.zeros((0, 3))]
    cloud = PointCloud(
        np.concatenate([np.asarray(part.vertices) for part in parts]),
        colours=_colours(parts),
        units="m",
        name=source.path.name,
        path=source.path,
        notes=source.notes,
    )
    return cloud_of_mesh(Mesh(cloud, np.concatenate(faces).astype(np.int64)), source, samples, seed)


def _colours(parts: list[Any]) -> np.ndarray[Any, np.dtype[np.uint8]] | None:
    """Colours of the vertices where all parts state them; textures are not looked up."""
    if not all(getattr(part.visual, "kind", None) == "vertex" for part in parts):
        return None
    return np.concatenate([np.asarray(part.visual.vertex_colors)[:, :3] for part in parts]).astype(np.uint8)
