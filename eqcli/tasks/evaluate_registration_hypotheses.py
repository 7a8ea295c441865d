"""Recall against the number of motions that a solver may try, on the same matches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from eqcli.tasks.evaluate_registration_run import Method, register_case

if TYPE_CHECKING:
    from eqcli.tasks.evaluate_registration_input import RegistrationCase

LIMITS: Final = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000)
"""Motions that solvers may try."""


class HypothesisCurves:
    """Gathers, pair by pair, what each method finds within each limit.

    Parameters
    ----------
    rule
        By which a pair counts as found.
    """

    def __init__(self, rule: str, limits: Sequence[int] = LIMITS) -> None:
        self.rule, self.limits = rule, tuple(limits)
        self._found: dict[str, list[list[float]]] = {}

    def add(self, case: RegistrationCase, methods: Sequence[Method]) -> None:
        """A pair by every method that can be limited; nothing where the truth is unknown."""
        if case.pair.truth is None:
            return
        for method in methods:
            if method.limited is None:
                continue
            marks = [self._mark(case, method, limit) for limit in self.limits]
            if None not in marks:
                self._found.setdefault(method.name, []).append([float(bool(mark)) for mark in marks])

    def _mark(self, case: RegistrationCase, method: Method, limit: int) -> bool | None:
        """Whether the pair is found; a failure is a miss, and None is unknown."""
        assert method.limited is not None
        solve = method.limited(limit)
        (found,) = register_case(case, [Method(method.name, solve, refined=False)], None, "none")
        outcome = found.outcome()
        return False if outcome.failed else outcome.found.get(self.rule)

    def rows(self) -> list[dict[str, Any]]:
        """Of each method: `method`, `pairs`, and `points` of a limit and the recall within it."""
        return [
            {
                "method": name,
                "pairs": len(pairs),
                "points": [[limit, sum(one[k] for one in pairs) / len(pairs)] for k, limit in enumerate(self.limits)],
            }
            for name, pairs in self._found.items()
        ]
