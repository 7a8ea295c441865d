"""The prototypes of data/intermetallics: cells and sites, undistorted, as Strukturbericht and textbooks name them.

Cells are in any unit of length, since the volume is set by the metals. Sites of kind A, B and C come in this order of
frequency where it matters: `A3B` has three A for each B.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

FACES = ((0, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5))
BODY = ((0, 0, 0), (0.5, 0.5, 0.5))
PLAIN = ((0, 0, 0),)
HALVES = 0.5 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
"""Primitive vectors of the face-centred cubic lattice of unit cube."""


@dataclass(frozen=True)
class Prototype:
    """A crystal structure without its elements.

    Attributes
    ----------
    cell
        Rows are lattice vectors, `[3, 3]`.
    positions
        Fractional, `[N, 3]`.
    sites
        Kind of each site, a letter of `ABC`.
    symmetric
        Whether exchanging A and B gives the same crystal.
    """

    cell: np.ndarray
    positions: np.ndarray
    sites: str
    symmetric: bool = False

    @property
    def kinds(self) -> int:
        return len(set(self.sites))


def of(
    cell: object, sites: dict[str, list[tuple[float, ...]]], centring: object = PLAIN, symmetric: bool = False
) -> Prototype:
    """A prototype from lengths or vectors of the cell, and sites by kind, each repeated by the centring."""
    matrix = np.array(cell, dtype=float)
    rows = [(kind, np.add(site, shift) % 1) for kind, listed in sites.items() for site in listed for shift in centring]
    positions = np.array([row for _, row in rows])
    return Prototype(np.diag(matrix) if matrix.ndim == 1 else matrix, positions, "".join(k for k, _ in rows), symmetric)


def hexagonal(c: float, sites: dict[str, list[tuple[float, ...]]]) -> Prototype:
    """On a hexagonal cell with a = 1."""
    return of([[1, 0, 0], [-0.5, sqrt(3) / 2, 0], [0, 0, c]], sites)


def layered(kinds: str, symmetric: bool = False) -> Prototype:
    """Close-packed (111) layers in cubic stacking, of kinds that repeat."""
    n = len(kinds)
    step = HALVES[0]
    cell = [HALVES[0] - HALVES[1], HALVES[1] - HALVES[2], n * step]
    inverse = np.linalg.inv(np.array(cell))
    return of(
        cell,
        {k: [tuple(i * step @ inverse) for i, o in enumerate(kinds) if o == k] for k in sorted(set(kinds))},
        symmetric=symmetric,
    )


def stacked(kinds: str, c: float, symmetric: bool = False) -> Prototype:
    """Square (001) layers, each over the hollows of the one before, of kinds that repeat; c is two layers' height over
    the side of the square: 1 for a body-centred, sqrt(2) for a face-centred cubic lattice."""
    kinds = kinds if len(kinds) % 2 == 0 else 2 * kinds
    n = len(kinds)
    sites = {k: [((i % 2) / 2, (i % 2) / 2, i / n) for i, o in enumerate(kinds) if o == k] for k in sorted(set(kinds))}
    return of([1, 1, c * n / 2], sites, symmetric=symmetric)


X, Y = 5 / 6, 2 * 5 / 6 - 1
QUARTERS = [(0.25, 0.25, 0.25), (0.75, 0.75, 0.75)]
BCC, FCC = 1.0, sqrt(2)
PACKED = sqrt(8 / 3)  # c/a of close-packed hexagons

PROTOTYPES = {
    # elements
    "A1": of([1, 1, 1], {"A": [(0, 0, 0)]}, FACES),
    "A2": of([1, 1, 1], {"A": [(0, 0, 0)]}, BODY),
    "A3": hexagonal(PACKED, {"A": [(1 / 3, 2 / 3, 0.25), (2 / 3, 1 / 3, 0.75)]}),
    "A3'": hexagonal(2 * PACKED, {"A": [(0, 0, 0), (1 / 3, 2 / 3, 0.25), (0, 0, 0.5), (2 / 3, 1 / 3, 0.75)]}),
    # AB
    "B2": of([1, 1, 1], {"A": [(0, 0, 0)], "B": [(0.5, 0.5, 0.5)]}, symmetric=True),
    "L1_0": stacked("AB", FCC, symmetric=True),
    "L1_1": layered("AB", symmetric=True),
    "B11": stacked("AABB", BCC, symmetric=True),
    "Z2": stacked("AABB", FCC, symmetric=True),
    "CH40": of(
        [1, 1, 2],
        {
            "A": [(0, 0, 0), (0.5, 0, 0.25), (0.5, 0.5, 0.5), (0, 0.5, 0.75)],
            "B": [(0.5, 0.5, 0), (0, 0.5, 0.25), (0, 0, 0.5), (0.5, 0, 0.75)],
        },
        symmetric=True,
    ),
    "B19": of(
        [PACKED, 1, sqrt(3)],
        {"A": [(0.25, 0, 1 / 6), (0.75, 0, -1 / 6)], "B": [(0.25, 0.5, 2 / 3), (0.75, 0.5, -2 / 3)]},
        symmetric=True,
    ),
    "B32": of(
        [1, 1, 1],
        {"A": [(0, 0, 0), (0.25, 0.25, 0.25)], "B": [(0.5, 0.5, 0.5), (0.75, 0.75, 0.75)]},
        FACES,
        symmetric=True,
    ),
    # A2B
    "C11_b": stacked("AAB", BCC),
    "beta": stacked("AAB", FCC),
    "alpha": layered("AAB"),
    "MoPt2": of([1, 3, sqrt(2)], {"A": [(0, 1 / 3, 0), (0, 2 / 3, 0)], "B": [(0, 0, 0)]}, BODY),
    "C15": of(
        [1, 1, 1],
        {
            "A": [(0.625, 0.625, 0.625), (0.625, 0.875, 0.875), (0.875, 0.625, 0.875), (0.875, 0.875, 0.625)],
            "B": [(0, 0, 0), (0.25, 0.25, 0.25)],
        },
        FACES,
    ),
    "C32": hexagonal(1.08, {"A": [(1 / 3, 2 / 3, 0.5), (2 / 3, 1 / 3, 0.5)], "B": [(0, 0, 0)]}),
    # A3B
    "L1_2": of([1, 1, 1], {"A": [(0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)], "B": [(0, 0, 0)]}),
    "D0_22": of([1, 1, 2], {"A": [(0.5, 0.5, 0), (0.5, 0, 0.25), (0, 0.5, 0.25)], "B": [(0, 0, 0)]}, BODY),
    "D0_23": of(
        [1, 1, 4],
        {
            "A": [(0.5, 0.5, 0.125), (0.5, 0.5, 0.375), (0.5, 0, 0), (0, 0.5, 0), (0.5, 0, 0.25), (0, 0.5, 0.25)],
            "B": [(0, 0, 0.125), (0, 0, 0.375)],
        },
        BODY,
    ),
    "D0_3": of([1, 1, 1], {"A": [(0.5, 0.5, 0.5), *QUARTERS], "B": [(0, 0, 0)]}, FACES),
    "D0_19": hexagonal(
        PACKED / 2,
        {
            "A": [
                (X, Y, 0.25),
                (-Y, X - Y, 0.25),
                (Y - X, -X, 0.25),
                (-X, -Y, 0.75),
                (Y, Y - X, 0.75),
                (X - Y, X, 0.75),
            ],
            "B": [(1 / 3, 2 / 3, 0.25), (2 / 3, 1 / 3, 0.75)],
        },
    ),
    "D0_a": of(
        [PACKED, 2, sqrt(3)],
        {
            "A": [
                (0.25, 0.5, 1 / 6),
                (0.25, 0.25, 2 / 3),
                (0.25, 0.75, 2 / 3),
                (0.75, 0, -1 / 6),
                (0.75, 0.25, -2 / 3),
                (0.75, 0.75, -2 / 3),
            ],
            "B": [(0.25, 0, 1 / 6), (0.75, 0.5, -1 / 6)],
        },
    ),
    # A4B, A5B, A7B
    "D1_a": of(
        [sqrt(2.5), sqrt(2.5), 1],
        {"A": [(0.2, 0.4, 0), (-0.2, -0.4, 0), (-0.4, 0.2, 0), (0.4, -0.2, 0)], "B": [(0, 0, 0)]},
        BODY,
    ),
    "D2_d": hexagonal(
        0.8,
        {"A": [(1 / 3, 2 / 3, 0), (2 / 3, 1 / 3, 0), (0.5, 0, 0.5), (0, 0.5, 0.5), (0.5, 0.5, 0.5)], "B": [(0, 0, 0)]},
    ),
    "Ca7Ge": of(
        2 * HALVES, {"A": [(i / 2, j / 2, k / 2) for i in (0, 1) for j in (0, 1) for k in (0, 1)][1:], "B": [(0, 0, 0)]}
    ),
    # A2BC
    "L2_1": of([1, 1, 1], {"A": QUARTERS, "B": [(0, 0, 0)], "C": [(0.5, 0.5, 0.5)]}, FACES),
    "tP4": of([1, 1, 1], {"A": [(0.5, 0, 0.5), (0, 0.5, 0.5)], "B": [(0, 0, 0)], "C": [(0.5, 0.5, 0)]}),
}
