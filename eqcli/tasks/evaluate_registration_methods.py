"""The methods of an evaluation of registration: matches by features, then a solver; the default command; KISS-Matcher.

Methods that share features share their matches, which are found once for each pair; each is charged their time. All
start from the same two clouds thinned to the voxel of the pair. The refinement is the same for all, and works on the
same thinned clouds; methods that refine by themselves stand in a row of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from eqcli.errors import InputError, MissingDependency
from eqcli.tasks.evaluate_registration_hypotheses import MatchesOf
from eqcli.tasks.evaluate_registration_run import Answer, Method, Refine

if TYPE_CHECKING:
    from eqcli.engine.model_file import ModelFile
    from eqcli.engine.registration_view import View
    from eqcli.models.pointcloud.matches import Matches
    from eqcli.tasks.evaluate_registration_input import RegistrationCase

FloatArray = NDArray[np.float64]

REFINEMENTS: Final = ("gicp", "point-to-plane", "point-to-point", "none")
DISTANCES: Final = (3.0, 1.5)
"""Voxels within which surfaces pull on one another, one after the other."""
NAMES: Final = {
    "pare-one-match": "PARE-Net + one-match",
    "pare-ransac": "PARE-Net + RANSAC",
    "pare-net": "PARE-Net, verified",
    "command": "command with the model",
    "fpfh-ransac": "FPFH + RANSAC",
    "fpfh-clique": "FPFH + clique",
    "default": "default command",
    "kiss": "KISS-Matcher",
}
"""Name in options -> in the table."""
OF_NETWORKS: Final = ("pare-one-match", "pare-ransac", "pare-net", "command")
OPTIONAL: Final = ("kiss",)
"""Methods that are left out, with a warning, where their package is absent and nobody asked for them by name."""


def registration_methods(loaded: ModelFile | None, names: Sequence[str] | None, warnings: list[str]) -> list[Method]:
    """The methods by name, or all that are at hand.

    Raises
    ------
    InputError
        For an unknown name, a method that needs a network where there is none, or a model that is no network of
        registration.
    MissingDependency
        The package of a method that was asked for is not installed.
    """
    chosen = list(NAMES) if names is None else list(dict.fromkeys(names))
    unknown = [name for name in chosen if name not in NAMES]
    if unknown:
        raise InputError(f"unknown method '{unknown[0]}'", hint=f"Use {', '.join(NAMES)}.")
    if loaded is None:
        if names is not None and (wanting := [name for name in chosen if name in OF_NETWORKS]):
            raise InputError(f"the method {wanting[0]} needs a model", hint="Name a model of registration.")
        chosen = [name for name in chosen if name not in OF_NETWORKS]
    shared = _Shared(loaded)
    made: list[Method] = []
    for name in chosen:
        try:
            made.append(_method(name, shared))
        except MissingDependency as missing:
            if names is not None:
                raise
            warnings.append(f"{NAMES[name]} was left out: its package is not installed (`{missing.hint}`)")
    if not made:
        raise InputError("no method was chosen")
    return made


def refinement_of(name: str) -> Refine | None:
    """The refinement that all methods share; None for `none`. Raises InputError for an unknown name."""
    if name not in REFINEMENTS:
        raise InputError(f"unknown refinement '{name}'", hint=f"Use {', '.join(REFINEMENTS)}.")
    if name == "none":
        return None
    views = _Last(view_of)

    def refine(case: RegistrationCase, motion: FloatArray) -> FloatArray:
        import torch

        from eqcli.geometry.motions import Motion

        start = Motion.from_matrix(torch.from_numpy(motion))
        return views(case)[0].refine(start, name, DISTANCES).motion.matrix().numpy()

    return refine


def view_of(case: RegistrationCase) -> View:
    """Both clouds thinned to the voxel of the pair."""
    import torch

    from eqcli.engine.registration_view import View

    source, target = (torch.from_numpy(cloud.points) for cloud in (case.source, case.target))
    return View(source, target, case.voxel)


class _Last:
    """Something made of a case, kept until another case comes, with the seconds that it took."""

    def __init__(self, make: Callable[[RegistrationCase], Any]) -> None:
        self._make = make
        self._case: RegistrationCase | None = None
        self._made: Any = None
        self._seconds = 0.0

    def __call__(self, case: RegistrationCase) -> tuple[Any, float]:
        if self._case is not case:
            begun = perf_counter()
            self._case, self._made = None, self._make(case)
            self._case, self._seconds = case, perf_counter() - begun
        return self._made, self._seconds


class _Shared:
    """Matches by each kind of features, found once for each pair."""

    def __init__(self, loaded: ModelFile | None) -> None:
        from eqcli.engine.registration_settings import RegistrationSettings

        self.sources = {"fpfh": MatchesOf("FPFH", _Last(self._fpfh), RegistrationSettings().threshold)}
        self.features = None if loaded is None else _network_features(loaded)
        if self.features is not None:
            radius = float(self.features.network.config.inlier_radius)
            self.sources["pare"] = MatchesOf("PARE-Net", _Last(self._network), radius)

    def _fpfh(self, case: RegistrationCase) -> Matches:
        from eqcli.engine.registration_features import FpfhFeatures

        return FpfhFeatures().matches(case.source.points, case.target.points, case.voxel, _generator(case))[0]

    def _network(self, case: RegistrationCase) -> Matches:
        assert self.features is not None
        found: Matches
        found, _ = self.features.matches(case.source.points, case.target.points, case.voxel, _generator(case))
        return found


def _network_features(loaded: ModelFile) -> Any:
    from eqcli.engine.pare_features import PareFeatures
    from eqcli.models.pointcloud.base import RegistrationNetwork

    network = loaded.model
    if not isinstance(network, RegistrationNetwork):
        raise InputError("the model is no network of registration")
    return PareFeatures(network)


def _method(name: str, shared: _Shared) -> Method:
    if name in ("default", "command", "pare-net"):
        features = None if name == "default" else shared.features
        return Method(NAMES[name], by_command(features, "pare-net" if name == "pare-net" else "auto"), refined=False)
    if name == "kiss":
        return Method(NAMES[name], kiss_matcher())
    kind, solver = name.split("-", 1)
    matches = shared.sources[kind]
    return Method(NAMES[name], solved_by(matches, solver), matches=matches)


def solved_by(source: MatchesOf, solver: str) -> Callable[[RegistrationCase], Answer]:
    """A solver on matches."""
    from eqcli.models.pointcloud.solving import make_solver

    made = make_solver(solver)

    def solve(case: RegistrationCase) -> Answer:
        matches, seconds = source.matched(case)
        begun = perf_counter()
        found = made.solve(matches, source.threshold * case.voxel, _generator(case))
        seconds += perf_counter() - begun
        return Answer(
            found.motion.matrix().numpy(),
            matches.source.double().cpu().numpy(),
            matches.target.double().cpu().numpy(),
            found.inliers.cpu().numpy(),
            hypotheses=found.hypotheses,
            seconds=seconds,
        )

    return solve


def by_command(features: Any | None, method: Literal["auto", "pare-net"]) -> Callable[[RegistrationCase], Answer]:
    """What `eqcli register` does by a method, with the features of a network where there are any."""

    def solve(case: RegistrationCase) -> Answer:
        from eqcli.engine.registration import register_clouds
        from eqcli.engine.registration_settings import RegistrationSettings

        settings = RegistrationSettings(method=method, seed=case.seed)
        found = register_clouds(case.source.points, case.target.points, settings, features=features)
        return Answer(
            found.motion.matrix().numpy(),
            found.matches.source.double().cpu().numpy(),
            found.matches.target.double().cpu().numpy(),
            found.inliers.cpu().numpy(),
            reliable=found.reliable,
            hypotheses=found.evidence.hypotheses,
            reasons=() if found.reliable else tuple(found.evidence.reasons),
        )

    return solve


def kiss_matcher() -> Callable[[RegistrationCase], Answer]:
    """KISS-Matcher's own voxels, features and solver. Raises MissingDependency where it is not installed."""
    from eqcli.engine.kiss_peer import kiss_available, kiss_register
    from eqcli.engine.registration_settings import RegistrationSettings

    if not kiss_available():
        raise MissingDependency("KISS-Matcher is not installed", hint="pip install 'eqcli[registration]'")
    reach = RegistrationSettings().threshold

    def solve(case: RegistrationCase) -> Answer:
        found = kiss_register(case.source.points, case.target.points, case.voxel)
        source, target = (side.cpu().numpy() for side in (found.matches.source, found.matches.target))
        motion = found.motion.matrix().numpy()
        apart = np.linalg.norm(source @ motion[:3, :3].T + motion[:3, 3] - target, axis=1)
        return Answer(motion, source, target, apart < reach * case.voxel, found.valid, seconds=found.seconds)

    return solve


def _generator(case: RegistrationCase) -> Any:
    import torch

    return torch.Generator().manual_seed(case.seed)
