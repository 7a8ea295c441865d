"""Options of `eqcli evaluate --reference`, and which kind of generated structures the files hold."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.cli.crystals_options import CRYSTALS, run_crystals
from eqcli.cli.docking_evaluation_options import DOCKING
from eqcli.cli.molecules_options import MOLECULES, run_molecules
from eqcli.cli.option_groups import option_group
from eqcli.cli.registration_evaluation_options import REGISTRATION
from eqcli.errors import InputError

if TYPE_CHECKING:
    from eqcli.cli.console import Console
    from eqcli.cli.session import Result

SHARED: dict[str, tuple[Any, str, dict[str, Any], str]] = {
    "reference": (
        Path | None,
        "--reference",
        {},
        "Structures to find, or to be like, e.g. a test set; the files named first are then generated crystals or "
        "molecules.",
    ),
    "training": (Path | None, "--training", {}, "What the generator was trained on: for novelty and baselines."),
    "no_baselines": (bool, "--no-baselines", {}, "Leave out the null baselines."),
    "workers": (int | None, "--workers", {"min": 1}, "Processes that measure; by default one per core."),
    "timeout": (
        float | None,
        "--timeout",
        {"min": 0.1},
        "Seconds that one structure may take; 10 by default, 60 for a pose.",
    ),
    "bootstrap": (int | None, "--bootstrap", {"min": 0}, "Resamples of the 95 % intervals; 1000 by default."),
    "limit": (
        int | None,
        "--limit",
        {"min": 1},
        "Use the first N structures, or in structure prediction the first N rows of the reference.",
    ),
}
"""Argument -> type, option, settings of the option, help."""

PANELS = {
    "Generated crystals and molecules": SHARED,
    "Generated crystals": CRYSTALS,
    "Generated molecules": MOLECULES,
    "Docking": DOCKING,
    "Registration": REGISTRATION,
}
EVERY = {name: row for table in PANELS.values() for name, row in table.items()}


generated_options = option_group("generated", PANELS)
"""Gives a subcommand these options; it takes those that were given as one dictionary `generated`."""


def refuse_without_reference(generated: dict[str, Any]) -> None:
    """Raises InputError for options of generated structures where no reference was given."""
    if generated:
        raise InputError(
            f"{_named(generated)}: for generated crystals or molecules, which need --reference",
            hint="Give the structures to compare with: --reference test.csv.",
        )


def run_generated(
    files: list[Path],
    output: Path | None,
    generated: dict[str, Any],
    *,
    others: dict[str, object],
    seed: int,
    device: str,
    arguments: list[str] | None,
    overwrite: bool,
    console: Console,
) -> Result:
    """Carries out the evaluation of the kind of structures that the files hold.

    `others` says which options of other evaluations were given.

    Raises
    ------
    InputError
        An option does not belong here, or its value cannot be.
    """
    wrong = [name for name, given in others.items() if given]
    if wrong:
        raise InputError(
            f"{', '.join(wrong)}: for the evaluation of a model, and with --reference generated structures are "
            "evaluated",
            hint="Leave them out, or leave out --reference.",
        )
    if not files:
        raise InputError("no file of generated structures was given", hint="Name one, e.g. generated.h5.")
    given: dict[str, Any] = {name: v.value if isinstance(v, StrEnum) else v for name, v in generated.items()}
    given["baselines"] = not given.pop("no_baselines", False)
    folder = output or files[0].parent / f"evaluation-{files[0].name.split('.')[0]}"
    common = {"seed": seed, "overwrite": overwrite, "report": console.report}
    if _molecules(files, generated):
        _refuse(generated, CRYSTALS, "crystals", "molecules: structures without a cell")
        if arguments or device != "auto":
            wrong = ["--model-arg"] if arguments else ["--device"]
            raise InputError(f"{wrong[0]}: for the relaxer of crystals, and these are molecules")
        return run_molecules(files, folder, given | common)
    _refuse(generated, MOLECULES, "molecules", "crystals: they have a cell")
    return run_crystals(files, folder, given | common | {"device": device}, arguments)


def _molecules(files: list[Path], generated: dict[str, Any]) -> bool:
    """Whether the files hold molecules; where they cannot tell, whether an option says so."""
    from eqcli.tasks.generated_kind import has_cell

    periodic = has_cell(files)
    return any(name in MOLECULES for name in generated) if periodic is None else not periodic


def _refuse(generated: dict[str, Any], table: dict[str, Any], of: str, found: str) -> None:
    wrong = [name for name in generated if name in table]
    if wrong:
        raise InputError(f"{_named(wrong)}: for generated {of}, and the files hold {found}", hint="Leave them out.")


def _named(names: Any) -> str:
    return ", ".join(EVERY[name][1] for name in names)
