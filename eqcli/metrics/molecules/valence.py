"""Which atoms have as many bonds as their element can have: the tables behind "atom stability".

An atom is stable where its bonds suit it, a molecule where all its atoms are. There are three tables:

- `published`: one number or two for each element, as EDM counts (Hoogeboom et al., 2022). Sulphur has four bonds.
- `sulphur-246`: the same with sulphur of two, four or six.
- `charged`: by element and formal charge, as models that state bonds and charges are judged (MiDi, EQGAT-diff).
  Aromatic bonds are judged by how many there are beside the sum of the others, which every ring of a real molecule
  satisfies: a carbon of benzene has 2 and 1, the nitrogen of pyrrole 2 and 1, that of pyridine 2 and 0, a carbon
  shared by two rings 3 and 0. A sum of 1.5 for each would refuse pyrrole's nitrogen (4) and naphthalene's inner
  carbons (4.5); the sum truncated to an integer, as some evaluators have it, accepts what is no molecule.

The first two count an aromatic bond as 1.5 and never round; kekulise molecules before they are judged by these.
Pentavalent nitrogen (a nitro group or an azide written without charges) is stable in none of them, though RDKit
repairs and accepts it. Whether the aromatic rings of a molecule have a Kekulé structure together is not asked here,
but by RDKit: "valid". So a ring's carbon may have a charge of -1, 0 or +1 here, and a nitrogen a hydrogen or none;
`judge` judges the Kekulé structure wherever there is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eqcli.elements import NUMBERS
from eqcli.errors import InputError
from eqcli.io.rdkit_build import AROMATIC

ValenceTable = Literal["published", "sulphur-246", "charged"]
Sums = Mapping[tuple[int, int], frozenset[float]]
Tuples = Mapping[tuple[int, int], frozenset[tuple[int, float]]]


@dataclass(frozen=True)
class Valences:
    """Sums of bond orders that atoms may have.

    Attributes
    ----------
    sums
        Allowed sums by atomic number and formal charge.
    aromatic
        Allowed pairs (aromatic bonds, sum of the other orders) of atoms with aromatic bonds; None where such a bond
        counts 1.5 in the sum.
    by_charge
        Whether formal charges matter; else each atom is judged as a neutral one.
    """

    sums: Sums
    aromatic: Tuples | None = field(default=None)
    by_charge: bool = False

    def allow(self, number: int, charge: int, aromatic: int, others: float) -> bool:
        """Whether an atom may have that many aromatic bonds and that sum of the others."""
        key = (number, charge if self.by_charge else 0)
        if aromatic and self.aromatic is not None:
            return (aromatic, others) in self.aromatic.get(key, ())
        return others + AROMATIC * aromatic in self.sums.get(key, ())


def _neutral(words: str) -> dict[tuple[int, int], frozenset[float]]:
    """`H1 P3,5`: each element with its sums."""
    found = {}
    for word in words.split():
        symbol = word.rstrip("0123456789,")
        found[NUMBERS[symbol], 0] = frozenset(float(v) for v in word[len(symbol) :].split(","))
    return found


_PUBLISHED = _neutral("H1 B3 C4 N3 O2 F1 Al3 Si4 P3,5 S4 Cl1 As3 Br1 I1 Hg1,2 Bi3,5")

_CHARGED: Final[dict[str, dict[int, tuple[int, ...]]]] = {
    "H": {-1: (0,), 0: (1,), 1: (0,)},
    "Li": {0: (1,), 1: (0,)},
    "B": {-1: (4,), 0: (3,)},
    "C": {-1: (3,), 0: (4,), 1: (3,)},
    "N": {-2: (1,), -1: (2,), 0: (3,), 1: (4,)},
    "O": {-2: (0,), -1: (1,), 0: (2,), 1: (3,)},
    "F": {-1: (0,), 0: (1,)},
    "Na": {0: (1,), 1: (0,)},
    "Mg": {0: (2,), 2: (0,)},
    "Al": {-1: (4,), 0: (3,), 3: (0,)},
    "Si": {-2: (6,), -1: (3, 5), 0: (4,), 1: (3,)},
    "P": {-1: (2, 4, 6), 0: (3, 5), 1: (4,)},
    "S": {-2: (0,), -1: (1, 3, 5), 0: (2, 4, 6), 1: (3, 5), 2: (4,)},
    "Cl": {-1: (0,), 0: (1,), 1: (2,), 2: (3,), 3: (4,)},
    "K": {0: (1,), 1: (0,)},
    "Ca": {2: (0,)},
    "Zn": {0: (2,), 2: (0,)},
    "As": {-1: (2, 6), 0: (3, 5), 1: (4,)},
    "Se": {-2: (0,), -1: (1, 3, 5), 0: (2, 4, 6), 1: (3, 5), 2: (4,)},
    "Br": {-1: (0,), 0: (1,), 1: (2,), 2: (3,), 3: (4,)},
    "Te": {-2: (0,), -1: (1, 3, 5), 0: (2, 4, 6), 1: (3, 5), 2: (4,)},
    "I": {-1: (0, 2, 4), 0: (1, 3, 5), 1: (2, 4), 2: (3,), 3: (4,)},
    "Hg": {0: (2,), 1: (1,), 2: (0,)},
    "Bi": {0: (3, 5), 1: (4,), 3: (0,)},
}
"""Sums of the orders of an atom without aromatic bonds, by formal charge."""

_AROMATIC: Final[dict[str, dict[int, tuple[tuple[int, int], ...]]]] = {
    "B": {-1: ((2, 1), (3, 0)), 0: ((2, 0), (2, 1), (3, 0))},
    "C": {-1: ((2, 0), (2, 1), (3, 0)), 0: ((2, 1), (2, 2), (3, 0)), 1: ((2, 0), (2, 1), (3, 0))},
    "N": {-1: ((2, 0),), 0: ((2, 0), (2, 1), (3, 0)), 1: ((2, 1), (3, 0))},
    "O": {0: ((2, 0),), 1: ((2, 0),)},
    "Si": {0: ((2, 1), (2, 2), (3, 0))},
    "P": {0: ((2, 0), (2, 1), (3, 0)), 1: ((2, 1), (3, 0))},
    "S": {0: ((2, 0),), 1: ((2, 0), (2, 1), (3, 0))},
    "As": {0: ((2, 0), (2, 1), (3, 0))},
    "Se": {0: ((2, 0),), 1: ((2, 0), (2, 1), (3, 0))},
    "Te": {0: ((2, 0),), 1: ((2, 0), (2, 1), (3, 0))},
}
"""Aromatic bonds and the sum of the others, by formal charge."""

VALENCES: Final[Mapping[str, Valences]] = {
    "published": Valences(_PUBLISHED),
    "sulphur-246": Valences({**_PUBLISHED, **_neutral("S2,4,6")}),
    "charged": Valences(
        {(NUMBERS[s], q): frozenset(map(float, v)) for s, of_charge in _CHARGED.items() for q, v in of_charge.items()},
        {
            (NUMBERS[s], q): frozenset((a, float(o)) for a, o in tuples)
            for s, of_charge in _AROMATIC.items()
            for q, tuples in of_charge.items()
        },
        by_charge=True,
    ),
}
"""The tables by name."""


def stable_atoms(
    numbers: ArrayLike,
    bonds: Iterable[Sequence[float]],
    charges: ArrayLike | None = None,
    table: ValenceTable = "published",
) -> NDArray[np.bool_]:
    """Whether each atom has an allowed valence, `[N]`.

    Parameters
    ----------
    numbers
        Atomic numbers, `[N]`.
    bonds
        `(i, j, order)`; order 1.5 is an aromatic bond.
    charges
        Formal charges, `[N]`; None where all are zero. Only the table `charged` looks at them.
    table
        A name of `VALENCES`. An element that it does not know is never stable.

    Raises
    ------
    InputError
        A bond is of an atom with itself or with one that is not there, or two are of the same atoms. The message
        counts atoms from 1.
    """
    kinds = np.asarray(numbers, dtype=np.int64)
    charge = np.zeros_like(kinds) if charges is None else np.asarray(charges, dtype=np.int64)
    aromatic, others = bond_sums(len(kinds), bonds)
    allow = VALENCES[table].allow
    columns = (kinds.tolist(), charge.tolist(), aromatic.tolist(), others.tolist())
    return np.array([allow(*atom) for atom in zip(*columns, strict=True)], dtype=bool)


def bond_sums(n: int, bonds: Iterable[Sequence[float]]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Number of aromatic bonds and sum of the orders of the others, of each of `n` atoms. Raises InputError."""
    aromatic, others = np.zeros(n, dtype=np.int64), np.zeros(n)
    seen: set[frozenset[int]] = set()
    for i, j, order in bonds:
        first, second = int(i), int(j)
        if first == second or not (0 <= first < n and 0 <= second < n):
            raise InputError(f"a bond between atoms {first + 1} and {second + 1} of {n}")
        if (pair := frozenset((first, second))) in seen:
            raise InputError(f"atoms {first + 1} and {second + 1} have two bonds with each other")
        seen.add(pair)
        for atom in (first, second):
            if order == AROMATIC:
                aromatic[atom] += 1
            else:
                others[atom] += order
    return aromatic, others
