"""What an evaluation of generated crystals reads, and which of two questions the files ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eqcli.errors import Failure, InputError, Where
from eqcli.tasks.generated_kind import refuse_mixture
from eqcli.tasks.inference import readable_files

if TYPE_CHECKING:
    from eqcli.io.structure import Structure

UNREAD = -1
"""The place of a row of the reference that cannot be read."""


@dataclass
class CrystalInput:
    """Generated, reference and training structures.

    Attributes
    ----------
    targets
        Place in `reference` of what each generated structure was made for, or None: de novo generation.
    """

    generated: list[Structure]
    reference: list[Structure]
    training: list[Structure] | None
    targets: list[int] | None
    failures: list[Failure]
    warnings: list[str]

    def by_target(self) -> list[list[int]]:
        """Indices of the generated structures of each row of the reference."""
        found: list[list[int]] = [[] for _ in self.reference]
        for index, row in enumerate(self.targets or ()):
            found[row].append(index)
        return found


def read_crystals(generated: Sequence[Path], reference: Path, training: Path | None, limit: int | None) -> CrystalInput:
    """Reads the files; `limit` keeps so many targets or, in de novo generation, so many structures.

    Raises
    ------
    InputError
        A file is missing or holds nothing, only some structures name a target, or a target is not in the reference.
    """
    failures: list[Failure] = []
    warnings: list[str] = []
    sources = readable_files(generated)
    readable_files([reference, *([training] if training else [])])
    made = _read(sources, failures)
    refuse_mixture(made)
    known = _read([reference], failures)
    trained = _read([training], failures) if training else None
    if training and training.resolve() == reference.resolve():
        warnings.append("the training set and the reference are one file: novelty and baselines say nothing then")
    targets = _targets(made, known, reference)
    if targets is None:
        return CrystalInput(made[:limit], known, trained, None, failures, warnings)
    if lost := targets.count(UNREAD):
        warnings.append(f"{lost} structures were made for rows of the reference that cannot be read, and are left out")
    kept = [index for index, row in enumerate(targets) if row != UNREAD and (limit is None or row < limit)]
    if not kept:
        which = "readable rows" if limit is None else f"first {limit} rows"
        raise InputError(f"no structure was made for the {which} of the reference", Where(sources[0]))
    made, targets = [made[index] for index in kept], [targets[index] for index in kept]
    known = known[:limit]
    warnings += _warnings(made, known, targets)
    return CrystalInput(made, known, trained, targets, failures, warnings)


def _read(paths: Sequence[Path], failures: list[Failure]) -> list[Structure]:
    from eqcli.tasks.inference import read_all

    before = len(failures)
    found = list(read_all(paths, None, failures.append))
    if not found:
        reason = f": {failures[before].reason}" if len(failures) > before else ""
        raise InputError(f"there is no structure to use{reason}", Where(paths[0]))
    return found


def _targets(made: Sequence[Structure], known: Sequence[Structure], reference: Path) -> list[int] | None:
    """Where among the `known` the targets are that the structures name; None where no structure names one.

    Targets are rows of the file, of which some may be unreadable: `UNREAD`.
    """
    places = {index if s.where.frame is None else s.where.frame: index for index, s in enumerate(known)}
    rows: list[int] = []
    for structure in made:
        value = structure.info.get("target")
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
            continue
        if not 0 <= value <= max(places):
            raise InputError(
                f"this structure was made for row {value:g}, and {reference.name} has {max(places) + 1} rows",
                structure.where,
                "Give as --reference the file whose compositions the structures were made for.",
            )
        rows.append(places.get(int(value), UNREAD))
    if rows and len(rows) < len(made):
        raise InputError(
            f"{len(rows)} of {len(made)} structures name a target: structure prediction and de novo generation "
            "are evaluated apart",
            hint="Give the files of one kind.",
        )
    return rows or None


def _warnings(made: Sequence[Structure], known: Sequence[Structure], targets: Sequence[int]) -> list[str]:
    from eqcli.metrics.crystal_templates import formula_of
    from eqcli.report.numbers import count

    found = []
    missing = len(known) - len(set(targets))
    if missing:
        found.append(
            f"{count(missing, 'row')} of the reference have no prediction and count as not matched; "
            "`--limit N` evaluates the first N rows alone"
        )
    other = sum(formula_of(s) != formula_of(known[row]) for s, row in zip(made, targets, strict=True))
    if other:
        found.append(f"{count(other, 'structure')} of {len(made):,} have another composition than their target")
    return found
