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
    """Points of the full turn."""
    axes: int = 48
    angles: int = 6
    """Rotations of every structure for the aggregate view: axes, and angles about each."""
    single_axes: int = 96
    single_angles: int = 8
    """The same for the one structure that is looked at closely."""
    hessians: int = 3
    columns: int = 12
    """Structures whose second derivatives are taken, and columns of each."""
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
        sizes = [len(structure) for structure in structures]
        share = min(1.0, REFERENCE_SIZE / max(1, sum(sizes)))
        one = min(1.0, REFERENCE_SIZE / max(1, *sizes))
        smallest = min(1.0, REFERENCE_SIZE / max(1, min(sizes, default=1)))
        base = cls()

        def fewer(count: int, least: int, part: float = share) -> int:
            return max(least, round(count * part))

        return cls(
            rotations=fewer(base.rotations, 2),
            others=fewer(base.others, 1),
            orbit=fewer(base.orbit, 12, one),
            axes=fewer(base.axes, 12),
            angles=fewer(base.angles, 3),
            single_axes=fewer(base.single_axes, 12, one),
            single_angles=fewer(base.single_angles, 3, one),
            hessians=fewer(base.hessians, 1, smallest),
            columns=fewer(base.columns, 4, smallest),
            components=fewer(base.components, 4),
            steps=fewer(base.steps, 40, smallest),
            crossings=fewer(base.crossings, 2),
            scan=fewer(base.scan, 24),
        )
