"""The candidates of each composition, the one most like the others first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import replace
from math import isnan
from typing import TYPE_CHECKING, Any

from eqcli.errors import Failure, InputError
from eqcli.io.structure import Structure, formula
from eqcli.metrics.crystals.consensus import Standing, consensus
from eqcli.metrics.crystals.convert import require_pymatgen, versions
from eqcli.metrics.crystals.matching import STRICT
from eqcli.metrics.crystals.pool import kept_processes
from eqcli.progress import Reporter

if TYPE_CHECKING:
    from eqcli.tasks.generate_request import Request

UNRANKED = "its candidates took too long to compare, or could not be: they stand as they were made, without a rank"


def require_rankable(request: Request) -> None:
    """Raises InputError where no compositions are given, MissingDependency where nothing can be compared."""
    if not request.formulas and request.composition_of is None and request.refine is None:
        raise InputError(
            "--rank orders candidates of a composition",
            hint="Give --formula, --composition-of or --refine with it, or leave it out.",
        )
    require_pymatgen()


def ranked(structures: Sequence[Structure], failures: list[Failure], report: Reporter) -> list[Structure]:
    """The structures, those of one target or else of one formula together and ordered by `rank` and `consensus`.

    A composition whose candidates cannot be compared is a row of `failures`, and they have neither entry.
    """
    groups: dict[Hashable, list[Structure]] = defaultdict(list)
    for structure in structures:
        target = structure.info.get("target")
        groups[formula(structure.numbers) if target is None else int(target)].append(structure)
    with kept_processes():
        found = consensus(list(groups.values()), report=report)
    ordered: list[Structure] = []
    for group, standings in zip(groups.values(), found, strict=True):
        if len(group) > 1 and isnan(standings[0].distance):
            failures.append(Failure(_name(group[0]), UNRANKED))
            ordered += group
            continue
        placed = sorted(zip(standings, group, strict=True), key=lambda pair: pair[0].rank)
        ordered += [_with_rank(structure, standing) for standing, structure in placed]
    return ordered


def how_ranked() -> dict[str, Any]:
    """What provenance says of the order."""
    return {"ranking": {"tolerances": STRICT.as_dict(), "versions": versions()}}


def _with_rank(structure: Structure, standing: Standing) -> Structure:
    distance = {} if isnan(standing.distance) else {"consensus": standing.distance}
    return replace(structure, info={**structure.info, "rank": standing.rank} | distance)


def _name(structure: Structure) -> str:
    target = structure.info.get("target")
    return formula(structure.numbers) + ("" if target is None else f", target {target}")
