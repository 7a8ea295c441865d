"""Uniqueness and novelty: which generated crystals repeat one another, and which are known already."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from eqcli.io.structure import Structure
from eqcli.metrics.crystals.convert import Composition, composition_of, require_pymatgen, versions
from eqcli.metrics.crystals.matching import Tolerances, matcher_of
from eqcli.metrics.crystals.pairing import Comparison, Sameness, plan_comparisons
from eqcli.metrics.crystals.reduction import Reduced, reduced
from eqcli.metrics.work import Outcome, measure
from eqcli.progress import Reporter

LARGEST_GROUP = 50
"""Crystals of one composition that one process compares in turn. More are spread over the processes."""


@dataclass(frozen=True)
class DistinctRow:
    """What is known of one generated crystal.

    Attributes
    ----------
    duplicate_of
        Index of the generated crystal, earlier and itself no duplicate, that it repeats; None for a unique one.
    known_as
        Index of the training crystal that it matches; None for a novel one, or where nothing was asked.
    failure
        Why it could not be compared; it is then neither unique nor novel.
    cut
        Whether it was compared with the nearest candidates only, `Sameness.most_compared`.
    """

    duplicate_of: int | None = None
    known_as: int | None = None
    failure: str | None = None
    cut: bool = False

    @property
    def unique(self) -> bool:
        """Whether it repeats no earlier one."""
        return self.failure is None and self.duplicate_of is None

    @property
    def novel(self) -> bool:
        """Whether the training data do not have it; means nothing where there were none."""
        return self.failure is None and self.known_as is None


@dataclass(frozen=True)
class Distinct:
    """Rows in the order of the generated crystals, and the figures made from them.

    `training` is the number of training crystals, None where novelty was not asked; `unread` counts those of them
    that could have mattered and are no crystals.
    """

    rows: list[DistinctRow]
    sameness: Sameness
    training: int | None
    unread: int = 0

    def figures(self) -> dict[str, Any]:
        """Shares of all generated crystals, those that could not be compared included."""
        count = len(self.rows)
        novelty = None if self.training is None else [row.novel for row in self.rows]
        return {
            "structures": count,
            "uniqueness": sum(row.unique for row in self.rows) / count if count else None,
            "novelty": sum(novelty) / count if novelty else None,
            "unique_and_novel": sum(row.unique and row.novel for row in self.rows) / count if novelty else None,
            "failed": sum(row.failure is not None for row in self.rows),
            "compared_with_nearest_only": sum(row.cut for row in self.rows),
            "training": self.training,
            "training_unread": self.unread,
            "sameness": self.sameness.as_dict(),
            "versions": versions(),
        }


def distinct(
    structures: Sequence[Structure],
    training: Sequence[Structure] | None = None,
    *,
    sameness: Sameness | None = None,
    workers: int | None = None,
    timeout: float | None = 10.0,
    report: Reporter | None = None,
) -> Distinct:
    """Which of `structures` are unique among themselves and novel against `training`.

    A crystal is a duplicate where it matches an earlier one that is none. The matcher's relation is not transitive,
    so the rows depend on the order of the structures; pymatgen's `group_structures` counts alike.

    Parameters
    ----------
    timeout
        Seconds for the reduction of one structure, and for all its comparisons; a small group of one composition
        is first given as long for all of its comparisons together.

    Raises
    ------
    MissingDependency
        pymatgen is not installed.
    """
    require_pymatgen()
    rule = sameness or Sameness()
    options = {"workers": workers, "timeout": timeout, "report": report}
    generated = measure(reduced, structures, label="reducing", **options)  # type: ignore[arg-type]
    wanted = {outcome.value.composition for outcome in generated if outcome.value}
    relevant = _of_compositions(training or [], wanted)
    known = measure(reduced, [s for _, s in relevant], label="reducing", **options)  # type: ignore[arg-type]
    crystals = [outcome.value for outcome in [*generated, *known]]
    plan = plan_comparisons(crystals, len(generated), rule)
    compare = _Compare(crystals, rule.tolerances)
    answers = _answers(compare, plan, options)
    rows = _rows(generated, plan, answers, [index for index, _ in relevant])
    return Distinct(rows, rule, None if training is None else len(training), sum(o.value is None for o in known))


def _of_compositions(training: Sequence[Structure], wanted: set[Composition]) -> list[tuple[int, Structure]]:
    """Only crystals of the same composition can be the same; others need no reduction."""
    return [(i, s) for i, s in enumerate(training) if composition_of(s.numbers) in wanted]


Matched = tuple[list[int], int | None]


def _answers(compare: _Compare, plan: list[Comparison], options: dict[str, Any]) -> list[Outcome[Matched]]:
    """What each comparison finds; small groups in turn, which is far less work where many are duplicates."""
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for place, task in enumerate(plan):
        groups[compare.bucket(task.query)].append(place)
    small = [g for g in groups.values() if len(g) < LARGEST_GROUP and not any(plan[place].cut for place in g)]
    found: dict[int, Outcome[Matched]] = {}
    if small:
        together = _CompareInTurn(compare)
        outcomes = measure(together, [[plan[p] for p in g] for g in small], label="comparing groups", **options)
        for group, outcome in zip(small, outcomes, strict=True):
            found |= {place: Outcome(matched) for place, matched in zip(group, outcome.value or [], strict=False)}
    # A group that failed or took too long is compared one by one, so that only what is at fault fails.
    alone = [place for place in range(len(plan)) if place not in found]
    if alone:
        outcomes_alone = measure(compare, [plan[place] for place in alone], label="comparing", **options)
        found |= dict(zip(alone, outcomes_alone, strict=True))
    return [found[place] for place in range(len(plan))]


class _Compare:
    """The earlier crystals that a crystal matches, all of them, and the first training crystal."""

    def __init__(self, crystals: list[Reduced | None], tolerances: Tolerances) -> None:
        self.crystals, self.tolerances = crystals, tolerances
        self.built: dict[int, Any] = {}

    def __call__(self, task: Comparison) -> Matched:
        return [other for other in task.earlier if self.same(other, task.query)], self.known(task)

    def known(self, task: Comparison) -> int | None:
        """The nearest training crystal that it matches."""
        return next((other for other in task.known if self.same(other, task.query)), None)

    def bucket(self, index: int) -> Hashable:
        """What must be equal for a match."""
        crystal = self.crystals[index]
        return None if crystal is None else crystal.bucket

    def same(self, first: int, second: int) -> bool:
        fit = matcher_of(self.tolerances).fit
        return bool(fit(self._crystal(first), self._crystal(second), skip_structure_reduction=True))

    def _crystal(self, index: int) -> Any:
        if index not in self.built:
            crystal = self.crystals[index]
            if crystal is None:
                raise ValueError("a structure that could not be reduced is compared")
            self.built[index] = crystal.crystal()
        return self.built[index]


class _CompareInTurn:
    """As `_Compare`, of all crystals of a group: each stops at the nearest one that it repeats.

    Duplicates need no comparison with later ones: only a unique crystal can be what another repeats.
    """

    def __init__(self, compare: _Compare) -> None:
        self.compare = compare

    def __call__(self, group: list[Comparison]) -> list[Matched]:
        duplicates: set[int] = set()
        answers: list[Matched] = []
        for task in group:
            originals = (other for other in task.earlier if other not in duplicates)
            original = next((other for other in originals if self.compare.same(other, task.query)), None)
            if original is not None:
                duplicates.add(task.query)
            answers.append(([] if original is None else [original], self.compare.known(task)))
        return answers


def _rows(
    generated: list[Outcome[Reduced]], plan: list[Comparison], answers: list[Outcome[Matched]], training: list[int]
) -> list[DistinctRow]:
    rows = [DistinctRow(failure=outcome.failure) for outcome in generated]
    for task, answer in zip(plan, answers, strict=True):
        if answer.value is None:
            rows[task.query] = DistinctRow(failure=answer.failure, cut=task.cut)
            continue
        matched, known = answer.value
        rows[task.query] = DistinctRow(
            duplicate_of=_representative(matched, rows, task.cut),
            known_as=None if known is None else training[known - len(generated)],
            cut=task.cut,
        )
    return rows


def _representative(matched: list[int], rows: list[DistinctRow], cut: bool) -> int | None:
    """The nearest match that is unique; where only the nearest were compared, a duplicate's original may stand in."""
    for index in matched:
        if rows[index].unique:
            return index
    originals = (rows[index].duplicate_of for index in matched)
    return next((original for original in originals if original is not None), None) if cut else None
