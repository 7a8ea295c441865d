"""Extended XYZ as people write it, and as it should not be."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from eqcli.errors import Failure, InputError
from eqcli.io import LabelConvention, read_structures
from eqcli.io.xyz_header import parse_header

WATER = "O 0.0 0.0 0.0\nH 0.96 0.0 0.0\nH -0.24 0.93 0.0\n"


def read(tmp_path: Path, content: str | bytes, name: str = "a.xyz", **options: object) -> list:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_structures(path, **options))


def fault(tmp_path: Path, content: str | bytes, **options: object) -> InputError:
    with pytest.raises(InputError) as caught:
        read(tmp_path, content, **options)
    return caught.value


def frames_and_failures(tmp_path: Path, content: str | bytes) -> tuple[list, list[Failure]]:
    failures: list[Failure] = []
    return read(tmp_path, content, on_failure=failures.append), failures


def test_plain_xyz(tmp_path: Path) -> None:
    (water,) = read(tmp_path, f"3\nwater from a book\n{WATER}")
    assert water.numbers.tolist() == [8, 1, 1]
    assert water.positions[1].tolist() == [0.96, 0, 0]
    assert water.info == {"comment": "water from a book"}
    assert not water.pbc.any()
    assert water.energy is None
    assert water.forces is None
    assert water.stress is None
    assert water.charge is None
    assert (water.where.frame, water.where.line) == (0, 1)


@pytest.mark.parametrize("symbols", ["cl br C", "17 35 6", "CL BR c", "Cl Br C"])
def test_elements_in_any_case_or_as_numbers(tmp_path: Path, symbols: str) -> None:
    rows = "\n".join(f"{s} {i} 0 0" for i, s in enumerate(symbols.split()))
    (structure,) = read(tmp_path, f"3\n\n{rows}\n")
    assert structure.numbers.tolist() == [17, 35, 6]


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.replace(" ", "\t\t"),
        lambda t: t.replace("\n", "\r\n"),
        lambda t: t + "\n\n  \n",
        lambda t: "\n" + t,
        lambda t: t.rstrip("\n"),
        lambda t: "\ufeff" + t,
    ],
    ids=["tabs", "crlf", "trailing blanks", "leading blank", "no last newline", "byte order mark"],
)
def test_white_space_does_not_matter(tmp_path: Path, change) -> None:
    (water,) = read(tmp_path, change(f"3\n\n{WATER}"))
    assert water.numbers.tolist() == [8, 1, 1]
    assert water.positions[2].tolist() == [-0.24, 0.93, 0]


def test_columns_without_a_name_are_kept_and_can_be_named_as_forces(tmp_path: Path) -> None:
    text = "1\n-76.5\nO 0 0 0 0.1 0.2 0.3\n"
    (plain,) = read(tmp_path, text)
    assert plain.forces is None
    assert plain.arrays["extra"].tolist() == [[0.1, 0.2, 0.3]]
    (labelled,) = read(tmp_path, text, labels=LabelConvention(energy="comment", forces="extra"))
    assert labelled.energy == -76.5
    assert labelled.forces.tolist() == [[0.1, 0.2, 0.3]]


def test_columns_of_every_kind(tmp_path: Path) -> None:
    text = (
        '2\nProperties=tags:I:1:pos:R:3:species:S:1:move_mask:L:1:initial_magmoms:R:1:name:S:1 pbc="T F T" '
        'Lattice="5 0 0 0 6 0 0 0 7"\n'
        "7 0.1 0.2 0.3 Cu T 1.5 CA\n8 1.1 1.2 1.3 O F -1D-1 CB\n"
    )
    (structure,) = read(tmp_path, text)
    assert structure.numbers.tolist() == [29, 8]
    assert structure.arrays["tags"].tolist() == [7, 8]
    assert structure.arrays["initial_magmoms"].tolist() == [1.5, -0.1]
    assert structure.arrays["name"].tolist() == ["CA", "CB"]
    assert structure.fixed.tolist() == [False, True]
    assert structure.pbc.tolist() == [True, False, True]
    assert structure.cell.tolist() == [[5, 0, 0], [0, 6, 0], [0, 0, 7]]


def test_a_mask_per_direction_is_kept(tmp_path: Path) -> None:
    (structure,) = read(tmp_path, "2\nProperties=species:S:1:pos:R:3:move_mask:L:3\nH 0 0 0 T T F\nH 0 0 1 F F F\n")
    assert structure.fixed.tolist() == [False, True]
    assert structure.arrays["move_mask"].tolist() == [[True, True, False], [False, False, False]]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a=1 b=2.5 c=text d=T", {"a": 1, "b": 2.5, "c": "text", "d": True}),
        ("a=\"two words\" b='x y' c={1 2 3}", {"a": "two words", "b": "x y", "c": [1, 2, 3]}),
        ("flag a=1", {"flag": True, "a": 1}),
        ("i = 5, time = 2.5, E = -7.1", {"i": 5, "time": 2.5, "E": -7.1}),
        ("a=[1, 2] m=[[1, 2], [3, 4.5]]", {"a": [1, 2], "m": [[1, 2], [3, 4.5]]}),
        ('j="_JSON {\\"k\\": [1, null]}"', {"j": {"k": [1, None]}}),
        ('q="say \\"hi\\""  "my key"=3', {"q": 'say "hi"', "my key": 3}),
        ("a= b=2", {"a": "b=2"}),
        ("n=nan i=-inf u=1_000 e=1e-3", {"i": float("-inf"), "u": "1_000", "e": 1e-3}),
        ("url=http://a?b=c&d=e", {"url": "http://a?b=c&d=e"}),
        ("<R2>=35.3 x=F", {"<R2>": 35.3, "x": False}),
    ],
)
def test_header_values(line: str, expected: dict) -> None:
    entries = parse_header(line)
    if "n" in entries:
        assert np.isnan(entries.pop("n"))
    assert entries == expected
    assert {k: type(v) for k, v in entries.items()} == {k: type(v) for k, v in expected.items()}


@pytest.mark.parametrize("line", ['a="never closed', "a=[1, 2", "a={1 2", "a=" + "[" * 9000 + "]" * 9000], ids=range(4))
def test_headers_that_are_cut_off(tmp_path: Path, line: str) -> None:
    error = fault(tmp_path, f"1\n{line}\nH 0 0 0\n")
    assert (error.where.frame, error.where.line) == (0, 2)
    assert "'a'" in error.message


GOOD = f'3\nenergy=-1.0 pbc="F F F" Properties=species:S:1:pos:R:3\n{WATER}'


@pytest.mark.parametrize(
    ("bad", "line", "words"),
    [
        (GOOD.replace("3\n", "three\n", 1), 6, "number of atoms"),
        (GOOD.replace("3\n", "4\n", 1), 11, "columns"),
        (GOOD.replace("3\n", "2\n", 1), 10, "more rows"),
        (GOOD.replace("H 0.96", "Hx 0.96"), 9, "'Hx' is not a chemical element"),
        (GOOD.replace("0.96", "0,96"), 9, "'0,96' in column 'pos' is not a number"),
        (GOOD.replace("H 0.96 0.0 0.0", "H 0.96 0.0"), 9, "3 columns instead of 4"),
        (GOOD.replace("H 0.96 0.0 0.0", "H 0.96 0.0 0.0 0.0"), 9, "5 columns instead of 4"),
        (GOOD.replace("0.96", "nan"), 9, "NaN"),
        (GOOD.replace("-1.0", "nan"), 7, "NaN"),
        (GOOD.replace("-1.0", "high"), 7, "'energy' is not a number"),
        (GOOD.replace("-1.0", '"1 2"'), 7, "2 numbers"),
        (GOOD.replace("F F F", "F F"), 7, "three of T and F"),
        (GOOD.replace("F F F", "T T T"), 7, "no lattice vector"),
        (GOOD.replace("pbc", 'Lattice="1 2 3" pbc'), 7, "nine numbers"),
        (GOOD.replace("pos:R:3", "pos:R"), 7, "triples"),
        (GOOD.replace("pos:R:3", "pos:Q:3"), 7, "unknown type"),
        (GOOD.replace("pos:R:3", "forces:R:3"), 7, "no positions"),
        (GOOD.replace("species:S:1", "label:S:1"), 7, "no elements"),
    ],
)
def test_a_malformed_frame_is_named_and_the_others_go_on(tmp_path: Path, bad: str, line: int, words: str) -> None:
    content = GOOD + bad + GOOD + GOOD
    error = fault(tmp_path, content)
    assert error.where.frame == 1
    assert error.where.line == line
    assert words in error.message
    good, failures = frames_and_failures(tmp_path, content)
    assert [s.where.frame for s in good] == [0, 2, 3]
    assert [f.where.frame for f in failures] == [1]
    assert failures[0].where.line == line
    assert all(s.numbers.tolist() == [8, 1, 1] for s in good)


def test_a_frame_with_forces_that_are_not_finite_names_the_line_of_the_atom(tmp_path: Path) -> None:
    text = "2\nProperties=species:S:1:pos:R:3:forces:R:3\nH 0 0 0 1 2 3\nH 0 0 1 1 inf 3\n"
    error = fault(tmp_path, text)
    assert error.where.line == 4
    assert "atom 2" in error.message


def test_a_file_that_is_cut_off_loses_only_the_last_frame(tmp_path: Path) -> None:
    content = (GOOD * 3)[: -len("H -0.24 0.93 0.0\n")]
    good, failures = frames_and_failures(tmp_path, content)
    assert len(good) == 2
    assert "ends within the frame" in failures[0].reason


@pytest.mark.parametrize("cut", [1, 2, 30, 60, 75])
def test_every_place_to_cut_is_an_error(tmp_path: Path, cut: int) -> None:
    good, failures = frames_and_failures(tmp_path, GOOD + GOOD[:cut])
    assert (len(good), len(failures)) == (1, 1)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    content = GOOD.encode() + GOOD.encode().replace(b"H 0.96", b"\xff\xfe 0.96") + GOOD.encode()
    good, failures = frames_and_failures(tmp_path, content)
    assert [s.where.frame for s in good] == [0, 2]
    assert "not UTF-8" in failures[0].reason
    assert failures[0].where.line == 9


@pytest.mark.parametrize("content", ["", "\n\n", " \n"])
def test_an_empty_file(tmp_path: Path, content: str) -> None:
    assert "empty" in fault(tmp_path, content).message


@pytest.mark.parametrize("count", ["0", "-3", "1e3", "3.0", "9" * 5000])
def test_counts_that_are_none(tmp_path: Path, count: str) -> None:
    error = fault(tmp_path, f"{count}\n\n{WATER}")
    assert error.where.line == 1 or "ends within" in error.message


def test_a_number_of_atoms_beyond_the_file_does_not_take_its_memory(tmp_path: Path) -> None:
    good, failures = frames_and_failures(tmp_path, GOOD.replace("3\n", "999999999999\n", 1) + GOOD)
    assert len(good) == 1
    assert len(failures) == 1


def test_compressed(tmp_path: Path) -> None:
    (water,) = read(tmp_path, gzip.compress(GOOD.encode()), "a.xyz.gz")
    assert water.energy == -1.0


def test_damaged_compression(tmp_path: Path) -> None:
    packed = gzip.compress((GOOD * 500).encode())
    path = tmp_path / "a.xyz.gz"
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(InputError, match="damaged"):
        list(read_structures(path))


def test_reading_is_frame_by_frame(tmp_path: Path) -> None:
    structures = iter(())
    path = tmp_path / "a.xyz"
    path.write_text(GOOD * 2 + "garbage\n")
    structures = read_structures(path)
    assert next(structures).where.frame == 0
    assert next(structures).where.frame == 1
    with pytest.raises(InputError):
        next(structures)


@pytest.mark.parametrize(
    ("index", "frames"),
    [("0", [0]), ("-1", [4]), ("1:3", [1, 2]), ("::2", [0, 2, 4]), ("-2:", [3, 4]), (":", [0, 1, 2, 3, 4]), ("9", [])],
)
def test_selection_of_frames(tmp_path: Path, index: str, frames: list[int]) -> None:
    assert [s.where.frame for s in read(tmp_path, GOOD * 5, index=index)] == frames


@pytest.mark.parametrize("index", ["x", "::0", "1:2:3:4", "", "::-1"])
def test_selections_that_make_no_sense(tmp_path: Path, index: str) -> None:
    assert "does not select" in fault(tmp_path, GOOD, index=index).message


def test_positions_far_away_are_kept(tmp_path: Path) -> None:
    far = '2\nLattice="50 0 0 0 50 0 0 0 50"\nH 199.123456789 -180.5 0\nH 199.9 -180.5 0\n'
    (structure,) = read(tmp_path, far)
    assert structure.positions[0].tolist() == [199.123456789, -180.5, 0]
    assert not structure.pbc.any()
