"""Options of `eqcli evaluate` for generated molecules."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eqcli.tasks.evaluate_molecules_result import MoleculeEvaluation


class ValenceTable(StrEnum):
    """Tables of allowed valences."""

    published = "published"
    sulphur_246 = "sulphur-246"
    charged = "charged"


class Bonds(StrEnum):
    """How bonds are taken."""

    rule = "rule"
    own = "own"
    both = "both"


MOLECULES: dict[str, tuple[Any, str, dict[str, Any], str]] = {
    "valences": (
        ValenceTable | None,
        "--valences",
        {},
        "Of stable atoms: published, as EDM; sulphur-246, where sulphur may have 2, 4 and 6 too; charged, by element "
        "and formal charge. By default published with the bond rule and charged with own bonds.",
    ),
    "bonds": (
        Bonds | None,
        "--bonds",
        {},
        "Bonds by the published rule from distances, the file's own, or both, one beside the other; "
        "by default both where the files state bonds.",
    ),
    "xtb": (bool, "--xtb", {}, "Strain, gap and dipole by GFN2-xTB too: seconds for each molecule."),
    "no_posebusters": (bool, "--no-posebusters", {}, "Leave out the checks of PoseBusters."),
    "posebusters_limit": (
        int | None,
        "--posebusters-limit",
        {"min": 1},
        "Generated molecules that PoseBusters checks, and a quarter as many of other sets, 0.15 s each; 200 if absent.",
    ),
}
"""Argument -> type, option, settings of the option, help."""


def run_molecules(files: list[Path], output: Path, given: dict[str, Any]) -> MoleculeEvaluation:
    """Carries out the evaluation with the options `given`, by name of the argument."""
    from eqcli.tasks.evaluate_molecules import evaluate_molecules

    arguments = dict(given)
    reference = arguments.pop("reference")
    if arguments.pop("no_posebusters", False):
        arguments["posebusters"] = False
    return evaluate_molecules(files, reference, output, **arguments)
