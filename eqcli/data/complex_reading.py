"""Reading a complex: receptor with its cofactors, ligand, and the other places where the crystal has that ligand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eqcli.data.complex_files import ComplexFiles
from eqcli.errors import InputError, Where

if TYPE_CHECKING:
    from eqcli.io.ligand import Ligand
    from eqcli.io.receptor import Receptor
    from eqcli.io.structure import Structure


@dataclass(frozen=True)
class Complex:
    """One complex in memory.

    Attributes
    ----------
    receptor
        Cofactors are part of it; the ligand itself, in any of its places, is not.
    ligand
        In its crystal pose.
    copies
        The same molecule elsewhere in the crystal, as read: atoms may stand in another order.
    notes
        What was assumed of the copies and the cofactors; receptor and ligand have their own.
    """

    files: ComplexFiles
    receptor: Receptor
    ligand: Ligand
    copies: tuple[Structure, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass
class ComplexReader:
    """Reads complexes one after the other; a file that several of them share in turn is read once."""

    _receptors: dict[tuple[Path, int | None, Path | None], tuple[Receptor, tuple[str, ...]]] = field(
        default_factory=dict
    )
    _ligands: dict[Path, list[Ligand | InputError]] = field(default_factory=dict)

    def read(self, files: ComplexFiles) -> Complex:
        """The complex. Raises InputError where a file of it cannot be used."""
        from eqcli.io.receptor import without_overlap

        ligand = self._ligand(files)
        if not ligand.given:
            message = "the ligand has no pose: its record is a drawing or has no positions"
            raise InputError(message, Where(files.ligand, files.frame))
        receptor, notes = self._receptor(files)
        copies, more = _copies(files.copies)
        places = np.concatenate([ligand.structure.positions, *(copy.positions for copy in copies)])
        return Complex(files, without_overlap(receptor, places), ligand, copies, (*notes, *more))

    def _receptor(self, files: ComplexFiles) -> tuple[Receptor, tuple[str, ...]]:
        from eqcli.io.receptor import read_receptor, receptor_of

        key = files.receptor, files.receptor_frame, files.cofactors
        if key not in self._receptors:
            self._receptors.clear()
            if files.receptor_frame is None:
                receptor = read_receptor(files.receptor)
            else:
                stored = _frame(files.receptor, files.receptor_frame)
                receptor = receptor_of(stored, str(stored.info.get("name", files.protein)))
            notes: tuple[str, ...] = ()
            if files.cofactors is not None:
                receptor, notes = with_cofactors(receptor, files.cofactors)
            self._receptors[key] = receptor, notes
        return self._receptors[key]

    def _ligand(self, files: ComplexFiles) -> Ligand:
        from eqcli.io.ligand import ligand_of, read_ligands
        from eqcli.io.rdkit_build import molecule_of

        if files.receptor_frame is not None:
            stored = _frame(files.ligand, files.frame or 0)
            return ligand_of(molecule_of(stored), str(stored.info.get("name", files.name)))
        if files.ligand not in self._ligands:
            self._ligands.clear()
            self._ligands[files.ligand] = list(read_ligands(files.ligand))
        records, frame = self._ligands[files.ligand], files.frame or 0
        if frame >= len(records):
            raise InputError(f"there is no record {frame}: the file has {len(records)}", Where(files.ligand))
        found = records[frame]
        if isinstance(found, InputError):
            raise found
        return found


def _frame(path: Path, number: int) -> Structure:
    from eqcli.io.store import DatasetFile

    with DatasetFile(path) as frames:
        return frames[number]


def _copies(path: Path | None) -> tuple[tuple[Structure, ...], tuple[str, ...]]:
    """The usable records of the file of copies, and how many are not."""
    from eqcli.io.ligand import read_ligands

    if path is None:
        return (), ()
    records = list(read_ligands(path))
    wrong = [record for record in records if isinstance(record, InputError)]
    notes = (f"{len(wrong)} of {len(records)} copies of the ligand left out: {wrong[0].message}",) if wrong else ()
    return tuple(r.structure for r in records if not isinstance(r, InputError) and r.given), notes


def with_cofactors(receptor: Receptor, path: Path) -> tuple[Receptor, tuple[str, ...]]:
    """The receptor with the molecules of a file as hetero residues of it, and a note.

    Raises InputError where one of them cannot be read: a receptor without its cofactor is another receptor.
    """
    from eqcli.io.ligand import read_ligands

    found = list(read_ligands(path))
    for record in found:
        if isinstance(record, InputError):
            raise InputError(f"a cofactor cannot be read: {record.message}", record.where, record.hint)
    cofactors = [record for record in found if not isinstance(record, InputError)]
    structure = receptor.structure
    for number, cofactor in enumerate(cofactors, 1):
        structure = _joined(structure, cofactor, number)
    names = ", ".join(cofactor.name for cofactor in cofactors)
    note = f"{len(cofactors)} cofactors of {path.name} joined to the receptor: {names}"
    return replace(receptor, structure=structure, notes=[*receptor.notes, note]), (note,)


def _joined(structure: Structure, cofactor: Ligand, number: int) -> Structure:
    from eqcli.io.ligand_topology import topology

    atoms = cofactor.structure
    n = len(atoms)
    residue = int(np.max(structure.arrays["residue"], initial=-1)) + 1
    mine: dict[str, Any] = {
        "atom_name": [f"{i + 1}" for i in range(n)],
        "residue_name": ["COF"] * n,
        "chain": ["_"] * n,
        "residue_number": [str(number)] * n,
        "insertion_code": [""] * n,
        "hetero": np.ones(n, dtype=bool),
        "atom_type": topology(cofactor).types,
        "residue": np.full(n, residue),
        "added": np.zeros(n, dtype=bool),
    }
    arrays = {name: _extended(values, mine.get(name), n) for name, values in structure.arrays.items()}
    return replace(
        structure,
        numbers=np.concatenate([structure.numbers, atoms.numbers]),
        positions=np.concatenate([structure.positions, atoms.positions]),
        arrays=arrays,
    )


def _extended(values: Any, mine: Sequence[Any] | None, n: int) -> Any:
    """An array of the receptor with the entries of the cofactor behind it; zeros and blanks where it has none."""
    old = np.asarray(values)
    new = np.zeros((n, *old.shape[1:]), dtype=old.dtype) if mine is None else np.asarray(mine)
    return np.concatenate([old, new if new.dtype.kind == "U" else new.astype(old.dtype)])
