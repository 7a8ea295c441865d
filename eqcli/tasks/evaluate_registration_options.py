"""Options of an evaluation of registration, and what its report records of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from eqcli.errors import InputError
from eqcli.metrics.registration.recall import KITTI, KITTI_VOXEL, RULES, TRUE, VOXEL
from eqcli.metrics.releases import installed
from eqcli.tasks.evaluate_registration_input import LENGTHS, PairRules

if TYPE_CHECKING:
    from eqcli.engine.model_file import ModelFile

LIBRARIES: Final = ("small_gicp", "kiss-matcher", "torch", "numpy", "scipy")


def check_options(rule: str, rules: PairRules) -> None:
    """Raises InputError for an unknown rule or unit, or a threshold that can be no length or share."""
    if rule not in RULES:
        raise InputError(f"unknown rule '{rule}'", hint=f"Use {', '.join(RULES)}.")
    if rules.lengths not in LENGTHS:
        raise InputError(f"unknown unit of lengths '{rules.lengths}'", hint=f"Use {', '.join(LENGTHS)}.")
    for name, value in (("recall distance", rules.distance), ("inlier distance", rules.inlier), ("voxel", rules.voxel)):
        if value is not None and not 0 < value < float("inf"):
            raise InputError(f"the {name} is {value:g}, and a length above zero was expected")
    if not 0 <= rules.share < 1:
        raise InputError(f"the share of right matches is {rules.share:g}, and it lies between 0 and 1")


def threshold_words(rules: PairRules, units: Iterable[str]) -> dict[str, str]:
    """Every threshold as it applies to pairs in metres, in voxels, or both."""
    kinds = set(units)

    def length(metres: float, voxel: float = VOXEL) -> str:
        told = {"m": f"{metres:g} m", "voxels": f"{metres / voxel:.3g} voxels"}
        return " or ".join(words for kind, words in told.items() if kind in kinds or not kinds)

    kitti = "; ".join(f"{degrees:g}° and {length(metres, KITTI_VOXEL)}" for degrees, metres in KITTI.values())
    told = {
        "recall distance": f"{length(rules.distance)} (3DMatch, gt.info and PARE-Net)",
        "KITTI": kitti,
        "a match is right within": length(rules.inlier),
        "features match above": f"{rules.share:.3g} of right matches",
        "a true match is within": length(TRUE),
    }
    if "voxels" in kinds:
        told["voxels"] = "nothing states the unit of some clouds, or it is no length of rooms: their thresholds are " \
                         "multiples of the voxel that is chosen for each pair"  # fmt: skip
    return told


def settings_of(
    loaded: ModelFile | None,
    rules: PairRules,
    *,
    methods: Iterable[str],
    rule: str,
    refinement: str,
    bootstrap: int,
    limit: int | None,
) -> dict[str, Any]:
    """Everything that figures depend on beside the files."""
    import torch

    return {
        "network": loaded is not None,
        "methods": list(methods),
        "rule_of_found_pairs": rule,
        "refinement": refinement,
        "lengths": rules.lengths,
        "voxel": "of the pair where it states one, else chosen" if rules.voxel is None else rules.voxel,
        "adjacent_pairs": rules.adjacent,
        "sources": "turned by random rotations" if rules.turned else "as in their files",
        "bootstrap": f"{bootstrap} resamples, 95 %",
        "seed": rules.seed,
        "limit": limit,
        "threads": torch.get_num_threads(),
        "versions": installed(LIBRARIES),
    }
