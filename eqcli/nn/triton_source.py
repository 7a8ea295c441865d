"""Text of the Triton kernels of one message form.

A coupling tensor is mostly zeros and its indices are known, so every kernel is straight-line code over the
nonzero coefficients: for an edge the coefficients are first contracted with its harmonics, which all channels share,
to `G_p[m1, m3] = sum_m2 C^p[m1, m2, m3] Y[m2]`. A program owns one receiver and one block of channels and goes through
the edges of that receiver in order, so that sums live in registers, need no atomic operations and come out the
same on every run. Offsets are 64 bit wide.

Names in the text: `h`, `y`, `g`, `w` are features, harmonics, gradient by the messages and weights; `k`, `b`, `a` the
directions along which features, harmonics and weights vary in second derivatives.
"""

from __future__ import annotations

from eqcli.nn.message_maps import MessageForm, MessagePath
from eqcli.nn.triton_text import KernelText, PathGroup, SharedScalars, columns, rows_in, rows_out

SIZES = "channels: tl.constexpr, BLOCK: tl.constexpr"
"""Both known when a kernel is compiled, so that offsets of rows are part of the instructions."""

ZERO = "tl.zeros([BLOCK], dtype=features.dtype.element_ty)"

GIVEN = ("features", "weights", "harmonics")
ALONG = ("of_features", "of_weights", "of_harmonics")


def forward_source(form: MessageForm, group: PathGroup, second: bool) -> str:
    """Kernel `forward`: rows of the messages of a group, or with `second` their derivative along (k, a, b)."""
    text = KernelText()
    given = ", ".join([*GIVEN, *(ALONG if second else ())])
    text.add(0, f"def forward({given}, sender, pointer, result, {SIZES}):")
    _open_receiver(text)
    rows = [row for p in group.indices for row in rows_out(form.paths[p])]
    for row in rows:
        text.add(1, f"r{row} = {ZERO}")
    _open_edge(text, form, group, second)
    for p in group.indices:
        _forward_path(text, form.paths[p], p, second)
    text.add(1, f"to = result + atom * ({form.rows_out} * channels) + lane")
    for row in rows:
        text.add(1, f"tl.store(to + {row} * channels, r{row}, mask=inside)")
    return text.joined()


def _forward_path(text: KernelText, path: MessagePath, p: int, second: bool) -> None:
    """One edge, one path: weighted features times G, added to the messages."""
    scalars = SharedScalars(text, path)
    _load_weights(text, p, second)
    for m1, row in enumerate(rows_in(path)):
        text.add(2, f"t{m1} = w * k{row} + a * h{row}" if second else f"t{m1} = w * h{row}")
        if second:
            text.add(2, f"u{m1} = w * h{row}")
    for m3, row in enumerate(rows_out(path)):
        for m1 in scalars.coupled_to(m3):
            text.add(2, f"r{row} += {scalars.name('y', m1, m3)} * t{m1}")
            if second:
                text.add(2, f"r{row} += {scalars.name('b', m1, m3)} * u{m1}")


