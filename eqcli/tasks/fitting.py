"""Structures and the format they are to be written in: what does not fit, and what would be lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from eqcli.errors import Failure, InputError
from eqcli.progress import Reporter

if TYPE_CHECKING:
    from eqcli.io.structure import Structure


def fitting(
    output: str | Path | None,
    structures: Iterable[Structure],
    on_failure: Callable[[Failure], None],
    report: Reporter,
) -> Iterator[Structure]:
    """The structures that a file of this name can hold; a row of what failed for each of the others.

    It stands before the work, so that one molecule among crystals costs neither the work nor the
    output. At the end `report` is warned of structures whose periodicity the format changes.
    """
    from eqcli.io.formats import FORMATS, Format, writable_format

    if output is None:
        yield from structures
        return
    found = writable_format(output)
    name, cell = found.upper(), FORMATS[found].cell
    changed = 0
    for structure in structures:
        if (error := misfit(output, structure)) is not None:
            on_failure(Failure.of(structure.name, error))
            continue
        changed += not structure.pbc.all() if cell == "needed" else bool(structure.pbc.any())
        yield structure
    if changed and cell == "needed":
        report.warning(
            f"{_structures(changed)} not periodic in three directions, and every structure in {name} files is: "
            "the cell is written and will be read as that of a crystal"
        )
    elif changed and cell == "lost" and found is not Format.CSV:
        report.warning(f"{_structures(changed)} periodic, and {name} files have no place for a cell: it is left out")


def _without_cell(structure: Structure, name: str) -> InputError | None:
    from eqcli.io.cells import require_cell

    try:
        require_cell(structure, name)
    except InputError as error:
        return error
    return None


def _without_bonds(structure: Structure, name: str) -> InputError | None:
    from eqcli.io.rdkit_molecule import molecule_of, sanitised

    try:
        sanitised(molecule_of(structure))
    except InputError as error:
        return InputError(f"a {name} file has no place for it: {error.message}", structure.where, error.hint)
    return None


def _structures(count: int) -> str:
    return f"{count:,} structures are" if count > 1 else "1 structure is"


def misfit(output: str | Path | None, structure: Structure) -> InputError | None:
    """Why a file of this name cannot hold a structure; None where it can."""
    from eqcli.io.formats import FORMATS, writable_format

    if output is None:
        return None
    found = writable_format(output)
    spec, name = FORMATS[found], found.upper()
    if spec.cell == "needed" and (error := _without_cell(structure, name)) is not None:
        return error
    return _without_bonds(structure, name) if spec.bonds else None
