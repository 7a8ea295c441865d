"""Options of `eqcli evaluate` for generated crystals."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.errors import InputError

if TYPE_CHECKING:
    from eqcli.tasks.evaluate_crystals_result import CrystalEvaluation


class ToleranceSet(StrEnum):
    """Tolerances of the matcher."""

    published = "published"
    strict = "strict"


class Fingerprint(StrEnum):
    """Fingerprints of coverage."""

    fast = "fast"
    crystalnn = "crystalnn"


CRYSTALS: dict[str, tuple[Any, str, dict[str, Any], str]] = {
    "tolerances": (
        ToleranceSet | None,
        "--tolerances",
        {},
        "Of matches: published, as in papers, by default; strict: pymatgen's defaults.",
    ),
    "ks": (str | None, "--k", {"metavar": "N,N"}, "Numbers of predictions of which the best counts; 1,20 by default."),
    "fingerprint": (
        Fingerprint | None,
        "--fingerprint",
        {},
        "Of coverage: fast by default, or crystalnn as in papers, 30 ms per atom.",
    ),
    "coverage_cutoffs": (
        str | None,
        "--coverage-cutoffs",
        {"metavar": "NAME|X,Y"},
        "Published for mp_20, perov_5 or carbon_24, or two numbers, structure and composition; "
        "by default from the reference.",
    ),
    "relaxer": (
        str | None,
        "--relaxer",
        {"metavar": "MODEL"},
        "Relax the structures with this model, or ase:module:Class, and say which are stable; needs --hull.",
    ),
    "hull": (list[Path] | None, "--hull", {}, "Crystals with the relaxer's energies; may be repeated."),
    "hull_threshold": (
        float | None,
        "--hull-threshold",
        {"min": 0.0},
        "eV/atom above the hull up to which a structure is stable; 0.1 by default.",
    ),
}
"""Argument -> type, option, settings of the option, help."""


def run_crystals(
    files: list[Path], output: Path, given: dict[str, Any], arguments: list[str] | None
) -> CrystalEvaluation:
    """Carries out the evaluation with the options `given`, by name of the argument; `arguments` are the relaxer's.

    Raises
    ------
    InputError
        The value of an option cannot be.
    """
    from eqcli.cli.options import model_arguments
    from eqcli.tasks.evaluate_crystals import evaluate_crystals

    if arguments and "relaxer" not in given:
        raise InputError("--model-arg is for the relaxer here", hint="Add --relaxer ase:module:Class.")
    plain = dict(given)
    reference = plain.pop("reference")
    if "ks" in plain:
        plain["ks"] = _numbers(plain["ks"])
    if "coverage_cutoffs" in plain:
        plain["coverage_cutoffs"] = _cutoffs(plain["coverage_cutoffs"])
    return evaluate_crystals(files, reference, output, **plain, relaxer_arguments=model_arguments(arguments))


def _numbers(text: str) -> list[int]:
    from eqcli.cli.suites import numbers

    return sorted(set(numbers("--k", text) or []))


def _cutoffs(text: str) -> str | tuple[float, float]:
    """The name of a data set, or two numbers."""
    if "," not in text:
        return text
    try:
        structure, composition = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"--coverage-cutoffs: '{text}' is not two numbers", hint="Write for example 0.4,10 or mp_20."
        ) from None
    return structure, composition
