"""How much an audit tries, by the size of the structures, so that its cost stays bounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eqcli.io.structure import Structure

REFERENCE_SIZE = 40
"""Atoms in all audited structures together up to which the full number of trials is made."""


@dataclass(frozen=True)
class Effort:
    """Numbers of trials; the defaults are for molecules and small cells."""

    rotations: int = 8
    others: int = 4
    """Reflections, translations, permutations and cell choices per structure, of each."""
    orbit: int = 72
    axes: int = 120
    components: int = 12
    """Force components compared with finite differences per structure."""
    steps: int = 200
    """Time steps of the run at constant energy."""
    crossings: int = 6
    """Crossings of the cutoff looked at on each path."""
    scan: int = 64
    dimer_points: int = 56
    dimer_pairs: int = 15

    @classmethod
    def of(cls, structures: Sequence[Structure]) -> Effort:
        """The effort for these structures: fewer trials on larger ones, never none."""
        share = min(1.0, REFERENCE_SIZE / max(1, sum(len(structure) for structure in structures)))
        base = cls()

        def fewer(count: int, least: int) -> int:
            return max(least, round(count * share))

        return cls(
            rotations=fewer(base.rotations, 2),
            others=fewer(base.others, 1),
            orbit=fewer(base.orbit, 12),
            axes=fewer(base.axes, 12),
            components=fewer(base.components, 4),
            steps=fewer(base.steps, 40),
            crossings=fewer(base.crossings, 2),
            scan=fewer(base.scan, 24),
        )
