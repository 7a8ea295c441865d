"""Reading structures from a file of any known format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import islice
from pathlib import Path

from eqcli.errors import Failure, InputError, Where
from eqcli.files import require_file
from eqcli.io.conventions import LabelConvention
from eqcli.io.formats import FORMATS, Format, readable_format
from eqcli.io.frame import Frame, Item, Items
from eqcli.io.labels import choose_stored, interpret
from eqcli.io.structure import Structure


def read_structures(
    path: str | Path,
    labels: LabelConvention | None = None,
    *,
    index: str | None = None,
    on_failure: Callable[[Failure], None] | None = None,
) -> Iterator[Structure]:
    """The structures of a file, one at a time.

    Parameters
    ----------
    path
        The file; its name tells the format (`formats.FORMATS`).
    labels
        Names, units and signs of the labels; the defaults of `LabelConvention` when None.
    index
        Which frames: `5`, `-1`, `10:20`, `::10`; all when None.
    on_failure
        Receives one row per malformed frame, and reading goes on with the next. When None,
        the first malformed frame raises.

    Raises
    ------
    InputError
        The file is missing, unknown or unreadable as a whole; or a frame is malformed and `on_failure`
        is None. Names file, frame and line.
    """
    source = require_file(path)
    readable_format(source)
    convention = labels or LabelConvention()
    return _structures(source, convention, index, on_failure)


def _structures(
    path: Path, labels: LabelConvention, index: str | None, on_failure: Callable[[Failure], None] | None
) -> Iterator[Structure]:
    for item in _selected(path, index):
        try:
            yield resolve(item, labels)
        except InputError as error:
            if on_failure is None:
                raise
            on_failure(Failure.of(str(error.where), error))


def resolve(item: Item, labels: LabelConvention) -> Structure:
    """The structure of what a reader yielded; raises the error that it yielded in its place."""
    if isinstance(item, InputError):
        raise item
    if isinstance(item, Frame):
        return interpret(item, labels)[0]
    return choose_stored(item, labels)[0]


def read_items(path: Path) -> Items:
    """What the format's reader yields; an error that stops the reading is the last item."""
    spec = FORMATS[readable_format(path)]
    try:
        yield from import_module(spec.module).read(path)
    except InputError as error:
        yield error
    except OSError as error:
        yield InputError(f"the file cannot be read: {error.strerror or error}", Where(path))


def _selected(path: Path, index: str | None) -> Items:
    if index is None:
        return read_items(path)
    start, stop, step = _parse_index(index, path)
    if readable_format(path) is Format.DATASET:
        return _random_access(path, slice(start, stop, step))
    if (start is not None and start < 0) or (stop is not None and stop < 0):
        total = sum(1 for _ in read_items(path))
        start, stop, step = slice(start, stop, step).indices(total)
    return islice(read_items(path), start, stop, step)


def _random_access(path: Path, frames: slice) -> Items:
    from eqcli.io.store import DatasetFile

    with DatasetFile(path) as dataset:
        for i in range(*frames.indices(len(dataset))):
            try:
                yield dataset[i]
            except InputError as error:
                yield error


def _parse_index(index: str, path: Path) -> tuple[int | None, int | None, int]:
    try:
        parts = [int(part) if part.strip() else None for part in index.split(":")]
        if len(parts) == 1 and parts[0] is not None:
            return parts[0], parts[0] + 1 or None, 1
        start, stop = parts[:2]
        step = 1 if len(parts) < 3 or parts[2] is None else parts[2]
        if len(parts) > 3 or step < 1:
            raise ValueError
    except ValueError:
        raise InputError(
            f"'{index}' does not select frames", Where(path), "Write 5, -1, 10:20 or ::10; frames count from 0."
        ) from None
    return start, stop, step
