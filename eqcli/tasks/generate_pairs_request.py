"""What is asked of a generation of pairs of clouds, and what cannot be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from eqcli.errors import InputError, Where
from eqcli.files import refuse_unwritable_folder
from eqcli.names import did_you_mean

FORMATS = (".ply", ".npy", ".pcd", ".xyz")
"""Endings of the clouds that are written."""

KINDS = ("object", "scene", "outdoor")
"""Shapes that the program makes."""

VIEWS = ("crop", "sight")

SETTINGS = "pairs.json"
"""What the pairs were made from."""

WRITTEN = {"clouds": ("*_source.*", "*_target.*"), "motions": ("*_transform.txt", "*_symmetry.txt")}
"""Names of the files of pairs, by folder."""


@dataclass(frozen=True)
class PairGeneration:
    """What is asked of a generation of pairs.

    Attributes
    ----------
    output
        Folder to write; it must be absent or empty, unless `overwrite`.
    count
        Pairs.
    files
        Clouds and meshes to make pairs from, or folders of them; none for shapes that the program makes itself.
    overlap, views, kinds, density, noise, outliers, rotation, voxels
        As in `eqcli.data.pair_generation.PairSource`; `kinds` is not used with `files`.
    voxel
        Edge of the voxel in the clouds of procedural shapes; None for the unit of each shape, metres for scenes. Pairs
        from files stay in the unit of the file.
    """

    output: Path
    count: int = 20
    files: tuple[Path, ...] = ()
    overlap: tuple[float, float] = (0.1, 0.3)
    views: Mapping[str, float] = field(default_factory=lambda: {"crop": 0.5, "sight": 0.5})
    kinds: Mapping[str, float] = field(default_factory=lambda: {"object": 0.7, "scene": 0.2, "outdoor": 0.1})
    density: tuple[float, float] = (1.5, 5.0)
    noise: tuple[float, float] = (0.1, 0.3)
    outliers: float = 0.05
    rotation: float = 180.0
    voxels: tuple[int, int] = (2500, 5000)
    voxel: float | None = 0.025
    ending: str = ".ply"
    seed: int = 0
    overwrite: bool = False


def check(request: PairGeneration) -> None:
    """Raises InputError where a request cannot be carried out; nothing is written."""
    if request.count < 1:
        raise InputError(f"the number of pairs is {request.count}, and must be at least 1")
    if not 0 < request.overlap[0] < request.overlap[1] < 1:
        low, high = request.overlap
        raise InputError(f"the overlap runs from {low:g} to {high:g}, and must rise between 0 and 1")
    ranges = {"noise": (request.noise, 0.0), "density": (request.density, 1e-3), "voxels": (request.voxels, 100)}
    for name, ((low, high), least) in ranges.items():
        if not least <= low <= high < np.inf:
            raise InputError(f"the {name} runs from {low:g} to {high:g}, and must rise from at least {least:g}")
    if not 0 <= request.outliers < 1:
        raise InputError(f"the outliers are {request.outliers:g}, and must be a share below 1")
    if not 0 <= request.rotation <= 180:
        raise InputError(f"the rotation is {request.rotation:g}, and must be between 0 and 180 degrees")
    if request.voxel is not None and not 0 < request.voxel < np.inf:
        raise InputError(f"the voxel is {request.voxel:g}, and must be a length above 0")
    for weights, known in ((request.kinds, KINDS), (request.views, VIEWS)):
        if unknown := [name for name in weights if name not in known]:
            hint = did_you_mean(unknown[0], list(known), "names")
            raise InputError(f"'{unknown[0]}' is no kind of shape or view", hint=hint)
    if request.ending not in FORMATS:
        raise InputError(f"clouds are not written as '{request.ending}' here", hint=f"Expected {', '.join(FORMATS)}.")
    refuse_unwritable_folder(request.output)
    if request.output.is_dir() and any(request.output.iterdir()):
        _refuse_full(request)


def _refuse_full(request: PairGeneration) -> None:
    """Raises InputError where a folder with something in it may not be replaced."""
    from eqcli.data.cloud_pairs import TABLE

    if not request.overwrite:
        raise InputError("this folder is not empty", Where(request.output), "Name another one, or add --overwrite.")
    names = {path.name for path in request.output.iterdir()}
    if not names & {TABLE, SETTINGS, *WRITTEN}:
        hint = "Choose another folder with -o; --overwrite is for folders of pairs only."
        raise InputError("this folder is not empty and holds no pairs", Where(request.output), hint)
