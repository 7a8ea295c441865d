"""Files of trajectories of particles: HDF5 or npz, with arrays of the same names."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from eqcli.data.particles import Array, ParticleSet
from eqcli.errors import InputError, Where
from eqcli.files import require_file

NEEDED = ("positions", "velocities")
OPTIONAL = ("charges", "features")
HDF5 = (".h5", ".hdf5")
HINT = (
    "A file of trajectories has arrays positions and velocities [systems, frames, particles, dimensions], and may have "
    "charges [systems, particles] and features [systems, particles, number]."
)


@dataclass(frozen=True)
class Trajectories:
    """S systems at T times: `positions` and `velocities` `[S, T, N, n]`, `charges [S, N]`, `features [S, N, F]`."""

    path: Path
    positions: Array
    velocities: Array
    charges: Array | None
    features: Array

    def pairs(self, first: int, last: int) -> ParticleSet:
        """Two frames of every system. Raises InputError where there are not that many."""
        frames = self.positions.shape[1]
        if last >= frames:
            raise InputError(
                f"these trajectories have {frames} frames, and frame {last} is asked for (frames count from 0)",
                Where(self.path, key="data.to_frame"),
                "Set data.from_frame and data.to_frame to frames that are there.",
            )
        return ParticleSet(
            self.positions[:, first], self.velocities[:, first], self.positions[:, last], self.charges, self.features
        )


def read_trajectories(path: str | Path) -> Trajectories:
    """The trajectories in a file. Raises InputError for any other file, and for numbers that are not finite."""
    source = require_file(path)
    arrays = _arrays(source)
    if missing := [name for name in NEEDED if name not in arrays]:
        there = ", ".join(sorted(arrays)) or "nothing"
        raise InputError(f"no {' and no '.join(missing)} in this file; it has {there}", Where(source), HINT)
    positions, velocities = (_numbers(source, name, arrays[name], 4) for name in NEEDED)
    if velocities.shape != positions.shape:
        raise InputError(
            f"positions have the shape {positions.shape} and velocities {velocities.shape}", Where(source), HINT
        )
    if 0 in positions.shape:
        raise InputError(f"positions have the shape {positions.shape}: there is nothing in them", Where(source), HINT)
    systems, _, particles, _ = positions.shape
    charges = _numbers(source, "charges", arrays["charges"], 2) if "charges" in arrays else None
    features = np.zeros((systems, particles, 0))
    if "features" in arrays:
        features = _numbers(source, "features", arrays["features"], 3)
    for name, array in (("charges", charges), ("features", features)):
        if array is not None and array.shape[:2] != (systems, particles):
            raise InputError(
                f"{name} are of {array.shape[0]} systems and {array.shape[1]} particles, "
                f"positions of {systems} and {particles}",
                Where(source),
                HINT,
            )
    return Trajectories(source, positions, velocities, charges, features)


def _arrays(source: Path) -> dict[str, Any]:
    wanted = (*NEEDED, *OPTIONAL)
    try:
        if source.suffix.lower() in HDF5:
            with h5py.File(source) as file:
                return {name: file[name][()] for name in wanted if name in file}
        if source.suffix.lower() == ".npz":
            with np.load(source, allow_pickle=False) as archive:
                return {name: archive[name] for name in wanted if name in archive}
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"this file cannot be read: {error}", Where(source), HINT) from error
    raise InputError(
        f"unknown ending '{source.suffix}' for trajectories", Where(source), f"Use {', '.join(HDF5)} or .npz. {HINT}"
    )


def _numbers(source: Path, name: str, array: Any, axes: int) -> Array:
    found = np.asarray(array)
    if found.dtype.kind not in "fiu":
        raise InputError(f"{name} are no real numbers", Where(source), HINT)
    numbers: Array = found.astype(np.float64)
    if numbers.ndim != axes:
        raise InputError(f"{name} have {numbers.ndim} axes, {axes} are expected", Where(source), HINT)
    if not np.isfinite(numbers).all():
        system = int(np.argwhere(~np.isfinite(numbers))[0][0])
        raise InputError(f"{name} of system {system} are not finite", Where(source))
    return numbers
