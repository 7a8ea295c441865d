"""Shapes of a ligand: distance geometry with torsion knowledge, then a force field.

ETKDGv3 with torsions of small rings and of macrocycles (Riniker and Landrum, J. Chem. Inf. Model. 55, 2562 (2015);
Wang et al., J. Chem. Inf. Model. 60, 2044 (2020)), MMFF94s where it knows the molecule and UFF otherwise, in RDKit.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eqcli.errors import InputError
from eqcli.geometry.superposed import superposed_rmsds
from eqcli.io.rdkit_molecule import molecule_of, sanitised

if TYPE_CHECKING:
    from rdkit.Chem import Mol

    from eqcli.io.ligand import Ligand

FloatArray = NDArray[np.float64]

SEED = 61453
SECONDS = 30
"""That one embedding may take."""

APART = 0.2
"""Å between the heavy atoms of two conformers, below which one of them is dropped."""

STEPS = 100
"""Of the force field: enough to lose the strain of the embedding, not to reach the minimum."""

LARGE_RING = 9
"""Members from which a ring is started from random positions: eigenvectors of its distances often fail."""


def conformers(ligand: Ligand, count: int, seed: int, *, keep_given: bool = False) -> FloatArray:
    """Shapes of a ligand, `[C, N, 3]` in Å, with 1 <= C <= count: those that differ by less than `APART` count once.

    Stereochemistry is that of the ligand's positions. Hydrogens are included.

    Parameters
    ----------
    count
        How many are tried.
    seed
        The same seed gives the same shapes.
    keep_given
        Whether the first is that of the ligand itself, and the others are tried beside it.

    Raises
    ------
    InputError
        Distance geometry finds none, with the reason.
    """
    if count < 1:
        raise ValueError(f"{count} conformers")
    given = ligand.structure.positions[None]
    if keep_given and count == 1:
        return given.copy()
    molecule = sanitised(molecule_of(ligand.structure))
    tried = embedded(molecule, count - keep_given, seed, ligand.name)
    return _distinct(np.concatenate([given, tried]) if keep_given else tried, ligand.structure.numbers > 1)


def embedded(molecule: Mol, count: int, seed: int, name: str) -> FloatArray:
    """Conformers of a sanitised molecule with all its hydrogens, relaxed, `[1..count, N, 3]`. Raises InputError."""
    from rdkit import rdBase
    from rdkit.Chem import rdDistGeom

    if molecule.GetNumAtoms() == 1:
        return np.zeros((1, 1, 3))
    copy, order = in_canonical_order(molecule)
    with rdBase.BlockLogs():
        for parameters in _attempts(copy, seed):
            with suppress(RuntimeError, ValueError):
                rdDistGeom.EmbedMultipleConfs(copy, count, parameters)
            if copy.GetNumConformers():
                _relax(copy)
                shapes = np.array([c.GetPositions() for c in copy.GetConformers()], dtype=np.float64)
                shapes = shapes[np.isfinite(shapes).all(axis=(1, 2))]
                if len(shapes):
                    return shapes[:, np.argsort(order)]
    rings = max((len(ring) for ring in copy.GetRingInfo().AtomRings()), default=0)
    ring = f", its largest ring has {rings} members" if rings >= LARGE_RING else ""
    message = f"distance geometry finds no shape of '{name}' ({copy.GetNumHeavyAtoms()} heavy atoms{ring})"
    raise InputError(message, hint="Give a file with three-dimensional positions.")


def in_canonical_order(molecule: Mol) -> tuple[Mol, NDArray[np.int64]]:
    """A copy without conformers whose atoms are listed as its canonical SMILES has them, and that order.

    Distance geometry draws its numbers atom by atom: without this, shapes would depend on how a file lists them.
    """
    from rdkit import Chem, rdBase

    parameters: Any = Chem.SmilesParserParams()
    parameters.removeHs = False
    with rdBase.BlockLogs():
        text = Chem.MolToSmiles(molecule)
        order = np.array(list(molecule.GetPropsAsDict(True, True)["_smilesAtomOutputOrder"]), dtype=np.int64)
        copy = Chem.MolFromSmiles(text, parameters)
    if copy is None or copy.GetNumAtoms() != molecule.GetNumAtoms():
        copy, order = Chem.Mol(molecule), np.arange(molecule.GetNumAtoms())
        # A failed embedding would leave the shape that the molecule came with.
        copy.RemoveAllConformers()
    return copy, order


def _attempts(molecule: Mol, seed: int) -> list[Any]:
    """Parameters to try one after the other: as usual, from random positions, and without knowledge of torsions."""
    from rdkit.Chem import rdDistGeom

    rings = max((len(ring) for ring in molecule.GetRingInfo().AtomRings()), default=0)
    tries: list[Any] = []
    for start, known in ((rings >= LARGE_RING, True), (True, True), (True, False)):
        parameters: Any = rdDistGeom.ETKDGv3() if known else rdDistGeom.EmbedParameters()
        # RDKit multiplies the seed by the number of the conformer: from 0 all would be the same.
        parameters.randomSeed = seed & 0x7FFFFFFF or SEED
        parameters.useRandomCoords = start
        parameters.useSmallRingTorsions = known
        parameters.timeout = SECONDS
        parameters.numThreads = 1
        tries.append(parameters)
    return tries


def _relax(molecule: Mol) -> None:
    """Relaxes all conformers in place; they stay as they are where no force field knows the molecule."""
    from rdkit.Chem import rdForceFieldHelpers as fields

    try:
        if fields.MMFFHasAllMoleculeParams(molecule):
            fields.MMFFOptimizeMoleculeConfs(molecule, maxIters=STEPS, mmffVariant="MMFF94s")
        elif fields.UFFHasAllMoleculeParams(molecule):
            fields.UFFOptimizeMoleculeConfs(molecule, maxIters=STEPS)
    except (RuntimeError, ValueError):
        # What distance geometry found is a shape, too.
        return


def _distinct(shapes: FloatArray, heavy: NDArray[np.bool_]) -> FloatArray:
    """Those that are not nearly the same as one before, atom by atom after superposition."""
    chosen = shapes[:, heavy if heavy.any() else ~heavy]
    kept: list[int] = []
    for k in range(len(shapes)):
        if not kept or superposed_rmsds(chosen[k], chosen[kept]).min() >= APART:
            kept.append(k)
    return shapes[kept]
