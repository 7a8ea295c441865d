"""Options of `eqcli evaluate` for generated crystals."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from eqcli.errors import InputError

if TYPE_CHECKING:
    from eqcli.cli.console import Console
    from eqcli.tasks.evaluate_crystals_result import CrystalEvaluation

F = TypeVar("F", bound=Callable[..., Any])
PANEL = "Generated crystals"


class ToleranceSet(StrEnum):
    """Tolerances of the matcher."""

    published = "published"
    strict = "strict"


class Fingerprint(StrEnum):
    """Fingerprints of coverage."""

    fast = "fast"
    crystalnn = "crystalnn"


CRYSTALS: dict[str, tuple[Any, str, dict[str, Any], str]] = {
    "reference": (
        Path | None,
        "--reference",
        {},
        "Crystals to find, or to be like, e.g. a test set; the files named first are then generated structures.",
    ),
    "training": (Path | None, "--training", {}, "What the generator was trained on: for novelty and baselines."),
    "tolerances": (
        ToleranceSet | None,
        "--tolerances",
        {},
        "Of matches: published, as in papers, by default; strict: pymatgen's defaults.",
    ),
    "ks": (str | None, "--k", {"metavar": "N,N"}, "Numbers of predictions of which the best counts; 1,20 by default."),
    "no_baselines": (bool, "--no-baselines", {}, "Leave out the null baselines."),
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
    "workers": (int | None, "--workers", {"min": 1}, "Processes that compare; by default one per core."),
    "timeout": (float | None, "--timeout", {"min": 0.1}, "Seconds that one structure may take; 10 by default."),
    "bootstrap": (int | None, "--bootstrap", {"min": 0}, "Resamples of the 95 % intervals; 1000 by default."),
    "limit": (
        int | None,
        "--limit",
        {"min": 1},
        "Use the first N rows of the reference, or in de novo generation the first N structures.",
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


def crystal_options(command: F) -> F:
    """Gives a subcommand these options; it takes those that were given as one dictionary `crystals`."""
    signature = inspect.signature(command, eval_str=True)
    added = [
        inspect.Parameter(
            f"crystals_{name}",
            inspect.Parameter.KEYWORD_ONLY,
            default=False if kind is bool else None,
            annotation=Annotated[kind, typer.Option(option, help=text, rich_help_panel=PANEL, **settings)],
        )
        for name, (kind, option, settings, text) in CRYSTALS.items()
    ]

    @wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        values = {name: kwargs.pop(f"crystals_{name}") for name in CRYSTALS}
        return command(
            *args, crystals={k: v for k, v in values.items() if v is not None and v is not False and v != []}, **kwargs
        )

    parameters = [*(p for p in signature.parameters.values() if p.name != "crystals"), *added]
    wrapper.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
    return wrapper  # type: ignore[return-value]


def refuse_without_reference(crystals: dict[str, Any]) -> None:
    """Raises InputError for options of crystals where no reference was given."""
    if crystals:
        given = ", ".join(CRYSTALS[name][1] for name in crystals)
        raise InputError(
            f"{given}: for generated crystals, which need --reference",
            hint="Give the crystals to compare with: --reference test.csv.",
        )


def run_crystals(
    files: list[Path],
    output: Path | None,
    crystals: dict[str, Any],
    *,
    others: dict[str, object],
    seed: int,
    device: str,
    arguments: list[str] | None,
    overwrite: bool,
    console: Console,
) -> CrystalEvaluation:
    """Carries out the evaluation; `others` says which options of other evaluations were given.

    Raises
    ------
    InputError
        An option does not belong here, or its value cannot be.
    """
    from eqcli.cli.options import model_arguments
    from eqcli.tasks.evaluate_crystals import evaluate_crystals

    wrong = [name for name, given in others.items() if given]
    if wrong:
        raise InputError(
            f"{', '.join(wrong)}: for the evaluation of a model, and with --reference generated crystals are evaluated",
            hint="Leave them out, or leave out --reference.",
        )
    if arguments and "relaxer" not in crystals:
        raise InputError("--model-arg is for the relaxer here", hint="Add --relaxer ase:module:Class.")
    if not files:
        raise InputError("no file of generated structures was given", hint="Name one, e.g. generated.h5.")
    given: dict[str, Any] = dict(crystals)
    reference = given.pop("reference")
    if "ks" in given:
        given["ks"] = _numbers(given["ks"])
    if "coverage_cutoffs" in given:
        given["coverage_cutoffs"] = _cutoffs(given["coverage_cutoffs"])
    given["baselines"] = not given.pop("no_baselines", False)
    plain: dict[str, Any] = {name: v.value if isinstance(v, StrEnum) else v for name, v in given.items()}
    return evaluate_crystals(
        files,
        reference,
        output or files[0].parent / f"evaluation-{files[0].name.split('.')[0]}",
        **plain,
        seed=seed,
        device=device,
        relaxer_arguments=model_arguments(arguments),
        overwrite=overwrite,
        report=console.report,
    )


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
