"""`index.html` of the folder of a screen, from its rows and poses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from eqcli.engine.docking_pose import RankBy
from eqcli.tasks.dock_rows import PairRow, best_first

if TYPE_CHECKING:
    from rdkit.Chem import Mol

DRAWN: Final = 60
"""Best pairs whose ligand is drawn."""


def write_screen_page(
    folder: Path,
    rows: Sequence[PairRow],
    *,
    rank_by: RankBy = "score",
    title: str = "",
    provenance: dict[str, Any] | None = None,
) -> Path:
    """Writes the page over a screen; `rows` are those of its `results.csv`, in any order."""
    from eqcli.files import atomic_path
    from eqcli.report.depictions import depiction
    from eqcli.report.docking_screen import screen_page
    from eqcli.report.html import Markup
    from eqcli.report.write import PAGE

    order = best_first(rows, rank_by)
    poses = {k: pose for k, row in enumerate(order[:DRAWN]) if (pose := first_pose(folder, row)) is not None}
    text = screen_page(
        [asdict(row) for row in order],
        [asdict(row) for row in rows if row.status != "ok"],
        title=title or folder.resolve().name,
        pictures={k: Markup(depiction(pose, width=150, height=96)) for k, pose in poses.items()},
        provenance=provenance,
    )
    with atomic_path(folder / PAGE) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return folder / PAGE


def first_pose(folder: Path, row: PairRow) -> Mol | None:
    """The best pose of a pair as a molecule; None where its file does not have it."""
    from rdkit import Chem, rdBase

    path = folder / row.poses
    if not row.poses or row.start is None or row.end is None or not path.is_file():
        return None
    with path.open("rb") as file:
        file.seek(row.start)
        record = file.read(row.end - row.start).decode("utf-8", "replace")
    with rdBase.BlockLogs():
        block = record.split("M  END")[0] + "M  END\n"
        molecule: Mol | None = Chem.MolFromMolBlock(block, sanitize=False, removeHs=False)
    return molecule
