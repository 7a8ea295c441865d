"""Whether files of generated structures hold crystals or molecules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eqcli.errors import EqcliError, InputError

if TYPE_CHECKING:
    from eqcli.io.structure import Structure


def has_cell(files: Sequence[Path]) -> bool | None:
    """Whether the first structure that can be read is periodic; None where there is none, which the task then says."""
    from eqcli.tasks.inference import read_all

    try:
        first = next(iter(read_all(files, None, lambda failure: None)), None)
    except (EqcliError, OSError):
        return None
    return None if first is None else is_periodic(first)


def is_periodic(structure: Structure) -> bool:
    return bool(structure.pbc.any())


def refuse_mixture(structures: Sequence[Structure]) -> None:
    """Raises InputError where some structures have a cell and others have none."""
    periodic = [is_periodic(structure) for structure in structures]
    if any(periodic) and not all(periodic):
        odd = periodic.index(not periodic[0])
        raise InputError(
            f"{sum(periodic)} of {len(periodic)} structures have a cell: crystals and molecules are evaluated apart",
            structures[odd].where,
            "Give the files of one kind.",
        )
