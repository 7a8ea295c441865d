"""Splits that are given as lists of rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eqcli.data.index_files import check_indices, read_indices
from eqcli.data.split import draw_split, split_hash
from eqcli.errors import ErrorGroup, InputError
from eqcli.progress import Silent
from eqcli.recipe.load import load_recipe
from eqcli.tasks.check import Inspection, inspect
from tests.engine.training_case import make_recipe, molecules, write

ROWS = np.array([7, 3, 12, 0])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "7\n3\n12\n0\n"),
        ("a.csv", "index\n7\n3\n12\n0\n"),
        ("a.csv", "7.000e+00\n3.0\n12\n0"),
        ("a.txt", "7 3,12\n\n0"),
    ],
)
def test_lists_as_text(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert read_indices(tmp_path / name, "train").tolist() == [0, 3, 7, 12]


def test_lists_as_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", ROWS)
    np.savez(tmp_path / "one.npz", whatever=ROWS)
    np.savez(tmp_path / "split.npz", train_idx=ROWS, val_idx=ROWS + 1, test_idx=ROWS + 20)
    for name in ("a.npy", "one.npz", "split.npz"):
        assert read_indices(tmp_path / name, "train").tolist() == [0, 3, 7, 12]
    assert read_indices(tmp_path / "split.npz", "valid").tolist() == [1, 4, 8, 13]
    assert read_indices(tmp_path / "split.npz", "test")[-1] == 32


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("a\nb\n", "'b' is no row number"),
        ("1\n-2\n", "count from 0"),
        ("1.5\n2\n", "no list of row numbers"),
        ("1\n2\n1\n", "row 1 stands in the list more than once"),
    ],
)
def test_lists_that_are_none(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_indices(tmp_path / "a.csv", "train")
    assert caught.value.where.file == tmp_path / "a.csv"


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_arrays_that_are_no_lists(tmp_path: Path, name: str) -> None:
    save: Any = np.save if name == "a.npy" else np.savez
    save(tmp_path / name, np.zeros((2, 2)))
    with pytest.raises(InputError, match="no list of row numbers"):
        read_indices(tmp_path / name, "train")
    (tmp_path / name).write_bytes(b"rubbish")
    with pytest.raises(InputError, match=rf"not an \{Path(name).suffix} file"):
        read_indices(tmp_path / name, "train")
    np.savez(tmp_path / "b.npz", a=ROWS, b=ROWS)
    with pytest.raises(InputError, match="none of the arrays a, b is called train_idx"):
        read_indices(tmp_path / "b.npz", "train")


def test_rows_that_cannot_be_taken() -> None:
    usable = np.arange(2, 20)
    with pytest.raises(InputError, match="row 20 is named, and there are 20") as caught:
        check_indices({"test": np.array([3, 20])}, usable, 20)
    assert caught.value.where.key == "data.split.test_indices"
    with pytest.raises(InputError, match="row 1 is an isolated atom"):
        check_indices({"train": np.array([1, 5])}, usable, 20)
    with pytest.raises(InputError, match="row 5 is named for train and for test"):
        check_indices({"train": np.array([4, 5]), "test": np.array([5, 6])}, usable, 20)


def test_validation_comes_from_the_given_training_rows() -> None:
    given = {"train": np.arange(0, 40, 2), "test": np.arange(1, 40, 2)}
    split = draw_split({"train": np.arange(50)}, valid=5, test=0, max_train=None, seed=0, given=given)
    assert split["test"].indices.tolist() == given["test"].tolist()
    both = np.concatenate([split["train"].indices, split["valid"].indices])
    assert sorted(both.tolist()) == given["train"].tolist()
    assert (len(split["train"]), len(split["valid"])) == (15, 5)


def test_what_is_held_out_is_not_trained_on_again() -> None:
    fingerprint = np.arange(40, dtype=np.uint64) // 2
    given = {"test": np.arange(0, 10)[::2], "valid": np.array([20])}
    options: dict[str, Any] = {"valid": 5, "test": 0, "max_train": None, "seed": 0, "fingerprint": fingerprint}
    split = draw_split({"train": np.arange(40)}, given=given, **options)
    assert split["train"].indices.tolist() == [*range(10, 20), *range(22, 40)]
    assert split["valid"].indices.tolist() == [20]


def test_nothing_given_changes_nothing() -> None:
    options: dict[str, Any] = {"valid": 5, "test": 3, "max_train": 20, "seed": 1}
    usable = {"train": np.arange(40)}
    assert split_hash(draw_split(usable, **options)) == split_hash(draw_split(usable, given={}, **options))


def test_a_recipe_with_official_rows(tmp_path: Path) -> None:
    data = write(tmp_path / "train.h5", molecules(20))
    for part, rows in (("train", range(0, 12)), ("test", range(14, 20))):
        (tmp_path / f"index_{part}_01.csv").write_text("\n".join(map(str, rows)))
    files = {f"{part}_indices": str(tmp_path / f"index_{part}_01.csv") for part in ("train", "test")}

    def inspected(**section: Any) -> Inspection:
        return inspect(make_recipe(data, data={"train": str(data), "split": section}), Silent())

    found = inspected(valid=4, **files)
    split = found.split
    assert ("not used", "2 structures, which are in no part") in found.report.facts
    assert not any("repeat" in warning for warning in found.report.warnings)
    assert split["test"].indices.tolist() == list(range(14, 20))
    both = np.concatenate([split["train"].indices, split["valid"].indices])
    assert sorted(both.tolist()) == list(range(12))
    with pytest.raises(ErrorGroup, match="nothing is left to train on"):
        inspected(valid=12, train_indices=files["train_indices"])
    (tmp_path / "index_test_01.csv").write_text("11\n15")
    with pytest.raises(ErrorGroup, match="row 11 is named for train and for test"):
        inspected(valid=4, **files)


def test_names_of_lists_are_relative_to_the_recipe(tmp_path: Path) -> None:
    write(tmp_path / "train.h5", molecules(4))
    (tmp_path / "rows.csv").write_text("0\n1\n")
    (tmp_path / "r.yaml").write_text(
        "name: x\ndata: {train: train.h5, split: {train_indices: rows.csv}}\nmodel: {name: mace}\n"
    )
    recipe: Any = load_recipe(tmp_path / "r.yaml")
    assert recipe.data.split.train_indices == str(tmp_path / "rows.csv")
