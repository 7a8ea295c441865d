"""YAML as recipes use it: the scalars of YAML 1.2, every value with its line, no tags and no aliases.

`1e-3` is a number, `on` and `no` are words, a repeated key is an error, and
reading never builds anything but text, numbers, sections and lists.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import yaml

from eqcli.errors import EqcliError, InputError, Where
from eqcli.recipe.tree import KeyPath, Node, Place

PREFIX = "tag:yaml.org,2002:"
SCALARS: tuple[tuple[str, str, str], ...] = (
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
)
"""Name, pattern and first characters of the scalars that are not text; infinities and NaN are text, hence refused."""


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}  # type: ignore[misc]

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.composer.ComposerError(
                None, None, "aliases (*name) are not part of the recipe language; use 'include'", mark
            )
        return super().compose_node(parent, index)


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}  # type: ignore[misc]

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # Plain and single-quoted styles fold control characters and line separators into spaces.
    style = None if text.isprintable() else '"'
    return dumper.represent_scalar(PREFIX + "str", text, style=style)


_Dumper.add_representer(str, _represent_text)
for _name, _pattern, _first in SCALARS:
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(
            PREFIX + _name, re.compile(rf"(?:{_pattern})\Z"), [*_first, ""] if _name == "null" else list(_first)
        )


def read_yaml(path: Path, errors: list[EqcliError]) -> Node:
    """The tree of a YAML file; as :func:`parse_yaml`."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError("this file is not text in UTF-8", Where(path), "Give a YAML recipe.") from error
    except OSError as error:
        raise InputError(f"this file cannot be read: {error.strerror}", Where(path)) from error
    return parse_yaml(text, Place(path.absolute().parent, path), errors)


def parse_yaml(text: str, place: Place, errors: list[EqcliError]) -> Node:
    """The tree of a YAML text; with `place.override` set, all of it is from that override.

    Raises InputError where the text is no YAML. Repeated keys, tags and values
    that are not what their tag says are added to `errors`.
    """
    try:
        composed = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, place) from error
    except yaml.YAMLError as error:
        raise InputError(f"not valid YAML: {error}", place.where()) from error
    except RecursionError:
        raise InputError("this YAML is nested too deeply", place.where()) from None
    if composed is None:
        return Node(None, place)
    return _convert(composed, _line(place, composed), (), errors)


def dump_yaml(data: Any) -> str:
    """Plain data as block-style YAML that `parse_yaml` reads back unchanged."""
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text


def dump_scalar(value: Any) -> str:
    """One value as it would stand on a line of its own, lists and sections in flow style."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000
    )
    return text.removesuffix("\n").removesuffix("\n...")


def _syntax_error(error: yaml.MarkedYAMLError, place: Place) -> InputError:
    mark = error.problem_mark or error.context_mark
    if place.override is None and mark is not None:
        place = Place(place.folder, place.file, mark.line + 1)
    problem = error.problem or "not valid YAML"
    hint = "YAML is indented with spaces, not tabs." if "\\t" in problem else ""
    if "mapping values are not allowed" in problem:
        hint = "Write 'key: value' on a line of its own, or put quotes around text that holds a colon."
    return InputError(f"not valid YAML: {problem}", place.where(), hint)


def _line(place: Place, node: yaml.Node) -> Place:
    if place.override is not None:
        return place
    return Place(place.folder, place.file, node.start_mark.line + 1)


def _convert(node: yaml.Node, place: Place, path: KeyPath, errors: list[EqcliError]) -> Node:
    if isinstance(node, yaml.MappingNode) and node.tag == PREFIX + "map":
        return Node(_entries(node, place, path, errors), place)
    if isinstance(node, yaml.SequenceNode) and node.tag == PREFIX + "seq":
        items = enumerate(node.value)
        return Node([_convert(item, _line(place, item), (*path, i), errors) for i, item in items], place)
    if isinstance(node, yaml.ScalarNode):
        name = node.tag.removeprefix(PREFIX)
        if name in ("str", *(scalar[0] for scalar in SCALARS)):
            with suppress(ValueError):  # `!!int abc`
                return Node(_scalar(name, node.value), place)
    errors.append(InputError(f"tags ({node.tag}) are not part of the recipe language", place.where(path)))
    return Node(None, place)


def _entries(node: yaml.MappingNode, place: Place, path: KeyPath, errors: list[EqcliError]) -> dict[str, Node]:
    entries: dict[str, Node] = {}
    for key_node, value in node.value:
        here = _line(place, key_node)
        if not isinstance(key_node, yaml.ScalarNode):
            errors.append(InputError("a key must be a word", here.where(path)))
            continue
        key = str(key_node.value)
        if key in entries:
            first = entries[key].place.line
            seen = f", first on line {first}" if first is not None and place.override is None else ""
            errors.append(InputError(f"this key is given twice{seen}", here.where((*path, key)), "Keep one of them."))
            continue
        entries[key] = _convert(value, here, (*path, key), errors)
    return entries


def _scalar(name: str, text: str) -> bool | int | float | str | None:
    match name:
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
        case "float":
            return float(text)
    return text
