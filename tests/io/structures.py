"""Structures to write and read back, drawn by hypothesis, and what must be equal afterwards."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from ase.geometry import find_mic
from hypothesis import strategies as st

from eqcli.io.structure import Structure

finite = st.floats(allow_nan=False, allow_infinity=False, width=64)
modest = st.floats(-1e3, 1e3)
names = st.text(st.characters(categories=("L", "N", "S", "P")), min_size=1, max_size=8).map(lambda s: f"k{s}")
text = st.text(max_size=12)
scalars = st.one_of(st.booleans(), st.integers(-(2**70), 2**70), finite, text, st.none())
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def matrix(rows: int, columns: int, numbers: st.SearchStrategy[float] = finite) -> st.SearchStrategy[np.ndarray]:
    """`[rows, columns]` float64."""
    flat = st.lists(numbers, min_size=rows * columns, max_size=rows * columns)
    return flat.map(lambda v: np.array(v, dtype=np.float64).reshape(rows, columns))


@st.composite
def cells(draw: st.DrawFn) -> np.ndarray:
    """A cell with a volume, skewed, of either handedness."""
    cell = np.diag(draw(st.tuples(*[st.floats(2, 20)] * 3)))
    skew = draw(matrix(3, 3, st.floats(-0.4, 0.4)))
    return (cell + skew * 2) * draw(st.sampled_from([1.0, -1.0]))


def symmetric(m: np.ndarray) -> np.ndarray:
    """A symmetric matrix from the upper triangle."""
    return np.triu(m) + np.triu(m, 1).T


@st.composite
def structures(draw: st.DrawFn, *, periodic: bool | None = None, rich: bool = True) -> Structure:
    """Any structure; `rich` adds labels, info and arrays."""
    n = draw(st.integers(1, 5))
    crystal = draw(st.booleans()) if periodic is None else periodic
    structure = Structure(
        numbers=np.array(draw(st.lists(st.integers(1, 118), min_size=n, max_size=n))),
        positions=draw(matrix(n, 3, finite if rich else modest)),
        cell=draw(cells()) if crystal else np.zeros((3, 3)),
        pbc=np.array([crystal] * 3),
    )
    if rich:
        structure.energy = draw(st.none() | finite)
        structure.forces = draw(st.none() | matrix(n, 3))
        structure.stress = draw(st.none() | matrix(3, 3, modest).map(symmetric)) if crystal else None
        structure.charge = draw(st.none() | st.integers(-3, 3).map(float))
        structure.fixed = draw(st.none() | st.lists(st.booleans(), min_size=n, max_size=n).map(np.array))
        structure.info = draw(st.dictionaries(names, values, max_size=4))
        structure.arrays = draw(st.fixed_dictionaries({}, optional=_arrays(n)))
    return structure


def _arrays(n: int) -> dict[str, st.SearchStrategy[np.ndarray]]:
    integers = st.lists(st.integers(-(2**62), 2**62), min_size=n, max_size=n)
    words = st.lists(st.text("abcXYZ019_-", max_size=5), min_size=n, max_size=n)
    return {
        "tags": integers.map(lambda v: np.array(v, dtype=np.int64)),
        "momenta": matrix(n, 3),
        "mask": st.lists(st.booleans(), min_size=n, max_size=n).map(np.array),
        "kind": words.map(np.array),
    }


def same(a: Any, b: Any) -> bool:
    """Equality to the last bit and the type, NaN equal to itself."""
    if isinstance(a, float) and isinstance(b, float):
        return a == b or (math.isnan(a) and math.isnan(b))
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return type(a) is type(b) and bool(a == b)


def assert_same(a: Structure, b: Structure) -> None:
    """All fields but `where` agree to the last bit."""
    for name in ("numbers", "positions", "cell", "pbc", "forces", "stress", "fixed"):
        left, right = getattr(a, name), getattr(b, name)
        assert (left is None) == (right is None), name
        if left is not None:
            assert left.dtype == right.dtype, name
            np.testing.assert_array_equal(left, right, err_msg=name)
    assert same(a.energy, b.energy)
    assert same(a.charge, b.charge)
    assert same(a.info, b.info), (a.info, b.info)
    assert a.arrays.keys() == b.arrays.keys()
    for name, left in a.arrays.items():
        assert left.dtype.kind == b.arrays[name].dtype.kind, name
        np.testing.assert_array_equal(left, b.arrays[name], err_msg=name)


def distances(structure: Structure) -> np.ndarray:
    """All distances, the nearest image in periodic structures: what a rotation does not change."""
    delta = structure.positions[:, None] - structure.positions[None]
    if structure.pbc.any():
        # The nearest image may be several cells away in a skewed cell; ase reduces the cell first.
        _, lengths = find_mic(delta.reshape(-1, 3), structure.cell, structure.pbc)
        return lengths.reshape(delta.shape[:2])
    return np.linalg.norm(delta, axis=-1)


def chirality(structure: Structure) -> float:
    """Signed volume spanned by the first four atoms: changes its sign in a mirror."""
    origin = structure.positions[0]
    return float(np.linalg.det(structure.positions[1:4] - origin))
