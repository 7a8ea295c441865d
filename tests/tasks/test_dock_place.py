"""What `--pocket` may say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eqcli.errors import InputError
from eqcli.io.receptor import read_receptor
from eqcli.tasks.dock_place import parse_place
from tests.tasks.dock_case import write_receptor


def test_a_radius_and_three_sides_make_boxes() -> None:
    place = parse_place("12.1,3.0,-7.7:10")
    assert place.fixed is not None
    assert place.fixed.centre == (12.1, 3.0, -7.7)
    assert place.fixed.size == (20.0, 20.0, 20.0)
    sides = parse_place(" 1e1, -.5, 0 : 20, 22.5,18 ").fixed
    assert sides is not None
    assert (sides.centre, sides.size) == ((10.0, -0.5, 0.0), (20.0, 22.5, 18.0))


def test_residues_are_boxed_with_a_margin(tmp_path: Path) -> None:
    receptor = read_receptor(write_receptor(tmp_path))
    chain = str(receptor.structure.arrays["chain"][0]).strip()
    box = parse_place(f"{chain}/3,{chain}/5", margin=2.0).box(receptor)
    numbers = np.array([int(n) for n in receptor.structure.arrays["residue_number"]])
    chosen = receptor.structure.positions[np.isin(numbers, [3, 5])]
    np.testing.assert_allclose(np.array(box.size), np.ptp(chosen, axis=0) + 4.0)
    np.testing.assert_allclose(np.array(box.centre), (chosen.max(axis=0) + chosen.min(axis=0)) / 2)
    with pytest.raises(InputError, match="no residue Z/99"):
        parse_place("Z/99").box(receptor)


def test_a_ligand_in_the_pocket_is_boxed_by_its_heavy_atoms(tmp_path: Path) -> None:
    receptor = read_receptor(write_receptor(tmp_path))
    (tmp_path / "ref.xyz").write_text("3\n\nC 0 0 0\nC 4 0 0\nH 9 9 9\n")
    box = parse_place("ref.xyz", folder=tmp_path).box(receptor)
    assert box.centre == (2.0, 0.0, 0.0)
    assert box.size == (14.0, 10.0, 10.0)
    wide = parse_place("ref.xyz", 8.0, tmp_path).box(receptor)
    assert wide.size == (20.0, 16.0, 16.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,2,3", "no box, no list"),
        ("1,2,3:4,5", "not two numbers"),
        ("1,2,3:0", "above 0"),
        ("1,2,3:-4", "above 0"),
        ("1,2,3:40", "at most 60"),
        ("A/", "no box, no list"),
        ("nowhere.sdf", "no such file"),
    ],
)
def test_other_texts_are_refused(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse_place(text)
