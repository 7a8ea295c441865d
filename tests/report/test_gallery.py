"""The gallery of crystals: one page, offline, escaped, with every structure in its table."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eqcli.io.structure import Structure
from eqcli.report import gallery_viewer
from eqcli.report.gallery import gallery_page
from eqcli.report.gallery_crystals import CRYSTALS
from eqcli.report.gallery_rows import columns, complete
from tests.report.test_page import Outline

BAD = "</script><img src=x onerror=alert(1)>"


def salt(a: float = 5.64, **fields: Any) -> Structure:
    cell = a / 2 * (np.ones((3, 3)) - np.eye(3))
    return Structure(
        np.array([11, 17]), np.array([[0.0, 0, 0], [a / 2, a / 2, a / 2]]), cell, np.ones(3, bool), **fields
    )


def written(tmp_path: Path, *arguments: Any, **options: Any) -> str:
    size = gallery_page(*arguments, tmp_path / "g.html", title=f"Salt {BAD}", **options)
    assert (tmp_path / "g.html").stat().st_size == size
    assert [p.name for p in tmp_path.iterdir()] == ["g.html"]
    return (tmp_path / "g.html").read_text()


def packed(page: str, name: str) -> str:
    text = re.search(rf'<script type="text/plain" id="{name}">([^<]*)</script>', page)
    assert text is not None
    return gzip.decompress(base64.b64decode(text[1])).decode()


def test_what_is_known_without_the_caller() -> None:
    (row,) = complete([salt(energy=-6.0, info={"flags": "overlap", "energy_above_hull": 0.1})], [], CRYSTALS)
    assert row["formula"] == "NaCl"
    assert row["space_group"] == "Fm-3m (225)"
    assert row["density"] == pytest.approx(2.163, abs=2e-3)
    assert row["volume_per_atom"] == pytest.approx(5.64**3 / 8)
    assert (row["energy_per_atom"], row["rank"], row["flags"], row["energy_above_hull"]) == (-3, 1, "overlap", 0.1)


def test_what_the_caller_says_goes_first() -> None:
    given = [
        {"rank": 7, "space_group": "P1 (1)", "e_hull": 0.2, "novel": True, "gap": 1.5, "density": None},
        {"rank": 8},
    ]
    rows = complete([salt(), salt()], given, CRYSTALS)
    assert [row["rank"] for row in rows] == [7, 8]
    assert [row.get("space_group") for row in rows] == ["P1 (1)", None]
    assert rows[0]["energy_above_hull"] == 0.2
    assert rows[0]["density"] > 2
    titles = [column.title for column in columns(rows, CRYSTALS)]
    assert titles[:2] == ["Rank", "Formula"]
    assert {"Novel", "Gap", "Above hull"} <= set(titles)
    assert "Flags" not in titles
    with pytest.raises(ValueError, match="1 rows for 2"):
        complete([salt(), salt()], given[:1], CRYSTALS)


def test_structures_that_are_not_sane_have_rows(tmp_path: Path) -> None:
    flat = salt()
    flat.cell = np.zeros((3, 3))
    lost = salt()
    lost.positions = lost.positions * np.nan
    page = written(tmp_path, [flat, lost, salt()], [])
    assert page.count("NaCl</td>") == 3
    if gallery_viewer.script_path():
        data = json.loads(packed(page, "viewer-data"))
        assert ["cell" in structure for structure in data["structures"]] == [False, True]
        assert 'data-shown="1"' in page.split("<tbody>")[1].split("<tr")[3]


def test_the_page_is_complete_offline_and_escaped(tmp_path: Path) -> None:
    pytest.importorskip("chemiscope")
    structures = [salt(5 + 0.1 * i) for i in range(5)]
    rows = [{"flags": BAD, "energy_above_hull": None if i == 2 else 0.1 * i, BAD: 1} for i in range(5)]
    page = written(tmp_path, structures, rows, provenance={"command": ["<x>"]}, shown=3)
    outline = Outline(page)
    assert outline.links == []
    assert "<img" not in page
    assert page.count("data-shown=") == 3
    assert page.count("<tr") == 6
    data = json.loads(packed(page, "viewer-data"))
    assert len(data["structures"]) == 3
    assert all(len(p["values"]) == 3 for p in data["properties"].values())
    assert data["properties"]["Above hull"]["values"] == [0, 0.1, None]
    assert "<" not in json.dumps(data)
    axes = data["settings"]["map"]
    assert {axes[k]["property"] for k in ("x", "y", "color")} <= set(data["properties"])
    assert packed(page, "viewer-script") == gallery_viewer.script_path().read_text()
    assert len(page) < 2_500_000


def test_the_viewer_shows_the_crystal_itself() -> None:
    rng = np.random.default_rng(3)
    cell = np.eye(3) * 4 + rng.normal(size=(3, 3)) * 0.3
    fractions = np.array([[0.0, 1.0, -1e-9], [0.5, 0.5, 0.5], [2.999, 0.3, 0.3], [0.2, 0.4, -0.3]])
    crystal = Structure(np.array([11, 17, 8, 1]), fractions @ cell, cell, np.ones(3, bool))
    made = gallery_viewer.dataset([crystal], *_known([crystal]), CRYSTALS)["structures"][0]
    assert (made["size"], made["names"].count("Na"), made["names"].count("O")) == (8 + 1 + 2 + 1, 8, 2)
    shown = np.array(made["cell"]).reshape(3, 3)
    # The same lengths, angles and handedness.
    np.testing.assert_allclose(shown @ shown.T, cell @ cell.T, atol=1e-4)
    assert np.linalg.det(shown) == pytest.approx(np.linalg.det(cell), rel=1e-5)
    places = np.array([made["x"], made["y"], made["z"]]).T @ np.linalg.inv(shown)
    assert (places > -0.03).all()
    assert (places < 1.03).all()
    for symbol, place in zip(made["names"], places, strict=True):
        away = place - fractions[["Na", "Cl", "O", "H"].index(symbol)]
        np.testing.assert_allclose(away, np.round(away), atol=1e-5)
    assert len({tuple(place) for place in places.round(3).tolist()}) == len(places)


def test_directions_that_do_not_repeat_are_left_as_they_are() -> None:
    slab = salt()
    slab.cell, slab.pbc = np.eye(3) * 4, np.array([True, True, False])
    made = gallery_viewer.dataset([slab], *_known([slab]), CRYSTALS)["structures"][0]
    assert made["names"] == ["Na", "Cl", "Na", "Na", "Na"]


def _known(structures: list[Structure]) -> tuple[list[dict[str, Any]], Any]:
    rows = complete(structures, [], CRYSTALS)
    return rows, columns(rows, CRYSTALS)


def test_without_the_package_the_page_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery_viewer, "find_spec", lambda name: None)
    monkeypatch.setattr(gallery_viewer, "version", lambda: "")
    page = written(tmp_path, [salt()], [])
    Outline(page)
    assert "pip install &#x27;eqcli[crystals]&#x27;" in page
    assert "chemiscope.org" not in page
    assert "data-shown=" not in page
    assert len(page) < 20_000


def test_a_page_without_structures(tmp_path: Path) -> None:
    page = written(tmp_path, [], [])
    Outline(page)
    assert "0 structures" in page


def test_the_same_gallery_has_the_same_bytes(tmp_path: Path) -> None:
    assert written(tmp_path, [salt()], []) == written(tmp_path, [salt()], [])
