"""Writing SMILES files: a line `SMILES name` per molecule."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from eqcli.io.rdkit_molecule import molecule_of, sanitised, smiles_of
from eqcli.io.structure import Structure


def write(path: Path, structures: Iterable[Structure], provenance: dict[str, Any] | None) -> int:
    """Writes a line per structure, after a comment that says where the file comes from; positions have no place.

    Raises InputError for a structure without bonds, or with bonds that RDKit refuses.
    """
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for structure in structures:
            if provenance and count == 0:
                file.write(
                    f"# eqcli {provenance.get('eqcli', '')} {(provenance.get('commit') or '')[:12]}".rstrip() + "\n"
                )
            file.write(line(structure))
            count += 1
    return count


def line(structure: Structure) -> str:
    """Canonical SMILES with stereochemistry from the positions, and the entry `name`, or else `sample`.

    Raises InputError where there is no SMILES.
    """
    smiles = smiles_of(sanitised(molecule_of(structure)))
    name = structure.info.get("name", structure.info.get("sample", ""))
    return " ".join([smiles, *str(name).split()]) + "\n"
