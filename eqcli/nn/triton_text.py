"""Pieces of the text of Triton kernels: paths in groups, the numbers that an edge shares over its channels."""

from __future__ import annotations

from dataclasses import dataclass

from eqcli.nn.message_maps import MessageForm, MessagePath
from eqcli.nn.sparse_coupling import nonzeros


@dataclass(frozen=True)
class PathGroup:
    """Paths that one kernel treats; `indices` are their places in the form.

    `started` holds the rows of the features' derivative to which a kernel of an earlier group has already added;
    `untouched` those that no path of the form reads, which the first group sets to zero.
    """

    indices: tuple[int, ...]
    rows_in: tuple[int, ...]
    started: frozenset[int]
    untouched: tuple[int, ...]


def path_groups(form: MessageForm, budget: int) -> list[PathGroup]:
    """The paths split so that no group has more than `budget` rows of messages, unless one path alone has.

    A program keeps one number per row and channel in registers. Paths that read the same features
    stay together, so that as few rows as possible are read by two groups.
    """
    bundles: list[list[int]] = []
    rows = 0
    for p in sorted(range(len(form.paths)), key=lambda p: (form.paths[p].first, p)):
        size = 2 * form.paths[p].l3 + 1
        if not bundles or rows + size > budget:
            bundles.append([])
            rows = 0
        bundles[-1].append(p)
        rows += size
    groups: list[PathGroup] = []
    untouched = set(range(form.rows_in)).difference(*(rows_in(path) for path in form.paths))
    seen: frozenset[int] = frozenset()
    for bundle in bundles:
        own = frozenset[int]().union(*(rows_in(form.paths[p]) for p in bundle))
        zeros = () if groups else tuple(sorted(untouched))
        groups.append(PathGroup(tuple(sorted(bundle)), tuple(sorted(own)), own & seen, zeros))
        seen |= own
    return groups


def rows_in(path: MessagePath) -> range:
    """Rows of the features that a path reads."""
    return range(path.first, path.first + 2 * path.l1 + 1)


def rows_out(path: MessagePath) -> range:
    """Rows of the messages that a path makes."""
    return range(path.result, path.result + (2 * path.l3 + 1) * path.step, path.step)


def columns(path: MessagePath) -> range:
    """Harmonics that a path reads."""
    return range(path.second, path.second + 2 * path.l2 + 1)


class KernelText:
    """Lines of a kernel, indented by the depth they are added at."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, depth: int, line: str) -> None:
        self._lines.append("    " * depth + line)

    def joined(self) -> str:
        return "\n".join(self._lines) + "\n"


class SharedScalars:
    """`G[m1, m3] = sum_m2 C[m1, m2, m3] Y[m2]` of one path and edge, each number written where it is first used."""

    def __init__(self, text: KernelText, path: MessagePath) -> None:
        self._text, self._path = text, path
        self._names: dict[str, str] = {}
        self.terms: dict[tuple[int, int], list[tuple[int, float]]] = {}
        for m1, m2, m3, coefficient in nonzeros(path):
            self.terms.setdefault((m1, m3), []).append((m2, coefficient))

    def coupled_to(self, m3: int) -> list[int]:
        """Components of the features that couple to component m3 of the messages."""
        return [m1 for m1 in range(2 * self._path.l1 + 1) if (m1, m3) in self.terms]

    def name(self, factor: str, m1: int, m3: int) -> str:
        """Variable that holds G[m1, m3] formed from harmonics called `factor`; equal ones are formed once."""
        value = " + ".join(f"{c!r} * {factor}{self._path.second + m2}" for m2, c in self.terms[m1, m3])
        if value not in self._names:
            self._names[value] = f"q{factor}{len(self._names)}"
            self._text.add(2, f"{self._names[value]} = {value}")
        return self._names[value]

    def applied(self, factor: str, m1: int) -> str:
        """`sum_m3 G[m1, m3] g[m3]`."""
        rows = rows_out(self._path)
        return " + ".join(
            f"{self.name(factor, m1, m3)} * g{row}" for m3, row in enumerate(rows) if (m1, m3) in self.terms
        )
