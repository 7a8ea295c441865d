"""The geometric Weisfeiler-Leman tests as a check of an audit."""

from __future__ import annotations

from eqcli.audit.groups import DEFAULT, applicable
from eqcli.audit.gwl import gwl_tests
from eqcli.audit.result import Check
from eqcli.errors import InputError, Where
from eqcli.models.potentials.base import Potential


def require_testable(potential: object) -> Potential:
    """The potential, if its architecture can be put to the tests. Raises InputError otherwise."""
    if isinstance(potential, Potential) and potential.depth_key is not None:
        return potential
    possible = ",".join(applicable(getattr(potential, "outputs", ("energy",)), DEFAULT))
    raise InputError(
        "the expressivity audit needs a model whose number of layers can be set, and this one has none",
        Where(),
        f"What can be audited: --audit {possible}.",
    )


def check_expressivity(potential: Potential, seed: int) -> Check:
    """Which pairs of graphs the architecture tells apart, against what theory says of it."""
    results = gwl_tests(potential, seed=seed)
    contrary = [result.pair.title for result in results if not result.agrees]
    told = sum(result.passed for result in results)
    words = f"tells {told} of {len(results)} pairs apart, {len(results[0].differences)} random weights each"
    return Check(
        "gwl",
        float(len(contrary)),
        words + (f"; otherwise than theory says: {', '.join(contrary)}" if contrary else ""),
        figures={"tests": [result.as_dict() for result in results]},
        distribution=[float(result.separated) for result in results],
    )
