"""The atoms of one model of a receptor's file: PDB, mmCIF or PDBQT, compressed or not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from eqcli.errors import InputError, Where
from eqcli.files import require_file
from eqcli.io.formats import Format, format_of
from eqcli.io.pdb import read_mmcif_models, read_models
from eqcli.io.pdb_atoms import Atom, Model
from eqcli.io.pdbqt import read_models as read_pdbqt_models
from eqcli.io.structure import Structure
from eqcli.io.text import read_text

READ = (Format.PDB, Format.CIF, Format.MMCIF, Format.PDBQT)
"""Formats of receptors; a `.cif` must be mmCIF."""


def read_model(path: Path, model: int | None, notes: list[str]) -> list[Atom]:
    """The atoms of one model, counted from 1, of the first when None.

    Raises
    ------
    InputError
        No such file or model, another format, or a line of this model that cannot be read.
    """
    wanted = 1 if model is None else model
    found: Model | InputError | None = None
    count = 0
    try:
        for count, item in enumerate(_models(require_file(path)), start=1):
            if count == wanted:
                found = item
    except OSError as error:
        raise InputError(f"the file cannot be read: {error.strerror or error}", Where(path)) from error
    if found is None:
        raise InputError(f"there is no model {wanted}", Where(path), f"Models count from 1; the file has {count}.")
    if isinstance(found, InputError):
        raise found
    if count > 1:
        notes.append(f"{count} models: model {wanted} is taken")
    _refuse_lost(found.atoms, path)
    return found.atoms


def _models(path: Path) -> Iterator[Model | InputError]:
    kind = format_of(path)
    if kind is Format.PDB:
        return read_models(path)
    if kind is Format.PDBQT:
        return read_pdbqt_models(path)
    if kind in READ:
        return read_mmcif_models(path, read_text(path))
    raise InputError(f"{kind} files are no receptors", Where(path), "Receptors are PDB, mmCIF or PDBQT files.")


def _refuse_lost(atoms: list[Atom], path: Path) -> None:
    positions = np.array([atom.position for atom in atoms]).reshape(-1, 3)
    bad = np.flatnonzero(~np.isfinite(positions).all(axis=1))
    if len(bad):
        atom = atoms[int(bad[0])]
        raise InputError(f"the position of atom {atom.name} is not a finite number", Where(path, line=atom.line))


def atoms_of_structure(structure: Structure) -> list[Atom]:
    """Atoms as a file would state them. Raises InputError where a structure lacks names of atoms and residues."""
    n = len(structure)
    missing = [name for name in ("atom_name", "residue_name") if name not in structure.arrays]
    if missing:
        raise InputError(
            f"a receptor needs names of its atoms and residues, and {' and '.join(missing)} are missing",
            structure.where,
            "PDB, mmCIF and PDBQT files have them.",
        )

    def column(name: str, otherwise: str = "") -> list[str]:
        values = structure.arrays.get(name)
        return [otherwise] * n if values is None else [str(value) for value in values.tolist()]

    columns = zip(
        column("atom_name"), column("residue_name"), column("chain"), column("residue_number"),
        column("insertion_code"), structure.positions.tolist(), structure.numbers.tolist(),
        structure.arrays.get("hetero", np.zeros(n, dtype=bool)).tolist(), strict=True,
    )  # fmt: skip
    return [
        Atom(name, "", residue, chain, number, code, tuple(position), 1.0, 0.0, z, 0, hetero)
        for name, residue, chain, number, code, position, z, hetero in columns
    ]
