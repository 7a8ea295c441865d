"""The page of one pair: its best poses in their pocket, the pose of the ligand's file beside, and their figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from eqcli.errors import InputError

if TYPE_CHECKING:
    from eqcli.io.ligand import Ligand
    from eqcli.io.receptor import Receptor
    from eqcli.io.structure import Structure

POSES: Final = 5
"""Poses on a page, the best first."""

WITHIN: Final = 5.0
"""Å. A ligand that has half of its heavy atoms this near to the receptor's lies in it."""


def write_pair_page(
    path: Path, name: str, receptor: Receptor, poses: Sequence[Structure], total: int, ligand: Ligand | None = None
) -> None:
    """Writes the page of a pair.

    Parameters
    ----------
    poses
        Best first, the figures of each in `info`; the first `POSES` are drawn.
    total
        How many there are in the file of poses.
    ligand
        As its file gives it: drawn beside the poses where it lies in the receptor.
    """
    from eqcli.report.pose_page import PagePose, pose_page

    shown = list(poses[:POSES])
    given = None if ligand is None else given_pose(ligand, receptor)
    apart = [None] * len(shown) if given is None else _apart(given, shown)
    figures = [_figures(pose.info, rmsd) for pose, rmsd in zip(shown, apart, strict=True)]
    pose_page(
        receptor.structure,
        [PagePose(_label(rank, pose.info), pose) for rank, pose in enumerate(shown, start=1)],
        path,
        title=f"{name} in {receptor.name}",
        first=0,
        given=given,
        rows={f"Pose {rank}": text for rank, text in enumerate(figures, start=1)} | {"Poses in all": total},
    )


def given_pose(ligand: Ligand, receptor: Receptor) -> Structure | None:
    """The ligand where its file has it; None where the file has no positions, or these are not in the receptor."""
    from scipy.spatial import cKDTree

    heavy = ligand.structure.positions[ligand.structure.numbers > 1]
    if not ligand.given or not len(heavy):
        return None
    distances, _ = cKDTree(receptor.structure.positions[receptor.heavy]).query(heavy, distance_upper_bound=WITHIN)
    return ligand.structure if np.isfinite(distances).mean() >= 0.5 else None


def _apart(given: Structure, poses: Sequence[Structure]) -> list[float | None]:
    """RMSD of each pose from the given one, Å."""
    from eqcli.metrics.docking.symmetric_rmsd import symmetric_rmsd, symmetry

    try:
        found = symmetry(given, poses[0])
    except InputError:  # a molecule that cannot be compared is drawn all the same
        return [None] * len(poses)
    return [float(x) for x in symmetric_rmsd(found, given.positions, np.stack([pose.positions for pose in poses]))]


def _label(rank: int, info: dict[str, Any]) -> str:
    from eqcli.report.numbers import show

    score = _number(info, "score")
    return f"Pose {rank}" if score is None else f"Pose {rank}: {show(score)} kcal/mol"


def _figures(info: dict[str, Any], rmsd: float | None) -> str:
    """What the file of poses says of one, in words."""
    from eqcli.report.numbers import count, show

    parts = [str(info.get("method", ""))]
    for key, words, unit in (
        ("score", "score", " kcal/mol"),
        ("confidence", "confidence", ""),
        ("strain", "strain", " kcal/mol"),
    ):
        value = _number(info, key)
        parts += [] if value is None else [f"{words} {show(value)}{unit}"]
    clashes = _number(info, "clashes")
    parts += [] if clashes is None else [count(int(clashes), "clash", "clashes")]
    parts += [] if rmsd is None else [f"{show(rmsd)} Å RMSD from the given pose"]
    return ", ".join(part for part in parts if part)


def _number(info: dict[str, Any], key: str) -> float | None:
    """A figure of a pose, which files have as text."""
    try:
        return float(info[key])
    except (KeyError, TypeError, ValueError):
        return None
