"""What the registration of two molecules, proteins or crystals ends with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from eqcli.io.frame import plain
from eqcli.io.structure import Structure

if TYPE_CHECKING:
    from eqcli.geometry.motions import Motion

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

StructureKind = Literal["molecules", "proteins", "crystals"]


@dataclass(frozen=True)
class MatchRow:
    """A source atom with its target atom, as people name them, and Å between them once the source is moved."""

    source: str
    target: str
    distance: float


@dataclass(frozen=True)
class RegisteredStructures:
    """Two structures with the rigid motion between them.

    Attributes
    ----------
    kind
        What they were taken for.
    motion
        y = R x + t from the source's frame to the target's, float64, Å. R is improper where a mirror image was
        asked for and fits.
    rmsd
        Å over the matched atoms once moved. Of crystals, with the strain between the two lattices taken out.
    matched
        Index pairs of atoms in the two structures, `[M, 2]`, source first.
    mapping
        A row for each of them.
    score
        Measures beside the RMSD, by name: TM-scores of proteins (`tm_source`, `tm_target`, each by the length of that
        structure), the normalised RMSD of crystals.
    moved
        The source as it lies in the target's frame, with everything that it had.
    reliable
        Whether the motion is believed; where it is not, `reasons` says why.
    notes
        What a person should know of how it was found, and what else was noticed.
    facts
        What is particular to the kind, as plain data: the lattice mapping, sequence identity, pairs of chains.
    """

    kind: StructureKind
    motion: Motion
    rmsd: float
    matched: IntArray
    mapping: tuple[MatchRow, ...]
    moved: Structure
    score: dict[str, float] = field(default_factory=dict)
    reliable: bool = True
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The result as plain data, without the moved structure; no matrix where it is not reliable."""
        return {
            "kind": self.kind,
            "reliable": self.reliable,
            "matrix": plain(self.motion.matrix().numpy()) if self.reliable else None,
            "rmsd": self.rmsd,
            "matched": len(self.matched),
            "score": dict(self.score),
            "mapping": [vars(row) for row in self.mapping],
            "reasons": list(self.reasons),
            "notes": list(self.notes),
            **plain(self.facts),
        }


def moved_structure(structure: Structure, rotation: FloatArray, translation: FloatArray) -> Structure:
    """The structure after y = R x + t: positions, cell, and what turns with them (forces, stress)."""
    from dataclasses import replace

    def turned(vectors: FloatArray | None) -> FloatArray | None:
        return None if vectors is None else vectors @ rotation.T

    stress = None if structure.stress is None else rotation @ structure.stress @ rotation.T
    return replace(
        structure,
        positions=structure.positions @ rotation.T + translation,
        cell=structure.cell @ rotation.T,
        forces=turned(structure.forces),
        stress=stress,
        info=dict(structure.info),
        arrays=dict(structure.arrays),
    )
