"""Folders of complexes: one complex per folder as in PDBBind, or one receptor with a series of ligands.

PDBBind: `ID/ID_protein.pdb` with `ID/ID_ligand.sdf`, `.mol2` or `.pdb`; years stand in `INDEX*` files above.
A series: `TARGET/protein.pdb` with `TARGET/ligands.sdf`, each record a complex, and perhaps `TARGET/cofactors.sdf`.
All files may be compressed (`.gz`).
"""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from eqcli.data.complex_files import ComplexFiles, Found
from eqcli.errors import Failure, InputError, Where
from eqcli.io.text import is_text, open_text

RECEPTORS = (".pdb", ".ent", ".cif", ".mmcif", ".pdbqt")
LIGANDS = (".sdf", ".mol2", ".mol", ".pdb", ".pdbqt")
"""Endings, best first: an SDF states bond orders that a PDB file leaves to be guessed."""

COPIES = ("_ligands_all_copies", "_ligands")
YEAR = range(1970, 2100)
_INDEX_ROW = re.compile(r"(\w{4,})\s+\S+\s+(\d{4})\b")


def complexes_in(folder: Path) -> Found:
    """Every complex in `folder` and the folders below, in the order of their names."""
    years: dict[str, int] = {}
    seen = {folder.resolve()}
    for place, below, files in os.walk(folder, followlinks=True):
        # A link may lead back to a folder above it.
        real = {name: Path(place, name).resolve() for name in sorted(below)}
        below[:] = [name for name, target in real.items() if target not in seen]
        seen.update(real.values())
        here, names = Path(place), sorted(name for name in files if not name.startswith("."))
        years |= _years(here, (name for name in names if name.upper().startswith("INDEX")))
        label = here.relative_to(folder).as_posix() if here != folder else here.resolve().name
        yield from _folder(here, names, label, years)


def _folder(folder: Path, names: list[str], label: str, years: dict[str, int]) -> Found:
    own = folder.resolve().name
    if (receptor := _file(folder, names, "protein", RECEPTORS)) is not None:
        yield from _series(folder, names, label, receptor)
        return
    stem = _stem(own, names)
    if stem is not None:
        receptor, ligand = (_file(folder, names, f"{stem}_protein", RECEPTORS),
                            _file(folder, names, f"{stem}_ligand", LIGANDS))  # fmt: skip
        if receptor is not None and ligand is not None:
            copies = next((c for end in COPIES if (c := _file(folder, names, stem + end, LIGANDS))), None)
            year = years.get(stem.lower(), years.get(own.lower()))
            yield ComplexFiles(label, receptor, ligand, None, own, year=year, copies=copies)
            return
    structures = [name for name in names if _ending(name) in {*RECEPTORS, *LIGANDS}]
    if structures:
        yield _incomplete(folder, label, stem or own, structures)


def _stem(folder: str, names: list[str]) -> str | None:
    """What the names of receptor and ligand begin with: that of the folder, or else what one file of it says."""
    stems = {name.rsplit(part, 1)[0] for name in names for part in ("_protein.", "_ligand.") if part in name}
    return folder if folder in stems else min(stems, default=None)


def _incomplete(folder: Path, label: str, stem: str, structures: list[str]) -> Failure:
    lacking = [
        f"{what} ({stem}_{part}.{expected})"
        for what, part, endings, expected in (
            ("receptor", "protein", RECEPTORS, "pdb"),
            ("ligand", "ligand", LIGANDS, "sdf, .mol2 or .pdb"),
        )
        if _file(folder, structures, f"{stem}_{part}", endings) is None
    ]
    there = ", ".join(structures[:3]) + (f" and {len(structures) - 3} more" if len(structures) > 3 else "")
    return Failure(label, f"the folder has no {' and no '.join(lacking)}; it has {there}", Where(folder))


def _series(folder: Path, names: list[str], label: str, receptor: Path) -> Found:
    ligands = _file(folder, names, "ligands", (".sdf",)) or _file(folder, names, "ligand", (".sdf",))
    if ligands is None:
        yield Failure(label, f"the folder has {receptor.name} and no ligands.sdf", Where(folder))
        return
    cofactors, own = _file(folder, names, "cofactors", (".sdf",)), folder.resolve().name
    seen: dict[str, int] = {}
    try:
        for frame, title in enumerate(record_titles(ligands)):
            title = title or str(frame + 1)
            seen[title] = seen.get(title, 0) + 1
            name = f"{label}/{title}" if seen[title] == 1 else f"{label}/{title} ({seen[title]})"
            yield ComplexFiles(name, receptor, ligands, frame, own, cofactors)
    except InputError as error:
        yield Failure.of(label, error)
    else:
        if not seen:
            yield Failure(label, "the file of ligands is empty", Where(ligands))


def record_titles(path: Path) -> Iterator[str]:
    """The first line of each record of an SD file, without what surrounds it; empty where it is no text.

    Raises InputError where a compressed file is damaged.
    """
    title: str | None = None
    filled = False
    try:
        with open_text(path) as file:
            for line in file:
                if line.startswith("$$$$"):
                    yield title or ""
                    title, filled = None, False
                elif title is None:
                    title = line.strip() if is_text(line) else ""
                filled = filled or bool(line.strip("$ \r\n"))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"the compressed file is damaged: {error}", Where(path)) from error
    if filled and title is not None:
        yield title


def _ending(name: str) -> str:
    return Path(name.lower().removesuffix(".gz")).suffix


def _file(folder: Path, names: list[str], stem: str, endings: tuple[str, ...]) -> Path | None:
    wanted = (stem + ending + packed for ending in endings for packed in ("", ".gz"))
    return next((folder / name for name in wanted if name in names), None)


def _years(folder: Path, names: Iterable[str]) -> dict[str, int]:
    """Years of release by identifier (lower case) from PDBBind's index files: code, resolution, year and more."""
    years: dict[str, int] = {}
    for name in names:
        with open_text(folder / name) as file:
            rows = (_INDEX_ROW.match(line) for line in file)
            years |= {row[1].lower(): int(row[2]) for row in rows if row is not None and int(row[2]) in YEAR}
    return years
