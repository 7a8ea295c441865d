"""Finding complexes of receptors and ligands among files."""

from __future__ import annotations

from pathlib import Path

from eqcli.data.complex_files import ComplexFiles as ComplexFiles
from eqcli.data.complex_files import Found
from eqcli.data.complex_folders import complexes_in
from eqcli.data.complex_tables import complexes_of_dataset, complexes_of_table
from eqcli.errors import InputError, Where
from eqcli.files import require_file

TABLES = (".csv", ".csv.gz")
DATASETS = (".h5", ".hdf5")


def find_complexes(path: str | Path) -> Found:
    """The complexes of a folder, a table or a dataset file, in a fixed order; a failure for each that is incomplete.

    Parameters
    ----------
    path
        A folder in the layouts of `eqcli.data.complex_folders`, at any depth; a table or a dataset file as in
        `eqcli.data.complex_tables`.

    Raises
    ------
    InputError
        There is no such file or folder, it is of another kind, or there is nothing in it that looks like a complex.
    """
    source = Path(path)
    if source.is_dir():
        found = complexes_in(source)
    else:
        name = require_file(source).name.lower()
        if name.endswith(TABLES):
            found = complexes_of_table(source)
        elif name.endswith(DATASETS):
            found = complexes_of_dataset(source)
        else:
            raise InputError(
                "this file is no list of complexes",
                Where(path),
                "Expected a folder, a table (.csv) with the columns receptor and ligand, or a dataset (.h5).",
            )
    empty = True
    for item in found:
        empty = False
        yield item
    if empty:
        raise InputError(
            "no complexes here",
            Where(path),
            "Expected ID/ID_protein.pdb with ID/ID_ligand.sdf, or TARGET/protein.pdb with TARGET/ligands.sdf.",
        )
