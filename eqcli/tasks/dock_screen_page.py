"""`index.html` of the folder of a screen, from its rows and poses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from eqcli.engine.docking_pose import RankBy
from eqcli.errors import InputError
from eqcli.tasks.dock_rows import PairRow, best_first
from eqcli.tasks.dock_shards import stored_poses

if TYPE_CHECKING:
    from eqcli.io.structure import Structure

DRAWN: Final = 60
"""Best pairs whose ligand is drawn."""

Key = tuple[int, int | None]
"""What tells pairs apart: row and record."""


def write_screen_page(
    folder: Path,
    rows: Sequence[PairRow],
    *,
    rank_by: RankBy = "score",
    title: str = "",
    provenance: dict[str, Any] | None = None,
    pages: Mapping[Key, str] | None = None,
) -> Path:
    """Writes the page over a screen.

    Parameters
    ----------
    rows
        Those of its `results.csv`, in any order.
    pages
        The page of a pair by its key, relative to this one.
    """
    from eqcli.files import atomic_path
    from eqcli.report.depictions import depiction
    from eqcli.report.docking_screen import screen_page
    from eqcli.report.html import Markup
    from eqcli.report.write import PAGE

    order = best_first(rows, rank_by)
    poses = {k: pose for k, row in enumerate(order[:DRAWN]) if (pose := first_pose(folder, row)) is not None}
    linked = pages or {}
    text = screen_page(
        [asdict(row) for row in order],
        [asdict(row) for row in rows if row.status != "ok"],
        title=title or folder.resolve().name,
        pictures={k: Markup(depiction(pose, width=150, height=96)) for k, pose in poses.items()},
        pages={k: linked[row.key] for k, row in enumerate(order) if row.key in linked},
        provenance=provenance,
    )
    with atomic_path(folder / PAGE) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return folder / PAGE


def first_pose(folder: Path, row: PairRow) -> Structure | None:
    """The best pose of a pair; None where its file does not have it."""
    try:
        return next(iter(stored_poses(folder, row, 1)), None)
    except InputError:
        return None
