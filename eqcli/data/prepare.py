"""From the files that a recipe names to what training reads: stores, frame tables, split and statistics."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eqcli.data.frames import FrameTable, Survey
from eqcli.data.split import Part, Split, split_hash
from eqcli.data.statistics import DataStatistics
from eqcli.errors import Failure, InputError, Where
from eqcli.files import atomic_path, sha256
from eqcli.io import DatasetWriter, read_structures
from eqcli.io.conventions import LabelConvention

if TYPE_CHECKING:
    from eqcli.io.structure import Structure
    from eqcli.models.potentials.properties import Property

SPLIT_FILE = "split.json"
STATISTICS_FILE = "statistics.json"
"""Written last: where it exists, preparation is complete."""


@dataclass(frozen=True)
class Prepared:
    """The data of a run.

    Attributes
    ----------
    folder
        Holds `<source>.h5` and `<source>.frames.npz` for each source.
    tables
        Summary of the frames of each source: `train`, `valid`, `test`.
    split
        Which frames of which source are for training, validation and test.
    inputs
        Path and SHA-256 of every file that was read.
    """

    folder: Path
    tables: dict[str, FrameTable]
    split: Split
    statistics: DataStatistics
    inputs: list[dict[str, str]]

    def store(self, part: str) -> Path:
        """The stored file that the frames of a part are in."""
        return store_path(self.folder, self.split[part].source)

    def table(self, part: str) -> FrameTable:
        """The frame table that the indices of a part refer to."""
        return self.tables[self.split[part].source]


def store_path(folder: Path, source: str) -> Path:
    return folder / f"{source}.h5"


def table_path(folder: Path, source: str) -> Path:
    return folder / f"{source}.frames.npz"


def scan(
    files: Iterable[str],
    labels: LabelConvention,
    cutoff: float,
    properties: Sequence[Property] = (),
    *,
    on_failure: Callable[[Failure], None],
    advance: Callable[[], None],
    store: Path | None = None,
) -> FrameTable:
    """Reads files once, frame by frame: the table of their frames, and on request a store of them.

    Malformed frames, and those with malformed labels of `properties`, go to `on_failure`; the memory needed is that
    of the table.
    """
    survey = Survey(cutoff, properties)
    surveyed = _surveyed(_frames(files, labels, on_failure), survey, on_failure)
    if store is None:
        for _ in surveyed:
            advance()
        return survey.table()
    store.parent.mkdir(parents=True, exist_ok=True)
    with DatasetWriter(store, overwrite=True) as writer:
        for structure in surveyed:
            writer.append(structure)
            advance()
    return survey.table()


def _surveyed(
    structures: Iterable[Structure], survey: Survey, on_failure: Callable[[Failure], None]
) -> Iterator[Structure]:
    """The structures that the survey took note of."""
    for structure in structures:
        try:
            survey.add(structure)
        except InputError as error:
            on_failure(Failure.of(structure.name, error))
        else:
            yield structure


def _frames(
    files: Iterable[str], labels: LabelConvention, on_failure: Callable[[Failure], None]
) -> Iterator[Structure]:
    for path in files:
        yield from read_structures(path, labels, on_failure=on_failure)


def input_hashes(files: Iterable[str]) -> list[dict[str, str]]:
    """Path and SHA-256 of each file."""
    return [{"path": str(path), "sha256": sha256(path)} for path in files]


def changed_inputs(inputs: list[dict[str, str]]) -> list[str]:
    """Files that are still there and are not what they were."""
    return [
        entry["path"] for entry in inputs if Path(entry["path"]).is_file() and sha256(entry["path"]) != entry["sha256"]
    ]


def save_prepared(output: Path, prepared: Prepared, *, seed: int) -> None:
    """Writes tables, split and statistics beside the stores, in that order."""
    for source, table in prepared.tables.items():
        table.save(table_path(prepared.folder, source))
    head = {"seed": seed, "hash": split_hash(prepared.split), "inputs": prepared.inputs}
    with atomic_path(output / SPLIT_FILE) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(f'{json.dumps(head)[:-1]}, "parts": {{')
        for i, (name, part) in enumerate(prepared.split.items()):
            file.write(f'{", " if i else ""}"{name}": ')
            file.writelines(part.json())
        file.write("}}")
    with atomic_path(output / STATISTICS_FILE) as temporary:
        temporary.write_text(json.dumps(prepared.statistics.as_dict(), indent=2), encoding="utf-8")


def load_prepared(output: Path, folder: Path) -> Prepared | None:
    """What `save_prepared` wrote; None when preparation did not get to its end.

    Raises
    ------
    InputError
        A file of the prepared data is gone or damaged.
    """
    if not (output / STATISTICS_FILE).is_file():
        return None
    try:
        split = json.loads((output / SPLIT_FILE).read_text(encoding="utf-8"))
        parts = {name: Part.from_dict(values) for name, values in split["parts"].items()}
        statistics = json.loads((output / STATISTICS_FILE).read_text(encoding="utf-8"))
        sources = sorted({part.source for part in parts.values()})
        tables = {source: FrameTable.load(table_path(folder, source)) for source in sources}
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"the prepared data of this run are damaged: {error}", Where(output), "Start again with --overwrite."
        ) from error
    missing = [str(store_path(folder, s)) for s in sources if not store_path(folder, s).is_file()]
    if missing or split_hash(parts) != split["hash"]:
        found = f"{', '.join(missing)} is gone" if missing else "the split is not the one that was drawn"
        raise InputError(f"the prepared data of this run are damaged: {found}", Where(output), "Use --overwrite.")
    return Prepared(folder, tables, parts, DataStatistics.from_dict(statistics), split["inputs"])
