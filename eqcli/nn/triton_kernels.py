"""Triton functions made from text, at run time and only when a kernel is asked for."""

from __future__ import annotations

import hashlib
import linecache
from functools import cache
from typing import Any

SUM_BY_SENDER = """\
def sum_by_sender(of_edges, by_sender, pointer, result, width, BLOCK: tl.constexpr):
    atom = tl.program_id(0).to(tl.int64)
    lane = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = lane < width
    total = tl.zeros([BLOCK], dtype=result.dtype.element_ty)
    first = tl.load(pointer + atom)
    last = tl.load(pointer + atom + 1)
    for place in range(first, last):
        edge = tl.load(by_sender + place)
        total += tl.load(of_edges + edge * width + lane, mask=inside, other=0.0)
    tl.store(result + atom * width + lane, total, mask=inside)
"""
"""`[E, width]` -> `[N, width]`: per atom and block of columns a program adds the edges that it sends, in order."""


@cache
def triton_function(source: str) -> Any:
    """The kernel that `source` defines, as `triton.jit` makes it; equal texts give one function.

    Triton reads the text of what it compiles again through `inspect`; a line-cache entry without a time of change
    stands in for a file and is never looked up on disk. Triton keeps compiled kernels in its own cache folder, by
    text. Raises ImportError without triton.
    """
    import triton
    import triton.language

    name = source.split("(", 1)[0].removeprefix("def ")
    place = f"<triton {name} {hashlib.sha256(source.encode()).hexdigest()[:16]}>"
    linecache.cache[place] = (len(source), None, source.splitlines(keepends=True), place)
    namespace: dict[str, Any] = {"tl": triton.language, "__name__": __name__}
    exec(compile(source, place, "exec"), namespace)
    return triton.jit(namespace[name])
