"""Options of `eqcli evaluate` for docking models."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from eqcli.errors import InputError

if TYPE_CHECKING:
    from eqcli.cli.console import Console
    from eqcli.tasks.evaluate_docking_result import DockingEvaluation

PHYSICS: Final = "physics"
"""Stands for a model where there is none: the search alone."""


class KnownPocket(StrEnum):
    """What methods know of the pocket."""

    blind = "blind"
    reference = "reference"
    both = "both"


DOCKING: dict[str, tuple[Any, str, dict[str, Any], str]] = {
    "pocket": (
        KnownPocket | None,
        "--pocket",
        {},
        "What methods know of the pocket: blind, nothing; reference, the box of the crystal ligand and 5 Å on each "
        "side; both, one beside the other. Blind by default.",
    ),
    "vina": (bool, "--vina", {}, "Dock by AutoDock Vina too, on the same receptors and ligands; minutes for each."),
    "poses": (int | None, "--poses", {"min": 1}, "Poses of each method at most, of which the best counts too; 9."),
    "effort": (float | None, "--effort", {"min": 0.01}, "Of the search: 2 takes twice as long; 1 by default."),
    "no_pages": (bool, "--no-pages", {}, "Leave out the pages in three dimensions."),
}
"""Argument -> type, option, settings of the option, help."""

SHARED_WITH_GENERATED: Final = frozenset(("no_baselines", "no_posebusters", "workers", "timeout", "bootstrap", "limit"))
"""Options of generated structures that mean the same here."""


def is_docking(model: Path | None) -> bool:
    """Whether the first argument is a docking model, or stands for none. Raises nothing: others tell what is wrong."""
    if model is None or not model.is_file():
        return model is not None and str(model) == PHYSICS
    from eqcli.errors import EqcliError
    from eqcli.tasks.inference import family_of

    try:
        return family_of(model) == "docking"
    except (EqcliError, OSError, KeyError):
        return False


def run_docking(
    model: Path,
    complexes: list[Path],
    output: Path | None,
    given: dict[str, Any],
    *,
    others: dict[str, object],
    seed: int,
    device: str,
    precision: str | None,
    overwrite: bool,
    console: Console,
) -> DockingEvaluation:
    """Carries out the evaluation with the options `given`, by name of the argument.

    `others` says which options of other evaluations were given. Raises InputError for one that does not belong here.
    """
    from eqcli.cli.generated_options import EVERY

    wrong = [name for name, stated in others.items() if stated]
    wrong += [EVERY[name][1] for name in given if name not in DOCKING and name not in SHARED_WITH_GENERATED]
    if wrong:
        raise InputError(f"{', '.join(wrong)}: not for a docking model", hint="Leave them out.")
    if not complexes:
        raise InputError("no complexes were given", hint="Name a folder or a table of complexes.")
    from eqcli.tasks.evaluate_docking import evaluate_docking
    from eqcli.tasks.inference import load_for_inference

    blind = model.name == PHYSICS and not model.is_file()
    loaded = None if blind else load_for_inference(model, device, precision, None, console.report)
    arguments: dict[str, Any] = {name: v.value if isinstance(v, StrEnum) else v for name, v in given.items()}
    for name in ("baselines", "posebusters", "pages"):
        arguments[name] = not arguments.pop(f"no_{name}", False)
    beside = Path.cwd() if blind else model.parent
    folder = output or beside / f"evaluation-{complexes[0].resolve().name.split('.')[0]}"
    return evaluate_docking(
        loaded, complexes, folder, **arguments, seed=seed, device=device, overwrite=overwrite, report=console.report
    )


def refuse_without_docking(generated: dict[str, Any]) -> None:
    """Raises InputError for options of docking where the model is of another kind."""
    wrong = [DOCKING[name][1] for name in generated if name in DOCKING]
    if wrong:
        raise InputError(
            f"{', '.join(wrong)}: for docking models, and this evaluation has none",
            hint=f"Name a docking model, or the word {PHYSICS} for the search alone.",
        )
