"""Memory that large blocks leave behind."""

from __future__ import annotations

import ctypes
from functools import cache

_MMAP_THRESHOLD = -3
"""The parameter's number in glibc's malloc.h."""

LARGE = 8 << 20
"""Bytes."""


@cache
def return_large_blocks() -> bool:
    """Makes freed blocks of more than 8 MiB go back to the system; False where the C library has no such setting.

    glibc raises that bound by itself, up to 32 MiB, and then keeps such blocks in a heap where small ones that live
    longer come to lie between them. Work that makes one large block after the other grows without end there.
    """
    try:
        setting = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(setting(_MMAP_THRESHOLD, LARGE))
