"""Whether a generated crystal is sane: its atoms apart, its cell open, its composition possible (CDVAE's rules)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from eqcli.io.structure import Structure
from eqcli.metrics.crystals.composition import DEFAULT_TABLE, Verdict, composition_validity
from eqcli.metrics.crystals.convert import LARGEST_COORDINATE, SMALLEST_VOLUME, composition_of
from eqcli.metrics.crystals.periodic import smallest_distance
from eqcli.metrics.work import measure
from eqcli.progress import Reporter

SMALLEST_DISTANCE = 0.5
"""Å. Atoms that are nearer overlap; nearly every structure passes."""
NON_FINITE, CELL, OVERLAP = "non-finite", "cell", "overlap"
LABELS = {
    NON_FINITE: f"positions or cell are not finite, or beyond {LARGEST_COORDINATE:g} Å",
    CELL: f"its cell has no three periods or no volume above {SMALLEST_VOLUME} Å^3",
    OVERLAP: f"atoms are nearer than {SMALLEST_DISTANCE} Å",
}
"""The words of `flags_of` and what they mean."""


@dataclass(frozen=True)
class Validity:
    """What is valid about a crystal.

    Attributes
    ----------
    flags
        Words of `LABELS`; none for a sane structure.
    composition
        Whether its oxidation states can be neutral; None inside where nobody can tell.
    """

    flags: tuple[str, ...]
    composition: Verdict

    @property
    def structural(self) -> bool:
        """Whether atoms and cell are sane."""
        return not self.flags

    @property
    def valid(self) -> bool | None:
        """Both kinds of validity; None where the structure is sane and the composition cannot be judged."""
        return self.composition.valid if self.structural else False

    @property
    def reason(self) -> str | None:
        """Why it is not valid, or None."""
        reasons = [LABELS[flag] for flag in self.flags]
        if self.composition.reason:
            reasons.append(self.composition.reason)
        return "; ".join(reasons) or None


def flags_of(structure: Structure) -> tuple[str, ...]:
    """What is wrong with the structure, as words of `LABELS`; empty where nothing is.

    Distances are those of the infinite crystal: of every pair, of images, and of an atom from its own images.
    """
    coordinates = np.concatenate([structure.positions, structure.cell])
    if not (np.abs(coordinates) <= LARGEST_COORDINATE).all():  # NaN is not below anything.
        return (NON_FINITE,)
    if len(structure) == 0 or not structure.pbc.all() or structure.volume <= SMALLEST_VOLUME:
        return (CELL,)
    if smallest_distance(structure.cell, structure.positions) <= SMALLEST_DISTANCE:
        return (OVERLAP,)
    return ()


def validity_of(structure: Structure, table: str = DEFAULT_TABLE) -> Validity:
    """Structural and compositional validity; `table` names smact's set of oxidation states."""
    return Validity(flags_of(structure), composition_validity(composition_of(structure.numbers), table))


def validity(
    structures: Sequence[Structure],
    *,
    table: str = DEFAULT_TABLE,
    workers: int | None = None,
    timeout: float | None = 10.0,
    report: Reporter | None = None,
) -> list[Validity]:
    """`validity_of` each structure; one that takes too long has an unknown composition."""
    outcomes = measure(
        partial(validity_of, table=table), structures, workers=workers, timeout=timeout, label="validity", report=report
    )
    return [
        outcome.value or Validity(flags_of(structure), Verdict(None, outcome.failure))
        for structure, outcome in zip(structures, outcomes, strict=True)
    ]
