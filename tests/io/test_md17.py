"""MD17's arrays in the layouts of their distributions."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eqcli.errors import Failure, InputError
from eqcli.io import Format, LabelConvention, format_of, label_report, npz_stream, read_structures
from eqcli.units import ENERGY

KCAL = ENERGY["kcal/mol"]
NUMBERS = np.array([8, 1, 1], dtype=np.uint8)


def rmd17(rows: int = 5) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "nuclear_charges": NUMBERS,
        "coords": rng.normal(size=(rows, 3, 3)),
        "energies": rng.normal(size=rows) - 48000,
        "forces": rng.normal(size=(rows, 3, 3)),
        "old_indices": rng.permutation(rows),
        "old_energies": rng.normal(size=rows),
        "old_forces": rng.normal(size=(rows, 3, 3)),
    }


def md17(rows: int = 5) -> dict[str, Any]:
    revised = rmd17(rows)
    return {
        "R": revised["coords"],
        "E": revised["energies"][:, None],
        "F": revised["forces"],
        "z": NUMBERS,
        "theory": np.array(b"pbe+vdw-ts"),
        "name": np.array(b"water"),
        "md5": np.array("0" * 32),
        "type": np.array("d"),
    }


def read(path: Path, labels: LabelConvention | None = None) -> list[Any]:
    return list(read_structures(path, labels))


def test_the_ending() -> None:
    assert format_of("rmd17_ethanol.npz") is Format.MD17


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("chunk", [1, 100, 1 << 22])
def test_rmd17_is_in_kcal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save: Any, chunk: int) -> None:
    monkeypatch.setattr(npz_stream, "CHUNK_BYTES", chunk)
    arrays = rmd17()
    save(tmp_path / "rmd17_water.npz", **arrays)
    structures = read(tmp_path / "rmd17_water.npz")
    assert len(structures) == 5
    for i, structure in enumerate(structures):
        assert structure.numbers.tolist() == [8, 1, 1]
        assert not structure.pbc.any()
        np.testing.assert_array_equal(structure.positions, arrays["coords"][i])
        assert structure.energy == pytest.approx(arrays["energies"][i] * KCAL, rel=1e-15)
        np.testing.assert_allclose(structure.forces, arrays["forces"][i] * KCAL, rtol=1e-14)
        assert structure.info["old_indices"] == arrays["old_indices"][i]
        np.testing.assert_array_equal(structure.arrays["old_forces"], arrays["old_forces"][i])


def test_md17_is_in_kcal(tmp_path: Path) -> None:
    arrays = md17()
    np.savez(tmp_path / "a.npz", **arrays)
    assert [s.energy for s in read(tmp_path / "a.npz")] == pytest.approx((arrays["E"][:, 0] * KCAL).tolist())


def test_a_stated_unit_wins_over_the_layout(tmp_path: Path) -> None:
    arrays = rmd17()
    np.savez(tmp_path / "a.npz", **arrays)
    labels = LabelConvention(energy_unit="eV", length_unit="Bohr")
    structure = read(tmp_path / "a.npz", labels)[0]
    assert structure.energy == arrays["energies"][0]
    np.testing.assert_allclose(structure.positions, arrays["coords"][0] * 0.529177210903)
    np.testing.assert_allclose(structure.forces, arrays["forces"][0] / 0.529177210903)


def test_another_energy_may_be_named(tmp_path: Path) -> None:
    arrays = rmd17()
    np.savez(tmp_path / "a.npz", **arrays)
    labels = LabelConvention(energy="old_energies", forces="old_forces")
    assert read(tmp_path / "a.npz", labels)[1].energy == pytest.approx(arrays["old_energies"][1] * KCAL)


def test_units_in_the_file(tmp_path: Path) -> None:
    arrays = md17() | {"e_unit": np.array("eV"), "r_unit": np.array("Ang")}
    np.savez(tmp_path / "a.npz", **arrays)
    assert read(tmp_path / "a.npz")[0].energy == arrays["E"][0, 0]
    np.savez(tmp_path / "b.npz", **arrays | {"e_unit": np.array("erg")})
    with pytest.raises(InputError, match="'erg' is unknown") as caught:
        read(tmp_path / "b.npz")
    assert caught.value.where.key == "e_unit"


def test_arrays_of_unknown_origin_have_no_unit(tmp_path: Path) -> None:
    arrays = {key: md17()[key] for key in ("z", "R", "E", "F")}
    np.savez(tmp_path / "a.npz", **arrays)
    assert read(tmp_path / "a.npz")[0].energy == arrays["E"][0, 0]
    assert "nothing in the file tells" in "\n".join(label_report(tmp_path / "a.npz").lines())


def test_columns_of_sgdml_lattices_are_the_periods(tmp_path: Path) -> None:
    lattice = np.array([[4.0, 0.5, 0.2], [0, 5, 0.3], [0, 0, 6]])
    np.savez(tmp_path / "a.npz", **md17(), lattice=lattice)
    structure = read(tmp_path / "a.npz")[0]
    np.testing.assert_array_equal(structure.cell, lattice.T)
    assert structure.pbc.all()


def test_the_summary_says_what_was_taken(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **rmd17())
    text = "\n".join(label_report(tmp_path / "a.npz").lines())
    assert "layout: rMD17" in text
    assert "'energies' in 5 of 5 frames; unit kcal/mol, fixed by the layout" in text
    assert "'forces' in 5 of 5 frames; unit kcal/mol/Angstrom, fixed by the layout" in text
    stated = "\n".join(label_report(tmp_path / "a.npz", LabelConvention(energy_unit="eV")).lines())
    assert "unit eV" in stated
    assert "fixed by the layout" not in stated


def test_energies_alone(tmp_path: Path) -> None:
    arrays = rmd17()
    del arrays["forces"]
    np.savez(tmp_path / "a.npz", **arrays)
    structure = read(tmp_path / "a.npz")[0]
    assert structure.forces is None
    assert structure.energy is not None


def test_fortran_order(tmp_path: Path) -> None:
    arrays = rmd17()
    np.savez(tmp_path / "a.npz", **arrays | {"coords": np.asfortranarray(arrays["coords"])})
    np.testing.assert_array_equal(read(tmp_path / "a.npz")[3].positions, arrays["coords"][3])


@pytest.mark.parametrize(
    ("change", "message", "key"),
    [
        ({"nuclear_charges": None}, "no array 'nuclear_charges' or 'z'", "nuclear_charges"),
        ({"coords": None}, "no array 'coords' or 'R'", "coords"),
        ({"coords": np.zeros((5, 9))}, "5 x 9", "coords"),
        ({"nuclear_charges": np.array([8, 1])}, "expected 3 atomic numbers", "nuclear_charges"),
        ({"nuclear_charges": np.array([8, 1, 0])}, "no atomic number", "nuclear_charges"),
        ({"energies": np.zeros(4)}, "'energies' is 4; expected 5", "energies"),
        ({"forces": np.zeros((5, 3))}, "'forces' is 5 x 3; expected 5 x 3 x 3", "forces"),
    ],
)
def test_wrong_arrays_are_named(tmp_path: Path, change: dict[str, Any], message: str, key: str) -> None:
    arrays = {k: v for k, v in (rmd17() | change).items() if v is not None}
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path / "a.npz")
    assert (caught.value.where.file, caught.value.where.key) == (tmp_path / "a.npz", key)


def test_nan_is_refused_with_its_frame(tmp_path: Path) -> None:
    arrays = rmd17()
    arrays["energies"][2] = np.nan
    np.savez(tmp_path / "a.npz", **arrays)
    failures: list[Failure] = []
    assert len(list(read_structures(tmp_path / "a.npz", on_failure=failures.append))) == 4
    assert [failure.where.frame for failure in failures] == [2]


class Malicious:
    def __reduce__(self) -> Any:
        return (exec, ("raise SystemExit('ran')",))


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **rmd17() | {"nuclear_charges": np.array([Malicious()] * 3, dtype=object)})
    with pytest.raises(InputError, match="pickled objects"):
        read(tmp_path / "a.npz")
    # An ordinary reader would run it.
    with pytest.raises(SystemExit):
        np.load(tmp_path / "a.npz", allow_pickle=True)["nuclear_charges"]


def test_files_that_are_cut_off(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **rmd17(500))
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cut off"):
        read(tmp_path / "cut.npz")
    with zipfile.ZipFile(tmp_path / "a.npz") as old, zipfile.ZipFile(tmp_path / "short.npz", "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name)[: -100 if name == "forces.npy" else None])
    with pytest.raises(InputError, match="ends early") as caught:
        read(tmp_path / "short.npz")
    assert caught.value.where.key == "forces"


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    arrays = rmd17(500)
    np.savez(tmp_path / "a.npz", **arrays)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[content.index(arrays["forces"][200].tobytes())] ^= 1
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        read(tmp_path / "a.npz")


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    rows = 5000
    tables = np.zeros((2, rows, 200, 3))
    np.savez(tmp_path / "a.npz", z=np.ones(200, dtype=int), R=tables[0], E=np.zeros(rows), F=tables[1])
    code = (
        "import sys, tracemalloc; from eqcli.io import read_structures; tracemalloc.start();"
        "n = sum(1 for _ in read_structures(sys.argv[1])); print(n, tracemalloc.get_traced_memory()[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.npz")], capture_output=True, text=True, check=True
    )
    count, peak = map(int, done.stdout.split())
    assert count == rows
    assert 2 * peak < (tmp_path / "a.npz").stat().st_size
