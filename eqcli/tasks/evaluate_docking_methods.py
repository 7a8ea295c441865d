"""What is compared in an evaluation of docking: methods that put a ligand into a receptor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from eqcli.engine.docking_pose import PoseResult

if TYPE_CHECKING:
    from eqcli.engine.docking_box import Box
    from eqcli.io.ligand import Ligand
    from eqcli.io.receptor import Receptor

FloatArray = NDArray[np.float64]
Dock = Callable[["Receptor", "Ligand", FloatArray, "Box | None"], Sequence[PoseResult]]

BLIND: Final = "blind"
KNOWN: Final = "known pocket"

AT_CENTROID: Final = "ligand at the receptor's centroid"
AT_POCKET: Final = "ligand at the best pocket"
AT_BOX: Final = "ligand in the middle of the box"

POCKETS: Final = 5
"""Pockets at which the second baseline leaves the ligand, the best first."""


@dataclass(frozen=True)
class Method:
    """A row of the table.

    Attributes
    ----------
    name
        As it stands in the table and in `complexes.csv`.
    dock
        Takes the receptor, the ligand, its start conformer `[N, 3]` in Å and the box, which is None in blind docking;
        gives poses, the best first; a sequence with an attribute `seconds` keeps its own time. An exception that it
        raises is the failure of this pair alone.
    known_pocket
        Whether it is given the box of the crystal ligand.
    prepare
        Called with each receptor before the clock starts, as a screen does once for all its ligands.
    """

    name: str
    dock: Dock
    known_pocket: bool = False
    prepare: Callable[[Receptor], object] | None = None

    @property
    def mode(self) -> str:
        """`blind` or `known pocket`; figures of the two are never in one table."""
        return KNOWN if self.known_pocket else BLIND


def baseline_methods(pocket: str = "blind") -> list[Method]:
    """What needs neither a network nor a search: a method that is not better than these has found nothing.

    Where the pocket is known (`reference`, `both`), the middle of its box is a baseline too.
    """
    known = [] if pocket == "blind" else [Method(AT_BOX, at_middle, known_pocket=True)]
    return [Method(AT_CENTROID, at_centroid), Method(AT_POCKET, at_best_pocket), *known]


def at_centroid(receptor: Receptor, ligand: Ligand, conformer: FloatArray, site: Box | None) -> list[PoseResult]:
    """The conformer with its centroid at that of the receptor's heavy atoms."""
    return [_placed(ligand, conformer, receptor.structure.positions[receptor.heavy].mean(axis=0))]


def at_best_pocket(receptor: Receptor, ligand: Ligand, conformer: FloatArray, site: Box | None) -> list[PoseResult]:
    """The conformer at each of the best pockets that geometry shows. Raises InputError where there is none."""
    from eqcli.engine.docking_receptor import PreparedReceptor

    found = PreparedReceptor(receptor).pockets(POCKETS)[:POCKETS]
    return [_placed(ligand, conformer, pocket.centre, k) for k, pocket in enumerate(found, 1)]


def at_middle(receptor: Receptor, ligand: Ligand, conformer: FloatArray, site: Box | None) -> list[PoseResult]:
    """The conformer in the middle of the box. Raises ValueError without one."""
    if site is None:
        raise ValueError("there is no box")
    return [_placed(ligand, conformer, np.array(site.centre))]


def _placed(ligand: Ligand, conformer: FloatArray, place: FloatArray, pocket: int = 0) -> PoseResult:
    heavy = ligand.structure.numbers > 1
    chosen = heavy if heavy.any() else np.ones_like(heavy)
    return PoseResult(conformer - conformer[chosen].mean(axis=0) + place, "baseline", np.nan, pocket=pocket)
