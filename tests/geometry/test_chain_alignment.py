"""Alignment of chains: generated ones, and real ones beside TM-align."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from eqcli.geometry.chain_alignment import align_chains, measured
from eqcli.geometry.tm_score import ascend, best_tm_motion, moved, tm_scale, tm_terms
from tests.geometry.made_chains import deformed, made_chain, turned


def test_scale_of_the_score():
    # 1.24 (100 - 15)^(1/3) - 1.8
    assert tm_scale(100) == pytest.approx(3.6521, abs=1e-3)
    assert tm_scale(10) == tm_scale(21) == 0.5
    assert tm_scale(22) > 0.5


def test_every_round_climbs():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(1, 60, 3)) * 9, rng.normal(size=(1, 60, 3)) * 9
    motion, last = (np.eye(3)[None], np.zeros((1, 3))), -1.0
    for _ in range(15):
        *motion, total = ascend(x, y, np.ones((1, 60)), tuple(motion), 4.0, 1)
        assert total[0] >= last - 1e-9
        last = total[0]


def test_the_score_follows_the_part_that_fits():
    """A superposition of all pairs would be drawn away by the half that moved."""
    rng = np.random.default_rng(3)
    x = made_chain(100, 1)
    turn, shift = turned(rng), np.array([5.0, -40.0, 3.0])
    y = x @ turn.T + shift
    y[60:] += np.array([30.0, 10.0, 0.0])
    rotation, translation, total = best_tm_motion(x, y, tm_scale(100))
    assert np.abs(rotation - turn).max() < 0.02
    assert total >= 60
    assert total == pytest.approx(tm_terms(moved(x, rotation, translation), y, tm_scale(100)).sum())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_deformed_and_cut_chain_is_found(seed):
    rng = np.random.default_rng(seed)
    whole = made_chain(150, seed)
    other = deformed(whole, rng, 1.0)
    kept = np.r_[12:60, 70:140]
    turn = turned(rng)
    found = align_chains(whole, other[kept] @ turn.T + 20.0)
    right = (kept[found.pairs[:, 1]] == found.pairs[:, 0]).mean()
    assert right > 0.95
    assert len(found.pairs) > 0.9 * len(kept)
    assert found.tm_target > 0.8 > found.tm_source * 150 / len(kept) - 0.2
    assert found.tm == found.tm_target
    assert np.abs(found.rotation - turn).max() < 0.1


def test_the_frame_does_not_matter():
    rng = np.random.default_rng(5)
    one, other = made_chain(80, 4), made_chain(90, 5)
    first = align_chains(one, other, seeds=40)
    second = align_chains(one @ turned(rng).T - 7.0, other @ turned(rng).T + 30.0, seeds=40)
    assert second.tm == pytest.approx(first.tm, abs=0.01)
    again = align_chains(one, other, seeds=40)
    assert again.tm == first.tm
    assert (again.pairs == first.pairs).all()


def test_measures_of_a_chain_with_itself():
    chain = made_chain(50, 2)
    pairs = np.stack([np.arange(50)] * 2, axis=1)
    found = measured(chain, chain + 3.0, pairs)
    assert found.tm_source == pytest.approx(1)
    assert found.rmsd == pytest.approx(0, abs=1e-6)
    with pytest.raises(ValueError, match="2 residues"):
        align_chains(chain[:2], chain)


@pytest.mark.parametrize("seed", range(4))
def test_beside_tm_align_on_made_chains(seed):
    tmtools = pytest.importorskip("tmtools", reason="tmtools is not installed")
    rng = np.random.default_rng(seed)
    one = made_chain(110, 10 + seed)
    other = deformed(one[15:95], rng, 3.0) if seed % 2 else made_chain(90, 20 + seed)
    own = align_chains(one, other)
    theirs = tmtools.tm_align(one, other, "A" * len(one), "A" * len(other))
    assert own.tm_source >= theirs.tm_norm_chain1 - 0.01
    assert own.tm_target >= theirs.tm_norm_chain2 - 0.01


@pytest.mark.shared
def test_beside_tm_align_on_real_chains(shared):
    """No worse in the mean; where the folds are related, in every pair."""
    tmtools = pytest.importorskip("tmtools", reason="tmtools is not installed")
    chains = []
    for entry in json.loads((shared / "proteins" / "ts50.json").read_text()):
        ca = np.array([residue[1] for residue in entry["coords"]], dtype=np.float64)
        chains.append(ca[np.isfinite(ca).all(axis=1)])
    rng = np.random.default_rng(0)
    gains = []
    for _ in range(8):
        i, j = rng.choice(len(chains), 2, replace=False)
        own = align_chains(chains[i], chains[j])
        theirs = tmtools.tm_align(chains[i], chains[j], "A" * len(chains[i]), "A" * len(chains[j]))
        best = max(theirs.tm_norm_chain1, theirs.tm_norm_chain2)
        gains.append(own.tm - best)
        if best > 0.4:
            assert gains[-1] >= -0.01
    assert np.mean(gains) >= 0
    assert min(gains) > -0.04


def test_three_hundred_residues_take_seconds():
    one, other = made_chain(300, 30), made_chain(300, 31)
    begin = time.process_time()
    align_chains(one, other)
    assert time.process_time() - begin < 10
