"""CIF of crystals: read through gemmi with the symmetry expanded, written in P1.

Energy, charge and entries of a structure stand in items of the tool (`cif_items`), which others pass over.
A file with `_atom_site.` items is mmCIF and goes to the reader of macromolecules.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from eqcli.elements import SYMBOLS
from eqcli.errors import InputError, Where
from eqcli.io.cells import cell_parameters, require_cell, right_handed_fractions
from eqcli.io.cif_items import entries_of, item_lines
from eqcli.io.frame import Frame, Items, plain, unknown_element
from eqcli.io.structure import Structure, formula
from eqcli.io.text import read_text

FULL = 0.999
"""Occupancies from here on count as one."""

CLOSE = 0.1
"""Å. Atoms nearer than this to each other are a fault of the file."""

GENERATED = "sample"
"""Entry of the structures that a model made."""

_MMCIF = re.compile(r"^\s*_atom_site\.", re.MULTILINE)
_SITES = "_atom_site_fract_x"
_BLOCK = re.compile(r"^[ \t]*data_(\S*)", re.MULTILINE | re.IGNORECASE)


def read(path: Path) -> Items:
    """A structure per data block that has atoms; every one periodic, in the full conventional cell.

    Errors, since no ordered structure can stand for them: sites that are partly occupied, positions
    that are unknown, operations that put atoms onto each other.
    """
    yield from read_text_of(path, read_text(path))


def read_text_of(path: Path, text: str) -> Items:
    """As `read`, of a text; `path` is named in errors."""
    if _MMCIF.search(text):
        from eqcli.io.pdb import read_mmcif

        yield from read_mmcif(path, text)
        return
    yield from read_blocks(path, text)


def read_blocks(path: Path, text: str) -> Items:
    """A structure per data block of a text that has atoms."""
    document = parse_document(path, text)
    lines = _lines_of_blocks(text)
    found = 0
    for block in document:
        if block.find_loop(_SITES) or block.find_value(_SITES):
            try:
                yield _frame(block, Where(path, found, lines.get(block.name.lower(), 1)))
            except InputError as error:
                yield error
            found += 1
    if found == 0:
        raise InputError("no data block of this CIF has atom positions (_atom_site_fract_x)", Where(path))


def parse_document(path: Path, text: str) -> Any:
    """The gemmi document of a CIF text. Raises InputError with the line of a syntax error."""
    from gemmi import cif

    document = cif.Document()
    try:
        # Unlike `read_string`, this accepts a tag that stands twice, which older programs write.
        document.parse_string(text)
    except (ValueError, RuntimeError) as error:
        match = re.match(r"\S*?:(\d+):\d+(?:\(\d+\))?:?\s*(.*)", str(error))
        line, reason = (int(match[1]), match[2]) if match else (None, str(error))
        raise InputError(f"this is not valid CIF: {reason}", Where(path, line=line)) from error
    return document


def _lines_of_blocks(text: str) -> dict[str, int]:
    """The line of each block by its name in small letters, found in one pass over the text."""
    lines: dict[str, int] = {}
    line, start = 1, 0
    for match in _BLOCK.finditer(text):
        line += text.count("\n", start, match.start(1))
        start = match.start(1)
        lines.setdefault(match[1].lower(), line)
    return lines


def _frame(block: Any, where: Where) -> Frame:
    import gemmi

    try:
        small = gemmi.make_small_structure_from_block(block)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"this block cannot be read: {error}", where) from error
    if not np.isfinite(small.cell.volume) or small.cell.volume < 1e-3 or not block.find_value("_cell_length_a"):
        raise InputError("the unit cell is missing or has no volume", where)
    _check_sites(small, where)
    _check_symmetry(small, block, where)
    sites = small.get_all_unit_cell_sites()
    cell = np.array(small.cell.orth.mat.tolist()).T
    fractions = np.array([site.fract.tolist() for site in sites])
    info: dict[str, Any] = {"name": block.name} if block.name else {}
    if small.spacegroup is not None:
        info["spacegroup"] = int(small.spacegroup.number)
    info |= entries_of(block, where)
    # What a model made may overlap, and is to be judged, not refused.
    if GENERATED not in info:
        _check_distances(fractions, cell, sites, where)
    return Frame(
        numbers=np.array([site.element.atomic_number for site in sites], dtype=np.int64),
        positions=fractions @ cell,
        cell=cell,
        pbc=np.ones(3, dtype=bool),
        info=info,
        where=where,
        angstrom=True,
        implicit_labels="standard",
    )


def _check_sites(small: Any, where: Where) -> None:
    if not len(small.sites):
        raise InputError("there are no atoms", where)
    for site in small.sites:
        if site.element.atomic_number == 0:
            raise unknown_element(site.type_symbol or site.label, where)
        if not np.isfinite(site.fract.tolist()).all():
            raise InputError(f"the position of atom {site.label} is unknown", where)
        if site.occ < FULL:
            raise InputError(
                f"atom {site.label} has the occupancy {site.occ:g}: the crystal is disordered",
                where,
                "Choose one ordered arrangement, for instance with pymatgen's OrderDisorderedStructureTransformation.",
            )


def _check_symmetry(small: Any, block: Any, where: Where) -> None:
    """A space group that is named and not understood would lose atoms in silence."""
    named = small.spacegroup_hm.strip() or small.spacegroup_hall.strip()
    if small.spacegroup is None and not small.symops and (named or small.spacegroup_number > 1):
        raise InputError(
            f"the space group '{named or small.spacegroup_number}' is unknown and no symmetry operations are given",
            where,
            "Add the operations as _space_group_symop_operation_xyz.",
        )


def _check_distances(fractions: Any, cell: Any, sites: Any, where: Where) -> None:
    from scipy.spatial import cKDTree

    wrapped = np.mod(fractions, 1.0)
    wrapped[wrapped >= 1.0] = 0.0
    # Within 0.1 Å in space is within this in fractions; the few candidates are then measured.
    reach = CLOSE * np.linalg.norm(np.linalg.inv(cell), 2)
    pairs = cKDTree(wrapped, boxsize=1.0).query_pairs(min(reach, 0.49), output_type="ndarray")
    if len(pairs) == 0:
        return
    shift = fractions[pairs[:, 0]] - fractions[pairs[:, 1]]
    distance = np.linalg.norm((shift - np.round(shift)) @ cell, axis=1)
    if distance.min() < CLOSE:
        i, j = pairs[distance.argmin()]
        raise InputError(
            f"two atoms ({sites[i].label} and {sites[j].label}) are {distance.min():.2f} Angstrom apart",
            where,
            "Disorder without occupancies, or the wrong symmetry operations?",
        )


def write(path: Path, structures: Iterable[Structure], provenance: dict[str, Any] | None) -> int:
    """Writes a data block per structure, in P1 with all digits; provenance is a comment at the top.

    CIF keeps lengths and angles of the cell, not its orientation; structures come back rotated.
    """
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(comment(provenance))
        for structure in structures:
            file.write(block(structure, count))
            count += 1
    return count


def comment(provenance: dict[str, Any] | None) -> str:
    """Provenance as a line of comment; no line where there is none."""
    return f"# eqcli {json.dumps(plain(provenance), separators=(',', ':'))}\n" if provenance else ""


def block(structure: Structure, number: int) -> str:
    """The data block of a structure, named as its entry `name` or by formula and `number`.

    Raises InputError where the structure has no cell.
    """
    require_cell(structure, "CIF")
    fractions = right_handed_fractions(structure)
    lengths, angles = cell_parameters(structure.cell)
    name = re.sub(r"\W+", "_", str(structure.info.get("name", "")), flags=re.ASCII)
    name = name or f"{formula(structure.numbers)}_{number}"
    lines = [f"data_{name}"]
    lines += [f"_cell_length_{k} {v!r}" for k, v in zip("abc", lengths, strict=True)]
    lines += [f"_cell_angle_{k} {v!r}" for k, v in zip(("alpha", "beta", "gamma"), angles, strict=True)]
    lines += ["_space_group_name_H-M_alt 'P 1'", "_space_group_IT_number 1"]
    lines += item_lines(structure, name)
    lines += ["loop_", "_space_group_symop_operation_xyz", "'x, y, z'", "loop_"]
    lines += [f"_atom_site_{tag}" for tag in ("label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy")]
    for i, (z, row) in enumerate(zip(structure.numbers.tolist(), fractions.tolist(), strict=True)):
        lines.append(f"{SYMBOLS[z]}{i + 1} {SYMBOLS[z]} {row[0]!r} {row[1]!r} {row[2]!r} 1")
    return "\n".join(lines) + "\n\n"
