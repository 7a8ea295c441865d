"""Molecules are relaxed each with what it released, and a kill costs little."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tblite", reason="tblite relaxes molecules: pip install eqcli[data]")

from eqcli.errors import ExitCode, InputError
from eqcli.io import read_structures, write_structures
from eqcli.io.structure import Structure
from eqcli.tasks import relax_many
from eqcli.tasks.relax_many import PARTS
from eqcli.tasks.relax_molecules import heavy_rmsd, relax_molecules, start_over
from eqcli.tasks.screen_result import ScreenResult
from tests.listener import Listener
from tests.molecules import embedded, shaken

GFN2 = "ase:tblite.ase:TBLite"


def run(folder: Path, structures: list[Structure], **options: Any) -> ScreenResult:
    write_structures(folder / "made.h5", structures, overwrite=True)
    given: dict[str, Any] = {"relaxer": GFN2, "relaxer_arguments": {"method": "GFN2-xTB"}, "workers": 1, **options}
    return relax_molecules([folder / "made.h5"], folder / "relaxed.h5", overwrite=True, **given)


def water(seed: int = 0, amount: float = 0.1, **info: Any) -> Structure:
    return shaken(embedded("O", **info), seed, amount)


def test_a_shaken_molecule_comes_to_rest_and_says_what_it_released(tmp_path: Path) -> None:
    result = run(tmp_path, [water(1, sample=7), shaken(embedded("CO"), 2)])
    assert result.exit_code is ExitCode.OK
    first, second = read_structures(tmp_path / "relaxed.h5")
    assert first.info["sample"] == 7
    assert first.info["converged"]
    assert first.info["bonds"] == water().info["bonds"]
    assert first.energy is not None
    assert first.info["strain"] == pytest.approx(first.info["start_energy"] - first.energy)
    assert first.info["strain"] > 0
    assert second.info["relax_rmsd"] > 0
    # Water in GFN2-xTB: two bonds of 0.96 Å and an angle of 107 degrees.
    one, other = (first.positions[k] - first.positions[0] for k in (1, 2))
    assert np.linalg.norm(one) == pytest.approx(0.96, abs=0.01)
    cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    assert np.degrees(np.arccos(cosine)) == pytest.approx(107, abs=1.5)


def test_ions_are_relaxed_with_their_charge(tmp_path: Path) -> None:
    ion = embedded("[OH3+]")
    run(tmp_path, [ion, replace(ion, charge=None, arrays={})])
    charged, neutral = read_structures(tmp_path / "relaxed.h5")
    assert charged.energy is not None
    assert neutral.energy is not None
    assert charged.energy - neutral.energy > 3


def test_what_cannot_be_relaxed_has_a_row_and_fails_the_run(tmp_path: Path) -> None:
    foreign = replace(water(), numbers=np.array([92, 1, 1]))
    result = run(tmp_path, [foreign, water(1)])
    assert result.exit_code is ExitCode.PARTIAL
    assert (result.kept, result.total) == (1, 2)
    with result.table.open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (row["item"], row["kind"], row["formula"]) == ("0", "not relaxed", "H2U")
    assert "TBLite failed" in row["reason"]
    assert [s.info["item"] for s in read_structures(tmp_path / "relaxed.h5")] == [1]


def test_a_molecule_that_runs_out_of_steps_says_so(tmp_path: Path) -> None:
    run(tmp_path, [water(1)], steps=1)
    (found,) = read_structures(tmp_path / "relaxed.h5")
    assert not found.info["converged"]


def test_a_second_call_relaxes_nothing_again_unless_something_changed(tmp_path: Path) -> None:
    made = [water(seed) for seed in range(2)]
    run(tmp_path, made)
    first = list(read_structures(tmp_path / "relaxed.h5"))
    listener = Listener()
    run(tmp_path, made, report=listener)
    assert "2 of 2 structures are relaxed already" in listener.messages
    for one, other in zip(first, read_structures(tmp_path / "relaxed.h5"), strict=True):
        assert one.info == other.info
        assert np.array_equal(one.positions, other.positions)
    for changed in ({"fmax": 0.04}, {"relaxer_arguments": {"method": "GFN1-xTB"}}):
        other_listener = Listener()
        run(tmp_path, made, report=other_listener, **changed)
        assert not any("already" in text for text in other_listener.messages)
    start_over(tmp_path / "relaxed.h5")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made.h5"]


def test_another_charge_is_relaxed_anew(tmp_path: Path) -> None:
    ion = embedded("[OH3+]")
    run(tmp_path, [ion])
    listener = Listener()
    run(tmp_path, [replace(ion, charge=3.0)], report=listener)
    assert not any("already" in text for text in listener.messages)


def test_only_a_dataset_can_be_gone_on_with(tmp_path: Path) -> None:
    write_structures(tmp_path / "made.h5", [water()])
    with pytest.raises(InputError, match=r"\.h5"):
        relax_molecules([tmp_path / "made.h5"], tmp_path / "relaxed.sdf", relaxer=GFN2)


def test_the_way_of_heavy_atoms_leaves_out_turns_and_hydrogens() -> None:
    start = embedded("CCO")
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    moved = replace(start, positions=start.positions @ turn + 5)
    moved.positions[-1] += 0.5
    assert heavy_rmsd(start, moved) == pytest.approx(0, abs=1e-6)
    moved.positions[0] += 0.5
    assert heavy_rmsd(start, moved) > 0.05


class Stops(Listener):
    """Ends the work after two molecules, as Ctrl-C or a full disk does; kills are tried on crystals."""

    def advance(self, n: int = 1, **figures: float) -> None:
        super().advance(n, **figures)
        if self.count == 2:
            raise OSError(28, "No space left on device")


def test_after_a_stop_only_the_rest_is_relaxed(tmp_path: Path) -> None:
    made = [water(seed) for seed in range(5)]
    with pytest.raises(OSError, match="No space"):
        run(tmp_path, made, report=Stops())
    assert list(tmp_path.glob(f"{PARTS}*"))
    assert not (tmp_path / "relaxed.h5").exists()
    listener = Listener()
    result = run(tmp_path, made, report=listener)
    assert "2 of 5 structures are relaxed already" in listener.messages
    assert result.kept == 5
    assert listener.count == 3
    assert not list(tmp_path.glob(f"{PARTS}*"))


def test_a_file_that_a_killed_process_had_just_begun_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".12.12.tmp.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    assert relax_many._finished(tmp_path) == {}
