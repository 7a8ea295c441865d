"""What is found out about an output before any work is done for it, and how files come to their place."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from eqcli.errors import InputError
from eqcli.files import file_stem, move_whole, refuse_existing, require_file
from eqcli.report.write import refuse_report


def test_a_new_file_in_a_folder_that_can_be_made(tmp_path: Path) -> None:
    refuse_existing(tmp_path / "new" / "deeper" / "x.extxyz", overwrite=False)
    refuse_report(tmp_path / "new" / "report", overwrite=False)
    assert not any(tmp_path.iterdir())


def test_a_folder_is_never_replaced_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "x.extxyz").mkdir()
    with pytest.raises(InputError, match="this is a folder"):
        refuse_existing(tmp_path / "x.extxyz", overwrite=True)


@pytest.mark.parametrize("refuse", [refuse_existing, refuse_report])
def test_a_file_where_a_folder_is_needed(tmp_path: Path, refuse) -> None:
    (tmp_path / "notes").write_text("x")
    with pytest.raises(InputError, match="this is a file") as caught:
        refuse(tmp_path / "notes" / "x.extxyz", True)
    assert caught.value.where.file == tmp_path / "notes"


@pytest.mark.parametrize("refuse", [refuse_existing, refuse_report])
def test_a_folder_that_cannot_be_written_into(tmp_path: Path, refuse, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(*_: object, **__: object) -> str:
        raise OSError(errno.EROFS, "Read-only file system")

    refuse(tmp_path / "x.extxyz", False)
    assert not any(tmp_path.iterdir())
    # Permissions would not tell: the administrator may write everywhere, and tests may run as that.
    monkeypatch.setattr("tempfile.mkdtemp", read_only)
    with pytest.raises(InputError, match="nothing can be written into this folder: Read-only file system"):
        refuse(tmp_path / "new" / "x.extxyz", False)


def test_a_file_moves_to_another_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "a.h5", tmp_path / "new" / "b.h5"
    source.write_text("content")
    rename = Path.replace

    def across(self: Path, to: Path) -> Path:
        if self == source:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return rename(self, to)

    monkeypatch.setattr(Path, "replace", across)
    move_whole(source, target)
    assert target.read_text() == "content"
    assert [path.name for path in tmp_path.rglob("*")] == ["new", "b.h5"]


def test_a_pipe_is_no_input(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.xyz")
    with pytest.raises(InputError, match="a pipe or a device"):
        require_file(tmp_path / "pipe.xyz")


def test_any_name_becomes_that_of_a_file_of_its_own() -> None:
    assert file_stem("CC(=O)N/C 1") == "CC-O-N-C-1"
    assert file_stem("../..") == "unnamed"
    assert file_stem("///", default="pair") == "pair"
    assert file_stem("Lig", {"lig", "lig-2"}) == "Lig-3"
    longest = file_stem("配体" * 300, {file_stem("配体" * 300)})
    assert len(longest.encode()) < 200
    assert longest.endswith("-2")
