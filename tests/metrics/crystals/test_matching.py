"""Whether crystals match: golden values of pymatgen's matcher, and what it is not asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eqcli.metrics.crystals.matching import PUBLISHED, STRICT, match_pair
from tests.metrics.crystals.crystals import crystal, cscl, jiggled, perovskite, repeated, scrambled

pytest.importorskip("pymatgen")


def test_volume_is_ignored_by_the_rmse_and_told_apart() -> None:
    match = match_pair(cscl(8.4), cscl(4.2))
    assert match is not None
    assert match.rmse == pytest.approx(0, abs=1e-9)
    assert match.volume_error == pytest.approx(7)


def test_a_supercell_is_the_same_crystal() -> None:
    match = match_pair(repeated(cscl(), (2, 1, 1)), cscl())
    assert match is not None
    assert match.rmse == pytest.approx(0, abs=1e-6)
    assert match.volume_error == pytest.approx(0, abs=1e-9)


def test_the_description_of_a_crystal_does_not_matter() -> None:
    moved = jiggled(perovskite(), 0.1)
    plain = match_pair(moved, perovskite())
    other = match_pair(scrambled(moved, np.random.default_rng(0)), perovskite())
    assert plain is not None
    assert other is not None
    assert other.rmse == pytest.approx(plain.rmse, abs=1e-6)
    assert other.max_distance == pytest.approx(plain.max_distance, abs=1e-6)


def test_the_rmse_is_in_units_of_the_cube_root_of_the_volume_per_atom() -> None:
    # One of two atoms moves by d; the best shift of all splits it: d/2 each.
    d = 0.3
    moved = crystal([55, 17], [[0, 0, 0], [0.5, 0.5, 0.5 + d / 4.2]], 4.2)
    match = match_pair(moved, cscl(4.2))
    assert match is not None
    assert match.rmse == pytest.approx(d / 2 / (4.2**3 / 2) ** (1 / 3), rel=1e-6)
    assert match.max_distance == pytest.approx(match.rmse, rel=1e-6)


def test_published_tolerances_accept_what_strict_ones_do_not() -> None:
    stretched = replace(perovskite(), cell=perovskite().cell @ np.diag([1, 1, 1.4]))
    stretched.positions = stretched.positions @ np.diag([1, 1, 1.4])
    assert match_pair(stretched, perovskite(), PUBLISHED) is not None
    assert match_pair(stretched, perovskite(), STRICT) is None


def test_other_compositions_are_not_given_to_the_matcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eqcli.metrics.crystals.matching.matcher_of", None)
    assert match_pair(perovskite(numbers=(56, 22, 8)), perovskite()) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"cell": np.diag([4.2, 4.2, 0.0])}, "volume"),
        ({"positions": np.full((2, 3), np.nan)}, "finite"),
        ({"pbc": np.zeros(3, dtype=bool)}, "repeat"),
    ],
)
def test_what_is_no_crystal_is_refused_with_a_reason(change: dict[str, np.ndarray], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        match_pair(replace(cscl(), **change), cscl())
