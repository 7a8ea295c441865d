"""LZF decompression, as `binary_compressed` PCD files need it.

A control byte below 32 announces that many and one more literal bytes; any other a repetition of earlier bytes:
three bits of length (seven: one more byte of length), thirteen of distance. Format: Lehmann, LibLZF.
"""

from __future__ import annotations


class LzfError(ValueError):
    """The compressed bytes are damaged; `at` is the offset of the fault."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


def decompress(data: bytes, size: int) -> bytes:
    """The `size` bytes that were compressed into `data`. Raises LzfError when these are others."""
    out = bytearray()
    at, end = 0, len(data)
    try:
        while at < end:
            control = data[at]
            at += 1
            if control < 32:
                out += data[at : at + control + 1]
                at += control + 1
                continue
            length = control >> 5
            if length == 7:
                length += data[at]
                at += 1
            start = len(out) - ((control & 31) << 8) - data[at] - 1
            at += 1
            if start < 0:
                raise LzfError("a repetition of bytes before the first", at)
            length += 2
            piece = out[start : start + length]
            if len(piece) < length:
                # The repetition reaches into itself: the bytes at hand go round.
                piece = (piece * (length // len(piece) + 1))[:length]
            out += piece
            if len(out) > size:
                break
    except IndexError:
        raise LzfError("the compressed bytes end within a repetition", end) from None
    if len(out) != size or at > end:
        raise LzfError(f"{size} bytes were announced and {len(out)} came out", min(at, end))
    return bytes(out)
