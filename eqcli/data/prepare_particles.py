"""From the `data` section of a recipe to the systems of each part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from eqcli.data.charged_particles import ChargedParticles, draw, simulate
from eqcli.data.particles import ParticleSet, kind
from eqcli.data.split import share
from eqcli.data.trajectories import read_trajectories
from eqcli.errors import InputError, Where

PARTS = ("train", "valid", "test")


def make_particles(section: Any, seed: int, advance: Callable[[int], object] = int) -> dict[str, ParticleSet]:
    """The systems of each part that the section names; `seed` is that of the recipe.

    `advance` is told of systems that have been simulated.

    Raises
    ------
    InputError
        A file cannot be used, files do not fit together, or a part has no system.
    """
    if section.system is None:
        return from_files(section, seed)
    settings = section.model_dump(mode="json")
    return {name: simulate_part(settings, name, seed, advance) for name in PARTS if settings[name] is not None}


def simulate_part(section: dict[str, Any], part: str, seed: int, advance: Callable[[int], object] = int) -> ParticleSet:
    """Charged particles for one part, whose random numbers are its own; `section` as plain data."""
    system, count = ChargedParticles(particles=section["particles"]), section[part]
    own = seed if section["seed"] is None else section["seed"]
    first = draw(system, count, np.random.default_rng([own, PARTS.index(part)]))
    found = simulate(system, *first, (section["from_frame"], section["to_frame"]), advance)
    return ParticleSet(
        positions=found.positions[:, 0],
        velocities=found.velocities[:, 0],
        target=found.positions[:, 1],
        charges=found.charges,
        features=np.zeros((count, system.particles, 0)),
    )


def from_files(section: Any, seed: int) -> dict[str, ParticleSet]:
    """Two frames of the trajectories in each file; what is held out without a file is drawn from that of training."""
    files = {name: path for name in PARTS if (path := getattr(section, name)) is not None}
    parts = {name: read_trajectories(path).pairs(section.from_frame, section.to_frame) for name, path in files.items()}
    for name, part in parts.items():
        if kind(part) != kind(parts["train"]):
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


def _words(part: ParticleSet) -> str:
    particles, dimensions, charged, features = kind(part)
    return (
        f"{particles} particles in {dimensions} dimensions {'with' if charged else 'without'} charges "
        f"and {features} features each"
    )
