"""The page over the folder of a screen."""

from __future__ import annotations

from pathlib import Path

from eqcli.io.sdf_writer import record
from eqcli.tasks.dock_rows import PairRow
from eqcli.tasks.dock_screen_page import first_pose, write_screen_page
from tests.tasks.evaluate_docking_case import ligand_at


def _row(number: int, score: float | None, **more: object) -> PairRow:
    status = "failed" if score is None else "ok"
    return PairRow(number, None, f"lig{number}", "rec.pdb", "l.smi", status, score=score, **more)  # type: ignore[arg-type]


def test_the_best_pairs_come_first_with_the_ligand_of_their_own_poses(tmp_path: Path) -> None:
    texts = [record(ligand_at(smiles, (0.0, 0.0, 0.0))).encode() for smiles in ("CCO", "CC#N")]
    (tmp_path / "poses-0000.sdf").write_bytes(b"".join(texts))
    first = _row(1, -4.0, poses="poses-0000.sdf", start=0, end=len(texts[0]))
    second = _row(2, -7.0, poses="poses-0000.sdf", start=len(texts[0]), end=sum(map(len, texts)))
    rows = [first, second, _row(3, None, reason="no conformer")]
    page = write_screen_page(tmp_path, rows, title="A screen").read_text(encoding="utf-8")
    assert page.index("lig2") < page.index("lig1")
    assert page.index('aria-label="CC#N"') < page.index('aria-label="CCO"')
    assert "no conformer" in page


def test_a_row_without_its_file_has_no_picture(tmp_path: Path) -> None:
    row = _row(1, -4.0, poses="poses-0000.sdf", start=0, end=10)
    assert first_pose(tmp_path, row) is None
    assert "lig1" in write_screen_page(tmp_path, [row]).read_text(encoding="utf-8")


def test_a_row_whose_poses_were_changed_has_no_picture(tmp_path: Path) -> None:
    (tmp_path / "poses-0000.sdf").write_text("no molecule\n$$$$\n")
    row = _row(1, -4.0, poses="poses-0000.sdf", start=0, end=17)
    assert first_pose(tmp_path, row) is None
    assert first_pose(tmp_path, _row(1, -4.0, poses="poses-0000.sdf", start=50, end=60)) is None


def test_pairs_that_have_a_page_are_linked(tmp_path: Path) -> None:
    rows = [_row(1, -4.0), _row(2, -7.0)]
    text = write_screen_page(tmp_path, rows, pages={(2, None): "pages/x.html"}).read_text(encoding="utf-8")
    assert '<a href="pages/x.html">lig2</a>' in text
    assert ">lig1</a>" not in text
