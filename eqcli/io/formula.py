"""Chemical formulas such as `CaTiO3` or `Ca(OH)2`."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from eqcli.elements import NUMBERS, SYMBOLS
from eqcli.errors import InputError
from eqcli.names import did_you_mean

_PIECE = re.compile(r"([A-Z][a-z]?)([0-9]*)|([(\[])|([)\]])([0-9]*)")
_LARGEST = 10_000
"""Atoms of a formula beyond which it is a slip of the pen."""

_DIGITS = 6
"""Of a number that is read at all."""


def parse_formula(text: str) -> NDArray[np.int64]:
    """Atomic numbers in the order of the formula, `[N]`.

    Raises
    ------
    InputError
        Not a formula, an unknown element, or numbers that are no whole ones.
    """
    plain = "".join(text.split())
    if "." in plain:
        raise _wrong(text, "the atoms in a cell are whole numbers")
    groups: list[list[int]] = [[]]
    at = 0
    while at < len(plain):
        found = _PIECE.match(plain, at)
        if found is None:
            raise _wrong(text, f"'{plain[at:]}' cannot be read")
        symbol, count, opening, closing, times = found.groups()
        if opening:
            groups.append([])
        elif closing:
            if len(groups) == 1:
                raise _wrong(text, "a bracket closes that none opened")
            inner = groups.pop()
            groups[-1] += inner * _count(text, times, len(inner))
        else:
            groups[-1] += [_element(text, symbol)] * _count(text, count, 1)
        if len(groups[-1]) > _LARGEST:
            raise _wrong(text, f"more than {_LARGEST:,} atoms are no sensible number")
        at = found.end()
    if len(groups) > 1:
        raise _wrong(text, "a bracket is not closed")
    if not groups[0]:
        raise _wrong(text, "it names no element")
    return np.array(groups[0], dtype=np.int64)


def _count(text: str, digits: str, each: int) -> int:
    count = int(digits[:_DIGITS]) if digits else 1
    if len(digits) > _DIGITS or count == 0 or count * each > _LARGEST:
        raise _wrong(text, f"'{digits}' times is no sensible number")
    return count


def _element(text: str, symbol: str) -> int:
    number = NUMBERS.get(symbol, 0)
    if number <= 0:
        raise InputError(
            f"'{symbol}' in the formula '{text}' is not a chemical element", hint=did_you_mean(symbol, SYMBOLS[1:])
        )
    return int(number)


def _wrong(text: str, what: str) -> InputError:
    return InputError(f"'{text}' is not a chemical formula: {what}", hint="Write for example CaTiO3, or Ca2Ti2O6.")
