"""The stablest crystals first: ranked CIFs, a table and a page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from eqcli.errors import Failure, InputError
from eqcli.files import atomic_path
from eqcli.progress import Reporter, Silent
from eqcli.tasks.inference import read_all, readable_files
from eqcli.tasks.rank_result import RankResult, RankRow

if TYPE_CHECKING:
    from eqcli.io.structure import Structure

TABLE, ARCHIVE, PAGE, FOLDER = "ranked.csv", "ranked.cif.zip", "index.html", "cifs"
SYMPREC = 0.1
"""Å; what was relaxed to small forces is not exactly symmetric."""

Mark = Literal["certified", "stable", "unique", "novel"]
MARKS: tuple[Mark, ...] = ("certified", "unique", "novel")
"""What a crystal is required to be by default; how stable it is, is its rank."""

SHOWN = (
    "rank",
    "formula",
    "space_group",
    "density",
    "volume_per_atom",
    "energy_above_hull",
    "formation_energy",
    "stable",
    "unique",
    "novel",
    "sample",
    "file",
)
"""Columns of the page."""

_CIF = re.compile(r"\d{3,}_\w+\.cif")


def rank(
    inputs: Sequence[Path],
    output: Path,
    *,
    n: int | None = None,
    require: Sequence[Mark] = MARKS,
    overwrite: bool = False,
    report: Reporter | None = None,
) -> RankResult:
    """Puts relaxed crystals in the order of their energy above the hull and writes them one by one.

    The crystals are those that `stability` wrote. Where a mark was not decided for any of them, as novelty without
    a training set, it is not required, and a warning says so.

    Parameters
    ----------
    output
        Folder that receives `cifs/001_<formula>.cif` and so on, all of them as `ranked.cif.zip`, a table
        `ranked.csv` with a row for each crystal that was read, and the page `index.html`.
    n
        Most crystals to rank; all when None.
    require
        Marks that a ranked crystal has.

    Raises
    ------
    InputError
        A file cannot be used, no crystal has an energy above the hull, or the output exists.
    """
    from eqcli.report.write import refuse_report

    report = report or Silent()
    if n is not None and n < 1:
        raise InputError(f"n must be at least 1, not {n}")
    sources, output = readable_files(inputs), Path(output)
    refuse_report(output, overwrite)
    failures: list[Failure] = []
    structures = list(read_all(sources, None, failures.append))
    rows = [_row(item, structure) for item, structure in enumerate(structures)]
    if all(row.energy_above_hull is None for row in rows):
        raise InputError(
            "no structure in " + ", ".join(str(path) for path in sources) + " has an energy above the hull",
            hint="Rank the relaxed crystals of an evaluation that was given a relaxer and a hull.",
        )
    failures += [Failure(s.name, row.reason, s.where) for s, row in zip(structures, rows, strict=True) if row.reason]
    ranked = _ranked(rows, _decided(rows, require, report), n)
    rest = [row for row in rows if row.rank is None]
    result = RankResult(output, output / TABLE, output / PAGE, ranked + rest)
    result.failures = failures
    _write(result, [_named(structures[row.item], row) for row in ranked])
    return result


def _row(item: int, structure: Structure) -> RankRow:
    from eqcli.engine.space_group import space_group
    from eqcli.io.ase_bridge import to_ase
    from eqcli.io.crystal_formula import reduced_formula
    from eqcli.metrics.crystals.distributions import properties_of

    info = structure.info
    row = RankRow(
        rank=None,
        file="",
        item=item,
        sample=info.get("sample"),
        formula=reduced_formula(structure.numbers),
        atoms=len(structure),
        space_group=space_group(to_ase(structure), SYMPREC) or "none found",
        energy_above_hull=_number(info.get("energy_above_hull")),
        formation_energy=_number(info.get("formation_energy")),
        volume_per_atom=None,
        density=None,
        certified=_mark(info.get("certified")),
        stable=_mark(info.get("stable")),
        unique=_mark(info.get("unique")),
        novel=_mark(info.get("novel")),
    )
    try:
        found = properties_of(structure, SYMPREC)
        row.volume_per_atom, row.density = found.volume_per_atom, found.density
    except ValueError as error:
        row.reason = str(error)
    if row.energy_above_hull is None:
        row.reason = row.reason or "it has no energy above the hull"
    return row


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _mark(value: Any) -> bool | None:
    return None if value is None else bool(value)


def _decided(rows: Sequence[RankRow], require: Sequence[Mark], report: Reporter) -> list[Mark]:
    """The required marks that are known of any crystal."""
    known = [mark for mark in require if any(getattr(row, mark) is not None for row in rows)]
    for mark in require:
        if mark not in known:
            report.warning(f"nobody has decided which of the crystals are {mark}: it is not required")
    return known


def _ranked(rows: Sequence[RankRow], require: Sequence[Mark], n: int | None) -> list[RankRow]:
    """Gives ranks and file names to the crystals that have the marks, and reasons to the others."""
    found = []
    for row in rows:
        missing = [mark for mark in require if not getattr(row, mark)]
        if row.reason:
            continue
        if missing:
            row.reason = f"not {', not '.join(missing)}"
        else:
            found.append(row)
    found.sort(key=lambda row: (row.energy_above_hull, row.item))
    for row in found[n:] if n is not None else ():
        row.reason = f"{n} are ranked, and stabler ones come first"
    found = found[:n]
    digits = max(3, len(str(len(found))))
    for number, row in enumerate(found, 1):
        row.rank, row.file = number, f"{number:0{digits}d}_{row.formula}.cif"
    return found


def _named(structure: Structure, row: RankRow) -> Structure:
    return replace(structure, info={**structure.info, "rank": row.rank, "name": Path(row.file).stem})


def _write(result: RankResult, structures: list[Structure]) -> None:
    from eqcli.engine.provenance import provenance
    from eqcli.io import write_structures
    from eqcli.report.csv_text import csv_text
    from eqcli.report.gallery import gallery_page

    output, origin = result.output, provenance()
    cifs = output / FOLDER
    cifs.mkdir(parents=True, exist_ok=True)
    for old in [*cifs.iterdir(), output / ARCHIVE, output / PAGE]:
        if _CIF.fullmatch(old.name) or old.parent == output:
            old.unlink(missing_ok=True)
    for structure, row in zip(structures, result.ranked, strict=True):
        write_structures(cifs / row.file, [structure], overwrite=True, provenance=origin)
    with atomic_path(result.table) as temporary:
        temporary.write_text(csv_text([asdict(row) for row in result.rows]), encoding="utf-8")
    if structures:
        write_structures(output / ARCHIVE, structures, overwrite=True, provenance=origin)
        result.archive = output / ARCHIVE
    rows = [{name: getattr(row, name) for name in SHOWN} for row in result.ranked]
    gallery_page(structures, rows, result.page, title="Ranked crystals", provenance=origin)
