"""From the `data` section of a recipe to the systems of each part."""

from __future__ import annotations

from typing import Any

import numpy as np

from eqcli.data.charged_particles import ChargedParticles, draw, simulate
from eqcli.data.particles import ParticleSet
from eqcli.data.split import share
from eqcli.data.trajectories import read_trajectories
from eqcli.errors import InputError, Where

PARTS = ("train", "valid", "test")


def make_particles(section: Any, seed: int) -> dict[str, ParticleSet]:
    """The systems of each part that the section names; `seed` is that of the recipe.

    Raises
    ------
    InputError
        A file cannot be used, files do not fit together, or a part has no system.
    """
    if section.system is not None:
        return simulated(section, seed if section.seed is None else section.seed)
    return from_files(section, seed)


def simulated(section: Any, seed: int) -> dict[str, ParticleSet]:
    """Simulations of charged particles; each part has random numbers of its own."""
    system = ChargedParticles(particles=section.particles)
    frames = (section.from_frame, section.to_frame)
    made = {}
    for number, name in enumerate(PARTS):
        if (count := getattr(section, name)) is None:
            continue
        found = simulate(system, *draw(system, count, np.random.default_rng([seed, number])), frames)
        made[name] = ParticleSet(
            positions=found.positions[:, 0],
            velocities=found.velocities[:, 0],
            target=found.positions[:, 1],
            charges=found.charges,
            features=np.zeros((count, system.particles, 0)),
        )
    return made


def from_files(section: Any, seed: int) -> dict[str, ParticleSet]:
    """Two frames of the trajectories in each file; what is held out without a file is drawn from that of training."""
    files = {name: path for name in PARTS if (path := getattr(section, name)) is not None}
    parts = {name: read_trajectories(path).pairs(section.from_frame, section.to_frame) for name, path in files.items()}
    for name, part in parts.items():
        if _kind(part) != _kind(parts["train"]):
            raise InputError(
                f"these systems have {_words(part)}, those to train on {_words(parts['train'])}",
                Where(files[name], key=f"data.{name}"),
            )
    whole, total = parts["train"], len(parts["train"])
    order = np.random.default_rng(seed if section.split.seed is None else section.split.seed).permutation(total)
    taken = 0
    for name in ("valid", "test"):
        count = 0 if name in parts else share(getattr(section.split, name), total)
        if count:
            parts[name] = whole.take(np.sort(order[taken : taken + count]))
            taken += count
    if taken >= total:
        raise InputError(
            f"nothing is left to train on: {taken} of {total} systems are wanted for validation and test",
            Where(key="data.split"),
        )
    if "valid" not in parts:
        raise InputError(
            "there are no validation systems",
            Where(key="data.split.valid"),
            "Name a file in data.valid, or give data.split.valid a share, e.g. 0.1.",
        )
    parts["train"] = whole.take(np.sort(order[taken:]))
    return {name: parts[name] for name in PARTS if name in parts}


def _kind(part: ParticleSet) -> tuple[int, ...]:
    """Particles, dimensions, whether there are charges, number of features."""
    return (*part.positions.shape[1:], part.charges is not None, part.features.shape[2])


def _words(part: ParticleSet) -> str:
    particles, dimensions, charged, features = _kind(part)
    return (
        f"{particles} particles in {dimensions} dimensions {'with' if charged else 'without'} charges "
        f"and {features} features each"
    )
