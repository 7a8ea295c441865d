"""Sanitising keeps chemistry that is new, and says why of everything else."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eqcli.errors import ExitCode, InputError
from eqcli.io import read_structures, write_structures
from eqcli.io.rdkit_molecule import molecule_of, sanitised, smiles_of
from eqcli.io.structure import Structure
from eqcli.tasks.sanitise import sanitise
from eqcli.tasks.screen_result import ScreenResult
from eqcli.tasks.sound_molecule import Sound, Soundness, Unsound
from tests.listener import Listener
from tests.molecules import beside, boneless, embedded, shaken, with_order, without

R_ALANINE, S_ALANINE = "C[C@@H](N)C(=O)O", "C[C@H](N)C(=O)O"


def run(folder: Path, structures: list[Structure], **options: Any) -> ScreenResult:
    write_structures(folder / "generated.h5", structures, overwrite=True)
    return sanitise([folder / "generated.h5"], folder / "kept.h5", workers=1, overwrite=True, **options)


def table(result: ScreenResult) -> list[dict[str, str]]:
    with result.table.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def kept(folder: Path) -> list[Structure]:
    return list(read_structures(folder / "kept.h5"))


def verdict(structure: Structure, **options: Any) -> Sound | Unsound:
    return Soundness(**options)(structure)


def reason(structure: Structure, **options: Any) -> tuple[str, str]:
    found = verdict(structure, **options)
    assert isinstance(found, Unsound)
    return found.kind, found.reason


def overlapping(structure: Structure) -> Structure:
    positions = structure.positions.copy()
    positions[1] = positions[0] + [0.3, 0.0, 0.0]
    return replace(structure, positions=positions)


def test_every_molecule_is_kept_or_has_a_row_with_the_reason(tmp_path: Path) -> None:
    ethanol, nitrile = embedded("CCO", sample=100), embedded("CC#N", sample=107)
    write_structures(tmp_path / "known.sdf", [embedded("CC#N"), embedded("CO")])
    made = [
        ethanol,
        shaken(embedded("OCC", sample=101), 1),
        overlapping(ethanol),
        boneless(ethanol),
        with_order(ethanol, 0, 3),
        beside(ethanol, nitrile),
        without(ethanol, 8),
        embedded("C[NH3+]"),
        nitrile,
        embedded("CCN"),
        embedded("CCF"),
    ]
    result = run(tmp_path, made, known=[tmp_path / "known.sdf"], n=2)
    assert [s.info["smiles"] for s in kept(tmp_path)] == ["CCO", "CCN"]
    rows = {int(row["item"]): row for row in table(result)}
    assert {item: row["kind"] for item, row in rows.items()} == {
        1: "duplicate", 2: "overlap", 3: "no bonds", 4: "invalid", 5: "not connected", 6: "radical", 7: "charged",
        8: "known", 10: "surplus",
    }  # fmt: skip
    assert rows[1]["reason"] == "the same as molecule 0"
    assert rows[1]["sample"] == "101"
    assert "atom 1 (C) and atom 2 (C) are 0.30 Å apart" in rows[2]["reason"]
    assert "valence" in rows[4]["reason"]
    assert "2 pieces" in rows[5]["reason"]
    assert rows[5]["smiles"] == "CC#N.CCO"
    assert "atom 3 (O) has unpaired electrons" in rows[6]["reason"]
    assert "+1" in rows[7]["reason"]
    assert "known.sdf, frame 0" in rows[8]["reason"] or "known.sdf" in rows[8]["reason"]
    assert rows[8]["smiles"] == "CC#N"
    assert "2 are kept" in rows[10]["reason"]
    assert result.kept + len(result.rows) == result.total == len(made)
    assert result.exit_code is ExitCode.OK


@pytest.mark.parametrize("smiles", ["c1ccncc1O", "C[N+](=O)[O-]", "O=C1C=CNC=C1", "C/C=C/F", R_ALANINE, "[2H]C#N"])
def test_what_is_kept_says_the_same_molecule_as_its_smiles(smiles: str) -> None:
    found = verdict(embedded(smiles))
    assert isinstance(found, Sound)
    again = found.structure
    assert {order for _, _, order in again.info["bonds"]} <= {1, 2, 3}
    assert smiles_of(sanitised(molecule_of(again))) == again.info["smiles"]
    assert np.array_equal(again.positions, embedded(smiles).positions)


def test_stereochemistry_is_that_of_the_positions() -> None:
    one = embedded(R_ALANINE)
    mirrored = replace(one, positions=one.positions * [-1, 1, 1])
    found = [verdict(s) for s in (one, mirrored, embedded(S_ALANINE))]
    assert all(isinstance(s, Sound) for s in found)
    smiles = [s.structure.info["smiles"] for s in found if isinstance(s, Sound)]
    assert smiles[0] != smiles[1] == smiles[2]


@pytest.mark.parametrize(("stereo", "count"), [(False, 1), (True, 2)])
def test_stereoisomers_are_one_molecule_unless_told_otherwise(tmp_path: Path, stereo: bool, count: int) -> None:
    result = run(tmp_path, [embedded(R_ALANINE), embedded(S_ALANINE)], stereo=stereo)
    assert result.kept == count
    write_structures(tmp_path / "known.sdf", [embedded(R_ALANINE)])
    alone = run(tmp_path, [embedded(S_ALANINE)], stereo=stereo, known=[tmp_path / "known.sdf"])
    assert alone.kept == count - 1


def test_duplicates_are_kept_on_request(tmp_path: Path) -> None:
    assert run(tmp_path, [embedded("CCO"), embedded("OCC")], duplicates=True).kept == 2


def test_bonds_are_perceived_only_on_request() -> None:
    naked = boneless(embedded("CC(=O)N"))
    assert reason(naked)[0] == "no bonds"
    found = verdict(naked, perceive=True)
    assert isinstance(found, Sound)
    assert found.structure.info["smiles"] == "CC(N)=O"
    hopeless = replace(naked, positions=naked.positions * 1.6)
    assert reason(hopeless, perceive=True)[0] in ("no bonds", "not connected")


def test_ions_are_kept_on_request_and_inner_salts_always() -> None:
    assert reason(embedded("CC(=O)[O-]")) == ("charged", "it has the charge -1")
    ion = verdict(embedded("CC(=O)[O-]"), charged=True)
    assert isinstance(ion, Sound)
    assert ion.structure.charge == -1
    assert isinstance(verdict(embedded("C[N+](=O)[O-]")), Sound)


def test_atoms_that_are_none_are_flags() -> None:
    methane = embedded("C")
    lost = replace(methane, positions=np.full((5, 3), np.nan))
    assert reason(lost) == ("flag", "its positions are not finite")
    assert reason(replace(methane, numbers=np.array([6, 1, 1, 1, 0])))[0] == "flag"


def test_flags_of_the_generator_stand_behind_better_reasons() -> None:
    flagged = embedded("CCO", flags="odd")
    assert reason(flagged) == ("flag", "flagged by what made it: odd")
    assert reason(with_order(flagged, 0, 3))[0] == "invalid"


def test_no_sound_molecule_overlaps() -> None:
    for smiles in ("[H][H]", "[C-]#[O+]", "N#N", "FF", "C12C3C4C1C5C2C3C45", "OO"):
        assert not (isinstance(found := verdict(embedded(smiles)), Unsound) and found.kind == "overlap"), smiles


def test_known_molecules_that_are_none_are_said(tmp_path: Path) -> None:
    write_structures(tmp_path / "known.h5", [with_order(embedded("CCO"), 0, 3), embedded("CO")])
    listener = Listener()
    result = run(tmp_path, [embedded("CCO"), embedded("CO")], known=[tmp_path / "known.h5"], report=listener)
    assert result.counts == {"known": 1}
    assert any("1 of 2 known molecules" in text for text in listener.warnings)


def test_nothing_kept_leaves_no_file_of_an_earlier_call(tmp_path: Path) -> None:
    assert run(tmp_path, [embedded("CCO")]).output == tmp_path / "kept.h5"
    result = run(tmp_path, [without(embedded("CCO"), 8)])
    assert result.output is None
    assert not (tmp_path / "kept.h5").exists()
    assert [row["kind"] for row in table(result)] == ["radical"]


def test_a_table_without_rows_has_its_header(tmp_path: Path) -> None:
    result = run(tmp_path, [embedded("CCO")])
    assert result.table.read_text(encoding="utf-8") == "item,sample,formula,kind,reason,smiles\n"


def test_what_cannot_be_read_has_a_row_and_fails_the_run(tmp_path: Path) -> None:
    write_structures(tmp_path / "good.sdf", [embedded("CCO")])
    text = (tmp_path / "good.sdf").read_text(encoding="utf-8")
    (tmp_path / "two.sdf").write_text(text + text.replace(" O ", " Qq", 1), encoding="utf-8")
    result = sanitise([tmp_path / "two.sdf"], tmp_path / "kept.sdf", workers=1)
    assert result.exit_code is ExitCode.PARTIAL
    assert [row["kind"] for row in table(result)] == ["unreadable"]
    assert (result.kept, result.total) == (1, 2)


def test_an_input_is_never_overwritten_and_n_is_positive(tmp_path: Path) -> None:
    write_structures(tmp_path / "a.h5", [embedded("CCO")])
    with pytest.raises(InputError, match="input"):
        sanitise([tmp_path / "a.h5"], tmp_path / "a.h5", overwrite=True)
    with pytest.raises(InputError, match="at least 1"):
        run(tmp_path, [embedded("CCO")], n=0)