def backward_source(form: MessageForm, group: PathGroup, second: bool) -> str:
    """Kernel `backward`: for every edge the derivatives by the sender's features, the weights and the harmonics.

    Derivatives by the harmonics are sums over the channels of a block; the sum over blocks and groups is left to the
    caller. With `second` they are the derivatives of the second form, of which the gradient is one factor.
    """
    text = KernelText()
    given = ", ".join(["gradient", *GIVEN, *(ALONG if second else ()), "to_features", "to_weights", "to_harmonics"])
    text.add(0, f"def backward({given}, sender, pointer, edges, {SIZES}):")
    _open_receiver(text)
    text.add(1, f"at = gradient + atom * ({form.rows_out} * channels) + lane")
    for p in group.indices:
        for row in rows_out(form.paths[p]):
            text.add(1, f"g{row} = tl.load(at + {row} * channels, mask=inside, other=0.0)")
    _open_edge(text, form, group, second)
    text.add(2, f"to_h = to_features + edge * ({form.rows_in} * channels) + lane")
    text.add(2, f"to_w = to_weights + edge * ({len(form.paths)} * channels) + lane")
    text.add(2, f"to_y = to_harmonics + (tl.program_id(1).to(tl.int64) * edges + edge) * {form.rows_edge}")
    for row in group.rows_in:
        start = f"tl.load(to_h + {row} * channels, mask=inside, other=0.0)" if row in group.started else ZERO
        text.add(2, f"o{row} = {start}")
    for column in range(form.rows_edge):
        text.add(2, f"s{column} = {ZERO}")
    for p in group.indices:
        _backward_path(text, form.paths[p], p, second)
    for row in group.rows_in:
        text.add(2, f"tl.store(to_h + {row} * channels, o{row}, mask=inside)")
    for row in group.untouched:
        text.add(2, f"tl.store(to_h + {row} * channels, {ZERO}, mask=inside)")
    for column in range(form.rows_edge):
        text.add(2, f"tl.store(to_y + {column}, tl.sum(s{column}, axis=0))")
    return text.joined()


def _backward_path(text: KernelText, path: MessagePath, p: int, second: bool) -> None:
    """One edge, one path: `U[m1] = sum_m3 G[m1, m3] g[m3]` serves features and weights alike."""
    scalars = SharedScalars(text, path)
    _load_weights(text, p, second)
    for m1, row in enumerate(rows_in(path)):
        text.add(2, f"u = {scalars.applied('y', m1)}")
        text.add(2, f"o{row} += {'a' if second else 'w'} * u")
        text.add(2, f"v {'+=' if m1 else '='} u * {'k' if second else 'h'}{row}")
        if second:
            text.add(2, f"u = {scalars.applied('b', m1)}")
            text.add(2, f"o{row} += w * u")
            text.add(2, f"v += u * h{row}")
    text.add(2, f"tl.store(to_w + {p} * channels, v, mask=inside)")
    for m1, row in enumerate(rows_in(path)):
        text.add(2, f"x = w * k{row} + a * h{row}" if second else f"x = w * h{row}")
        for m3, row_out in enumerate(rows_out(path)):
            if (m1, m3) in scalars.terms:
                text.add(2, f"z = x * g{row_out}")
                for m2, coefficient in scalars.terms[m1, m3]:
                    text.add(2, f"s{path.second + m2} += {coefficient!r} * z")


def _open_receiver(text: KernelText) -> None:
    """The receiver and the channels of a program, and the range of its edges."""
    text.add(1, "atom = tl.program_id(0).to(tl.int64)")
    text.add(1, "lane = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)")
    text.add(1, "inside = lane < channels")
    text.add(1, "first = tl.load(pointer + atom)")
    text.add(1, "last = tl.load(pointer + atom + 1)")


def _open_edge(text: KernelText, form: MessageForm, group: PathGroup, second: bool) -> None:
    """The loop over edges, with the sender's features and the edge's harmonics."""
    text.add(1, "for edge in range(first, last):")
    text.add(2, f"from_h = tl.load(sender + edge) * ({form.rows_in} * channels) + lane")
    text.add(2, f"from_w = edge * ({len(form.paths)} * channels) + lane")
    for name, tensor in [("h", "features"), *([("k", "of_features")] if second else [])]:
        for row in group.rows_in:
            text.add(2, f"{name}{row} = tl.load({tensor} + from_h + {row} * channels, mask=inside, other=0.0)")
    read = sorted({column for p in group.indices for column in columns(form.paths[p])})
    for name, tensor in [("y", "harmonics"), *([("b", "of_harmonics")] if second else [])]:
        for column in read:
            text.add(2, f"{name}{column} = tl.load({tensor} + edge * {form.rows_edge} + {column})")


def _load_weights(text: KernelText, p: int, second: bool) -> None:
    text.add(2, f"w = tl.load(weights + from_w + {p} * channels, mask=inside, other=0.0)")
    if second:
        text.add(2, f"a = tl.load(of_weights + from_w + {p} * channels, mask=inside, other=0.0)")
