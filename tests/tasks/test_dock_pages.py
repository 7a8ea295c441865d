"""Pages of pairs: beside a file of poses, and of the best pairs of a screen."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eqcli.errors import ExitCode, InputError
from eqcli.io import read_structures, write_structures
from eqcli.io.ligand import Ligand, read_ligands
from eqcli.io.receptor import read_receptor
from eqcli.report.numbers import show
from eqcli.tasks import dock_pages
from eqcli.tasks.dock import dock
from eqcli.tasks.dock_page import given_pose
from eqcli.tasks.dock_request import DockRequest
from tests.listener import Listener
from tests.tasks.dock_case import StubNetwork, use_network, write_ligands, write_receptor


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch) -> StubNetwork:
    return use_network(monkeypatch, StubNetwork())


def request(folder: Path, *ligands: str, **options: object) -> DockRequest:
    given = {"receptor": write_receptor(folder), "network_only": True, "device": "cpu"} | options
    return DockRequest("model.safetensors", ligands=ligands, **given)  # type: ignore[arg-type]


def layers_of(page: Path) -> list[str]:
    return re.findall(r'data-layer="\d+".*?<span>(.*?)</span>', page.read_text(encoding="utf-8"))


def write_given(folder: Path, smiles: str, *, far: float = 0.0, name: str = "given.sdf") -> Path:
    """A ligand at the middle of the receptor, or so far from there."""
    (ligand,) = read_ligands(smiles)
    assert isinstance(ligand, Ligand)
    middle = next(iter(read_structures(write_receptor(folder)))).positions.mean(axis=0)
    moved = ligand.structure.positions - ligand.structure.positions.mean(axis=0) + middle + [0.0, 0.0, far]
    write_structures(folder / name, [replace(ligand.structure, positions=moved)])
    return folder / name


def test_each_pair_has_a_page_beside_the_poses(tmp_path: Path) -> None:
    result = dock(request(tmp_path, "CCO", "C[", "CC(=O)N/C", pages=True), tmp_path / "poses.sdf")
    assert result.pages == tmp_path / "poses-pages"
    assert result.as_dict()["pages"] == str(result.pages)
    assert ("pages", str(result.pages)) in result.summary()
    pages = sorted(path.name for path in result.pages.iterdir())
    assert pages == ["CC-O-N-C.html", "CCO.html"]
    text = (result.pages / "CCO.html").read_text(encoding="utf-8")
    assert "http" not in text.replace("http://www.w3.org", "")
    assert "confidence 0.1" in text
    assert [name.split(":")[0] for name in layers_of(result.pages / "CCO.html")][:1] == ["Pose 1"]


def test_names_that_are_alike_have_a_page_each(tmp_path: Path) -> None:
    result = dock(request(tmp_path, "CCO one/x", "CCN one:x", "CCS ONE x", pages=True), tmp_path / "poses.sdf")
    assert result.pages is not None
    assert sorted(path.name for path in result.pages.iterdir()) == ["ONE-x-3.html", "one-x-2.html", "one-x.html"]


def test_without_the_option_a_file_has_no_pages(tmp_path: Path) -> None:
    result = dock(request(tmp_path, "CCO"), tmp_path / "poses.sdf")
    assert result.pages is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["peptide.pdb", "poses.sdf"]


def test_the_pose_of_the_file_is_drawn_where_it_lies_in_the_receptor(tmp_path: Path) -> None:
    near, far = write_given(tmp_path, "CCCO"), write_given(tmp_path, "CCCN", far=60.0, name="far.sdf")
    result = dock(request(tmp_path, str(near), str(far), "CCCS", pages=True), tmp_path / "poses.sdf")
    assert result.pages is not None
    drawn = {path.stem: layers_of(path) for path in result.pages.iterdir()}
    assert ["Given pose" in layers for _, layers in sorted(drawn.items())] == [False, True, False]
    (pose,) = (pose for pose in read_structures(tmp_path / "poses.sdf") if pose.info["name"] == "CCCO")
    heavy = pose.numbers > 1
    apart = next(iter(read_structures(near))).positions[heavy] - pose.positions[heavy]
    told = re.search(r"([\d.]+) Å RMSD from the given pose", (result.pages / "CCCO.html").read_text(encoding="utf-8"))
    assert told is not None
    assert float(told[1]) == pytest.approx(np.sqrt((apart**2).sum(axis=1).mean()), abs=0.06)


def test_a_ligand_lies_in_the_receptor_by_half_of_its_heavy_atoms(tmp_path: Path) -> None:
    receptor = read_receptor(write_receptor(tmp_path))
    (ligand,) = read_ligands("CCCC")
    assert isinstance(ligand, Ligand)
    heavy = receptor.structure.positions[receptor.heavy]
    outermost = heavy[heavy[:, 0].argmax()]
    beyond = np.array([[4.0, 0.0, 0.0], [60.0, 0.0, 0.0]])
    for atoms_near, found in ((2, True), (1, False)):
        positions = ligand.structure.positions.copy()
        positions[:4] = outermost + beyond[[0] * atoms_near + [1] * (4 - atoms_near)]
        placed = replace(ligand, given=True, structure=replace(ligand.structure, positions=positions))
        assert (given_pose(placed, receptor) is not None) == found
        assert given_pose(replace(placed, given=False), receptor) is None


def test_pages_that_exist_are_replaced_only_when_asked(tmp_path: Path) -> None:
    dock(request(tmp_path, "CCO", "CCN", pages=True), tmp_path / "poses.sdf")
    (tmp_path / "poses.sdf").unlink()
    with pytest.raises(InputError, match="folder of pages exists already"):
        dock(request(tmp_path, "CCS", pages=True), tmp_path / "poses.sdf")
    dock(request(tmp_path, "CCS", pages=True), tmp_path / "poses.sdf", overwrite=True)
    assert [path.name for path in (tmp_path / "poses-pages").iterdir()] == ["CCS.html"]


def test_pages_need_a_file_beside_which_they_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="beside the poses"):
        dock(request(tmp_path, "CCO", pages=True), None)


def test_a_page_that_cannot_be_made_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **options: object) -> None:
        raise RuntimeError("no ink")

    monkeypatch.setattr(dock_pages, "write_pair_page", broken)
    listener = Listener()
    ligands = ["CCO", "CCN", "CCS", "CCC", "CCF", "CCCl", "CCBr"]
    result = dock(request(tmp_path, *ligands, pages=True), tmp_path / "poses.sdf", report=listener)
    assert result.exit_code == ExitCode.OK
    assert (result.poses, result.pages) == (7, None)
    assert listener.warnings[0] == "no page of CCO: no ink"
    assert len(listener.warnings) == dock_pages.WARNINGS + 1
    listener = Listener()
    screened = dock(request(tmp_path, "CCO", "CCN"), tmp_path / "out", report=listener)
    assert screened.exit_code == ExitCode.OK
    assert screened.pages == tmp_path / "out" / "index.html"
    assert sorted(listener.warnings) == ["no page of CCN: no ink", "no page of CCO: no ink"]


def test_a_screen_whose_page_fails_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **options: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(dock_pages, "write_screen_page", broken)
    listener = Listener()
    result = dock(request(tmp_path, "CCO"), tmp_path / "out", report=listener)
    assert (result.exit_code, result.pages) == (ExitCode.OK, None)
    assert listener.warnings == ["no page of the screen: no space"]
    assert (tmp_path / "out" / "ranked.csv").exists()


def test_a_screen_links_the_pages_of_its_best_pairs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: StubNetwork
) -> None:
    monkeypatch.setattr(dock_pages, "BEST", 4)
    reads: list[str] = []
    read = dock_pages.receptor_in
    monkeypatch.setattr(dock_pages, "receptor_in", lambda path, *more: reads.append(path.name) or read(path, *more))
    library, given = write_ligands(tmp_path), write_given(tmp_path, "c1ccccc1CCCCCCO")
    asked = request(tmp_path, str(given), str(library), rank_by="score")
    out = tmp_path / "out"
    result = dock(asked, out)
    assert result.pages == out / "index.html"
    assert reads == ["peptide.pdb"]
    text = result.pages.read_text(encoding="utf-8")
    linked = re.findall(r'<a href="pages/(.*?).html">(.*?)</a>', text)
    assert [stem for stem, _ in linked] == [row.ligand for row in result.rows[:4]]
    assert {path.stem for path in (out / "pages").iterdir()} == {stem for stem, _ in linked}
    assert any(stem.startswith("c1") for stem, _ in linked)
    for stem, _ in linked:
        layers = layers_of(out / "pages" / f"{stem}.html")
        assert ("Given pose" in layers) == stem.startswith("c1")
        assert sum(name.startswith("Pose ") for name in layers) == 1
    assert json.loads((out / "screen.json").read_text())["provenance"]


def test_a_page_draws_the_best_poses_and_says_how_many_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eqcli.tasks.dock_page.POSES", 2)
    monkeypatch.setattr(dock_pages, "POSES", 2)
    middle = next(iter(read_structures(write_receptor(tmp_path)))).positions.mean(axis=0)
    pocket = ",".join(f"{x:.3f}" for x in middle) + ":12"
    asked = DockRequest(
        "physics", write_receptor(tmp_path), ["CCCCO"], pocket=pocket, poses=4, effort=0.02, device="cpu", pages=True
    )
    dock(asked, tmp_path / "poses.sdf")
    dock(asked, tmp_path / "out")
    scores = [float(pose.info["score"]) for pose in read_structures(tmp_path / "poses.sdf")]
    assert len(scores) == 4
    for page in (tmp_path / "poses-pages" / "CCCCO.html", tmp_path / "out" / "pages" / "CCCCO.html"):
        words = [name for name in layers_of(page) if name.startswith("Pose ")]
        assert words == [f"Pose {k}: {show(score)} kcal/mol" for k, score in enumerate(scores[:2], start=1)]
        assert "<dt>Poses in all</dt><dd>4</dd>" in page.read_text(encoding="utf-8")


def test_pages_of_a_screen_that_goes_on_are_those_of_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dock_pages, "BEST", 2)
    asked, out = request(tmp_path, "CCO", "CCN", "CCS"), tmp_path / "out"
    dock(asked, out)
    (out / "pages" / "of-old.html").write_text("old")
    dock(asked, out, resume=True)
    assert len(list((out / "pages").iterdir())) == 2
    dock(replace(asked, pages=False), out, resume=True)
    assert not (out / "pages").exists()
    assert "pages/" not in (out / "index.html").read_text(encoding="utf-8")


def test_pages_of_others_are_not_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "pages").mkdir(parents=True)
    (out / "pages" / "mine.html").write_text("mine")
    for resume in (False, True):
        with pytest.raises(InputError, match="there is a page in this folder"):
            dock(request(tmp_path, "CCO"), out, resume=resume)
    assert (out / "pages" / "mine.html").read_text() == "mine"
