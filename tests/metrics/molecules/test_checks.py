"""PoseBusters' checks of single molecules."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eqcli.io.structure import Structure
from eqcli.metrics.molecules.checks import Checks, checks, checks_of, versions
from tests.molecules import beside, boneless, embedded, with_order, without


@pytest.fixture(autouse=True)
def _posebusters() -> None:
    pytest.importorskip("posebusters")


def test_a_sound_molecule_passes() -> None:
    found = checks_of(embedded("CC(=O)Nc1ccccc1"))
    assert found.passes, found.failed
    assert len(found.results) >= 10
    assert all(type(value) is bool for value in found.results.values())


def test_each_fault_is_found_by_its_check() -> None:
    sound = embedded("CCCO")
    assert "all_atoms_connected" in checks_of(beside(sound, sound)).failed
    assert "no_radicals" in checks_of(without(sound, len(sound) - 1)).failed
    long = sound.positions.copy()
    carbons = [0, *(j for i, j, _ in sound.info["bonds"] if i == 0 and sound.numbers[j] == 1)]
    long[carbons] += 3 * (long[0] - long[1])
    assert "bond_lengths" in checks_of(replace(sound, positions=long)).failed
    ring = embedded("c1ccccc1")
    folded = ring.positions.copy()
    normal = np.linalg.svd(folded - folded.mean(axis=0))[2][2]
    folded[0] += 1.2 * normal
    assert "aromatic_ring_flatness" in checks_of(replace(ring, positions=folded)).failed


def test_checks_of_an_invalid_molecule_that_cannot_be_made_are_none_and_do_not_pass() -> None:
    found = checks_of(with_order(embedded("CCO"), 0, 3))
    assert found.results["sanitization"] is False
    assert found.results["bond_lengths"] is None
    assert not found.passes
    assert {"sanitization", "bond_lengths"} <= set(found.failed)


def test_the_smallest_molecules_fail_the_ratio_of_energies_alone() -> None:
    assert [checks_of(embedded(smiles)).failed for smiles in ("C", "O", "CC")] == [
        ("internal_energy",),
        ("internal_energy",),
        (),
    ]


def test_a_batch_never_raises() -> None:
    good = embedded("CCO")
    rows = checks([good, boneless(good), Structure(np.zeros(0), np.zeros((0, 3)))], workers=1)
    assert rows[0].value is not None
    assert [row.failure is None for row in rows] == [True, False, False]


def test_passing_needs_every_check() -> None:
    assert Checks({"a": True, "b": True}).passes
    assert not Checks({"a": True, "b": None}).passes
    assert Checks({"a": False, "b": None, "c": True}).failed == ("a", "b")


def test_versions_are_those_installed() -> None:
    import rdkit

    assert versions()["rdkit"] is not None
    assert versions()["posebusters"] is not None
    assert str(versions()["rdkit"]).split(".")[0] == rdkit.__version__.split(".")[0]
