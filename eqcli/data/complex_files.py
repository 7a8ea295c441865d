"""The files of one complex."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from eqcli.errors import Failure


@dataclass(frozen=True)
class ComplexFiles:
    """A receptor and one ligand bound to it, as files.

    Attributes
    ----------
    name
        Unlike that of every other complex found with it.
    receptor, ligand
        Files; the same dataset file where both are frames of it.
    frame
        Which record of the ligand file, from 0; None where the first is meant and the others are not complexes.
    protein
        What splits keep together unless sequences tell better: the name of the folder, or what a table says.
    cofactors
        Molecules that belong to the receptor and have a file of their own, or None.
    year
        When the structure was released, or None.
    copies
        The same ligand in every site where the crystal has it, or None.
    receptor_frame
        Which frame of a dataset file the receptor is; None for other files.
    """

    name: str
    receptor: Path
    ligand: Path
    frame: int | None
    protein: str
    cofactors: Path | None = None
    year: int | None = None
    copies: Path | None = None
    receptor_frame: int | None = None


Found = Iterator[ComplexFiles | Failure]
"""Complexes one after the other, and what of them cannot be used, with the reason."""
