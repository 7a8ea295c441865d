"""Options of `eqcli predict` for docking."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.cli.option_groups import Option, option_group
from eqcli.errors import InputError

if TYPE_CHECKING:
    from eqcli.cli.console import Console
    from eqcli.cli.session import Result
    from eqcli.recipe.cluster import ClusterRecipe
    from eqcli.tasks.stream.division import Workers

PANEL = "Docking"
RESUME = "`--resume` goes on with a screen; a file holds the poses that were done."
"""What to do after an interruption."""


class Minimise(StrEnum):
    """What moves all atoms of a pose at the end."""

    none = "none"
    mmff = "mmff"


class RankBy(StrEnum):
    """What poses are ordered by."""

    score = "score"
    confidence = "confidence"
    both = "both"


DOCKING: dict[str, Option] = {
    "receptor": (Path | None, ("--receptor",), {}, "Receptor: PDB, mmCIF or PDBQT."),
    "ligands": (
        list[str] | None,
        ("--ligand",),
        {"metavar": "FILE|SMILES"},
        "Ligands: SDF, MOL, MOL2, PDB, PDBQT or .smi file, or a SMILES; may be repeated.",
    ),
    "template": (str | None, ("--template",), {"metavar": "SMILES"}, "Bonds of ligands from PDB and PDBQT files."),
    "table": (
        Path | None,
        ("--table",),
        {},
        "CSV of pairs: receptor, ligand and, if need be, name, pocket, record, template; -o is a folder.",
    ),
    "pocket": (
        str | None,
        ("--pocket",),
        {},
        "Where to look: x,y,z:radius, x,y,z:a,b,c, residues A/45,A/47B, or the file of a ligand in the pocket; by "
        "default pockets are found.",
    ),
    "margin": (float | None, ("--margin",), {"min": 0.0}, "Å around residues or a ligand of --pocket; 5 by default."),
    "poses": (int | None, ("--poses", "-n"), {"min": 1}, "Poses of each ligand; 9, or 1 with --network-only."),
    "physics_only": (bool, ("--physics-only",), {}, "Search without the network; MODEL may then be `physics`."),
    "network_only": (bool, ("--network-only",), {}, "The network's poses as they are, without a search."),
    "leave_out": (
        list[str] | None,
        ("--leave-out",),
        {"metavar": "GROUP"},
        "Groups of the receptor's file to leave out, by name or as A/401; may be repeated.",
    ),
    "waters": (bool, ("--waters",), {}, "Keep the waters of the receptor."),
    "minimise": (Minimise | None, ("--minimise",), {}, "Last motion of all atoms of a pose; mmff after a search."),
    "rank_by": (RankBy | None, ("--rank-by",), {}, "Order of poses and pairs; the score after a search."),
    "effort": (float | None, ("--effort",), {}, "Of the search; 1 by default, 2 takes twice as long."),
    "seed": (int | None, ("--seed",), {"min": 0}, "Seed of conformers and search; 0 by default."),
    "pages": (
        bool | None,
        ("--pages/--no-pages",),
        {},
        "Pages in three dimensions: beside -o, one for each pair; a screen has those of its best pairs by default.",
    ),
}
"""Argument -> type, options, settings of the option, help."""

ASKS = ("receptor", "ligands", "table")
"""Options any of which makes a prediction a docking."""


docking_options = option_group("docking", {PANEL: DOCKING})
"""Gives a subcommand these options; it takes those that were given as one dictionary `docking`."""


def refuse_without_receptor(docking: dict[str, Any]) -> None:
    """Raises InputError for options of docking where nothing is docked."""
    if docking:
        names = ", ".join(DOCKING[name][1][0].split("/")[0] for name in docking)
        raise InputError(
            f"{names}: for docking, which needs a receptor and ligands",
            hint="Give --receptor and --ligand, or a table of pairs with --table.",
        )


def run_docking(
    model: Path,
    output: Path | None,
    docking: dict[str, Any],
    *,
    others: dict[str, object],
    device: str,
    overwrite: bool,
    console: Console,
    workers: Workers = "auto",
    cluster: ClusterRecipe | None = None,
) -> Result:
    """Carries out a docking. `others` says which options of other predictions were given.

    Raises
    ------
    InputError
        An option does not belong here, or its value cannot be.
    """
    wrong = [name for name, given in others.items() if given]
    if wrong:
        raise InputError(f"{', '.join(wrong)}: for other models, and this is a docking", hint="Leave it out.")
    from eqcli.tasks.dock import dock
    from eqcli.tasks.dock_request import DockRequest

    plain: dict[str, Any] = {
        name: value.value if isinstance(value, StrEnum) else value for name, value in docking.items()
    }
    resume = bool(plain.pop("resume", False))
    request = DockRequest(str(model), **plain, device=device)
    return dock(
        request, output, overwrite=overwrite, resume=resume, workers=workers, cluster=cluster, report=console.report
    )
