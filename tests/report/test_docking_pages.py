"""Pages of docking: methods, poses in their pocket, screens."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from eqcli.io.structure import Structure
from eqcli.report.docking import docking_page
from eqcli.report.docking_plots import docking_plots
from eqcli.report.docking_screen import screen_page
from eqcli.report.pose_page import PagePose, pose_page
from tests.metrics.docking.test_validity import receptor
from tests.tasks.evaluate_docking_case import ligand_at

CURVES = [
    {"method": "m", "pocket": "blind", "trained_on": "unknown", "rmsd": 1.0, "points": [[-7.0, 1.0], [-6.0, 9.0]]},
    {"method": "m", "pocket": "blind", "trained_on": "unknown", "rmsd": None, "points": []},
]


def test_a_failure_is_below_no_rmsd() -> None:
    plots = {plot.name: plot for plot in docking_plots(CURVES)}
    assert set(plots) == {"rmsd-blind", "score-m-blind"}
    assert "2 pairs" in plots["rmsd-blind"].caption
    assert "2 poses of 1 pair." in plots["score-m-blind"].caption


def test_names_are_escaped() -> None:
    row = {
        "complex": "<script>", "protein": "<b>", "trained_on": "seen", "method": "<i>", "pocket": "blind",
        "rmsd": 1.0, "valid": False, "failed_checks": '">', "reason": "",
    }  # fmt: skip
    table = {"split": "all", "words": "1 complex", "rows": []}
    result = {
        "counts": {"complexes": 1, "proteins": 1}, "seconds": 1.0, "warnings": [], "tables": [table], "failures": [],
        "settings": {},
    }  # fmt: skip
    page = docking_page(result, [row], [], {})
    assert "<script>" not in page
    assert "&lt;i&gt;, blind" in page
    assert "trained on" in page


def _layers(path: Path) -> dict[str, dict[str, object]]:
    text = path.read_text(encoding="utf-8")
    found = re.search(r'id="pose-data">(.*?)</script>', text, flags=re.S)
    assert found is not None
    names = re.findall(r'data-layer="\d+".*?<span>(.*?)</span>', text)
    return dict(zip(names, json.loads(found[1])["layers"], strict=True))


def _write(path: Path, protein: Structure) -> int:
    crystal = ligand_at("CCO", (0.0, 0.0, 0.0))
    poses = [PagePose("first", ligand_at("CCO", (1.0, 0.0, 0.0))), PagePose("</script><b>", crystal)]
    return pose_page(protein, poses, path, title="x & y", crystal=crystal)


def test_the_page_has_the_poses_the_pocket_and_the_trace(tmp_path: Path) -> None:
    size = _write(tmp_path / "page.html", receptor((0.0, 0.0, 3.0), (3.0, 0.0, 3.0), (0.0, 0.0, 60.0)))
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert size == len(text.encode())
    assert "http" not in text.replace("http://www.w3.org", "")
    assert "</script><b>" not in text
    layers = _layers(tmp_path / "page.html")
    assert list(layers) == ["Crystal pose", "first", "&lt;/script&gt;&lt;b&gt;", "Residues within 5 Å", "CA trace"]
    assert [layer["shown"] for layer in layers.values()] == [True, False, True, True, True]
    pocket, trace = layers["Residues within 5 Å"]["points"], layers["CA trace"]
    assert isinstance(pocket, list)
    assert len(pocket) == 3 * 6
    # The third residue is too far to be joined.
    assert trace["lines"] == [0, 1]


def test_hydrogens_of_carbon_are_left_out(tmp_path: Path) -> None:
    _write(tmp_path / "page.html", receptor((0.0, 0.0, 3.0)))
    points = _layers(tmp_path / "page.html")["Crystal pose"]["points"]
    assert isinstance(points, list)
    assert len(points) == 3 * 4


def test_the_picture_is_of_the_pose_that_is_shown_first_wherever_the_given_one_is(tmp_path: Path) -> None:
    poses = [PagePose(f"pose {k}", ligand_at("CCO", (30.0 + k, 0.0, 0.0))) for k in range(3)]
    protein = receptor((0.0, 0.0, 3.0), (30.0, 0.0, 3.0))
    path = tmp_path / "page.html"
    pose_page(protein, poses, path, title="t", given=ligand_at("CCO", (0.0, 0.0, 0.0)), first=0)
    layers = _layers(path)
    assert list(layers) == ["Given pose", "pose 0", "pose 1", "pose 2", "Residues within 5 Å", "CA trace"]
    assert [layer["shown"] for layer in layers.values()] == [True, True, False, False, True, True]
    middle = np.reshape(layers["pose 0"]["points"], (-1, 3)).mean(axis=0)
    assert np.linalg.norm(middle) < 1.0
    # One residue only: that of the given pose is elsewhere.
    assert len(np.reshape(layers["Residues within 5 Å"]["points"], (-1, 3))) == 6 / 2


def test_a_page_needs_a_pose(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs a pose"):
        pose_page(receptor((0.0, 0.0, 0.0)), [], tmp_path / "page.html", title="none")


def test_a_screen_shows_its_best_and_its_failures() -> None:
    rng = np.random.default_rng(0)
    rows = [
        {"name": f"lig{k}", "receptor": "a/rec.pdb", "ligand": "l.sdf", "score": float(s), "confidence": None,
         "clashes": k % 2, "strain": 1.0, "seconds": 0.5}
        for k, s in enumerate(np.sort(rng.normal(-6, 1, 30)))
    ]  # fmt: skip
    failed = [{"name": "<bad>", "ligand": "x", "receptor": "a/rec.pdb", "reason": "no conformer", "seconds": 0.1}]
    page = screen_page(rows, failed, title="Screen", pages={0: "pages/0.html"})
    assert '<a href="pages/0.html">lig0</a>' in page
    assert page.index("lig0<") < page.index("lig29<")
    assert "&lt;bad&gt;" in page
    assert "no conformer" in page
    assert "Confidence" not in page


def test_a_screen_in_which_all_failed_has_a_page() -> None:
    page = screen_page([], [{"name": "a", "ligand": "x", "receptor": "r", "reason": "y", "seconds": 0.1}], title="t")
    assert "of 1 pair<" in page
