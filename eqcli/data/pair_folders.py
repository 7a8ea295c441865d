"""Folders of 3DMatch and 3DLoMatch: a folder per scene with the true motions, and fragments somewhere near.

`SCENE/gt.log` has a block per pair: a line `i j fragments`, then the 4 x 4 motion from fragment j to fragment i.
`gt.info` has the 6 x 6 information matrix of each, `gt_overlap.log` lines `i,j,overlap`; both may be absent. The
fragments `cloud_bin_0.ply`, ... stand in the scene's folder, in one of the same name (without `-evaluation`) in any
folder up to three levels above or in a folder in those, or above with the scene in their names, as in
`redkitchen_cloud_bin_0.ply`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eqcli.data.pair_files import CloudPair, Floats, Found, read_numbers, rigid
from eqcli.errors import EqcliError, Failure, InputError, Where
from eqcli.io.text import read_text

LOG, INFO, OVERLAP = "gt.log", "gt.info", "gt_overlap.log"
LEVELS = 3
"""Folders above a scene in which its fragments are looked for."""

_FRAGMENT = re.compile(r"(?:(.+?)[_-])?cloud_bin_(\d+)\.(ply|pcd|npy|npz|xyz)(\.gz)?", re.IGNORECASE)


@dataclass(frozen=True)
class Block:
    """Two fragments and a matrix."""

    first: int
    second: int
    matrix: Floats
    line: int


def is_benchmark(folder: Path) -> bool:
    """Whether there is a `gt.log` in the folder or below."""
    return next(_scenes(folder), None) is not None


def _scenes(folder: Path) -> Iterator[Path]:
    for place, below, names in os.walk(folder):
        below.sort()
        if LOG in names:
            yield Path(place)


def pairs_of_benchmark(folder: Path) -> Found:
    """The pairs of every scene below; one failure for each fragment that is missing, and for each damaged scene."""
    for scene in _scenes(folder):
        label = scene.relative_to(folder).as_posix() if scene != folder else scene.resolve().name
        try:
            yield from _scene(scene, label)
        except EqcliError as error:
            yield Failure.of(label, error)


def _scene(folder: Path, label: str) -> Found:
    blocks = read_blocks(folder / LOG, 4)
    truths = [rigid(block.matrix, Where(folder / LOG, line=block.line)) for block in blocks]
    information = {(b.first, b.second): b.matrix for b in _optional(folder / INFO)}
    overlaps = _overlaps(folder / OVERLAP)
    fragments = find_fragments(folder)
    missing: dict[int, int] = {}
    for block, truth in zip(blocks, truths, strict=True):
        key = block.first, block.second
        absent = [number for number in key if number not in fragments]
        for number in absent:
            missing[number] = missing.get(number, 0) + 1
        if not absent:
            yield CloudPair(
                name=f"{label}/{block.first}-{block.second}",
                source=fragments[block.second],
                target=fragments[block.first],
                truth=truth,
                overlap=overlaps.get(key),
                information=information.get(key),
                scene=label,
                adjacent=block.second == block.first + 1,
            )
    for number, pairs in sorted(missing.items()):
        reason = f"the fragment is nowhere near, and {pairs} {'pairs need' if pairs > 1 else 'pair needs'} it"
        yield Failure(f"{label}/cloud_bin_{number}", reason, Where(folder))


def _optional(path: Path) -> list[Block]:
    return read_blocks(path, 6) if path.is_file() else []


def read_blocks(path: Path, size: int) -> list[Block]:
    """Blocks of a line with three whole numbers and a square matrix of `size` rows.

    Raises InputError where the file is damaged, with the line.
    """
    lines = [(number, text) for number, text in enumerate(read_text(path).splitlines(), 1) if text.strip()]
    blocks = []
    for start in range(0, len(lines), size + 1):
        number, head = lines[start]
        words = head.split()
        if len(words) != 3 or not all(word.isascii() and word.isdecimal() for word in words):
            raise InputError("expected two fragments and their count: three whole numbers", Where(path, line=number))
        rows = []
        for line, text in lines[start + 1 : start + size + 1]:
            row = read_numbers(text, Where(path, line=line))
            if len(row) != size:
                raise InputError(f"expected {size} numbers, and here are {len(row)}", Where(path, line=line))
            rows.append(row)
        if len(rows) != size:
            message = f"the file ends within a block: {len(rows)} of {size} rows"
            raise InputError(message, Where(path, line=lines[-1][0]))
        blocks.append(Block(int(words[0]), int(words[1]), np.array(rows), number))
    return blocks


def _overlaps(path: Path) -> dict[tuple[int, int], float]:
    overlaps: dict[tuple[int, int], float] = {}
    if not path.is_file():
        return overlaps
    for number, text in enumerate(read_text(path).splitlines(), 1):
        if text.strip():
            where = Where(path, line=number)
            values = read_numbers(text, where)
            if len(values) != 3 or not 0 <= values[2] <= 1 or any(v != int(v) for v in values[:2]):
                raise InputError("expected two fragments and an overlap between 0 and 1", where)
            overlaps[int(values[0]), int(values[1])] = values[2]
    return overlaps


def find_fragments(scene: Path) -> dict[int, Path]:
    """The fragments of a scene by number, from the first place that has any."""
    place = scene.resolve()
    name = place.name.removesuffix("-evaluation")
    if found := _fragments(place):
        return found
    for above in list(place.parents)[:LEVELS]:
        folders = [above / name, *sorted(child / name for child in _folders(above))]
        for folder in (f for each in folders for f in (each, each / "fragments")):
            if folder != place and (found := _fragments(folder)):
                return found
        if found := _fragments(above, name):
            return found
    return {}


def _folders(folder: Path) -> list[Path]:
    try:
        return [child for child in folder.iterdir() if child.is_dir() and not child.name.startswith(".")]
    except OSError:
        return []


def _fragments(folder: Path, scene: str | None = None) -> dict[int, Path]:
    """Fragments in a folder; with `scene` those whose names begin with it, or with the end of it."""
    found: dict[int, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        match = _FRAGMENT.fullmatch(path.name)
        if match is None or not path.is_file():
            continue
        own = match[1]
        if own == scene or (own is not None and scene is not None and scene.endswith(f"-{own}")):
            found.setdefault(int(match[2]), path)
    return found
