"""Ranking keeps what stayed the same in its relaxation, puts the best first, and says why of everything else."""

from __future__ import annotations

import csv
import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eqcli.errors import ExitCode, InputError
from eqcli.io import read_structures, write_structures
from eqcli.io.rdkit_molecule import molecule_of, sanitised, smiles_of
from eqcli.io.structure import Structure
from eqcli.tasks import rank_molecules_checks
from eqcli.tasks.rank_molecules import rank_molecules
from eqcli.tasks.rank_molecules_result import RankMoleculesResult
from eqcli.tasks.relaxed_molecule import Unchanged, bond_changes
from eqcli.tasks.sound_molecule import Sound, Soundness
from tests.listener import Listener
from tests.molecules import embedded

ALANINE = "C[C@@H](N)C(=O)O"


def relaxed(smiles: str, **info: Any) -> Structure:
    """A molecule as `relax_molecules` writes it; MMFF stands for the potential."""
    found = Soundness(charged=True)(embedded(smiles))
    assert isinstance(found, Sound)
    known = {"converged": True, "relax_steps": 9, "fmax": 0.01, "strain": 0.5, "relax_rmsd": 0.1, **info}
    return replace(found.structure, info={**found.structure.info, **known}, energy=-100.0)


def moved(structure: Structure, atom: int, other: int, distance: float) -> Structure:
    """One atom moved along the line from another to so many Å from it."""
    positions = structure.positions.copy()
    way = positions[atom] - positions[other]
    positions[atom] = positions[other] + way / np.linalg.norm(way) * distance
    return replace(structure, positions=positions)


def run(folder: Path, structures: list[Structure], **options: Any) -> RankMoleculesResult:
    write_structures(folder / "relaxed.h5", structures, overwrite=True)
    given: dict[str, Any] = {"posebusters": False, "workers": 1, "overwrite": True, **options}
    return rank_molecules([folder / "relaxed.h5"], folder / "rank", **given)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


SMILES = ("CCO", "CCCCCC", "CC(=O)N", "c1ccccc1", ALANINE)


def test_the_best_come_first(tmp_path: Path) -> None:
    structures = [relaxed(smiles, sample=k) for k, smiles in enumerate(SMILES)]
    for best, target, order in (
        ("highest", None, ["CCCCCC", "c1ccccc1"]),
        ("lowest", None, [ALANINE, "CC(N)=O"]),
        ("nearest", 1.7, ["c1ccccc1", "CCCCCC"]),
    ):
        result = run(tmp_path, structures, by="log_p", best=best, target=target)
        assert [row["smiles"] for row in result.ranked][:2] == order
        assert [row["rank"] for row in result.ranked] == [1, 2, 3, 4, 5]
        merit = [float(row["log_p"]) for row in table(result.table)]
        expected = {"highest": sorted(merit)[::-1], "lowest": sorted(merit), "nearest": None}[best]
        assert merit == (expected or sorted(merit, key=lambda value: abs(value - 1.7)))


def test_the_sd_file_holds_the_ranked_molecules_with_their_figures(tmp_path: Path) -> None:
    result = run(tmp_path, [relaxed(smiles, sample=k) for k, smiles in enumerate(SMILES)])
    written = list(read_structures(result.molecules))
    assert len(written) == len(result.ranked) == 5
    for structure, row in zip(written, result.ranked, strict=True):
        assert smiles_of(sanitised(molecule_of(structure))) == row["smiles"] == structure.info["smiles"]
        assert float(structure.info["qed"]) == pytest.approx(row["qed"])
        assert int(structure.info["sample"]) == row["sample"]
        assert "fmax" not in structure.info


def test_every_molecule_is_ranked_or_has_a_row_with_the_reason(tmp_path: Path) -> None:
    alanine = relaxed(ALANINE)
    structures = [
        relaxed("CCO"),
        relaxed("CCO", converged=False),
        moved(relaxed("CCO"), 8, 2, 2.0),
        replace(alanine, positions=alanine.positions * [-1, 1, 1]),
        relaxed("CCO", strain=6.0),
        relaxed("CC(=O)N"),
        relaxed("CO"),
    ]
    result = run(tmp_path, structures, n=2)
    assert [row["smiles"] for row in result.ranked] == ["CCO", "CC(N)=O"]
    rows = {int(row["item"]): row for row in table(result.dropped_table)}
    assert {item: row["kind"] for item, row in rows.items()} == {
        1: "not at rest", 2: "rearranged", 3: "changed", 4: "strained", 6: "surplus",
    }  # fmt: skip
    assert "0.01 eV/Å left" in rows[1]["reason"]
    assert "atom 3 (O) and atom 9 (H) are no longer bonded" in rows[2]["reason"]
    assert ALANINE in rows[3]["reason"]
    assert "6.00 eV" in rows[4]["reason"]
    assert rows[4]["smiles"] == "CCO"
    assert result.total == len(structures)
    assert result.exit_code is ExitCode.OK


def test_any_strain_is_allowed_on_request_and_one_that_nobody_measured_is_said(tmp_path: Path) -> None:
    assert len(run(tmp_path, [relaxed("CCO", strain=60.0)], max_strain=None).ranked) == 1
    unknown = relaxed("CCO")
    del unknown.info["strain"]
    listener = Listener()
    assert len(run(tmp_path, [unknown], report=listener).ranked) == 1
    assert any("strain" in text for text in listener.warnings)


