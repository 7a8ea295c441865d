"""Atom types of the Vina score."""

from __future__ import annotations

import pytest

from eqcli.elements import NUMBERS
from eqcli.io.atom_types import ACCEPTORS, DONORS, METALS, RADII, UNTYPED, AtomType, is_donor, type_of


def test_every_type_has_a_radius() -> None:
    assert set(RADII) == set(AtomType)


@pytest.mark.parametrize("element", ["N", "O"])
@pytest.mark.parametrize("donor", [False, True])
@pytest.mark.parametrize("acceptor", [False, True])
def test_donors_and_acceptors(element: str, donor: bool, acceptor: bool) -> None:
    kind = type_of(NUMBERS[element], donor=donor, acceptor=acceptor)
    assert AtomType(kind).name.startswith(element)
    assert (kind in DONORS, kind in ACCEPTORS) == (donor, acceptor)


def test_every_element_has_a_type() -> None:
    assert type_of(1) == UNTYPED
    assert all(type_of(z) in RADII for z in range(2, 119))
    assert {type_of(NUMBERS[symbol]) for symbol in ("Zn", "Mg", "Fe", "Na", "Cs")} == {AtomType.METAL}
    assert NUMBERS["Cl"] not in METALS
    assert is_donor(AtomType.METAL)
