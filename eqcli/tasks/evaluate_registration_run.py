"""One pair after the other: each method registers it, with and without refinement, and the motions are measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from eqcli.errors import EqcliError, Failure, InputError
from eqcli.metrics.registration.table import PairOutcome

if TYPE_CHECKING:
    from eqcli.metrics.registration.errors import MotionErrors
    from eqcli.tasks.evaluate_registration_hypotheses import MatchesOf
    from eqcli.tasks.evaluate_registration_input import RegistrationCase

FloatArray = NDArray[np.float64]

NONE, OWN = "none", "its own"
"""No refinement, and that of a method that has one of its own."""

DISPLACED: Final = 20_000
"""Points of the source at most over which the mean displacement is taken, evenly chosen."""


@dataclass(frozen=True)
class Answer:
    """What a method says of one pair.

    Attributes
    ----------
    motion
        `[4, 4]` from source to target.
    source, target
        Matches `[M, 3]`, each in the frame of its cloud; None where the method shows none.
    inliers
        `[M]`: which of them the method believes.
    reliable
        Whether it stands by its motion; None where it does not say.
    hypotheses
        How many motions were tried.
    seconds
        That it took, where its own clock is better than that of the caller.
    reasons
        In words, why it is not reliable.
    """

    motion: FloatArray
    source: FloatArray | None = None
    target: FloatArray | None = None
    inliers: NDArray[np.bool_] | None = None
    reliable: bool | None = None
    hypotheses: int | None = None
    seconds: float | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Method:
    """A row of the table, or two.

    Attributes
    ----------
    name
        As it stands in the table and in `pairs.csv`.
    solve
        An exception that it raises is the failure of this pair alone.
    refined
        Whether its motion is refined in a row of its own; not where the method refines by itself.
    matches
        Where its matches come from, for curves of recall against hypotheses; None where it shows none.
    """

    name: str
    solve: Callable[[RegistrationCase], Answer]
    refined: bool = True
    matches: MatchesOf | None = None


Refine = Callable[["RegistrationCase", FloatArray], FloatArray]
"""Takes a pair and a motion `[4, 4]`, gives a better one."""


@dataclass
class Registered:
    """What one method made of one pair.

    Attributes
    ----------
    refinement
        What was applied after the method.
    errors
        To the nearest truth, in the unit of the clouds; None where the truth or the motion is unknown.
    displacement, rmse, published
        Figures of the rules of recall, in the unit of the clouds.
    found
        Rule -> whether the motion counts as found.
    failure
        Why there is no motion.
    """

    case: RegistrationCase
    method: str
    refinement: str
    answer: Answer | None = None
    seconds: float = float("nan")
    errors: MotionErrors | None = None
    displacement: float = float("nan")
    rmse: float = float("nan")
    published: float = float("nan")
    found: dict[str, bool | None] = field(default_factory=dict)
    inlier_ratio: float = float("nan")
    failure: str = ""

    def outcome(self) -> PairOutcome:
        """As the table counts it: lengths in metres, or in voxels."""
        case, limits = self.case, self.case.limits
        name, scene = case.pair.name, case.pair.scene
        if self.answer is None or self.errors is None:
            return PairOutcome(name, scene, failed=self.answer is None)
        tried = self.answer.hypotheses
        return PairOutcome(
            name,
            scene,
            self.errors.rotation,
            self.errors.translation / limits.unit,
            self.displacement / limits.unit,
            self.rmse / limits.unit,
            self.found,
            self.inlier_ratio,
            self.inlier_ratio > limits.share if np.isfinite(self.inlier_ratio) else None,
            self.answer.reliable,
            float("nan") if tried is None else float(tried),
            self.seconds,
        )


def register_case(
    case: RegistrationCase, methods: Sequence[Method], refine: Refine | None, refinement: str
) -> list[Registered]:
    """Every method on one pair, as it is and refined; what one raises is its failure, and the others go on."""
    return [one for method in methods for one in _registered(case, method, refine, refinement)]


def _registered(case: RegistrationCase, method: Method, refine: Refine | None, refinement: str) -> Iterator[Registered]:
    refined = method.refined and refine is not None
    coarse = Registered(case, method.name, NONE if method.refined else OWN)
    try:
        begun = perf_counter()
        answer = method.solve(case)
        coarse.seconds = perf_counter() - begun if answer.seconds is None else answer.seconds
        _keep(coarse, answer)
    except (EqcliError, ValueError, RuntimeError, ArithmeticError, LookupError) as error:
        coarse.failure = Failure.of(case.pair.name, error).reason
    yield coarse
    if not refined:
        return
    assert refine is not None
    finer = Registered(case, method.name, refinement, failure=coarse.failure)
    if coarse.answer is not None:
        try:
            begun = perf_counter()
            motion = refine(case, coarse.answer.motion)
            finer.seconds = coarse.seconds + perf_counter() - begun
            _keep(finer, replace(coarse.answer, motion=motion))
        except (EqcliError, ValueError, RuntimeError, ArithmeticError, LookupError) as error:
            finer.failure = Failure.of(case.pair.name, error).reason
    yield finer


def _keep(one: Registered, answer: Answer) -> None:
    """Takes an answer over and measures it. Raises InputError for a motion that is none."""
    motion = np.asarray(answer.motion, dtype=np.float64)
    if motion.shape != (4, 4) or not np.isfinite(motion).all():
        raise InputError("the method gave no motion of finite numbers")
    measure(one, motion, answer)
    one.answer = answer


def measure(one: Registered, motion: FloatArray, answer: Answer) -> None:
    """The figures of a motion; nothing where the truth is unknown.

    Everything is measured in the frame of the source's file: a turn that the source was given is undone, and a motion
    that is right but for a symmetry of the object is brought back by that symmetry.
    """
    from eqcli.metrics.registration import errors as metrics
    from eqcli.metrics.registration.recall import information_rmse, match_rmse, successes

    case, truth = one.case, one.case.pair.truth
    if truth is None:
        return
    points = case.given
    estimate = motion @ case.turn
    nearest = metrics.nearest_truth(estimate, truth, case.pair.symmetries, points)
    back = truth @ np.linalg.inv(nearest) @ estimate
    one.errors = metrics.motion_errors(estimate, nearest)
    even = points[:: max(1, -(-len(points) // DISPLACED))]
    one.displacement = metrics.mean_displacement(back, truth, even)
    one.rmse = match_rmse(back, points[case.index[:, 0]], case.target.points[case.index[:, 1]])
    if case.pair.information is not None:
        one.published = information_rmse(back, truth, case.pair.information)
    one.found = successes(
        case.limits, one.errors, displacement=one.displacement, rmse=one.rmse, published=one.published
    )
    if answer.source is not None and answer.target is not None:
        one.inlier_ratio = _inlier_ratio(case, answer.source, answer.target)


def _inlier_ratio(case: RegistrationCase, source: FloatArray, target: FloatArray) -> float:
    """Of matches of the turned source; a pair without any match has a share of zero."""
    from eqcli.metrics.registration.matches import inlier_ratio

    assert case.pair.truth is not None
    if not len(source):
        return 0.0
    truth = case.pair.truth @ np.linalg.inv(case.turn)
    return inlier_ratio(source, target, truth, case.limits.inlier, case.pair.symmetries)
