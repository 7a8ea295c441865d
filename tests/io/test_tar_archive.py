"""Archives of XYZ files: order, names, strangers among the members, damage, and memory."""

from __future__ import annotations

import io
import tarfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from eqcli.errors import Failure, InputError
from eqcli.io import Structure, read_structures
from eqcli.io import tar_archive as module

XYZ = "2\nenergy={energy}\nC 0 0 {z}\nO 0 0 1.128\n"


def pack(path: Path, members: dict[str, str | bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            raw = content.encode() if isinstance(content, str) else content
            entry = tarfile.TarInfo(name)
            entry.size = len(raw)
            archive.addfile(entry, io.BytesIO(raw))
    return path


def many(count: int) -> dict[str, str | bytes]:
    return {f"set/{i}.xyz": XYZ.format(energy=-i, z=i / 10) for i in range(count)}


def read(path: Path) -> tuple[list[Structure], list[Failure]]:
    failures: list[Failure] = []
    return list(read_structures(path, on_failure=failures.append)), failures


@pytest.mark.parametrize(
    ("name", "mode"),
    [("a.tar.xz", "w:xz"), ("a.tar.gz", "w:gz"), ("A.TGZ", "w:gz"), ("a.tar", "w"), ("b.tar", "w:bz2")],
)
def test_structures_are_named_by_their_members(tmp_path: Path, name: str, mode: str) -> None:
    path = pack(tmp_path / name, dict(reversed(many(12).items())), mode)
    structures, failures = read(path)
    assert failures == []
    # The order is that of the archive, which is read from front to back.
    assert [s.info["name"] for s in structures] == [str(i) for i in reversed(range(12))]
    assert [s.energy for s in structures] == [-i for i in reversed(range(12))]
    assert [s.positions[0, 2] for s in structures] == [i / 10 for i in reversed(range(12))]
    assert [s.where.frame for s in structures] == list(range(12))
    assert str(structures[1].where.file) == f"{path}/set/10.xyz"
    assert [s.info["name"] for s in read_structures(path, index="2:4")] == ["9", "8"]


def test_strangers_are_passed_over(tmp_path: Path) -> None:
    members = {"readme.txt": "2\n\n", "set/._0.xyz": b"\x00", "a.xyz": XYZ.format(energy=1, z=0) * 2, "b.cif": "data_x"}
    structures, failures = read(pack(tmp_path / "a.tar.gz", members))
    assert (len(structures), failures) == (2, [])
    with tarfile.open(tmp_path / "links.tar", "w") as archive:
        for kind in (tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE):
            entry = tarfile.TarInfo("x.xyz")
            entry.type, entry.linkname = kind, "/etc/passwd"
            archive.addfile(entry)
    with pytest.raises(InputError, match="holds no molecules"):
        read_all(tmp_path / "links.tar")


def read_all(path: Path) -> list[Structure]:
    return list(read_structures(path))


def test_a_bad_member_is_a_row_and_the_others_go_on(tmp_path: Path) -> None:
    members = many(2) | {
        "bad\x1b[2J.xyz": "2\n\nC 0 0 0\nQq 0 0 1\n",
        "bytes.xyz": b"1\n\xff\nH 0 0 0\n",
        "empty.xyz": "",
    }
    structures, failures = read(pack(tmp_path / "a.tar.xz", members | {"z.xyz": "1\n\nH 0 0 0\n"}, "w:xz"))
    assert [s.info["name"] for s in structures] == ["0", "1", "z"]
    assert [word in f.reason for word, f in zip(("Qq", "UTF-8", "empty"), failures, strict=True)] == [True] * 3
    assert [f.where.frame for f in failures] == [2, 3, 4]
    assert "\x1b" not in failures[0].item


@pytest.mark.parametrize("mode", ["xz", "gz", "bz2"])
def test_archives_that_are_cut_off(tmp_path: Path, mode: str) -> None:
    rng = np.random.default_rng(0)
    members = {f"{i}.xyz": XYZ.format(energy=rng.normal(), z=rng.normal()) for i in range(300)}
    whole = pack(tmp_path / "a.tar", members, f"w:{mode}").read_bytes()
    for share in (0.01, 0.3, 0.7, 0.95):
        path = tmp_path / f"{share}.tar"
        path.write_bytes(whole[: int(len(whole) * share)])
        structures, failures = read(path)
        assert len(structures) < 300
        assert "cut off" in failures[-1].reason


def test_archives_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no molecules"):
        read_all(pack(tmp_path / "b.tar.gz", {"readme.txt": "x"}))
    (tmp_path / "c.tar.gz").write_text("plain text, much too short for a header")
    with pytest.raises(InputError, match="not a tar archive"):
        read_all(tmp_path / "c.tar.gz")


def test_a_huge_member_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST", 1000)
    members = {"big.xyz": b" " * 2000, "a.xyz": XYZ.format(energy=0, z=0)}
    (structure,), (failure,) = read(pack(tmp_path / "a.tar.gz", members))
    assert structure.info["name"] == "a"
    assert "2,000 bytes" in failure.reason


def test_memory_does_not_grow_with_the_archive(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        path = pack(tmp_path / f"{count}.tar.gz", many(count))
        tracemalloc.start()
        assert sum(1 for _ in read_structures(path)) == count
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(10)
    small, large = peak(100), peak(1000)
    assert large - small < 900 * 200


@pytest.mark.shared
def test_qm7(shared: Path) -> None:
    first = next(iter(read_structures(shared / "molecules" / "qm7" / "qm7_xyz.tar.xz")))
    assert first.info["name"] == "5351"
    assert len(first) > 3
