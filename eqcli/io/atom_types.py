"""Atom types of the Vina score, after X-Score: which heavy atoms repel, attract as hydrophobic, or share hydrogens.

Trott and Olson, J. Comput. Chem. 31, 455 (2010). Hydrogens have no type; they make the atoms that carry them donors.
"""

from __future__ import annotations

from enum import IntEnum

from eqcli.elements import NUMBERS


class AtomType(IntEnum):
    """`_H` hydrophobic, `_P` polar, `_D` donor and `_A` acceptor of hydrogen bonds, `_DA` both."""

    C_H = 0
    C_P = 1
    N_P = 2
    N_D = 3
    N_A = 4
    N_DA = 5
    O_P = 6
    O_D = 7
    O_A = 8
    O_DA = 9
    S_P = 10
    P_P = 11
    F_H = 12
    CL_H = 13
    BR_H = 14
    I_H = 15
    SI_H = 16
    AT_H = 17
    METAL = 18


UNTYPED = -1
"""Stands for the type of a hydrogen."""

RADII: dict[AtomType, float] = {
    AtomType.C_H: 1.9,
    AtomType.C_P: 1.9,
    AtomType.N_P: 1.8,
    AtomType.N_D: 1.8,
    AtomType.N_A: 1.8,
    AtomType.N_DA: 1.8,
    AtomType.O_P: 1.7,
    AtomType.O_D: 1.7,
    AtomType.O_A: 1.7,
    AtomType.O_DA: 1.7,
    AtomType.S_P: 2.0,
    AtomType.P_P: 2.1,
    AtomType.F_H: 1.5,
    AtomType.CL_H: 1.8,
    AtomType.BR_H: 2.0,
    AtomType.I_H: 2.2,
    AtomType.SI_H: 2.2,
    AtomType.AT_H: 2.3,
    AtomType.METAL: 1.2,
}
"""Å. Two atoms touch at the sum of their radii."""

HYDROPHOBIC = frozenset((AtomType.C_H, AtomType.F_H, AtomType.CL_H, AtomType.BR_H, AtomType.I_H))
DONORS = frozenset((AtomType.N_D, AtomType.N_DA, AtomType.O_D, AtomType.O_DA, AtomType.METAL))
ACCEPTORS = frozenset((AtomType.N_A, AtomType.N_DA, AtomType.O_A, AtomType.O_DA))


def is_hydrophobic(kind: int) -> bool:
    """Whether the type attracts its like in the hydrophobic term; silicon and astatine do not."""
    return kind in HYDROPHOBIC


def is_donor(kind: int) -> bool:
    """Whether the type gives hydrogen bonds; metals do."""
    return kind in DONORS


def is_acceptor(kind: int) -> bool:
    """Whether the type takes hydrogen bonds."""
    return kind in ACCEPTORS


_NONMETALS: dict[int, AtomType] = {
    **dict.fromkeys((NUMBERS[symbol] for symbol in ("S", "Se", "Te")), AtomType.S_P),
    **dict.fromkeys((NUMBERS[symbol] for symbol in ("P", "As")), AtomType.P_P),
    **dict.fromkeys((NUMBERS[symbol] for symbol in ("Kr", "Xe")), AtomType.I_H),
    NUMBERS["B"]: AtomType.C_P,
    NUMBERS["Si"]: AtomType.SI_H,
    NUMBERS["F"]: AtomType.F_H,
    NUMBERS["Cl"]: AtomType.CL_H,
    NUMBERS["Br"]: AtomType.BR_H,
    NUMBERS["I"]: AtomType.I_H,
    NUMBERS["At"]: AtomType.AT_H,
    **dict.fromkeys((NUMBERS[symbol] for symbol in ("He", "Ne", "Ar")), AtomType.CL_H),
}

METALS = frozenset(z for z in NUMBERS.values() if z > 2 and z not in _NONMETALS and z not in (6, 7, 8))
"""Atomic numbers that have the type of metals; metalloids are among the types of their nonmetal neighbours."""


def type_of(number: int, *, polar: bool = False, donor: bool = False, acceptor: bool = False) -> int:
    """The type of an atom, or -1 for a hydrogen.

    Parameters
    ----------
    number
        Atomic number.
    polar
        Of carbon: whether it is bonded to any atom other than carbon and hydrogen.
    donor, acceptor
        Of nitrogen and oxygen: whether they carry a hydrogen, and whether they have a free lone pair.
    """
    if number <= 1:
        return UNTYPED
    if number == 6:
        return AtomType.C_P if polar else AtomType.C_H
    if number in (7, 8):
        first = AtomType.N_P if number == 7 else AtomType.O_P
        return AtomType(first + donor + 2 * acceptor)
    return _NONMETALS.get(number, AtomType.METAL)
