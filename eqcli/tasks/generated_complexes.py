"""Training complexes that are cut out of proteins: what a network can learn from structures without any ligand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from eqcli.errors import Failure, InputError, Where
from eqcli.files import require_file

if TYPE_CHECKING:
    from eqcli.io.structure import Structure
    from eqcli.tasks.read_complexes import ComplexReader

Pieces = Literal["residue", "segment", "both"]

LENGTHS: dict[Pieces, tuple[int, ...]] = {"residue": (1,), "segment": (3, 4, 5), "both": (1, 3, 4, 5)}

SUFFIXES = (".pdb", ".ent", ".cif", ".mmcif", ".pdb.gz", ".ent.gz", ".cif.gz", ".mmcif.gz")


def generated(source: str, count: int, pieces: Pieces, seed: int, reader: ComplexReader) -> Iterator[Structure]:
    """The ligands of complexes made of the proteins of a file or folder; their receptors go into `reader.found`.

    A protein of which nothing can be made is a failure of `reader.found`.
    """
    from eqcli.data.complex_structures import ligand_structure, receptor_structure
    from eqcli.data.generated_complexes import generated_complexes
    from eqcli.io.receptor import read_receptor

    for path in protein_files(source):
        made, protein_name = 0, path.relative_to(source).as_posix() if path != Path(source) else path.name
        try:
            protein = read_receptor(path)
            for receptor, ligand in generated_complexes(protein, count=count, seed=seed, lengths=LENGTHS[pieces]):
                name = f"{path}:{ligand.name}"
                left = receptor_structure(receptor, name=name, protein=protein_name)
                bound = ligand_structure(ligand, left, name=ligand.name, conformers=reader.limits.conformers, seed=seed)
                reader.found.receptors[name] = left
                reader.report.advance(1)
                made += 1
                yield bound
        except InputError as error:
            reader.found.failures.append(Failure.of(path.name, error))
            continue
        if not made:
            reader.found.failures.append(Failure(path.name, "no piece of this protein is buried enough", Where(path)))


def protein_files(source: str) -> list[Path]:
    """The proteins of a folder, at any depth, or the one file. Raises InputError where there is none."""
    path = Path(source)
    if not path.is_dir():
        return [require_file(path)]
    found = sorted(p for p in path.rglob("*") if p.is_file() and p.name.lower().endswith(SUFFIXES))
    if not found:
        raise InputError("no proteins in this folder", Where(path), f"Expected files ending in {', '.join(SUFFIXES)}.")
    return found
