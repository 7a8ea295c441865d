"""The structures of a training of a generator: read, divided into parts, and stored with the run."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eqcli.errors import Failure, InputError, Where
from eqcli.files import sha256, write_json
from eqcli.progress import Reporter

if TYPE_CHECKING:
    from eqcli.engine.training_run import RunFolder
    from eqcli.io.structure import Structure

Parts = dict[str, list["Structure"]]

PARTS = ("train", "valid", "test")

SHOWN = 3
"""Structures that could not be used are named in a warning up to this number."""


def read_parts(
    recipe: Any, usable: Callable[[Structure], Structure], what: str, report: Reporter
) -> tuple[Parts, list[Failure]]:
    """Structures of each part as `usable` makes them, and what could not be used.

    Parameters
    ----------
    recipe
        Of a generator: its `data` section names files and the split.
    usable
        A structure as training takes it. Raises InputError for one that cannot be trained on.
    what
        What the structures are called, e.g. `crystals`.

    Raises
    ------
    InputError
        A file cannot be read, or too little is left.
    """
    data = recipe.data
    failures: list[Failure] = []
    found: Parts = {}
    report.start(f"reading {what}", None, "structures")
    try:
        for name in PARTS:
            if (files := getattr(data, name)) is not None:
                found[name] = _usable([files] if isinstance(files, str) else files, usable, failures, report)
    finally:
        report.finish()
    parts = _divided(found, recipe)
    for name, part in parts.items():
        if not part:
            raise InputError(f"no {name} structures are left", Where(key=f"data.{name}"), _first_reason(failures))
    known = {int(z) for s in parts["train"] for z in s.numbers}
    for name in ("valid", "test"):
        kept = [s for s in parts.get(name, []) if known.issuperset(s.numbers.tolist())]
        if name in parts and len(kept) < len(parts[name]):
            count = len(parts[name]) - len(kept)
            failures.append(Failure(f"{count} {name} structures", "they have elements that no training structure has"))
            parts[name] = kept
    return parts, failures


def left_out(failures: Sequence[Failure], what: str = "structures") -> list[str]:
    """A warning of what could not be used, or nothing."""
    if not failures:
        return []
    shown = "; ".join(f"{f.item}: {f.reason}" for f in failures[:SHOWN])
    return [f"{len(failures)} {what} or groups of them are left out: {shown}"]


def store(recipe: Any, folder: RunFolder, parts: Parts) -> list[dict[str, str]]:
    """Writes the parts and where they come from into the folder of the run; returns path and SHA-256 of each source.

    Each part is a dataset file of its own in the folder `data`, so that the held-out structures can be given to
    `generate` and `evaluate`.
    """
    files = [
        file
        for name in PARTS
        if (given := getattr(recipe.data, name)) is not None
        for file in ([given] if isinstance(given, str) else given)
    ]
    return store_parts(folder, parts, files)


def store_parts(folder: RunFolder, parts: Parts, sources: Sequence[str]) -> list[dict[str, str]]:
    """Writes the parts, made from these files or folders, as `store` does."""
    from eqcli.engine.provenance import provenance
    from eqcli.io import write_structures

    facts = provenance()
    for name, part in parts.items():
        write_structures(part_file(folder, name), part, overwrite=True, provenance={**facts, "part": name})
    inputs = [{"path": path, "sha256": sha256(path)} for path in sources]
    write_json(folder.provenance, {**facts, "data": inputs})
    return inputs


def stored(folder: RunFolder, names: Sequence[str] = PARTS) -> tuple[Parts, list[dict[str, str]]]:
    """What `store` wrote, of parts with these names. Raises InputError for damaged files."""
    from eqcli.io import read_structures

    parts = {name: list(read_structures(path)) for name in names if (path := part_file(folder, name)).is_file()}
    if not {"train", "valid"} <= set(parts):
        raise InputError("the prepared data of this run are gone", Where(folder.data), "Start again with --overwrite.")
    inputs: list[dict[str, str]] = json.loads(folder.provenance.read_text(encoding="utf-8"))["data"]
    return parts, inputs


def part_file(folder: RunFolder, part: str) -> Path:
    """Where the structures of a part are stored."""
    return folder.data / f"{part}.h5"


def _usable(
    files: Sequence[str], usable: Callable[[Structure], Structure], failures: list[Failure], report: Reporter
) -> list[Structure]:
    from eqcli.io import read_structures

    kept = []
    for file in files:
        for structure in read_structures(file, on_failure=failures.append):
            report.advance(1)
            try:
                kept.append(usable(structure))
            except InputError as error:
                failures.append(Failure.of(structure.name, error))
    return kept


def _divided(found: Parts, recipe: Any) -> Parts:
    """The parts, those without files of their own drawn from the training structures."""
    from eqcli.data.split import draw_split

    split = recipe.data.split
    drawn = draw_split(
        {name: np.arange(len(part)) for name, part in found.items()},
        valid=split.valid,
        test=split.test,
        max_train=recipe.data.max_train,
        seed=recipe.seed if split.seed is None else split.seed,
    )
    if "valid" not in drawn:
        raise InputError(
            "there are no validation structures", Where(key="data.split.valid"), "Give a share above 0, or data.valid."
        )
    parts = {name: drawn[name] for name in PARTS if name in drawn}
    return {name: [found[part.source][i] for i in part.indices] for name, part in parts.items()}


def _first_reason(failures: Sequence[Failure]) -> str:
    return f"The first of {len(failures)} that were left out: {failures[0].reason}" if failures else ""
