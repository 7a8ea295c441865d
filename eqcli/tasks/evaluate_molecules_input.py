"""What an evaluation of generated molecules reads, and where bonds come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from eqcli.errors import Failure, InputError, Where
from eqcli.io.structure import Structure
from eqcli.tasks.evaluate_molecules_result import BY_RULE, OWN
from eqcli.tasks.generated_kind import is_periodic, refuse_mixture
from eqcli.tasks.inference import readable_files

if TYPE_CHECKING:
    from eqcli.tasks.evaluate_molecules_scores import Scoring

BOTH: Final = "both"
WAYS: Final = (BY_RULE, OWN, BOTH)


@dataclass
class MoleculeInput:
    """Generated, reference and training molecules.

    Attributes
    ----------
    training
        What novelty is measured against: the reference where no other file was given.
    bonds
        The ways of taking bonds, `rule`, `own` or both.
    """

    generated: list[Structure]
    reference: list[Structure]
    training: list[Structure]
    bonds: tuple[str, ...]
    failures: list[Failure]
    warnings: list[str]

    @property
    def main(self) -> str:
        """The bonds with which geometry, strain, checks and properties are measured."""
        return self.bonds[-1]


def read_molecules(
    generated: Sequence[Path], reference: Path, training: Path | None, limit: int | None, bonds: str | None
) -> MoleculeInput:
    """Reads the files; `limit` keeps the first generated molecules.

    Raises
    ------
    InputError
        A file is missing or holds nothing, a structure has a cell, or own bonds are asked for where there are none.
    """
    failures: list[Failure] = []
    warnings: list[str] = []
    sources = readable_files(generated)
    readable_files([reference, *([training] if training else [])])
    made = _read(sources, failures)[:limit]
    known = _read([reference], failures)
    same = training is None or training.resolve() == reference.resolve()
    trained = known if same or training is None else _read([training], failures)
    if training is None:
        warnings.append("novelty and baselines are of the reference, since no `--training` was given")
    elif same:
        warnings.append("the training set and the reference are one file")
    ways = _ways(made, bonds, sources[0])
    if OWN in ways and (bare := sum(not states_bonds(structure) for structure in made)):
        warnings.append(f"{bare} of {len(made)} generated molecules state no bonds, and are invalid by their own bonds")
    return MoleculeInput(made, known, trained, ways, failures, warnings)


def states_bonds(structure: Structure) -> bool:
    """Whether the file says what is bonded; a single atom needs no bonds."""
    return len(structure) == 1 or structure.info.get("bonds") is not None


def _ways(made: Sequence[Structure], asked: str | None, file: Path) -> tuple[str, ...]:
    stated = any(structure.info.get("bonds") is not None for structure in made)
    if asked is None:
        return (BY_RULE, OWN) if stated else (BY_RULE,)
    if asked != BY_RULE and not stated:
        raise InputError("no molecule of this file states its bonds", Where(file), "Use --bonds rule.")
    return (BY_RULE, OWN) if asked == BOTH else (asked,)


def _read(paths: Sequence[Path], failures: list[Failure]) -> list[Structure]:
    from eqcli.tasks.inference import read_all

    before = len(failures)
    found = list(read_all(paths, None, failures.append))
    refuse_mixture(found)
    if found and is_periodic(found[0]):
        raise InputError("these are crystals, and molecules are evaluated here", found[0].where)
    kept = [structure for structure in found if len(structure)]
    failures += [Failure(s.name, "it has no atoms", s.where) for s in found if not len(s)]
    if not kept:
        reason = f": {failures[before].reason}" if len(failures) > before else ""
        raise InputError(f"there is no molecule to use{reason}", Where(paths[0]))
    return kept


def with_known_bonds(structures: Sequence[Structure], scoring: Scoring) -> tuple[list[Structure], dict[str, int]]:
    """The structures with bonds, and how many were given, found by RDKit from distances, or by the bond rule."""
    from eqcli.io.rdkit_molecule import with_bonds
    from eqcli.metrics.molecules.bond_rule import bonds_by_rule
    from eqcli.metrics.work import measure

    bare = [index for index, structure in enumerate(structures) if not states_bonds(structure)]
    found = list(structures)
    sources = {"stated": len(found) - len(bare), "found by RDKit": 0, "by the bond rule": 0}
    outcomes = measure(with_bonds, [found[i] for i in bare], label="find bonds", **scoring.options(len(bare)))
    for index, outcome in zip(bare, outcomes, strict=True):
        if outcome.value is not None:
            found[index] = outcome.value
            sources["found by RDKit"] += 1
        else:
            structure = found[index]
            bonds = [list(bond) for bond in bonds_by_rule(structure.numbers, structure.positions)]
            found[index] = replace(structure, info=structure.info | {"bonds": bonds})
            sources["by the bond rule"] += 1
    return found, {source: count for source, count in sources.items() if count}
