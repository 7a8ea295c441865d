"""Structures of files that can only be read in order, kept where every worker can reach any of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eqcli.errors import InputError, Where
from eqcli.files import atomic_path
from eqcli.tasks.stream.item import Item, no_structure
from eqcli.tasks.stream.items import ReadItems, StoredItems
from eqcli.tasks.stream.request import StreamRequest
from eqcli.tasks.stream.work_folder import PLACES, SPOOL

if TYPE_CHECKING:
    from eqcli.io.structure import Structure

BATCH = 256
"""Structures written at once."""


class SpooledItems(StoredItems):
    """The items of a spool that is complete."""

    def __init__(self, request: StreamRequest, folder: Path) -> None:
        super().__init__(replace(request, inputs=(folder / SPOOL,)))
        with np.load(folder / PLACES, allow_pickle=False) as places:
            self._places = {name: places[name] for name in places.files}

    def _items(self, start: int, stop: int) -> Iterator[Item]:
        for number, found in enumerate(self._files[0].frames(start, stop), start=start):
            if isinstance(found, InputError):
                yield Item(number, found)
            else:
                yield Item(number, self._restored(found, number))

    def _restored(self, found: Structure, number: int) -> Structure | InputError:
        where = self._where(number)
        if len(found) == 0:
            return InputError(found.info["message"], where, found.info["hint"])
        return replace(found, where=where)

    def _where(self, number: int) -> Where:
        file, frame, line = (int(self._places[name][number]) for name in ("source", "frame", "line"))
        name = str(self._places["names"][file])
        return Where(Path(name) if name else None, frame if frame >= 0 else None, line if line >= 0 else None)


def spool(request: StreamRequest, folder: Path) -> None:
    """Reads the inputs once into the work folder. What a killed call left of it is made again."""
    from eqcli.io.store_rows import keyed
    from eqcli.io.store_writer import DatasetWriter

    if (folder / SPOOL).is_file():
        return
    places: list[tuple[int, int, int]] = []
    waiting: list[Structure] = []
    names: dict[str, int] = {}
    with atomic_path(folder / SPOOL) as temporary:
        with DatasetWriter(temporary, overwrite=True, keyed=True) as writer:

            def write() -> None:
                first = len(places) - len(waiting)
                writer.append_rows(keyed(waiting, list(range(first, first + len(waiting)))))
                waiting.clear()

            for item in ReadItems(request).items():
                places.append(_place(item.where, names))
                waiting.append(_storable(item))
                if len(waiting) >= BATCH:
                    write()
            if waiting:
                write()
        with atomic_path(folder / PLACES) as named:
            columns = np.array(places, dtype=np.int64).reshape(-1, 3)
            found = dict(zip(("source", "frame", "line"), columns.T, strict=True))
            np.savez_compressed(named, names=np.array(list(names), dtype=np.str_), **found)  # type: ignore[arg-type]


def _place(where: Where, names: dict[str, int]) -> tuple[int, int, int]:
    file = names.setdefault("" if where.file is None else str(where.file), len(names))
    return file, -1 if where.frame is None else where.frame, -1 if where.line is None else where.line


def _storable(item: Item) -> Structure:
    """The structure, or a frame without atoms that says why there is none."""
    from eqcli.io.store_layout import check

    try:
        if isinstance(item.structure, InputError):
            raise item.structure
        check(item.structure)
        return item.structure
    except InputError as error:
        return no_structure({"message": error.message, "hint": error.hint})