@pytest.mark.parametrize(
    "smiles",
    ["[H][H]", "FF", "OO", "N#N", "C1C2CC1C2", "C12C3C4C1C5C2C3C45", "C1CN1", "CC(=O)NC", "CS(C)(=O)=O", "FC(F)(F)I"],
)
def test_no_sound_molecule_counts_as_rearranged(smiles: str) -> None:
    structure = relaxed(smiles)
    assert bond_changes(structure) == []
    assert Unchanged(5.0)(structure) is None


def test_a_new_bond_is_a_rearrangement() -> None:
    acid = relaxed("OC=O")
    ends = [k for k in range(len(acid)) if acid.numbers[k] == 8]
    assert any("now bonded" in text for text in bond_changes(moved(acid, ends[1], ends[0], 1.45)))


def test_posebusters_drops_what_fails_its_checks(tmp_path: Path) -> None:
    pytest.importorskip("posebusters", reason="pip install eqcli[molecules]")
    flat = relaxed("c1ccccc1")
    bent = replace(flat, positions=flat.positions.copy())
    normal = np.linalg.svd(flat.positions - flat.positions.mean(axis=0))[2][2]
    bent.positions[[0, 6]] += normal
    # Methane fails the check that is not asked for.
    result = run(tmp_path, [flat, bent, relaxed("C")], posebusters=True)
    assert [row["smiles"] for row in result.ranked] == ["c1ccccc1", "C"]
    (row,) = table(result.dropped_table)
    assert (row["item"], row["kind"]) == ("1", "posebusters")
    assert "flat" in row["reason"]


def test_without_posebusters_its_checks_are_left_out_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rank_molecules_checks, "find_spec", lambda name: None)
    listener = Listener()
    result = run(tmp_path, [relaxed("CCO")], posebusters=True, report=listener)
    assert len(result.ranked) == 1
    assert any("posebusters is not installed" in text for text in listener.warnings)
    assert "PoseBusters" not in result.page.read_text(encoding="utf-8")


@pytest.mark.skipif(importlib.util.find_spec("tblite") is None, reason="pip install eqcli[data]")
def test_gap_and_dipole_on_request(tmp_path: Path) -> None:
    result = run(tmp_path, [relaxed("CCO"), relaxed("c1ccccc1")], by="gap", best="lowest", xtb=True)
    assert [row["smiles"] for row in result.ranked] == ["c1ccccc1", "CCO"]
    assert result.ranked[0]["dipole"] == pytest.approx(0, abs=0.02)
    assert result.ranked[1]["dipole_debye"] > 1


def test_the_page_counts_what_every_step_dropped(tmp_path: Path) -> None:
    earlier = tmp_path / "sanitise" / "dropped.csv"
    earlier.parent.mkdir()
    earlier.write_text("item,sample,formula,kind,reason,smiles\n1,,C,radical,odd,\n2,,C,radical,odd,\n")
    result = run(tmp_path, [relaxed("CCO"), relaxed("CO", converged=False)], earlier=[earlier])
    assert result.earlier == {"sanitise": {"radical": 2}}
    page = result.page.read_text(encoding="utf-8")
    for words in ("sanitise", "radical", "not at rest", "of 4 molecules", 'aria-label="CCO"', "gallery.html"):
        assert words in page
    assert result.gallery is not None
    assert result.gallery.is_file()
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="dropped"):
        run(tmp_path, [relaxed("CCO")], earlier=[tmp_path / "other.csv"])


def test_none_that_passes_leaves_tables_a_page_and_no_old_files(tmp_path: Path) -> None:
    run(tmp_path, [relaxed("CCO")])
    result = run(tmp_path, [relaxed("CCO", converged=False)])
    assert result.ranked == []
    assert table(result.table) == []
    assert result.molecules.read_text(encoding="utf-8") == ""
    assert result.gallery is None
    assert not (tmp_path / "rank" / "gallery.html").exists()
    assert "No molecule passed" in result.page.read_text(encoding="utf-8")


def test_what_cannot_be_measured_is_a_failure(tmp_path: Path) -> None:
    broken = relaxed("CCO")
    broken.info["bonds"][0][2] = 7
    result = run(tmp_path, [broken, relaxed("CO")])
    assert [row["kind"] for row in table(result.dropped_table)] == ["invalid"]
    assert len(result.ranked) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"by": "loggp"}, "no figure 'loggp'"),
        ({"by": "gap"}, "GFN2-xTB alone"),
        ({"best": "nearest"}, "target"),
        ({"target": 1.0}, "target"),
        ({"n": 0}, "at least 1"),
    ],
)
def test_requests_that_make_no_sense_are_refused_before_any_work(
    tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        run(tmp_path, [relaxed("CCO")], **options)
    assert not (tmp_path / "rank").exists()


def test_a_folder_that_is_there_is_not_overwritten_unasked(tmp_path: Path) -> None:
    run(tmp_path, [relaxed("CCO")])
    with pytest.raises(InputError, match="exists"):
        run(tmp_path, [relaxed("CCO")], overwrite=False)
