"""One structure, or number, of a request."""

from __future__ import annotations

from dataclasses import dataclass
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


def no_structure(info: dict[str, Any]) -> Structure:
    """A frame without atoms, which stands for an item that there is none of."""
    from eqcli.io.structure import Structure

    return Structure(np.zeros(0, dtype=np.int64), np.zeros((0, 3)), info=info)
