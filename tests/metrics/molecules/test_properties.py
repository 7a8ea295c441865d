"""Descriptors and electronic properties of molecules."""

from __future__ import annotations

import numpy as np
import pytest

from eqcli.errors import InputError
from eqcli.io.structure import Structure
from eqcli.metrics.molecules.properties import (
    COUNTS,
    UNITS,
    descriptors_of,
    gap_of,
    properties,
    xtb_properties_of,
)
from tests.molecules import boneless, embedded, with_order, without


def test_descriptors_of_aspirin() -> None:
    found = descriptors_of(embedded("CC(=O)Oc1ccccc1C(=O)O"))
    assert found["molecular_weight"] == pytest.approx(180.159, abs=0.01)
    assert found["tpsa"] == pytest.approx(63.6, abs=0.01)
    assert found["log_p"] == pytest.approx(1.310, abs=0.001)
    assert found["qed"] == pytest.approx(0.550, abs=0.001)
    assert found["fraction_sp3"] == pytest.approx(1 / 9)
    whole = {name: found[name] for name in COUNTS}
    assert whole == {"rings": 1, "aromatic_rings": 1, "rotatable_bonds": 2, "hydrogen_bond_donors": 1,
                     "hydrogen_bond_acceptors": 3, "formal_charge": 0, "heavy_atoms": 13}  # fmt: skip


def test_every_property_has_a_unit_and_an_ion_its_charge() -> None:
    found = descriptors_of(embedded("C[NH3+]"))
    assert set(found) <= set(UNITS)
    assert found["formal_charge"] == 1


def test_xtb_gives_the_gap_and_the_dipole_of_water() -> None:
    pytest.importorskip("tblite")
    found = xtb_properties_of(embedded("O"))
    assert found["dipole_debye"] == pytest.approx(2.2, abs=0.2)
    assert found["dipole"] == pytest.approx(found["dipole_debye"] * 0.2081943, rel=1e-5)
    assert found["gap"] == pytest.approx(14.5, abs=1.0)
    assert found["energy_per_atom"] == pytest.approx(-137.968 / 3, abs=0.02)  # tblite's documentation: -137.968 eV.
    assert set(found) <= set(UNITS)


def test_a_dipole_does_not_depend_on_the_place_even_of_an_ion() -> None:
    pytest.importorskip("tblite")
    ion = embedded("CC(=O)[O-]")
    moved = Structure(ion.numbers, ion.positions + 5.0, charge=ion.charge, info=ion.info, arrays=ion.arrays)
    assert xtb_properties_of(moved)["dipole"] == pytest.approx(xtb_properties_of(ion)["dipole"], abs=1e-4)


def test_conjugation_narrows_the_gap_and_a_radical_has_one() -> None:
    pytest.importorskip("tblite")
    gaps = [xtb_properties_of(embedded(s))["gap"] for s in ("CC", "C=C", "C=CC=C", "C=CC=CC=C")]
    assert gaps == sorted(gaps, reverse=True)
    assert xtb_properties_of(without(embedded("C"), 4))["gap"] > 0


def test_the_gap_is_between_the_filled_and_the_empty() -> None:
    assert gap_of([-3.0, -2.0, 1.0, 4.0], [2, 2, 0, 0]) == 3.0
    assert gap_of([-3.0, -2.0, 1.0], [2, 1, 0]) == 3.0
    with pytest.raises(InputError, match="no gap"):
        gap_of([-1.0], [2.0])


def test_failures_are_rows() -> None:
    good = embedded("CCO")
    rows = properties([good, boneless(good), with_order(good, 0, 3)], workers=1)
    assert [row.failure is None for row in rows] == [True, False, False]
    pytest.importorskip("tblite")
    bare, empty = properties([boneless(good), Structure(np.zeros(0), np.zeros((0, 3)))], "xtb", workers=1)
    assert bare.failure is None  # It needs no bonds.
    assert empty.failure is not None
