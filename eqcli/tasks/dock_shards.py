"""The poses of a screen: a few large SD files instead of one for each pair, kept in step with the table of results."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eqcli.tasks.dock_rows import PairRow

if TYPE_CHECKING:
    from eqcli.io.structure import Structure

PER_FILE = 500
"""Pairs in one file."""


class PoseFiles:
    """Files `poses-0000.sdf`, ... in a folder; poses are on the disk before `add` returns.

    `pairs` is how many pairs an interrupted run has ended: they decide which file is next.
    """

    def __init__(self, folder: Path, per_file: int = PER_FILE, *, pairs: int = 0) -> None:
        self.folder = folder
        self.per_file = per_file
        self._pairs = pairs

    def recover(self, rows: Sequence[PairRow]) -> None:
        """Cuts off what no row speaks of: poses that were written just before an interruption."""
        ends: dict[str, int] = {}
        for row in rows:
            if row.poses and row.end is not None:
                ends[row.poses] = max(ends.get(row.poses, 0), row.end)
        for path in self.folder.glob("poses-*.sdf"):
            if path.name not in ends:
                path.unlink()
            elif path.stat().st_size > ends[path.name]:
                os.truncate(path, ends[path.name])

    def add(self, poses: Sequence[Sequence[Structure]]) -> list[tuple[str, int, int]]:
        """Writes the poses of some pairs; file, first and last byte for each pair, none for a pair without poses."""
        from eqcli.io.sdf_writer import record

        places: list[tuple[str, int, int]] = []
        texts: dict[str, list[bytes]] = {}
        ends: dict[str, int] = {}
        for structures in poses:
            name = f"poses-{self._pairs // self.per_file:04d}.sdf"
            self._pairs += 1
            if not structures:
                places.append(("", 0, 0))
                continue
            content = "".join(record(structure) for structure in structures).encode("utf-8")
            start = ends.get(name, self._size(name))
            ends[name] = start + len(content)
            texts.setdefault(name, []).append(content)
            places.append((name, start, ends[name]))
        for name, contents in texts.items():
            with (self.folder / name).open("ab") as file:
                file.write(b"".join(contents))
                file.flush()
                os.fsync(file.fileno())
        return places

    def _size(self, name: str) -> int:
        path = self.folder / name
        return path.stat().st_size if path.exists() else 0


def stored_poses(folder: Path, row: PairRow, most: int | None = None) -> list[Structure]:
    """The poses that a row speaks of, best first, or the first `most` of them; none where their file is gone.

    Raises InputError where what stands there is no pose.
    """
    from eqcli.errors import InputError, Where
    from eqcli.io.sdf import frame_of, molfile_of
    from eqcli.io.structure import Structure

    path = folder / row.poses
    if not row.poses or row.start is None or row.end is None or not path.is_file():
        return []
    with path.open("rb") as file:
        file.seek(row.start)
        text = file.read(row.end - row.start).decode("utf-8", "replace")
    records = [record.splitlines() for record in text.split("$$$$\n") if record.strip()]
    if not records:
        raise InputError("the file ends before these poses", Where(path))
    found = []
    for number, record in enumerate(records[:most]):
        where = Where(path, number)
        molecule, items, _ = molfile_of(record, where)
        frame = frame_of(molecule, where)
        found.append(Structure(frame.numbers, frame.positions, info=frame.info | items, arrays=frame.arrays))
    return found
