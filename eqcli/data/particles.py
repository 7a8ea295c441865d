"""Systems of particles at two times: what a model of motion is trained on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from eqcli.errors import InputError, Where
from eqcli.files import atomic_path

Array = NDArray[np.float64]
FORMAT, VERSION = "eqcli-particles", 1


@dataclass(frozen=True)
class ParticleSet:
    """S systems of N particles in n dimensions.

    Attributes
    ----------
    positions, velocities
        At the first time, `[S, N, n]`.
    target
        Positions at the second time, `[S, N, n]`.
    charges
        `[S, N]`; their products are features of the pairs. Without charges pairs have no features.
    features
        What does not change under motions, by particle, `[S, N, F]`.
    """

    positions: Array
    velocities: Array
    target: Array
    charges: Array | None
    features: Array

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def particles(self) -> int:
        """N."""
        return int(self.positions.shape[1])

    def take(self, rows: NDArray[np.int64]) -> ParticleSet:
        """These systems alone."""
        arrays: dict[str, Array | None] = {field.name: getattr(self, field.name) for field in fields(self)}
        taken: dict[str, Any] = {name: None if a is None else a[rows] for name, a in arrays.items()}
        return ParticleSet(**taken)


def settings_hash(settings: dict[str, Any]) -> str:
    """SHA-256 of what a set was made from."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def write_particles(
    path: Path, parts: dict[str, ParticleSet], settings: dict[str, Any], provenance: dict[str, Any]
) -> None:
    """Writes the parts of a data set with what they were made from."""
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["format"] = FORMAT
        file.attrs["version"] = VERSION
        file.attrs["settings"] = json.dumps(settings)
        file.attrs["provenance"] = json.dumps(provenance)
        for name, part in parts.items():
            group = file.create_group(name)
            for field in fields(part):
                if (array := getattr(part, field.name)) is not None:
                    group.create_dataset(field.name, data=array, compression="gzip", shuffle=True)


def load_particles(path: Path, settings: dict[str, Any]) -> dict[str, ParticleSet] | None:
    """The parts that were made from these settings; None where there is no such file, or it is of others.

    Raises InputError for a damaged file.
    """
    if not path.is_file():
        return None
    try:
        with h5py.File(path) as file:
            if json.loads(file.attrs["settings"]) != settings:
                return None
            return {name: _read_part(group) for name, group in file.items()}
    except (OSError, KeyError, ValueError) as error:
        raise InputError(
            f"the prepared data of this run are damaged: {error}", Where(path), "Start again with --overwrite."
        ) from error


def _read_part(group: h5py.Group) -> ParticleSet:
    arrays = {name: dataset[()] for name, dataset in group.items()}
    return ParticleSet(**{"charges": None, **arrays})
