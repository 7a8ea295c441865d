"""The results of all chunks as one file, in the order of the inputs."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eqcli.errors import Failure
from eqcli.files import atomic_path, move_whole
from eqcli.io.formats import Format, writable_format
from eqcli.io.store import DatasetFile
from eqcli.io.store_layout import Rows
from eqcli.io.store_rows import take
from eqcli.io.store_writer import write_whole
from eqcli.progress import Reporter
from eqcli.tasks.fitting import fitting
from eqcli.tasks.stream.chunk_file import ChunkFiles, failures_of
from eqcli.tasks.stream.item import put_back
from eqcli.tasks.stream.result import LISTED, StreamResult

if TYPE_CHECKING:
    from eqcli.io.structure import Structure

COLUMNS = ("item", "name", "file", "frame", "line", "reason")

FRAMES_AT_ONCE = 512
"""Frames that are in memory together, of results and of trajectories."""


def merge(
    chunks: Sequence[ChunkFiles], output: Path, provenance: dict[str, Any], result: StreamResult, report: Reporter
) -> None:
    """Writes the results to `output` and what failed to a table beside it; a file is complete or not there.

    Nothing is written where every item failed.
    """
    merge_failures(chunks, failed_table(output), result)
    if result.items == result.failed:
        return
    _merge_files([chunk.results for chunk in chunks], output, provenance, report)
    result.output = output


def merge_trajectory(chunks: Sequence[ChunkFiles], output: Path, provenance: dict[str, Any]) -> bool:
    """Writes the frames of trajectories to `output`: item after item, each in the order of its steps.

    Returns False, and writes nothing, where there are none.
    """
    from eqcli.progress import Silent

    files = [chunk.frames for chunk in chunks if chunk.frames.is_file()]
    if not files:
        return False
    _merge_files(files, output, provenance, Silent())
    return True


def failed_table(output: Path) -> Path:
    """Where the items stand that failed: beside the output, by its whole name."""
    return output.with_name(f"{output.name}.failed.csv")


def merge_failures(chunks: Sequence[ChunkFiles], table: Path, result: StreamResult) -> None:
    """Writes the table of what failed, if anything did."""
    if not result.failed:
        return
    with atomic_path(table) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for number, failure in _failures(chunks):
            where = failure.where
            writer.writerow([number, failure.item, where.file, where.frame, where.line, failure.reason])
            if len(result.failures) < LISTED:
                result.failures.append(failure)
    result.table = table


def _failures(chunks: Sequence[ChunkFiles]) -> Iterator[tuple[int, Failure]]:
    for chunk in chunks:
        yield from sorted(failures_of(chunk.results), key=lambda found: found[0])


def _merge_files(files: Sequence[Path], output: Path, provenance: dict[str, Any], report: Reporter) -> None:
    """Frames with a key, file after file, by key and, for one key, as they were written."""
    from eqcli.io import write_structures

    # In the folder of the chunks, with which it goes if this process is killed; the name may tell the format.
    merged = files[0].parent / "merged" / output.name
    merged.parent.mkdir(exist_ok=True)
    if writable_format(output) is Format.DATASET:
        write_whole(merged, _rows(files), provenance)
    else:
        # What does not fit has failed before the work; here the warnings are given of what is lost.
        kept = fitting(output, _structures(files), result_of_nothing, report)
        write_structures(merged, kept, overwrite=True, provenance=provenance)
    move_whole(merged, output)


def _rows(files: Sequence[Path]) -> Iterator[Rows]:
    for path in files:
        with DatasetFile(path) as file:
            for frames in _ordered(file):
                yield take(file, frames)


def result_of_nothing(failure: Failure) -> None:
    """Raises where a result does not fit the format although its input did."""
    raise RuntimeError(f"{failure.item}: {failure.reason}")


def _ordered(file: DatasetFile) -> Iterator[np.ndarray[Any, np.dtype[np.int64]]]:
    """Numbers of the frames that hold results, by key, some at a time."""
    keys = file.keys
    assert keys is not None
    found = np.flatnonzero(keys >= 0)
    order = found[np.argsort(keys[found], kind="stable")]
    for start in range(0, len(order), FRAMES_AT_ONCE):
        yield order[start : start + FRAMES_AT_ONCE]


def _structures(files: Sequence[Path]) -> Iterator[Structure]:
    for path in files:
        with DatasetFile(path) as file:
            for frames in _ordered(file):
                for frame in frames:
                    yield put_back(file[int(frame)])
