"""The dataset file as one of the formats."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from eqcli.errors import InputError
from eqcli.io.frame import Items
from eqcli.io.store import DatasetFile
from eqcli.io.store_writer import DatasetWriter
from eqcli.io.structure import Structure


def read(path: Path) -> Items:
    """The frames; one whose data are damaged is an error, and the others go on."""
    with DatasetFile(path) as dataset:
        done = 0
        try:
            for structure in dataset:
                done += 1
                yield structure
        except InputError:
            yield from _one_by_one(dataset, done)


def _one_by_one(dataset: DatasetFile, start: int) -> Items:
    for i in range(start, len(dataset)):
        try:
            yield dataset[i]
        except InputError as error:
            yield error


def write(path: Path, structures: Iterable[Structure], provenance: dict[str, Any] | None) -> int:
    """Writes the structures and returns how many there were."""
    with DatasetWriter(path, overwrite=True, provenance=provenance) as writer:
        for structure in structures:
            writer.append(structure)
    return writer.committed
