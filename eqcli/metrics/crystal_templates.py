"""Known crystals as templates: which of them have the formula of a target, and what they become with its elements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from itertools import permutations, product
from math import gcd

import numpy as np
from numpy.typing import NDArray

from eqcli.elements import COVALENT_RADII
from eqcli.io.structure import Structure
from eqcli.metrics.crystal_elements import mendeleev_numbers

Counts = tuple[int, ...]
_RADII = np.asarray(COVALENT_RADII)


@dataclass(frozen=True)
class _Shelf:
    """Templates of one anonymous formula; `elements` are atomic numbers, `[T, E]`, rare elements first."""

    rows: NDArray[np.int64]
    elements: NDArray[np.int64]
    atoms: NDArray[np.int64]


class Templates:
    """Crystals of a training set by anonymous formula (AB, ABC3, ...)."""

    def __init__(self, structures: Sequence[Structure]) -> None:
        self.structures = [structure for structure in structures if len(structure)]
        held = defaultdict(list)
        for row, structure in enumerate(self.structures):
            elements, ratio = formula_of(structure)
            held[ratio].append((row, elements, len(structure)))
        self._shelves = {
            ratio: _Shelf(*(np.asarray(column) for column in zip(*entries, strict=True)))
            for ratio, entries in held.items()
        }

    def of_same_formula(self, target: Structure) -> NDArray[np.int64]:
        """Rows of the templates of the target's anonymous formula and number of atoms."""
        shelf = self._shelves.get(formula_of(target)[1])
        return np.zeros(0, dtype=np.int64) if shelf is None else shelf.rows[shelf.atoms == len(target)]

    def nearest(self, target: Structure, count: int) -> Iterator[Structure]:
        """The `count` best templates with the target's elements, best first; none where the formula is unknown.

        Those of the same number of atoms come first, then those of the nearest ratio; among them the ones whose
        elements are nearest in Pettifor's scale, weighted by their share. Where elements are equally many, each way
        of exchanging them counts, and the best is taken.
        """
        elements, ratio = formula_of(target)
        shelf = self._shelves.get(ratio)
        if shelf is None:
            return
        scale = mendeleev_numbers()
        orders = exchanges(ratio)
        wanted = scale[np.asarray(elements)[orders]]  # [orders, E]
        gaps = np.abs(wanted[:, None] - scale[shelf.elements][None]) @ np.asarray(ratio, dtype=np.float64)
        size = np.abs(np.log(shelf.atoms / len(target)))
        ways, order = gaps.argmin(axis=0), np.lexsort((gaps.min(axis=0), size))
        for place in order[:count]:
            new = np.asarray(elements)[orders[ways[place]]]
            yield substituted(self.structures[shelf.rows[place]], dict(zip(shelf.elements[place], new, strict=True)))


def formula_of(structure: Structure) -> tuple[tuple[int, ...], Counts]:
    """Atomic numbers and the smallest whole ratio of their counts, rare elements first."""
    numbers, counts = np.unique(structure.numbers, return_counts=True)
    order = np.lexsort((numbers, counts))
    divisor = reduce(gcd, counts.tolist(), 0) or 1
    return tuple(numbers[order].tolist()), tuple((counts[order] // divisor).tolist())


@lru_cache(maxsize=512)
def exchanges(ratio: Counts) -> NDArray[np.int64]:
    """All orders of the elements that leave the counts as they are, `[orders, E]`."""
    groups = [[place for place, count in enumerate(ratio) if count == value] for value in sorted(set(ratio))]
    # Seven elements of equal count would have 5040 orders; their exchange hardly matters by then.
    choices = [list(permutations(group)) if len(group) <= 6 else [tuple(group)] for group in groups]
    return np.array([sum(chosen, ()) for chosen in product(*choices)], dtype=np.int64)


def substituted(template: Structure, elements: dict[int, int]) -> Structure:
    """The template with other elements, its volume that of their radii."""
    numbers = np.array([elements[int(z)] for z in template.numbers], dtype=np.int64)
    return with_species(template, numbers)


def with_species(template: Structure, numbers: NDArray[np.int64]) -> Structure:
    """The template with these atoms on its sites; the cell grows as the sum of the cubes of covalent radii."""
    ratio = (_RADII[numbers] ** 3).sum() / (_RADII[template.numbers] ** 3).sum()
    scale = float(ratio ** (1 / 3))
    return Structure(numbers, template.positions * scale, cell=template.cell * scale, pbc=template.pbc)
