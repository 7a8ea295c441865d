"""The receptors of pairs: read as was asked, and without what the ligand itself is in their files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eqcli.io.ligand import Ligand
    from eqcli.io.receptor import Receptor
    from eqcli.tasks.dock_place import Place
    from eqcli.tasks.dock_request import DockRequest


def receptor_in(path: Path, place: Place | None, request: DockRequest) -> Receptor:
    """The receptor of a file, without the reference ligand of a place. Raises InputError as reading it does."""
    from eqcli.io.receptor import read_receptor, without_overlap

    receptor = read_receptor(path, waters=request.waters, leave_out=tuple(request.leave_out))
    reference = None if place is None else place.reference_positions()
    return receptor if reference is None else without_overlap(receptor, reference)


def without_ligand(receptor: Receptor, ligand: Ligand) -> Receptor:
    """The receptor without a group that the ligand, as its file gives it, lies on; the same object where none is."""
    from eqcli.io.receptor import without_overlap

    if not ligand.given:
        return receptor
    return without_overlap(receptor, ligand.structure.positions[ligand.structure.numbers > 1])
