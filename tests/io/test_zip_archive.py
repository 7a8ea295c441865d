"""Archives of crystals: order, strangers among the members, damage, bombs, and what comes back."""

from __future__ import annotations

import copy
import json
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from eqcli.errors import Failure, InputError
from eqcli.io import Structure, read_structures, write_structures
from eqcli.io import zip_archive as module
from tests.io.structures import distances

ORIGIN = {"eqcli": "9.9", "commit": "0123456789abcdef", "command": ["a\nb", "ü"]}


def crystal(i: int = 0, **info: object) -> Structure:
    cell = np.array([[4.0 + 0.01 * i, 0, 0], [0.3, 4.1, 0], [0.1, -0.2, 4.3]])
    fractions = np.array([[0.01, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.02], [0.5, 0.03, 0.5], [0.04, 0.5, 0.5]])
    numbers = np.array([20, 22, 8, 8, 8])
    return Structure(numbers, fractions @ cell, cell, np.array([True] * 3), energy=-40.0 - i, info=info)


def read(path: Path) -> tuple[list[Structure], list[Failure]]:
    failures: list[Failure] = []
    return list(read_structures(path, on_failure=failures.append)), failures


def pack(path: Path, members: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def texts(tmp_path: Path, count: int, suffix: str = ".cif") -> list[str]:
    found = []
    for i in range(count):
        write_structures(tmp_path / f"x{suffix}", [crystal(i)], overwrite=True)
        found.append((tmp_path / f"x{suffix}").read_text())
    return found


def test_cifs_come_back_with_their_entries(tmp_path: Path) -> None:
    path = tmp_path / "a.cif.zip"
    written = [crystal(i, sample=i, seed=7, target=3 * i, flags="overlap,cell", model="flow") for i in range(12)]
    assert write_structures(path, iter(written), provenance=ORIGIN) == 12
    back, failures = read(path)
    assert failures == []
    for i, (a, b) in enumerate(zip(written, back, strict=True)):
        assert {key: b.info[key] for key in a.info} == a.info
        assert b.energy == a.energy
        assert b.where.frame == i
        np.testing.assert_array_equal(a.numbers, b.numbers)
        np.testing.assert_allclose(distances(a), distances(b), atol=1e-12)


def test_members_are_named_and_bear_their_origin(tmp_path: Path) -> None:
    for suffix, ending in ((".cif.zip", "cif"), (".vasp.zip", "vasp")):
        write_structures(tmp_path / f"a{suffix}", [crystal(), crystal(1)], provenance=ORIGIN)
        with zipfile.ZipFile(tmp_path / f"a{suffix}") as archive:
            assert archive.namelist() == ["provenance.json", f"0001_CaTiO3.{ending}", f"0002_CaTiO3.{ending}"]
            assert json.loads(archive.read("provenance.json")) == ORIGIN
            first = archive.read(f"0002_CaTiO3.{ending}").decode().splitlines()[0]
            assert "9.9" in first
            assert "0123456789ab" in first


def test_poscars_are_exact(tmp_path: Path) -> None:
    write_structures(tmp_path / "a.poscar.zip", [crystal(), crystal(5)])
    (_, back), failures = read(tmp_path / "a.poscar.zip")
    assert failures == []
    np.testing.assert_array_equal(back.positions, crystal(5).positions)
    np.testing.assert_array_equal(back.cell, crystal(5).cell)


def test_the_same_structures_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.cif.zip", "b.cif.zip"):
        write_structures(tmp_path / name, [crystal(), crystal(1)], provenance=ORIGIN)
    assert (tmp_path / "a.cif.zip").read_bytes() == (tmp_path / "b.cif.zip").read_bytes()


def test_members_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    cifs = texts(tmp_path, 12)
    names = [f"gen_{i}.cif" for i in (10, 2, 0, 11, 1)]
    path = pack(tmp_path / "any.zip", {name: cifs[int(name[4:-4])] for name in names})
    back, failures = read(path)
    assert failures == []
    assert [s.energy for s in back] == [-40, -41, -42, -50, -51]
    assert [Path(str(s.where.file)).name for s in back] == [f"gen_{i}.cif" for i in (0, 1, 2, 10, 11)]
    assert [s.energy for s in read_structures(path, index="1:3")] == [-41, -42]
    assert [s.energy for s in read_structures(path, index="-1")] == [-51]


def test_strangers_are_passed_over_and_all_kinds_of_crystals_read(tmp_path: Path) -> None:
    (cif,) = texts(tmp_path, 1)
    (poscar,) = texts(tmp_path, 1, ".vasp")
    (xyz,) = texts(tmp_path, 1, ".extxyz")
    path = pack(
        tmp_path / "a.zip",
        {
            "provenance.json": "{}",
            "readme.md": "x",
            "run/": "",
            "run/1/POSCAR": poscar,
            "run/2.xyz": xyz + xyz,
            "run/0.cif": cif,
            "__MACOSX/run/._0.cif": b"\x00",
            "run/._0.cif": b"\x00",
        },
    )
    back, failures = read(path)
    assert failures == []
    assert [len(s) for s in back] == [5] * 4
    assert [s.where.frame for s in back] == [0, 1, 2, 3]


def test_a_damaged_member_is_a_row_and_the_others_go_on(tmp_path: Path) -> None:
    cifs = texts(tmp_path, 3)
    path = pack(tmp_path / "a.zip", {f"{i}.cif": text for i, text in enumerate(cifs)})
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        offset = archive.getinfo("1.cif").header_offset
    content[offset + 60 : offset + 90] = b"\x00" * 30
    path.write_bytes(content)
    back, (failure,) = read(path)
    assert [s.energy for s in back] == [-40, -42]
    assert failure.item.startswith(f"{path}/1.cif")
    with pytest.raises(InputError, match=r"a\.zip/1\.cif"):
        list(read_structures(path))


def test_bad_members_are_named(tmp_path: Path) -> None:
    (cif,) = texts(tmp_path, 1)
    members = {"0.cif": b"data_x\n_a \xff\n", "1.cif": "no", "2.pdb": "ATOM", "3.cif.gz": b"x", "4\x1b[2J.cif": "no"}
    back, failures = read(pack(tmp_path / "a.zip", members | {"5.cif": cif}))
    assert len(back) == 1
    assert len(failures) == len(members)
    assert [w in f.reason for w, f in zip(("UTF-8", "", "not read from", "not read from"), failures, strict=False)]
    assert "\x1b" not in str(failures[-1])
    assert all("a.zip/" in f.item for f in failures)


def test_bombs_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cif,) = texts(tmp_path, 1)
    path = pack(tmp_path / "a.zip", {"0.cif": b" " * (8 << 20), "1.cif": cif})
    assert path.stat().st_size < 1 << 16
    opened = []
    plain_open = zipfile.ZipFile.open
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda s, m, *a: opened.append(m.filename) or plain_open(s, m, *a))
    back, (failure,) = read(path)
    assert len(back) == 1
    assert "8,388,608 bytes" in failure.reason
    assert opened == ["1.cif"]
    monkeypatch.setattr(module, "LARGEST", 100)
    assert read(path)[0] == []


