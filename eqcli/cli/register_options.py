"""Options of `eqcli register`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

from eqcli.cli.option_groups import Option, option_group
from eqcli.errors import InputError


class Method(StrEnum):
    """Where matches between clouds come from."""

    auto = "auto"
    fpfh = "fpfh"
    pare_net = "pare-net"
    ume = "ume"
    icp = "icp"


class SolverName(StrEnum):
    """What makes a motion of matches."""

    procrustes = "procrustes"
    one_match = "one-match"
    ransac = "ransac"
    clique = "clique"
    spectral = "spectral"
    kiss = "kiss"


class Refinement(StrEnum):
    """What brings clouds that nearly fit onto each other."""

    none = "none"
    point_to_point = "point-to-point"
    point_to_plane = "point-to-plane"
    gicp = "gicp"


class KindName(StrEnum):
    """What files are taken for."""

    clouds = "clouds"
    molecules = "molecules"
    proteins = "proteins"
    crystals = "crystals"


class On(StrEnum):
    """Atoms of proteins that are fitted."""

    ca = "ca"
    backbone = "backbone"
    heavy = "heavy"
    all = "all"


class By(StrEnum):
    """How residues are matched."""

    structure = "structure"
    sequence = "sequence"
    number = "number"


UNITS = "m, cm, mm, um, nm, Angstrom, in, ft or us-ft, or `same`"

CLOUDS: dict[str, Option] = {
    "method": (Method | None, "--method", {}, "Where matches come from; auto takes the best that is at hand."),
    "model": (Path | None, "--model", {}, "Trained model, for auto and pare-net."),
    "solver": (SolverName | None, "--solver", {}, "What makes a motion of matches."),
    "refine": (Refinement | None, "--refine", {}, "What improves the motion at the end; gicp by default."),
    "voxel": (
        float | None,
        "--voxel",
        {},
        "Edge of the grid to which clouds are thinned, in the unit of the target; chosen by their density by default.",
    ),
    "start": (Path | None, "--start", {}, "File of a 4 x 4 matrix to begin from, in place of a search."),
    "source_units": (str | None, "--source-units", {"metavar": "UNIT"}, f"Unit of the source: {UNITS}."),
    "target_units": (str | None, "--target-units", {"metavar": "UNIT"}, f"Unit of the target: {UNITS}."),
    "samples": (int | None, "--samples", {"min": 4}, "Points that meshes are sampled with; 50000 by default."),
}

MOLECULES: dict[str, Option] = {
    "permute": (bool, "--permute", {}, "Match atoms by the structure, symmetric ones included, not by their order."),
    "heavy": (bool, "--heavy", {}, "Leave hydrogens out of the fit."),
    "reflect": (bool, "--reflect", {}, "Use the mirror image where that fits better."),
}

PROTEINS: dict[str, Option] = {
    "on": (On | None, "--on", {}, "Atoms that are fitted; ca by default."),
    "by": (By | None, "--by", {}, "How residues are matched: by their shape (default), sequence or number."),
    "source_chains": (list[str] | None, "--source-chain", {"metavar": "CHAIN"}, "Chain to move; may be repeated."),
    "target_chains": (list[str] | None, "--target-chain", {"metavar": "CHAIN"}, "Chain to fit; may be repeated."),
}

CRYSTALS: dict[str, Option] = {
    "ltol": (float | None, "--ltol", {"min": 0.0}, "Tolerance of lattice lengths, as a fraction."),
    "stol": (float | None, "--stol", {"min": 0.0}, "Tolerance of sites, of the mean free length per atom."),
    "angle_tol": (float | None, "--angle-tol", {"min": 0.0}, "Tolerance of lattice angles, degrees."),
    "primitive": (bool | None, "--primitive/--no-primitive", {}, "Compare primitive cells."),
    "scale": (bool | None, "--scale/--no-scale", {}, "Let the volumes differ."),
}

MANY: dict[str, Option] = {
    "pairs": (
        Path | None,
        "--pairs",
        {},
        "CSV of pairs (name, source, target, perhaps transform), or a folder of 3DMatch or KITTI; -o is a folder.",
    ),
    "workers": (int | None, "--workers", {"min": 1}, "Processes for --pairs; one for each core by default."),
    "resume": (bool, "--resume", {}, "Go on with an interrupted run of --pairs."),
    "pose_graph": (bool, "--pose-graph", {}, "Bring all clouds of --pairs into one frame."),
    "reference": (str | None, "--reference", {"metavar": "NAME"}, "Cloud whose frame that is; the most connected one."),
    "merged": (Path | None, "--merged", {}, "File for all clouds of that frame as one, thinned to the voxel."),
}

GENERAL: dict[str, Option] = {
    "kind": (KindName | None, "--as", {}, "What the files are taken for; by default what they hold."),
    "seed": (int | None, "--seed", {"min": 0}, "Seed of everything that is drawn; 0 by default."),
    "threads": (
        int | None,
        "--threads",
        {"min": 1},
        "Threads; by default those of torch, and one in the refinement and in each process of --pairs.",
    ),
}

FILES: dict[str, Option] = {
    "transform": (Path | None, "--transform", {}, "The motion as 4 x 4 numbers: y = R x + t."),
    "result": (Path | None, "--result", {}, "Everything that is known, as JSON."),
    "viewer": (Path | None, "--viewer", {}, "Page of both, before and after, to turn by hand: .html."),
    "picture": (Path | None, "--picture", {}, "Picture of both, before and after: .png."),
}

FOR_MANY = ("workers", "resume", "pose_graph", "reference", "merged")

register_options = option_group(
    "given",
    {
        "Options": GENERAL | FILES,
        "Clouds of points": CLOUDS,
        "Molecules": MOLECULES,
        "Proteins": PROTEINS,
        "Crystals": CRYSTALS,
        "Many pairs": MANY,
    },
)
"""Gives a subcommand these options; it takes those that were given as one dictionary `given`."""


def plain(given: dict[str, Any]) -> dict[str, Any]:
    """Options as tasks take them."""

    def value(one: Any) -> Any:
        return one.value if isinstance(one, StrEnum) else tuple(one) if isinstance(one, list) else one

    return {name: value(one) for name, one in given.items()}


def refuse(given: dict[str, Any], source: Path | None, target: Path | None, output: Path | None) -> None:
    """Raises InputError for options and files of a single pair and of many that are mixed, or missing."""
    if "pairs" in given:
        wrong = [named(name) for name in given if name in FILES]
        if source is not None:
            wrong.insert(0, "SOURCE")
        if wrong:
            raise InputError(f"{', '.join(wrong)}: for a single pair, and --pairs names many", hint="Leave it out.")
        if output is None:
            raise InputError("--pairs needs a folder for its results", hint="Name one with -o, e.g. -o out/.")
        return
    wrong = [named(name) for name in FOR_MANY if name in given]
    if wrong:
        raise InputError(f"{', '.join(wrong)}: for many pairs", hint="Name them with --pairs.")
    if source is None or target is None:
        raise InputError("a source and a target are needed", hint="Name two files, or many pairs with --pairs.")


def named(name: str) -> str:
    """An option as it is written."""
    every = GENERAL | FILES | CLOUDS | MOLECULES | PROTEINS | CRYSTALS | MANY
    return str(every[name][1]).split("/", maxsplit=1)[0]
