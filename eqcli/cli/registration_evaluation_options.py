"""Options of `eqcli evaluate` for registration models, and for classical registration alone."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from eqcli.errors import InputError

if TYPE_CHECKING:
    from eqcli.cli.console import Console
    from eqcli.tasks.evaluate_registration import RegistrationOptions
    from eqcli.tasks.evaluate_registration_result import RegistrationEvaluation

SUITE: Final = "registration"


class Rule(StrEnum):
    """By which rule a pair counts as found."""

    match = "3dmatch"
    information = "3dmatch-info"
    pare = "pare"
    kitti_loose = "kitti-loose"
    kitti_strict = "kitti-strict"
    kitti_finest = "kitti-finest"


class Lengths(StrEnum):
    """The unit of the clouds."""

    auto = "auto"
    m = "m"
    cm = "cm"
    mm = "mm"
    voxels = "voxels"


class Refinement(StrEnum):
    """What is applied to every method that does not refine by itself."""

    gicp = "gicp"
    plane = "point-to-plane"
    point = "point-to-point"
    none = "none"


REGISTRATION: dict[str, tuple[Any, str, dict[str, Any], str]] = {
    "methods": (
        list[str] | None,
        "--methods",
        {"metavar": "NAMES"},
        "Of pare-one-match, pare-ransac, pare-net (verified), command (with the model), fpfh-ransac, fpfh-clique, "
        "default (the command without a model), kiss, with commas or repeated; by default all that are at hand.",
    ),
    "rule": (
        Rule | None, "--rule", {}, "By which pairs count as found in curves and in means of errors; 3dmatch.",
    ),
    "lengths": (
        Lengths | None,
        "--lengths",
        {},
        "Unit of the clouds, for thresholds in metres; voxels: thresholds are multiples of the voxel. By default what "
        "files state, and else voxels.",
    ),
    "recall_distance": (
        float | None, "--recall-distance", {"min": 1e-9}, "Metres, of the rules 3dmatch and pare; 0.2.",
    ),
    "inlier_distance": (float | None, "--inlier-distance", {"min": 1e-9}, "Metres, of a match that is right; 0.1."),
    "inlier_share": (float | None, "--inlier-share", {"min": 0.0, "max": 1.0}, "Of feature matching recall; 0.05."),
    "eval_voxel": (
        float | None, "--eval-voxel", {"min": 1e-9}, "Voxel of all methods but the default command; chosen per pair.",
    ),
    "refinement": (Refinement | None, "--refinement", {}, "Of all methods but the default command; gicp."),
    "turned": (bool, "--turned", {}, "Turn each source by a random rotation first, the same for the same --seed."),
    "adjacent": (bool, "--adjacent", {}, "Take in pairs of 3DMatch that follow one another in their scene."),
    "hypotheses": (bool, "--hypotheses", {}, "Plot recall against the number of motions that solvers may try."),
    "no_pictures": (bool, "--no-pictures", {}, "Leave out the gallery of the best and worst pairs."),
}  # fmt: skip
"""Argument -> type, option, settings of the option, help."""

SHARED_WITH_OTHERS: Final = frozenset(("no_baselines", "bootstrap", "limit", "no_pages"))
"""Options of other evaluations that mean the same here."""


def is_registration(model: Path | None, suite: StrEnum | None) -> bool:
    """Whether a registration model or this suite was named. Raises nothing: others tell what is wrong."""
    if suite is not None:
        return suite.value == SUITE
    if model is None or not model.is_file():
        return False
    from eqcli.errors import EqcliError
    from eqcli.tasks.inference import family_of

    try:
        return family_of(model) == "pointcloud"
    except (EqcliError, OSError, KeyError):
        return False


def run_registration(
    model: Path | None,
    data: list[Path],
    output: Path | None,
    given: dict[str, Any],
    *,
    others: dict[str, object],
    suite: bool,
    seed: int,
    device: str,
    precision: str | None,
    overwrite: bool,
    console: Console,
) -> RegistrationEvaluation:
    """Carries out the evaluation with the options `given`, by name of the argument.

    With `suite` the first argument is a table or a folder of pairs, like the others; a model among them is none.
    `others` says which options of other evaluations were given. Raises InputError for one that does not belong here.
    """
    from eqcli.cli.generated_options import EVERY

    wrong = [name for name, stated in others.items() if stated]
    wrong += [EVERY[name][1] for name in given if name not in REGISTRATION and name not in SHARED_WITH_OTHERS]
    if wrong:
        raise InputError(f"{', '.join(wrong)}: not for registration", hint="Leave them out.")
    sources = [*([model] if suite and model else []), *data]
    if not sources:
        raise InputError("no pairs of clouds were given", hint="Name a table or a folder of pairs.")
    from eqcli.tasks.evaluate_registration import evaluate_registration
    from eqcli.tasks.inference import load_for_inference

    options = _options(given, seed)
    loaded = None
    if not suite:
        assert model is not None
        loaded = load_for_inference(model, device, precision, None, console.report)
    beside = Path.cwd() if loaded is None or model is None else model.parent
    folder = output or beside / f"evaluation-{sources[0].resolve().name.split('.')[0]}"
    return evaluate_registration(loaded, sources, folder, options, overwrite=overwrite, report=console.report)


def _options(given: dict[str, Any], seed: int) -> RegistrationOptions:
    from eqcli.tasks.evaluate_registration import RegistrationOptions
    from eqcli.tasks.evaluate_registration_input import PairRules
    from eqcli.tasks.evaluate_registration_methods import OF_NETWORKS

    plain: dict[str, Any] = {name: v.value if isinstance(v, StrEnum) else v for name, v in given.items()}
    of_pairs = {
        "lengths": "lengths", "recall_distance": "distance", "inlier_distance": "inlier", "inlier_share": "share",
        "eval_voxel": "voxel", "turned": "turned", "adjacent": "adjacent",
    }  # fmt: skip
    stated: dict[str, Any] = {key: plain[name] for name, key in of_pairs.items() if name in plain}
    own = ("rule", "refinement", "bootstrap", "limit", "hypotheses")
    found = {name: plain[name] for name in own if name in plain}
    names = [one.strip() for text in plain.get("methods") or () for one in text.split(",")]
    if plain.get("no_baselines"):
        if names:
            raise InputError("--methods and --no-baselines exclude each other")
        names = list(OF_NETWORKS)
    return RegistrationOptions(
        pairs=PairRules(seed=seed, **stated), methods=names or None, pictures=not plain.get("no_pictures", False),
        pages=not plain.get("no_pages", False), **found,
    )  # fmt: skip


def refuse_without_registration(generated: dict[str, Any]) -> None:
    """Raises InputError for options of registration where nothing is registered."""
    wrong = [REGISTRATION[name][1] for name in generated if name in REGISTRATION]
    if wrong:
        raise InputError(
            f"{', '.join(wrong)}: for registration, and this evaluation has none",
            hint="Name a registration model, or --suite registration for the classical methods alone.",
        )
