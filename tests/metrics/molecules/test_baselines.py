"""Null baselines: drawn from the training molecules, the same for the same seed, and judged as any others."""

from __future__ import annotations

import numpy as np
import pytest

from eqcli.io.structure import Structure
from eqcli.metrics.molecules import Judging, distinct_molecules, embedded, figures, judge, known_molecules, resampled
from tests.metrics.molecules.molecules import molecule

SMILES = ["CCO", "c1ccccc1", "CC(=O)[O-]", "C[C@H](N)C(=O)O", "C[N+](=O)[O-]"]
OWN = Judging("own", "charged")


def same(first: Structure, second: Structure) -> bool:
    return np.array_equal(first.numbers, second.numbers) and np.array_equal(first.positions, second.positions)


def test_resampled_molecules_are_those_of_the_training_set() -> None:
    training = [molecule(text) for text in SMILES]
    drawn = resampled(training, 40, 0)
    assert len(drawn) == 40
    assert all(any(same(one, other) for other in training) for one in drawn)
    assert [one.info["sample"] for one in drawn] == list(range(40))
    assert "sample" not in training[0].info
    assert all(map(same, drawn, resampled(training, 40, 0)))
    assert not all(map(same, drawn, resampled(training, 40, 1)))


def test_resampled_molecules_are_stable_and_neither_unique_nor_novel() -> None:
    found = figures([judge(s, OWN) for s in resampled([molecule(t) for t in SMILES], 40, 0)], SMILES, resamples=0)
    assert found["molecule_stability"].value == found["valid_and_connected"].value == 1
    assert found["unique"].value == pytest.approx(len(SMILES) / 40)
    assert found["novel"].value == 0


def test_embedded_molecules_have_the_drawn_smiles_and_bonds_of_their_own() -> None:
    made = embedded(SMILES, 12, 3, workers=1)
    assert not made.failures
    assert [one.info["sample"] for one in made.structures] == list(range(12))
    judged = [judge(one, OWN) for one in made.structures]
    assert all(one.stable and one.valid_and_connected for one in judged)
    drawn = [one.info["smiles"] for one in made.structures]
    stereo = known_molecules(SMILES, stereo=True)
    assert set(drawn) <= set(SMILES)
    assert all(row.known for row in distinct_molecules([one.smiles for one in judged], stereo, stereo=True))
    assert [row.smiles for row in distinct_molecules([j.smiles for j in judged])] == [
        row.smiles for row in distinct_molecules(drawn)
    ]


def test_embedding_depends_on_the_seed_alone() -> None:
    first, again, other = (embedded(SMILES, 6, seed, workers=1).structures for seed in (3, 3, 4))
    assert all(map(same, first, again))
    assert not all(map(same, first, other))
    first, second = embedded(["CCCC"], 2, 0, workers=1).structures
    assert not same(first, second)  # Each draw has a conformer of its own.


def test_what_cannot_be_embedded_is_a_row() -> None:
    made = embedded(["C(C)(C)(C)(C)C"], 2, 0, workers=1)
    assert not made.structures
    assert [row.reason for row in made.failures] == ["RDKit cannot read the SMILES"] * 2
    slow = embedded(["C" * 120], 1, 0, workers=1, timeout=0.001)
    assert "took longer" in slow.failures[0].reason


def test_there_must_be_training_molecules() -> None:
    with pytest.raises(ValueError, match="no training"):
        resampled([], 3, 0)
    with pytest.raises(ValueError, match="no training"):
        embedded([], 3, 0)
