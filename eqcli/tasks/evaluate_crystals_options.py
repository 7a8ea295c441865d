"""Options of an evaluation of crystals that must fit together, and what the report records of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from eqcli.errors import InputError

if TYPE_CHECKING:
    from eqcli.metrics.crystal_coverage import Cutoffs
    from eqcli.tasks.evaluate_crystals_scores import Scoring

TOLERANCES: Final = ("published", "strict")
FINGERPRINTS: Final = ("fast", "crystalnn")


def refuse_contradictions(
    tolerances: str,
    ks: Sequence[int],
    fingerprint: str,
    cutoffs: str | tuple[float, float] | None,
    relaxer: str | Path | None,
    hull: Sequence[Path],
) -> None:
    if tolerances not in TOLERANCES:
        raise InputError(f"unknown tolerances '{tolerances}'", hint=f"Use {' or '.join(TOLERANCES)}.")
    if fingerprint not in FINGERPRINTS:
        raise InputError(f"unknown fingerprint '{fingerprint}'", hint=f"Use {' or '.join(FINGERPRINTS)}.")
    if not ks or min(ks) < 1:
        raise InputError("numbers of predictions begin at 1", hint="Write for example --k 1,20.")
    if (relaxer is None) != (not hull):
        raise InputError("stability needs a relaxer and a hull", hint="Give --relaxer and --hull, or neither.")
    if isinstance(cutoffs, str) and fingerprint == "fast":
        raise InputError(
            "published cutoffs of coverage belong to another fingerprint", hint="Add --fingerprint crystalnn."
        )
    cutoffs_of(cutoffs)


def cutoffs_of(given: str | tuple[float, float] | None) -> Cutoffs | None:
    from eqcli.metrics.crystal_coverage import PUBLISHED, Cutoffs

    if given is None:
        return None
    if isinstance(given, str):
        if given not in PUBLISHED:
            raise InputError(
                f"no cutoffs of coverage are known for '{given}'", hint=f"Use {', '.join(PUBLISHED)} or two numbers."
            )
        return PUBLISHED[given]
    return Cutoffs(float(given[0]), float(given[1]), "given")


def settings_of(scoring: Scoring, prediction: bool) -> dict[str, Any]:
    """Tolerances, limits, seeds and versions that the figures depend on."""
    from eqcli.metrics.crystals import DEFAULT_TABLE, versions
    from eqcli.metrics.crystals.distributions import GENERATED_SYMPREC, REFERENCE_SYMPREC

    shared = {
        "sameness": scoring.sameness.as_dict(),
        "oxidation_states": DEFAULT_TABLE,
        "symprec": {"generated": GENERATED_SYMPREC, "reference": REFERENCE_SYMPREC},
        "timeout": scoring.timeout,
        "bootstrap": scoring.bootstrap,
        "seed": scoring.seed,
        "versions": versions(),
    }
    if prediction:
        return {"tolerances": scoring.tolerances.as_dict(), "ks": list(scoring.ks)} | shared
    return {"fingerprint": scoring.fingerprint} | shared
