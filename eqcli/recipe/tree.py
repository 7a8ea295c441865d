"""A recipe as it was written: values together with the place of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eqcli.errors import Where

Key = str | int
KeyPath = tuple[Key, ...]


@dataclass(frozen=True)
class Place:
    """Where a value was written: a line of a file, or an override on the command line.

    `folder` is what relative file names in the value are relative to.
    """

    folder: Path
    file: Path | None = None
    line: int | None = None
    override: str | None = None

    def where(self, path: KeyPath = ()) -> Where:
        """The place as errors carry it."""
        key = dotted(path) or None
        if self.override is not None:
            return Where(f"override '{self.override}'", key=key)
        return Where(self.file, line=self.line, key=key)


@dataclass
class Node:
    """A scalar, a section or a list, and its place (for a section's entry, the line of its key)."""

    value: bool | int | float | str | dict[str, Node] | list[Node] | None
    place: Place

    def children(self) -> list[tuple[Key, Node]]:
        """Keys and nodes directly below."""
        if isinstance(self.value, dict):
            return list(self.value.items())
        if isinstance(self.value, list):
            return list(enumerate(self.value))
        return []

    def child(self, key: Key) -> Node | None:
        """The node under `key`, or None."""
        if isinstance(self.value, dict) and isinstance(key, str):
            return self.value.get(key)
        if isinstance(self.value, list) and isinstance(key, int) and 0 <= key < len(self.value):
            return self.value[key]
        return None

    def at(self, path: Sequence[Key]) -> Node | None:
        """The node under a path of keys, or None."""
        node: Node | None = self
        for key in path:
            node = node.child(key) if node is not None else None
        return node

    def text(self, key: str, default: str = "") -> str:
        """The string under `key`, or `default`."""
        node = self.child(key)
        return node.value if node is not None and isinstance(node.value, str) else default

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


def dotted(path: KeyPath) -> str:
    """`("training", "batch", "atoms")` as `training.batch.atoms`."""
    return ".".join(str(key) for key in path)


def planted(value: Any, place: Place) -> Node:
    """Plain data as a tree, all of it from one place."""
    if isinstance(value, dict):
        return Node({str(key): planted(item, place) for key, item in value.items()}, place)
    if isinstance(value, list | tuple):
        return Node([planted(item, place) for item in value], place)
    return Node(value, place)


def merged(below: Node, above: Node) -> Node:
    """Sections are joined key by key; of anything else the upper one stands."""
    if not (isinstance(below.value, dict) and isinstance(above.value, dict)):
        return above
    result = dict(below.value)
    for key, node in above.value.items():
        result[key] = merged(result[key], node) if key in result else node
    return Node(result, above.place)
