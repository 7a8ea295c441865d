"""One structure, or number, of a request."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eqcli.errors import InputError, Where

if TYPE_CHECKING:
    from typing import Any

    from eqcli.io.structure import Structure


@dataclass(frozen=True)
class Item:
    """A structure, or why it cannot be read, and its number in the request.

    Attributes
    ----------
    number
        From 0 in the order of the inputs; frames that cannot be read are counted.
    structure
        What was read, its labels interpreted, or the error that stands in its place; without atoms where the number
        is everything that is given.
    label
        How messages name it where it was not read from a file.
    """

    number: int
    structure: Structure | InputError
    label: str = ""

    @property
    def where(self) -> Where:
        """File, frame and line."""
        return self.structure.where

    @property
    def name(self) -> str:
        """How messages name it."""
        if self.label:
            return self.label
        return str(self.where) if isinstance(self.structure, InputError) else self.structure.name

    @property
    def size(self) -> int:
        """What it counts among the atoms of a chunk: one at least, so that no number of bad frames piles up."""
        return 1 if isinstance(self.structure, InputError) else max(1, len(self.structure))


PLACE = "eqcli_place"
"""Key of `info` under which a stored result says where its structure was read from."""


def with_place(structure: Structure) -> Structure:
    """The structure with its place among its entries, for files that know no places of other files."""
    where = structure.where
    place = [None if where.file is None else str(where.file), where.frame, where.line]
    return replace(structure, info={**structure.info, PLACE: place})


def put_back(structure: Structure) -> Structure:
    """The structure as it was before :func:`with_place`; one without that entry as it is."""
    if PLACE not in structure.info:
        return structure
    info = dict(structure.info)
    file, frame, line = info.pop(PLACE)
    return replace(structure, info=info, where=Where(None if file is None else Path(file), frame, line))


def no_structure(info: dict[str, Any]) -> Structure:
    """A frame without atoms, which stands for an item that there is none of."""
    from eqcli.io.structure import Structure

    return Structure(np.zeros(0, dtype=np.int64), np.zeros((0, 3)), info=info)
