"""Text of the Triton kernels of one message form.

A coupling tensor is mostly zeros and its indices are known, so every kernel is straight-line code over the
nonzero coefficients: for an edge the coefficients are first contracted with its harmonics, which all channels share,
to `G_p[m1, m3] = sum_m2 C^p[m1, m2, m3] Y[m2]`. A program owns one receiver and one block of channels and goes through
the edges of that receiver in order, so that sums live in registers, need no atomic operations and come out the
same on every run. Names in the text: `h`, `y`, `g`, `w` are features, harmonics, gradient by the messages and weights;
`k`, `b`, `a` the directions along which the features, harmonics and weights of a second derivative vary.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from eqcli.nn.message_maps import MessageForm, MessagePath
from eqcli.nn.sparse_coupling import nonzeros

SIZES = "channels: tl.constexpr, BLOCK: tl.constexpr"
"""Both known when a kernel is compiled, so that offsets of rows are part of the instructions."""

ZERO = "tl.zeros([BLOCK], dtype=features.dtype.element_ty)"


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
    order = sorted(range(len(form.paths)), key=lambda p: (form.paths[p].first, p))
    bundles: list[list[int]] = []
    rows = 0
    for p in order:
        size = 2 * form.paths[p].l3 + 1
        if not bundles or rows + size > budget:
            bundles.append([])
            rows = 0
        bundles[-1].append(p)
        rows += size
    groups: list[PathGroup] = []
    read = {row for path in form.paths for row in _rows_in(path)}
    seen: frozenset[int] = frozenset()
    for bundle in bundles:
        own = {row for p in bundle for row in _rows_in(form.paths[p])}
        untouched = () if groups else tuple(sorted(set(range(form.rows_in)) - read))
        groups.append(PathGroup(tuple(sorted(bundle)), tuple(sorted(own)), frozenset(own & seen), untouched))
        seen |= own
    return groups


def _rows_in(path: MessagePath) -> range:
    return range(path.first, path.first + 2 * path.l1 + 1)


def forward_source(form: MessageForm, group: PathGroup, second: bool) -> str:
    """Kernel `forward`: rows of the messages of a group, or with `second` their derivative along (k, a, b)."""
    text = _Text()
    given = ["features", "weights", "harmonics", *(["of_features", "of_weights", "of_harmonics"] if second else [])]
    text.add(
        0, f"def forward({', '.join(given)}, sender, pointer, result, channels: tl.constexpr, BLOCK: tl.constexpr):"
    )
    _open_receiver(text)
    rows = [row for p in group.indices for row in _rows_out(form.paths[p])]
    for row in rows:
        text.add(1, f"r{row} = {ZERO}")
    _open_edge(text, form, group, second)
    for p in group.indices:
        path = form.paths[p]
        scalars = _Scalars(text, path)
        _load_weights(text, p, second)
        for m1, row in enumerate(_rows_in(path)):
            text.add(2, f"t{m1} = w * k{row} + a * h{row}" if second else f"t{m1} = w * h{row}")
            if second:
                text.add(2, f"u{m1} = w * h{row}")
        for m3, row in enumerate(_rows_out(path)):
            terms = [f"{scalars.name('y', m1, m3)} * t{m1}" for m1 in scalars.coupled_to(m3)]
            terms += [f"{scalars.name('b', m1, m3)} * u{m1}" for m1 in scalars.coupled_to(m3) if second]
            for term in terms:
                text.add(2, f"r{row} += {term}")
    text.add(1, f"to = result + atom * ({form.rows_out} * channels) + lane")
    for row in rows:
        text.add(1, f"tl.store(to + {row} * channels, r{row}, mask=inside)")
    return text.joined()


def backward_source(form: MessageForm, group: PathGroup, second: bool) -> str:
    """Kernel `backward`: for every edge the derivatives by the sender's features, the weights and the harmonics.

    Derivatives by the harmonics are sums over the channels of the block; the sum over blocks and groups is left to the
    caller. With `second` they are the derivatives of the second form, of which the gradient is one factor.
    """
    text = _Text()
    given = ["gradient", "features", "weights", "harmonics"]
    given += ["of_features", "of_weights", "of_harmonics"] if second else []
    made = ["to_features", "to_weights", "to_harmonics"]
    text.add(
        0,
        f"def backward({', '.join(given + made)}, sender, pointer, edges, channels: tl.constexpr, BLOCK: tl.constexpr):",
    )
    _open_receiver(text)
    text.add(1, f"at = gradient + atom * ({form.rows_out} * channels) + lane")
    for p in group.indices:
        for row in _rows_out(form.paths[p]):
            text.add(1, f"g{row} = tl.load(at + {row} * channels, mask=inside, other=0.0)")
    _open_edge(text, form, group, second)
    text.add(2, f"to_h = to_features + edge * ({form.rows_in} * channels) + lane")
    for row in group.rows_in:
        zero = "tl.zeros([BLOCK], dtype=features.dtype.element_ty)"
        text.add(
            2, f"o{row} = tl.load(to_h + {row} * channels, mask=inside)" if row in group.started else f"o{row} = {zero}"
        )
    for column in range(form.rows_edge):
        text.add(2, f"s{column} = {ZERO}")
    text.add(2, f"to_w = to_weights + edge * ({len(form.paths)} * channels) + lane")
    for p in group.indices:
        _backward_path(text, form.paths[p], p, second)
    for row in group.rows_in:
        text.add(2, f"tl.store(to_h + {row} * channels, o{row}, mask=inside)")
    for row in group.untouched:
        text.add(
            2, f"tl.store(to_h + {row} * channels, tl.zeros([BLOCK], dtype=features.dtype.element_ty), mask=inside)"
        )
    text.add(2, f"to_y = to_harmonics + (tl.program_id(1).to(tl.int64) * edges + edge) * {form.rows_edge}")
    for column in range(form.rows_edge):
        text.add(2, f"tl.store(to_y + {column}, tl.sum(s{column}, axis=0))")
    return text.joined()


def _backward_path(text: _Text, path: MessagePath, p: int, second: bool) -> None:
    """One edge, one path: U[m1] = sum_m3 G[m1, m3] g[m3] serves features and weights alike."""
    scalars = _Scalars(text, path)
    _load_weights(text, p, second)
    rows_out = _rows_out(path)
    of_weight = []
    for m1, row in enumerate(_rows_in(path)):
        text.add(2, f"u = {scalars.applied('y', m1, rows_out)}")
        of_weight.append(f"u * k{row}" if second else f"u * h{row}")
        text.add(2, f"o{row} += a * u" if second else f"o{row} += w * u")
        text.add(2, f"v = {of_weight[-1]}" if m1 == 0 else f"v += {of_weight[-1]}")
        if second:
            text.add(2, f"u = {scalars.applied('b', m1, rows_out)}")
            text.add(2, f"o{row} += w * u")
            text.add(2, f"v += u * h{row}")
    text.add(2, f"tl.store(to_w + {p} * channels, v, mask=inside)")
    for m1, row in enumerate(_rows_in(path)):
        text.add(2, f"x = w * k{row} + a * h{row}" if second else f"x = w * h{row}")
        for m3, row_out in enumerate(rows_out):
            if m1 in scalars.coupled_to(m3):
                text.add(2, f"z = x * g{row_out}")
                for m2, coefficient in scalars.terms[m1, m3]:
                    text.add(2, f"s{path.second + m2} += {coefficient!r} * z")


def _rows_out(path: MessagePath) -> list[int]:
    return [path.result + m3 * path.step for m3 in range(2 * path.l3 + 1)]


def _open_receiver(text: _Text) -> None:
    """The receiver and the channels of a program, and the range of its edges."""
    text.add(1, "atom = tl.program_id(0).to(tl.int64)")
    text.add(1, "lane = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)")
    text.add(1, "inside = lane < channels")
    text.add(1, "first = tl.load(pointer + atom)")
    text.add(1, "last = tl.load(pointer + atom + 1)")


def _open_edge(text: _Text, form: MessageForm, group: PathGroup, second: bool) -> None:
    """The loop over edges, with the sender's features and the edge's harmonics; offsets are 64 bit wide."""
    text.add(1, "for edge in range(first, last):")
    text.add(2, f"from_h = tl.load(sender + edge) * ({form.rows_in} * channels) + lane")
    text.add(2, f"from_w = edge * ({len(form.paths)} * channels) + lane")
    for name, tensor in [("h", "features"), *([("k", "of_features")] if second else [])]:
        for row in group.rows_in:
            text.add(2, f"{name}{row} = tl.load({tensor} + from_h + {row} * channels, mask=inside, other=0.0)")
    columns = sorted({c for p in group.indices for c in _columns(form.paths[p])})
    for name, tensor in [("y", "harmonics"), *([("b", "of_harmonics")] if second else [])]:
        for column in columns:
            text.add(2, f"{name}{column} = tl.load({tensor} + edge * {form.rows_edge} + {column})")


def _columns(path: MessagePath) -> range:
    return range(path.second, path.second + 2 * path.l2 + 1)


def _load_weights(text: _Text, p: int, second: bool) -> None:
    text.add(2, f"w = tl.load(weights + from_w + {p} * channels, mask=inside, other=0.0)")
    if second:
        text.add(2, f"a = tl.load(of_weights + from_w + {p} * channels, mask=inside, other=0.0)")


@dataclass
class _Text:
    lines: list[str] = field(default_factory=list)

    def add(self, depth: int, line: str) -> None:
        self.lines.append("    " * depth + line)

    def joined(self) -> str:
        return "\n".join(self.lines) + "\n"


class _Scalars:
    """The numbers G[m1, m3] of one path and edge, each written where it is first used."""

    def __init__(self, text: _Text, path: MessagePath) -> None:
        self._text, self._path = text, path
        self._names: dict[str, str] = {}
        self.terms: dict[tuple[int, int], list[tuple[int, float]]] = {}
        for m1, m2, m3, coefficient in nonzeros(path):
            self.terms.setdefault((m1, m3), []).append((m2, coefficient))

    def coupled_to(self, m3: int) -> list[int]:
        """Components of the features that couple to component m3 of the messages."""
        return [m1 for m1 in range(2 * self._path.l1 + 1) if (m1, m3) in self.terms]

    def name(self, factor: str, m1: int, m3: int) -> str:
        """Variable that holds G[m1, m3] formed from `y` or `b`; equal ones are formed once."""
        second = self._path.second
        value = " + ".join(f"{c!r} * {factor}{second + m2}" for m2, c in self.terms[m1, m3])
        if value not in self._names:
            self._names[value] = f"q{factor}{len(self._names)}"
            self._text.add(2, f"{self._names[value]} = {value}")
        return self._names[value]

    def applied(self, factor: str, m1: int, rows_out: list[int]) -> str:
        """`sum_m3 G[m1, m3] g[m3]`."""
        terms = [f"{self.name(factor, m1, m3)} * g{row}" for m3, row in enumerate(rows_out) if (m1, m3) in self.terms]
        return " + ".join(terms) or "0.0"
