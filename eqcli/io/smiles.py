"""SMILES files: one molecule per line, given a three-dimensional conformer by RDKit.

Conformers come from ETKDGv3 with a fixed seed, so that the same line always gives the same
structure, and are then relaxed with the MMFF force field where it knows the molecule. SMILES are written from bonds.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eqcli.errors import InputError, Where
from eqcli.io.frame import Frame, Items
from eqcli.io.sdf import frame_of
from eqcli.io.smiles_writer import write as write
from eqcli.io.text import Lines, is_text, not_text, open_text

SEED = 61453
"""Seed of the embedding."""

ATTEMPTS = 20
MMFF_STEPS = 1000


def read(path: Path) -> Items:
    """A structure per line `SMILES [name]`; blank lines, `#` comments and a header line are passed over."""
    empty = True
    for where, words in smiles_lines(path):
        empty = False
        try:
            if words is None:
                raise not_text(where)
            yield embed(*words, where)
        except InputError as error:
            yield error
    if empty:
        raise InputError("the file holds no SMILES", Where(path))


def smiles_lines(path: Path) -> Iterator[tuple[Where, tuple[str, str] | None]]:
    """The place, and SMILES and name, of each molecule of a file; None for a line that is no text."""
    with open_text(path) as file:
        lines = Lines(path, file)
        number = 0
        while (line := lines.take()) is not None:
            words = line.split(maxsplit=1)
            if not words or words[0].startswith("#") or (number == 0 and words[0].lower() in ("smiles", "smi")):
                continue
            where = Where(path, number, lines.number)
            number += 1
            yield where, (words[0], words[1].strip() if len(words) > 1 else "") if is_text(line) else None


def embed(smiles: str, name: str, where: Where) -> Frame:
    """The conformer of a SMILES. Raises InputError where RDKit cannot read or embed it."""
    from rdkit import Chem, rdBase
    from rdkit.Chem import AllChem as untyped

    all_chem: Any = untyped
    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(smiles)
        if molecule is None or molecule.GetNumAtoms() == 0:
            raise InputError(f"'{smiles[:60]}' is not a SMILES that RDKit can read", where)
        molecule = Chem.AddHs(molecule)
        parameters = all_chem.ETKDGv3()
        parameters.randomSeed = SEED
        parameters.maxIterations = ATTEMPTS
        if all_chem.EmbedMolecule(molecule, parameters) != 0:
            parameters.useRandomCoords = True
            if all_chem.EmbedMolecule(molecule, parameters) != 0:
                raise InputError(f"no three-dimensional structure was found for '{smiles[:60]}'", where)
        if all_chem.MMFFHasAllMoleculeParams(molecule):
            all_chem.MMFFOptimizeMolecule(molecule, maxIters=MMFF_STEPS)
    frame = frame_of(molecule, where)
    frame.info = {**({"name": name} if name else {}), "smiles": smiles, **frame.info}
    return frame
