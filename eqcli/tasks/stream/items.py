"""The items of a request, chunk by chunk: at random from datasets, in order from other files, or numbers alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from eqcli.errors import InputError
from eqcli.io.conventions import LabelConvention
from eqcli.tasks.fitting import misfit
from eqcli.tasks.stream.item import Item, no_structure
from eqcli.tasks.stream.request import StreamRequest

if TYPE_CHECKING:
    from eqcli.io.structure import Structure


@dataclass(frozen=True)
class Chunk:
    """A run of consecutive items: those from `start` to `stop`, read by `load`."""

    number: int
    start: int
    stop: int
    load: Callable[[], list[Item]]


class ItemSource(Protocol):
    """Where items come from; `total` is their number where that is known before they are read."""

    total: int | None

    def chunks(self) -> Iterator[Chunk]:
        """All chunks, in order."""
        ...


class IndexedItems(ItemSource, Protocol):
    """Items of which any chunk can be had without those before it.

    `sizes` are the atoms of each; 1 for a number.
    """

    @property
    def sizes(self) -> NDArray[np.int64]: ...

    def __len__(self) -> int:
        """Number of chunks."""
        ...

    def chunk(self, number: int) -> Chunk:
        """One chunk."""
        ...


def open_items(request: StreamRequest) -> ItemSource:
    """The items of a request as its files give them, or as it counts them."""
    if is_random_access(request):
        return indexed_items(request)
    return ReadItems(request)


def indexed_items(request: StreamRequest) -> IndexedItems:
    """The items of a request that allows random access."""
    return StoredItems(request) if request.count is None else NumberedItems(request)


def is_random_access(request: StreamRequest) -> bool:
    """Whether any chunk can be read without those before it."""
    from eqcli.io.formats import Format, readable_format

    return request.count is not None or all(readable_format(path) is Format.DATASET for path in request.inputs)


class NumberedItems:
    """Items that are numbers alone: what becomes of each depends on the request and on its number."""

    def __init__(self, request: StreamRequest) -> None:
        assert request.count is not None
        self.total: int | None = request.count
        self.sizes: NDArray[np.int64] = np.ones(request.count, dtype=np.int64)
        self._bounds = [*range(0, request.count, request.max_items), request.count]

    def __len__(self) -> int:
        """Number of chunks."""
        return len(self._bounds) - 1

    def chunks(self) -> Iterator[Chunk]:
        """All chunks, in order."""
        return (self.chunk(number) for number in range(len(self)))

    def chunk(self, number: int) -> Chunk:
        """One chunk."""
        start, stop = self._bounds[number : number + 2]
        return Chunk(number, start, stop, lambda: [_numbered(item) for item in range(start, stop)])


class StoredItems:
    """Items of dataset files, one after the other. Memory is 16 bytes per frame.

    `sizes` are the atoms of each.
    """

    def __init__(self, request: StreamRequest) -> None:
        from eqcli.io.store import DatasetFile

        self.request = request
        self._files = [DatasetFile(path) for path in request.inputs]
        sizes = np.concatenate([file.n_atoms for file in self._files])
        self._firsts = np.cumsum([0, *(len(file) for file in self._files)])
        self.sizes: NDArray[np.int64] = sizes
        self._bounds = bounds(sizes, request.max_items, request.max_atoms)
        self.total: int | None = len(sizes)

    def __len__(self) -> int:
        """Number of chunks."""
        return len(self._bounds) - 1

    def chunks(self) -> Iterator[Chunk]:
        """All chunks, in order."""
        return (self.chunk(number) for number in range(len(self)))

    def chunk(self, number: int) -> Chunk:
        """One chunk."""
        start, stop = int(self._bounds[number]), int(self._bounds[number + 1])
        return Chunk(number, start, stop, lambda: list(self._items(start, stop)))

    def _items(self, start: int, stop: int) -> Iterator[Item]:
        labels = self.request.labels or LabelConvention()
        for file, first in zip(self._files, self._firsts, strict=False):
            low, high = max(start - int(first), 0), min(stop - int(first), len(file))
            for frame, found in enumerate(file.frames(low, high) if low < high else (), start=low):
                yield Item(int(first) + frame, usable(found, labels, self.request.fits))


class ReadItems:
    """Items of files of any format, in the order in which they are read."""

    total: int | None = None

    def __init__(self, request: StreamRequest) -> None:
        self.request = request

    def chunks(self) -> Iterator[Chunk]:
        """All chunks, in order; those before one have to be read through to come to it."""
        waiting: list[Item] = []
        atoms = number = 0
        for item in self.items():
            if waiting and (len(waiting) >= self.request.max_items or atoms + item.size > self.request.max_atoms):
                yield _read_chunk(number, waiting)
                waiting, atoms, number = [], 0, number + 1
            waiting.append(item)
            atoms += item.size
        if waiting:
            yield _read_chunk(number, waiting)

    def items(self) -> Iterator[Item]:
        """All items, in order."""
        from eqcli.io.reading import read_items, resolve

        labels = self.request.labels or LabelConvention()
        number = 0
        for path in self.request.inputs:
            for one in read_items(path):
                try:
                    found: Structure | InputError = resolve(one, labels)
                except InputError as error:
                    found = error
                yield Item(number, found if isinstance(found, InputError) else _fitting(found, self.request.fits))
                number += 1


def usable(found: Structure | InputError, labels: LabelConvention, fits: Path | None) -> Structure | InputError:
    """A frame of a dataset with its labels interpreted, or what is wrong with it."""
    from eqcli.io.labels import choose_stored

    if isinstance(found, InputError):
        return found
    try:
        return _fitting(choose_stored(found, labels)[0], fits)
    except InputError as error:
        return error


def bounds(sizes: NDArray[np.int64], max_items: int, max_atoms: int) -> NDArray[np.int64]:
    """Where chunks begin, and the end: as many items in a row as the limits allow, one at least.

    Sizes are numbers of atoms, of which each item has one at least.
    """
    ends = np.cumsum(np.maximum(sizes, 1))
    found = [0]
    while found[-1] < len(sizes):
        start = found[-1]
        before = int(ends[start - 1]) if start else 0
        stop = int(np.searchsorted(ends, before + max_atoms, side="right"))
        found.append(max(start + 1, min(stop, start + max_items)))
    return np.array(found, dtype=np.int64)


def readable(items: Sequence[Item]) -> list[Item]:
    """Those that are structures."""
    return [item for item in items if not isinstance(item.structure, InputError)]


def _fitting(structure: Structure, fits: Path | None) -> Structure | InputError:
    error = misfit(fits, structure)
    if error is None:
        return structure
    error.where = structure.where
    return error


def _numbered(number: int) -> Item:
    return Item(number, no_structure({}), f"sample {number}")


def _read_chunk(number: int, items: list[Item]) -> Chunk:
    return Chunk(number, items[0].number, items[-1].number + 1, lambda: items)
