"""Numbers as people read them."""

from __future__ import annotations

import math

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def show(value: float | int | None, digits: int = 3) -> str:
    """`value` with so many significant digits; `–` for nothing, `3.2×10⁻¹⁴` when it is very small or large."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    if isinstance(value, int):
        return f"{value:,}".replace("-", "−")
    size = abs(value)
    if size < 1e-3 or size >= 1e7:
        mantissa, exponent = f"{value:.{max(0, digits - 2)}e}".split("e")
        return f"{mantissa}×10{str(int(exponent)).translate(_SUPERSCRIPTS)}".replace("-", "−")
    decimals = max(0, digits - 1 - math.floor(math.log10(size)))
    return f"{value:,.{decimals}f}".replace("-", "−")


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 structure`, `1,200 structures`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def fit(r2: float | None) -> str:
    """A coefficient of determination; five decimals, since good models differ there."""
    return "–" if r2 is None else f"{r2:.5f}".replace("-", "−") if r2 > -10 else show(r2)


def rounded(value: float, spread: float) -> float:
    """Zero in place of a mean that is rounding beside the spread of what it is the mean of."""
    return value if abs(value) > 1e-6 * spread else 0.0
