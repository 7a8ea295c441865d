"""The groups of checks that a person may ask for, and what a model must give for each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from eqcli.errors import InputError, Where
from eqcli.names import did_you_mean


@dataclass(frozen=True)
class Group:
    """A group of checks: what it is about, the outputs it needs, whether it is made unasked."""

    meaning: str
    needs: tuple[str, ...] = ()
    by_default: bool = True


GROUPS: Final[dict[str, Group]] = {
    "equivariance": Group("rotations, reflections, translations, permutations, choice of cell and origin, handedness"),
    "conservation": Group("forces and stress against the energy, Hessian, energy in dynamics", needs=("forces",)),
    "smoothness": Group("energy, force and force slope through the cutoff, two atoms at any distance", ("forces",)),
    "extensivity": Group("copies, supercells, isolated atoms, batches", ("energy",)),
    "expressivity": Group("which geometries the architecture can tell apart", by_default=False),
}
"""Name -> what it checks. The table of tolerances says which check belongs where."""

ALL: Final = "all"

DEFAULT: Final = tuple(name for name, group in GROUPS.items() if group.by_default)
"""What an evaluation audits when nothing is said."""


STRUCTURES: Final = 8
"""Structures audited when nothing is said."""


def chosen_groups(words: Iterable[str]) -> tuple[str, ...]:
    """Groups named by `words`, each a name, `all`, or several names with commas; in the order of the table.

    Raises InputError for a name that there is not.
    """
    names = [name.strip() for word in words for name in word.split(",") if name.strip()]
    for name in names:
        if name not in GROUPS and name != ALL:
            hint = did_you_mean(name, [*GROUPS, ALL], "groups")
            raise InputError(f"there is no group of audits '{name}'", hint=f"{hint} {_known()}".strip())
    if not names:
        raise InputError("no group of audits is named", hint=_known())
    return tuple(GROUPS) if ALL in names else tuple(name for name in GROUPS if name in names)


def _known() -> str:
    return f"Groups: {', '.join([ALL, *GROUPS])}."


def applicable(outputs: Iterable[str], groups: Iterable[str] = DEFAULT) -> tuple[str, ...]:
    """Those of `groups` whose needs are among the outputs that a model declares."""
    return tuple(name for name in groups if not _lacking(name, outputs))


def require_outputs(outputs: Sequence[str], groups: Iterable[str], where: Where | None = None) -> None:
    """Raises InputError when a group needs what the model does not give, saying what can be audited instead."""
    for name in groups:
        if lacking := _lacking(name, outputs):
            possible = ",".join(applicable(outputs))
            raise InputError(
                f"the {name} audit needs {' and '.join(lacking)}, and this model gives {', '.join(outputs)} alone",
                where or Where(),
                f"What can be audited: --audit {possible}.",
            )


def _lacking(group: str, outputs: Iterable[str]) -> list[str]:
    given = set(outputs)
    return [need for need in GROUPS[group].needs if need not in given]
