"""Where in a receptor a ligand is sought: what `--pocket` says, and the column `pocket` of a table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eqcli.engine.docking_box import MARGIN, Box, box_around, make_box, residue_box
from eqcli.errors import InputError
from eqcli.files import require_file

if TYPE_CHECKING:
    from eqcli.io.receptor import Receptor

FloatArray = NDArray[np.float64]

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
BOX = re.compile(rf"\s*({NUMBER})\s*,\s*({NUMBER})\s*,\s*({NUMBER})\s*:\s*({NUMBER}(?:\s*,\s*{NUMBER}){{0,2}})\s*")
RESIDUE = re.compile(r"\s*[^\s,/:]*/-?\d+[A-Za-z]?\s*")

FORMS = "Write x,y,z:radius or x,y,z:a,b,c (Å), residues as A/45,A/47B, or the file of a ligand that is in the pocket."


@dataclass(frozen=True)
class Place:
    """A box, or what a box is made from with each receptor.

    Attributes
    ----------
    text
        As it was given.
    fixed
        A box that was given by its numbers.
    residues
        Names of residues, `A/45`.
    reference
        File of a ligand in the pocket.
    margin
        Å around residues and the reference.
    """

    text: str
    fixed: Box | None = None
    residues: tuple[str, ...] = ()
    reference: Path | None = None
    margin: float = MARGIN

    def box(self, receptor: Receptor) -> Box:
        """The box in this receptor. Raises InputError where residues are missing or the file cannot be used."""
        if self.fixed is not None:
            return self.fixed
        if self.residues:
            return residue_box(receptor, self.residues, self.margin)
        found = self.reference_positions()
        assert found is not None
        return box_around(found, self.margin)

    def reference_positions(self) -> FloatArray | None:
        """Heavy atoms of the reference ligand `[M, 3]` in Å; None without one."""
        return None if self.reference is None else _heavy_atoms(self.reference)


def parse_place(text: str, margin: float | None = None, folder: Path | None = None) -> Place:
    """The place that a text means; names of files are taken from `folder`. Raises InputError, which lists the forms."""
    edge = MARGIN if margin is None else margin
    if match := BOX.fullmatch(text):
        centre = np.array([float(value) for value in match.groups()[:3]])
        sides = [float(value) for value in match[4].split(",")]
        if len(sides) == 2:
            raise InputError(f"--pocket {text}: a radius or three sides were expected, not two numbers", hint=FORMS)
        size = np.array(sides if len(sides) == 3 else [2 * sides[0]] * 3)
        return Place(text, fixed=make_box(centre, size))
    parts = text.split(",")
    if all(RESIDUE.fullmatch(part) for part in parts) and not Path(text).exists():
        return Place(text, residues=tuple(part.strip() for part in parts), margin=edge)
    path = Path(text) if folder is None else folder / text
    if not path.exists() and not path.suffix:
        raise InputError(f"--pocket {text}: this is no box, no list of residues and no file", hint=FORMS)
    return Place(text, reference=require_file(path), margin=edge)


def _heavy_atoms(path: Path) -> FloatArray:
    """Positions of the heavy atoms of a molecule's first record, whatever its bonds. Raises InputError."""
    from eqcli.io import read_structures

    structure = next(iter(read_structures(path)), None)
    heavy = None if structure is None else structure.positions[structure.numbers > 1]
    if heavy is None or not len(heavy) or not np.isfinite(heavy).all():
        raise InputError(f"--pocket {path}: there are no heavy atoms in it")
    return heavy
