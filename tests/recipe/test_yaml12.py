"""Scalars as YAML 1.2 has them, nothing unsafe, and a round trip for any plain data."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eqcli.errors import EqcliError, InputError
from eqcli.recipe.tree import Place
from eqcli.recipe.yaml12 import dump_scalar, dump_yaml, parse_yaml

PLACE = Place(Path(), Path("r.yaml"))


def parse(text: str) -> object:
    errors: list[EqcliError] = []
    value = parse_yaml(text, PLACE, errors).plain()
    assert not errors, errors
    return value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("5E4", 5e4),
        ("1_000", "1_000"),
        ("on", "on"),
        ("no", "no"),
        ("Y", "Y"),
        ("true", True),
        ("~", None),
        ("", None),
        ("0x1F", 31),
        ("0o17", 15),
        ("017", 17),
        ("12:30", "12:30"),
        ("2026-01-02", "2026-01-02"),
        (".nan", ".nan"),
        (".inf", ".inf"),
        ("-.5", -0.5),
        ("'3'", "3"),
    ],
)
def test_scalars(text: str, value: object) -> None:
    found = parse(f"key: {text}")
    assert found == {"key": value}
    assert type(found["key"]) is type(value)  # type: ignore[index]


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.system ['true']",
        "a: !!python/name:os.system",
        "a: !!binary aGk=",
        "a: !mine x",
        "a: !!int abc",
        "? [1, 2]\n: 3",
    ],
)
def test_no_tags_and_no_odd_keys(text: str) -> None:
    errors: list[EqcliError] = []
    parse_yaml(text, PLACE, errors)
    assert len(errors) == 1
    assert errors[0].where.line == 1


@pytest.mark.parametrize("text", ["a: &x [1]\nb: *x", "a:\n\t- 1", "a: [1", "a: b: c", "a: 1\n---\nb: 2", "[" * 5000])
def test_bad_yaml_is_an_input_error(text: str) -> None:
    with pytest.raises(InputError):
        parse_yaml(text, PLACE, [])


def test_repeated_keys_name_both_lines() -> None:
    errors: list[EqcliError] = []
    parse_yaml("a: 1\nb:\n  c: 1\n  c: 2\na: 3\n", PLACE, errors)
    assert [(e.where.line, e.where.key) for e in errors] == [(4, "b.c"), (5, "a")]
    assert "line 3" in errors[0].message


def test_lines_are_those_of_the_keys() -> None:
    tree = parse_yaml("a:\n  b:\n    - 1\n    - x\n", PLACE, [])
    assert [tree.at(p).place.line for p in (("a",), ("a", "b"), ("a", "b", 1))] == [1, 2, 4]  # type: ignore[union-attr]


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=8), plain, max_size=3))
def test_dumped_data_load_unchanged(data: dict[str, object]) -> None:
    assert parse(dump_yaml(data)) == data


@given(plain)
def test_dumped_values_load_unchanged(value: object) -> None:
    assert parse(dump_yaml({"k": value})) == {"k": value}
    assert "\n" not in dump_scalar(value) or isinstance(value, str | dict | list)
