"""Options of `eqcli generate pairs`, which makes pairs of partial clouds with known motions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from eqcli.cli.option_groups import Option, option_group
from eqcli.errors import InputError
from eqcli.names import did_you_mean

if TYPE_CHECKING:
    from eqcli.cli.console import Console
    from eqcli.tasks.generate_pairs import GeneratedPairs

PAIRS: Final = "pairs"
"""Stands for a model where there is none: pairs of clouds."""

COUNT = 20
"""Pairs, where nothing is said."""

Range = tuple[float, float] | None

OPTIONS: dict[str, Option] = {
    "shapes": (
        list[Path] | None,
        "--shapes",
        {"metavar": "FILES..."},
        "Clouds and meshes, or folders of them, to make pairs from; without any, shapes that the program makes.",
    ),
    "overlap": (Range, "--overlap", {"metavar": "LEAST MOST"}, "Range of the overlap, drawn evenly; 0.1 0.3."),
    "kinds": (
        str | None,
        "--kinds",
        {"metavar": "NAME=WEIGHT,..."},
        "What the program makes; object=0.7,scene=0.2,outdoor=0.1.",
    ),
    "views": (
        str | None,
        "--views",
        {"metavar": "NAME=WEIGHT,..."},
        "How a part is taken: crop, cut off; sight, seen from one side; crop=0.5,sight=0.5.",
    ),
    "noise": (
        Range,
        "--noise",
        {"metavar": "LEAST MOST"},
        "Range of the standard deviation of each coordinate, in voxels; 0.1 0.3.",
    ),
    "density": (
        Range,
        "--density",
        {"metavar": "LEAST MOST"},
        "Range of the points per square voxel of surface, of either cloud by itself; 1.5 5.",
    ),
    "outliers": (float | None, "--outliers", {}, "Largest share of points that are anywhere; 0.05."),
    "rotation": (float | None, "--rotation", {}, "Largest angle of the motion in degrees; 180, any rotation."),
    "voxels": (
        tuple[int, int] | None,
        "--voxels",
        {"metavar": "LEAST MOST"},
        "Range of the voxels that a complete object fills; 2500 5000.",
    ),
    "voxel": (
        float | None,
        "--voxel",
        {},
        "Edge of the voxel, for shapes that the program makes; 0.025. Pairs from files keep the unit of the file.",
    ),
    "ending": (str | None, "--ending", {}, "Format of the clouds: .ply, .npy, .pcd or .xyz."),
}

pairs_options = option_group("pairs", {"Pairs of clouds, with the word pairs for a model": OPTIONS})
"""Gives a subcommand these options; it takes those that were given as one dictionary `pairs`."""


def is_pairs(model: Path) -> bool:
    """Whether the first argument stands for pairs; a model file of that name is the model. Raises nothing."""
    if str(model) != PAIRS:
        return False
    if not model.is_file():
        return True
    from eqcli.errors import EqcliError
    from eqcli.tasks.inference import family_of

    try:
        return not family_of(model)
    except (EqcliError, OSError, KeyError, ValueError):
        return True


def run_pairs(
    output: Path,
    given: dict[str, Any],
    *,
    more: list[Path],
    others: dict[str, object],
    n: int | None,
    seed: int,
    overwrite: bool,
    console: Console,
) -> GeneratedPairs:
    """Makes the pairs with the options `given`, by name of the argument, and the files `more` beside those of --shapes.

    `others` says which options of other generations were given. Raises InputError for one that does not belong here.
    """
    wrong = [name for name, stated in others.items() if stated]
    if wrong:
        raise InputError(f"{', '.join(wrong)}: not for pairs of clouds", hint="Leave them out.")
    plain = dict(given)
    files = (*plain.pop("shapes", ()), *more)
    if files and (own := [f"--{name}" for name in ("kinds", "voxel") if name in plain]):
        raise InputError(f"{', '.join(own)}: for made shapes, and files are named", hint="Leave one of them out.")
    from eqcli.tasks.generate_pairs import PairGeneration, generate_pairs
    from eqcli.tasks.generate_pairs_request import KINDS, VIEWS

    for name, known in (("kinds", KINDS), ("views", VIEWS)):
        if name in plain:
            plain[name] = weights(f"--{name}", plain[name], known)
    if "ending" in plain and not plain["ending"].startswith("."):
        plain["ending"] = f".{plain['ending']}"
    request = PairGeneration(output, COUNT if n is None else n, files, seed=seed, overwrite=overwrite, **plain)
    return generate_pairs(request, console.report)


def weights(option: str, text: str, known: tuple[str, ...]) -> dict[str, float]:
    """What `name=weight,name=weight` says; a name by itself has the weight 1. Raises InputError for anything else."""
    found: dict[str, float] = {}
    for part in text.split(","):
        name, equals, value = (word.strip() for word in part.partition("="))
        if name not in known:
            raise InputError(f"{option}: '{name}' is not known", hint=did_you_mean(name, list(known), "names"))
        if name in found:
            raise InputError(f"{option}: '{name}' is given twice", hint="Keep one of them.")
        try:
            found[name] = float(value) if equals else 1.0
        except ValueError:
            raise InputError(f"{option}: '{value}' is no weight", hint=f"Write {name}=0.5.") from None
    return found


def refuse_without_pairs(given: dict[str, Any], more: list[Path]) -> None:
    """Raises InputError for options and files of pairs where a model was named."""
    wrong = [str(OPTIONS[name][1]) for name in given] + [str(path) for path in more]
    if wrong:
        raise InputError(
            f"{', '.join(wrong)}: for pairs of clouds, and a model was named",
            hint=f"Write the word {PAIRS} in place of the model.",
        )
