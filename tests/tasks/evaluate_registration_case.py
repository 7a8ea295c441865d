"""Pairs of small clouds whose truth is known, and methods that answer what they are told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from eqcli.data.cloud_pairs import CloudPair
from eqcli.errors import InputError
from eqcli.tasks.evaluate_registration_input import RegistrationCase
from eqcli.tasks.evaluate_registration_run import Answer, Method

FloatArray = NDArray[np.float64]


def bean(count: int = 600, seed: int = 0) -> FloatArray:
    """Points of a surface without symmetry, about 2 wide."""
    u = np.random.default_rng(seed).normal(size=(count, 3))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    radius = 1 + 0.3 * np.sin(3 * u[:, 0]) * np.cos(2 * u[:, 1]) + 0.2 * u[:, 2]
    return u * radius[:, None] * np.array([1.0, 0.8, 0.6])


def rigid(seed: int, degrees: float | None = None, shift: float = 1.0) -> FloatArray:
    """A motion: by a random rotation, or by an angle about a random axis."""
    rng = np.random.default_rng(seed)
    matrix = np.eye(4)
    vector = rng.normal(size=3)
    if degrees is None:
        matrix[:3, :3] = Rotation.random(random_state=seed).as_matrix()
    else:
        matrix[:3, :3] = Rotation.from_rotvec(np.radians(degrees) * vector / np.linalg.norm(vector)).as_matrix()
    matrix[:3, 3] = shift * rng.normal(size=3)
    return matrix


def write_pair(folder: Path, name: str, seed: int, *, scene: str = "", truth: bool = True, **more: Any) -> CloudPair:
    """Two samples of the bean, cut from two sides, in files."""
    folder.mkdir(parents=True, exist_ok=True)
    motion = rigid(seed)
    back = np.linalg.inv(motion)
    whole = bean(seed=2 * seed), bean(seed=2 * seed + 1)
    source, target = whole[0][whole[0][:, 0] < 0.5], whole[1][whole[1][:, 0] > -0.5]
    paths = [folder / f"{name}-{kind}.npy" for kind in ("source", "target")]
    np.save(paths[0], source @ back[:3, :3].T + back[:3, 3])
    np.save(paths[1], target)
    return CloudPair(name, paths[0], paths[1], motion if truth else None, scene=scene, **more)


def off_by(degrees: float, shift: float = 0.0, **more: Any) -> Callable[[RegistrationCase], Answer]:
    """Answers the truth, turned and shifted by so much about the middle of the target."""

    def solve(case: RegistrationCase) -> Answer:
        truth = case.pair.truth if case.pair.truth is not None else np.eye(4)
        middle = case.target.points.mean(axis=0)
        extra = np.eye(4)
        extra[:3, :3] = Rotation.from_rotvec(np.radians(degrees) * np.array([0.0, 0.0, 1.0])).as_matrix()
        extra[:3, 3] = middle - extra[:3, :3] @ middle + np.array([shift, 0.0, 0.0])
        return Answer(extra @ truth @ np.linalg.inv(case.turn), **more)

    return solve


def with_matches(right: float) -> Callable[[RegistrationCase], Answer]:
    """Answers the truth and 40 matches, of which so large a share is right."""

    def solve(case: RegistrationCase) -> Answer:
        answer = off_by(0.0)(case)
        source = case.source.points[:40]
        target = source @ answer.motion[:3, :3].T + answer.motion[:3, 3]
        wrong = np.arange(40) >= round(40 * right)
        target[wrong] += 50.0
        return Answer(answer.motion, source, target, ~wrong, hypotheses=40)

    return solve


def fails(case: RegistrationCase) -> Answer:
    """A method that always fails."""
    raise InputError("it broke", hint="Mend it.")


def method(name: str, solve: Callable[[RegistrationCase], Answer], *, refined: bool = False) -> Method:
    """A method by its answer."""
    return Method(name, solve, refined)
