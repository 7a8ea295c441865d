"""Depictions: themed, named, without identifiers, stereochemistry seen, broken molecules marked and never raised."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from eqcli.io.structure import Structure
from eqcli.report.depictions import depict, depiction, depiction_grid
from eqcli.report.style import LIGHT, STAND_INS
from tests.report.molecules_case import embedded, with_orders, without_bonds
from tests.report.test_page import Outline


def test_a_depiction_is_one_themed_element_that_says_its_smiles() -> None:
    svg = depiction(embedded("CC(=O)Nc1ccccc1"))
    root = ElementTree.fromstring(svg)
    assert root.get("aria-label") == "CC(=O)Nc1ccccc1"
    assert not [e for e in root.iter() if e.get("id") or e.get("class")]
    assert not [name for name in STAND_INS.values() if name in svg.lower()]
    # Oxygen, nitrogen and carbon, each in the colour of the page and with one for pages without it.
    for name in ("ink", "c0", "c1"):
        assert f"var(--{name},{LIGHT[name]})" in svg
    assert depiction(embedded("CC(=O)Nc1ccccc1")) == svg


def test_hydrogens_of_carbon_are_hidden() -> None:
    # One straight line for ethane: no hydrogen has a bond or a letter.
    paths = [e for e in ElementTree.fromstring(depiction(embedded("CC"))).iter() if e.tag.endswith("path")]
    assert len(paths) == 1


def test_mirror_images_have_other_wedges() -> None:
    given = embedded("C[C@H](O)F")
    mirrored = replace(given, positions=given.positions * [1, 1, -1])
    one, other = depict(given), depict(mirrored)
    assert {one.words, other.words} == {"C[C@H](O)F", "C[C@@H](O)F"}
    wedges = [svg.replace(words, "") for svg, words in ((one.svg, one.words), (other.svg, other.words))]
    assert wedges[0] != wedges[1]


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(with_orders(embedded("CC(=O)N"), [(0, 3)]), id="valence"),
        pytest.param(with_orders(embedded("Cc1ccccc1", aromatic=True), [(2, 1), (3, 1)]), id="aromatic"),
    ],
)
def test_what_rdkit_refuses_is_drawn_as_it_stands_and_ringed(broken: Structure) -> None:
    found = depict(broken)
    assert found.reason
    svg = ElementTree.fromstring(found.svg)
    rings = [e for e in svg.iter() if e.tag.endswith("ellipse")]
    assert rings
    assert all("var(--bad," in (ring.get("style") or "") for ring in rings)
    sane = ElementTree.fromstring(depiction(embedded("CC(=O)N")))
    assert not [e for e in sane.iter() if e.tag.endswith("ellipse")]


def test_molecules_without_bonds_have_those_of_the_rule() -> None:
    found = depict(without_bonds(embedded("CO")))
    assert (found.words, found.by_rule, found.reason) == ("CO", True, "")
    assert not depict(embedded("CO")).by_rule


@pytest.mark.parametrize(
    "hopeless",
    [
        Structure(np.array([6, 0]), np.eye(3)[:2]),
        Structure(np.array([6, 6]), np.full((2, 3), np.nan)),
        Structure(np.array([6, 6]), np.eye(3)[:2], info={"bonds": [[0, 9, 1]]}),
        Structure(np.array([6, 6]), np.eye(3)[:2], info={"bonds": [[0, 1, 7]]}),
        Structure(np.zeros(0, int), np.zeros((0, 3)), info={"bonds": []}),
    ],
    ids=["element", "positions", "atom", "order", "empty"],
)
def test_what_cannot_be_drawn_is_a_picture_of_words(hopeless: Structure) -> None:
    found = depict(hopeless)
    assert "<path" not in found.svg
    ElementTree.fromstring(found.svg)


def test_a_grid_has_all_molecules_and_can_be_a_page(tmp_path: Path) -> None:
    broken = with_orders(embedded("CC(=O)N"), [(0, 3)])
    grid = depiction_grid([embedded("CO"), broken], ["<b>one</b>", "two"], tmp_path / "g.html", title="<script>")
    text = (tmp_path / "g.html").read_text()
    outline = Outline(text)
    assert outline.tags.count("figure") == 2
    assert outline.links == []
    assert grid in text
    assert "&lt;b&gt;one" in text
    assert "<script" not in text
    assert grid.count('class="broken"') == grid.count("has the valence") == 1
    with pytest.raises(ValueError, match="1 captions for 2"):
        depiction_grid([broken, broken], ["one"])


def test_a_grid_without_captions_has_smiles() -> None:
    assert "<div>CO</div>" in depiction_grid([embedded("CO")])
