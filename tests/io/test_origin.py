"""Provenance comes back from every format that has room for it."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eqcli.io import write_structures
from eqcli.io.formats import FORMATS, Format
from eqcli.io.origin import read_origin
from eqcli.io.structure import Structure

ORIGIN: dict[str, Any] = {
    "eqcli": "1.2.3",
    "commit": "0123456789abcdef0123456789abcdef01234567",
    "command": ["eqcli", "predict", "a model.safetensors", 'é "quoted" {x}=1'],
    "model": {"sha256": "ab" * 32, "name": "mace", "precision": "float32"},
    "request": {"settings": {"stress": None, "batch_atoms": 7, "pressure": 0.1}, "seeds": [1, 2]},
}
BRIEF = (Format.POSCAR, Format.SMILES, Format.MOL)
NOTHING = (Format.CSV,)
WRITTEN = [kind for kind, spec in FORMATS.items() if spec.writes]


def ethane(comment: str = "") -> Structure:
    """Two carbon atoms with a bond in a box, that every format has room for."""
    info: dict[str, Any] = {"bonds": [[0, 1, 1]]} | ({"comment": comment, "name": comment} if comment else {})
    cell = np.array([[6.0, 0, 0], [0, 7.0, 0], [0.5, 0, 8.0]])
    return Structure([6, 6], np.array([[1.0, 1, 1], [2.5, 1, 1]]), cell, np.ones(3, dtype=bool), info=info)


def written(folder: Path, kind: Format, origin: dict[str, Any] | None, count: int = 2) -> Path:
    path = folder / f"out{FORMATS[kind].suffixes[0]}"
    write_structures(path, [ethane()] * (count if FORMATS[kind].many else 1), overwrite=True, provenance=origin)
    return path


@pytest.mark.parametrize("kind", WRITTEN, ids=str)
def test_every_format_that_is_written_tells_what_it_was_told(kind: Format, tmp_path: Path) -> None:
    found = read_origin(written(tmp_path, kind, ORIGIN))
    if kind in NOTHING:
        assert found == {}
    elif kind in BRIEF:
        assert found == {"eqcli": "1.2.3", "commit": "0123456789ab"}
    else:
        assert found == ORIGIN


@pytest.mark.parametrize("kind", WRITTEN, ids=str)
def test_files_without_provenance_have_none(kind: Format, tmp_path: Path) -> None:
    assert read_origin(written(tmp_path, kind, None)) == {}


def test_compressed_text_is_read_too(tmp_path: Path) -> None:
    plain = written(tmp_path, Format.EXTXYZ, ORIGIN)
    packed = tmp_path / "out.extxyz.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_origin(packed) == ORIGIN


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.extxyz", ""),
        ("a.extxyz", "1\n"),
        ("a.extxyz", "1\neqcli_provenance=nonsense\nHe 0 0 0\n"),
        ("a.cif", "# eqcli {broken\n"),
        ("a.cif", "data_x\n"),
        ("a.pdb", "REMARK   6 {\nEND\n"),
        ("a.sdf", "x\n\n\n>  <eqcli_provenance>"),
        ("a.json", "[]\n"),
        ("a.json", "[" * 100_000),
        ("a.cif.zip", "no archive"),
        ("a.h5", "no dataset"),
        ("a.unknown", "x"),
        ("POSCAR", "my crystal of eqcli 3 and more\n"),
    ],
)
def test_damaged_and_foreign_files_have_none(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_origin(tmp_path / name) == {}
