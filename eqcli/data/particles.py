"""Systems of particles at two times: what a model of motion is trained on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from eqcli.data.prepared_sets import PreparedSets
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


def joined(sets: Sequence[ParticleSet]) -> ParticleSet:
    """The systems of several sets one after the other. Raises InputError where they are of different kinds."""
    first = sets[0]
    if any(kind(other) != kind(first) for other in sets):
        raise InputError("these files have systems of different kinds", hint="Give each a call of its own.")
    return ParticleSet(
        np.concatenate([s.positions for s in sets]),
        np.concatenate([s.velocities for s in sets]),
        np.concatenate([s.target for s in sets]),
        None if first.charges is None else np.concatenate([s.charges for s in sets if s.charges is not None]),
        np.concatenate([s.features for s in sets]),
    )


def kind(systems: ParticleSet) -> tuple[int, ...]:
    """Particles, dimensions, whether there are charges, number of features."""
    return (*systems.positions.shape[1:], systems.charges is not None, systems.features.shape[2])


PreparedParticles = PreparedSets[ParticleSet]
"""Systems of particles in parts, and where they come from."""


def save_particles(path: Path, prepared: PreparedParticles, provenance: dict[str, Any]) -> None:
    """Writes an HDF5 file with a group for each part."""
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["format"] = FORMAT
        file.attrs["version"] = VERSION
        for name, facts in (("settings", prepared.settings), ("inputs", prepared.inputs), ("provenance", provenance)):
            file.attrs[name] = json.dumps(facts)
        for name, part in prepared.parts.items():
            group = file.create_group(name)
            for field in fields(part):
                if (array := getattr(part, field.name)) is not None:
                    group.create_dataset(field.name, data=array, compression="gzip", shuffle=True)


def load_particles(path: Path) -> PreparedParticles | None:
    """What `save_particles` wrote; None where there is nothing. Raises InputError for a damaged file."""
    if not path.is_file():
        return None
    try:
        with h5py.File(path) as file:
            parts = {name: _read_part(group) for name, group in file.items()}
            return PreparedParticles(parts, json.loads(file.attrs["settings"]), json.loads(file.attrs["inputs"]))
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(
            f"the prepared data of this run are damaged: {error}", Where(path), "Start again with --overwrite."
        ) from error


def _read_part(group: h5py.Group) -> ParticleSet:
    arrays = {name: dataset[()] for name, dataset in group.items()}
    return ParticleSet(**{"charges": None, **arrays})
