"""What the registration of two structures ended with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eqcli.errors import InputError, Where
from eqcli.tasks.register_verdict import Verdict
from eqcli.tasks.register_words import NONE_RELIABLE, motion_facts, motion_rows

if TYPE_CHECKING:
    from eqcli.engine.registered_structures import RegisteredStructures

SHOWN = 12
"""Rows of the mapping that are shown; all of them are in the result's file."""


@dataclass
class StructureResult(Verdict):
    """What the registration of two structures ended with.

    Attributes
    ----------
    registered
        The motion and what speaks for it.
    source, target
        The files.
    notes
        What reading them said.
    seconds
        Without reading.
    files
        What was written, by kind.
    """

    registered: RegisteredStructures
    source: Path
    target: Path
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    files: dict[str, Path] = field(default_factory=dict)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the motion is not believed."""
        return self.registered.reasons

    @property
    def motion(self) -> dict[str, Any]:
        """Matrix, angle, axis and translation; of a mirror image those of the rotation after it (`mirrored`)."""
        from eqcli.geometry.motions import Motion

        motion = self.registered.motion
        if float(np.linalg.det(motion.rotation.numpy())) > 0:
            return motion_facts(motion)
        facts = motion_facts(Motion(-motion.rotation, motion.translation))
        return facts | {"matrix": motion.matrix().tolist(), "mirrored": True}

    def as_dict(self) -> dict[str, Any]:
        """The result as plain data; without any motion where it is not reliable."""
        return {
            **self.registered.as_dict(),
            "source": str(self.source),
            "target": str(self.target),
            "units": "Angstrom",
            "motion": self.motion if self.reliable else None,
            "notes": [*self.notes, *self.registered.notes],
            "seconds": {"registration": self.seconds},
            "files": {kind: str(path) for kind, path in self.files.items()},
            "exit_code": int(self.exit_code),
        }

    def summary(self) -> list[tuple[str, str]]:
        """The result for people: names and values, units included."""
        found = self.registered
        rows = [("alignment", "reliable" if self.reliable else NONE_RELIABLE)]
        rows += [("because", "\n".join(found.reasons))] if not self.reliable else []
        if self.reliable:
            rows += motion_rows(self.motion, " Å")
            rows += [("mirror", "the source is inverted through the origin before it is turned")] * (
                "mirrored" in self.motion
            )
        if len(found.matched):
            rows.append(("RMSD", f"{found.rmsd:.4f} Å over {found.facts.get('rmsd_over', self._over())}"))
        rows += [*self._measures(), *self._mapping()]
        rows += [("note", note) for note in (*self.notes, *found.notes)]
        rows.append(("seconds", f"{self.seconds:.2f}"))
        return rows + [(kind, str(path)) for kind, path in self.files.items()]

    def _over(self) -> str:
        what = {"ca": "Cα", "backbone": "backbone atoms", "heavy": "heavy atoms", "all": "atoms"}
        return f"{len(self.registered.matched)} {what.get(str(self.registered.facts.get('on')), 'atoms')}"

    def _measures(self) -> list[tuple[str, str]]:
        found, facts = self.registered, self.registered.facts
        rows = []
        if "tm_source" in found.score:
            lengths = (facts["residues_source"], facts["residues_target"])
            told = f"{found.score['tm_source']:.4f} by the source ({lengths[0]} residues), "
            rows.append(("TM-score", told + f"{found.score['tm_target']:.4f} by the target ({lengths[1]})"))
            chains = ", ".join(f"{c['source'] or '-'} onto {c['target'] or '-'}" for c in facts["chains"])
            aligned = f"{facts['aligned_residues']} residues, {facts['identity']:.1%} identical; chains {chains}"
            rows.append(("aligned", aligned))
        if "rmsd_normalised" in found.score:
            rows.append(("normalised RMSD", f"{found.score['rmsd_normalised']:.4f} (V/N)^(1/3)"))
        if "lattice_mapping" in facts:
            lines = ["  ".join(f"{value:>5}" for value in row) for row in facts["lattice_mapping"]]
            rows.append(("lattice mapping", "\n".join(lines)))
            rows.append(("origin shift", "(" + ", ".join(f"{value:.5f}" for value in facts["origin_shift"]) + ")"))
        return rows

    def _mapping(self) -> list[tuple[str, str]]:
        """The farthest pairs of proteins, the first of others."""
        mapping = self.registered.mapping
        if not mapping or not self.reliable:
            return []
        if self.registered.kind == "proteins":
            mapping = tuple(sorted(mapping, key=lambda row: -row.distance))[:3]
            return [("farthest", "\n".join(f"{r.source} - {r.target}  {r.distance:.2f} Å" for r in mapping))]
        lines = [f"{row.source} -> {row.target}  {row.distance:.3f} Å" for row in mapping[:SHOWN]]
        rest = len(mapping) - SHOWN
        return [("mapping", "\n".join([*lines, *([f"and {rest} more"] if rest > 0 else [])]))]

    def write(self, output: Path, *, overwrite: bool = False, provenance: dict[str, Any] | None = None) -> None:
        """Writes the moved source. Raises InputError where there is no reliable alignment, or as writing does."""
        from eqcli.io.writing import write_structures

        if not self.reliable:
            raise InputError("there is no reliable alignment, so nothing is written", Where(output))
        write_structures(output, [self.registered.moved], overwrite=overwrite, provenance=provenance)