def test_a_member_that_claims_too_little_is_not_inflated(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", {"0.cif": b" " * (32 << 20)})
    true, false = (32 << 20).to_bytes(4, "little"), (1 << 10).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(true, false))
    tracemalloc.start()
    _, failures = read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(failures) == 1
    assert peak < 4 << 20


def test_members_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("0.cif", b"x" * 5000)
        for i in range(1, 9):
            again = copy.copy(archive.filelist[0])
            again.filename = f"{i}.cif"
            archive.filelist.append(again)
    with pytest.raises(InputError, match="overlap"):
        list(read_structures(path))


def test_encrypted_and_unusual_members_are_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("0.cif", "data_x")
    assert "compressed in a way" in read(path)[1][0].reason
    pack(path, {"0.cif": "data_x"})
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    assert "cannot be read" in read(path)[1][0].reason


@pytest.mark.parametrize("members", [{}, {"a.txt": "x"}, {"provenance.json": "{}"}])
def test_an_archive_without_structures(tmp_path: Path, members: dict[str, str]) -> None:
    with pytest.raises(InputError, match="no member"):
        list(read_structures(pack(tmp_path / "a.zip", members)))


def test_writing_needs_the_memory_of_one_structure(tmp_path: Path) -> None:
    def many(count: int) -> int:
        tracemalloc.start()
        write_structures(tmp_path / f"{count}.cif.zip", (crystal(i % 50) for i in range(count)))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    many(10)
    # The list of members takes some hundred bytes each; a structure as text a thousand.
    assert many(400) - many(100) < 300 * 1000
