"""PDBQT files of AutoDock and Vina: receptors, ligands, and poses as one model each.

Their last column is a type, from which the element follows: `A` is aromatic carbon, `OA` an oxygen that accepts,
`HD` a polar hydrogen. Nonpolar hydrogens are part of their carbons and not in the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eqcli.errors import InputError, Where
from eqcli.io.frame import Items, atomic_number
from eqcli.io.pdb_atoms import Atom, Model, to_frame
from eqcli.io.pdbqt_writer import receptor_pdbqt as receptor_pdbqt
from eqcli.io.text import Lines, is_text, not_text, open_text

ELEMENTS = {
    **dict.fromkeys(("A", "CG", "CG0", "CG1", "CG2", "CG3"), 6),
    **dict.fromkeys(("NA", "NS", "N", "NX"), 7),
    **dict.fromkeys(("OA", "OS", "O", "OX"), 8),
    **dict.fromkeys(("SA", "S"), 16),
    **dict.fromkeys(("HD", "HS", "H"), 1),
}
"""Elements of the types that are no symbols; `NA` is nitrogen, and sodium is written `Na`."""

PSEUDO = frozenset(("G", "G0", "G1", "G2", "G3", "W", "LP", "TZ"))
"""Types of points that are no atoms: closures of rings, waters of hydrated docking, lone pairs. They are left out."""

_SCORE = re.compile(r"^REMARK\s+VINA RESULT:\s*(\S+)")
_ENERGY = re.compile(r"^(?:DOCKED: )?USER\s+Estimated Free Energy of Binding\s*=\s*(\S+)")
_REMARKS = ("SMILES IDX", "H PARENT", "SMILES")


def read(path: Path) -> Items:
    """A structure per model: atoms with names, the score of a pose as `score`, and remarks of its SMILES.

    `smiles` is the SMILES text, `smiles_index` the pairs (atom of the SMILES, serial number) and `h_parent` the pairs
    (atom of the SMILES, serial number of its hydrogen), all from 1, as Meeko writes them.
    """
    for model, info in _models(path):
        if isinstance(model, InputError):
            yield model
            continue
        try:
            frame = to_frame(model)
        except InputError as error:
            yield error
            continue
        frame.info = {**frame.info, **info}
        yield frame


def read_models(path: Path) -> Iterator[Model | InputError]:
    """The atoms of each model; a model with a bad line becomes that line's error."""
    for model, _ in _models(path):
        yield model


def _models(path: Path) -> Iterator[tuple[Model | InputError, dict[str, Any]]]:
    with open_text(path) as file:
        lines = Lines(path, file)
        number = 0
        atoms: list[Atom] = []
        info: dict[str, Any] = {}
        error: InputError | None = None
        while True:
            line = lines.take()
            if line is None or line.startswith(("MODEL", "ENDMDL")):
                if atoms or error:
                    yield error or Model(atoms, None, "", Where(path, number, atoms[0].line)), info
                    number, atoms, info, error = number + 1, [], {}, None
                if line is None:
                    break
                continue
            try:
                if line.startswith(("ATOM  ", "HETATM")):
                    atom = _atom(line, Where(path, number, lines.number))
                    atoms += [] if atom is None else [atom]
                else:
                    _remark(line, info)
            except InputError as bad:
                error = error or bad
    if number == 0:
        raise InputError("the file has no ATOM or HETATM lines", Where(path))


def _atom(line: str, where: Where) -> Atom | None:
    if not is_text(line):
        raise not_text(where)
    kind = (line[77:].split() or [""])[0]
    if kind in PSEUDO:
        return None
    number = ELEMENTS.get(kind) or atomic_number(kind)
    if number is None:
        raise InputError(f"'{kind[:20]}' in columns 78 and 79 is no atom type", where, "Is this a PDBQT file?")
    try:
        position = (float(line[30:38]), float(line[38:46]), float(line[46:54]))
    except ValueError:
        message = f"expected three coordinates in columns 31 to 54, found '{line[30:54].strip()}'"
        raise InputError(message, where) from None
    return Atom(
        name=line[12:16].strip(),
        altloc=line[16].strip(),
        residue=line[17:20].strip(),
        chain=line[21].strip(),
        sequence=line[22:26].strip(),
        insertion=line[26].strip(),
        position=position,
        occupancy=1.0,
        b_factor=0.0,
        number=number,
        charge=0,
        hetero=line.startswith("HETATM"),
        line=where.line,
    )


def _remark(line: str, info: dict[str, Any]) -> None:
    score = _SCORE.match(line) or _ENERGY.match(line)
    if score is not None:
        try:
            info["score"] = float(score[1])
        except ValueError:
            return
    for name in _REMARKS:
        if line.startswith(f"REMARK {name}"):
            words = line[len(f"REMARK {name}") :].split()
            if name == "SMILES":
                info["smiles"] = words[0] if words else ""
            else:
                numbers = [int(word) for word in words if word.isdigit()]
                key = "h_parent" if name == "H PARENT" else "smiles_index"
                pairs = [list(pair) for pair in zip(numbers[::2], numbers[1::2], strict=False)]
                info[key] = info.get(key, []) + pairs
            return
    if line.startswith("REMARK  Name = "):
        info["name"] = line.split("=", 1)[1].strip()
