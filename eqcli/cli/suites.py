"""Suites of `eqcli evaluate`: measurements beside those of one model."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eqcli.errors import InputError

if TYPE_CHECKING:
    from eqcli.cli.console import Console

PANEL = "Suites"


class Suite(StrEnum):
    """What can be measured beside the evaluation of one model."""

    tensor_products = "tensor-products"
    gwl = "gwl"
    comparison = "comparison"
    registration = "registration"


SuiteOption = Annotated[
    Suite | None,
    typer.Option(
        "--suite",
        help="tensor-products: cost and expressivity of every tensor product, beside e3nn's; "
        "gwl: which graphs each architecture tells apart, MODEL or every potential; "
        "comparison: reports of evaluations side by side, with the cost of each model; "
        "registration: the classical methods on pairs of clouds.",
        rich_help_panel=PANEL,
    ),
]
Products = Annotated[
    str | None,
    typer.Option("--products", metavar="NAMES", help="Products to measure, with commas.", rich_help_panel=PANEL),
]
Degrees = Annotated[
    str | None,
    typer.Option("--degrees", metavar="N,N-M", help="Highest degrees L; 1-8 by default.", rich_help_panel=PANEL),
]
Channels = Annotated[
    str | None,
    typer.Option("--channels", metavar="N,N", help="Copies of each irrep.", rich_help_panel=PANEL),
]
Rows = Annotated[
    str | None,
    typer.Option("--rows", metavar="N,N", help="Pairs of factors at once, e.g. edges.", rich_help_panel=PANEL),
]
Seeds = Annotated[
    int | None,
    typer.Option("--seeds", min=1, help="Random weights per architecture; 10 by default.", rich_help_panel=PANEL),
]


def numbers(option: str, text: str | None) -> list[int] | None:
    """The whole numbers that `1,4-6` names. Raises InputError for anything else."""
    if text is None:
        return None
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise InputError(f"{option}: '{part.strip()}' is no whole number", hint="Write for example 1,4 or 1-8.")
        if dash and int(last) < int(first):
            raise InputError(f"{option}: '{part.strip()}' ends before it begins", hint="Write for example 1,4 or 1-8.")
        found += range(int(first), int(last if dash else first) + 1)
    return found


def run_suite(
    suite: Suite,
    models: list[Path],
    output: Path | None,
    *,
    sizes: dict[str, str | None],
    seeds: int | None,
    precision: str | None,
    device: str,
    seed: int,
    overwrite: bool,
    console: Console,
) -> Any:
    """Carries out a suite. Raises InputError for arguments that it has no use for."""
    folder = output or Path(f"suite-{suite.value}")
    given = [f"--{name}" for name, value in sizes.items() if value is not None]
    if suite is Suite.comparison:
        if given or precision or seeds:
            raise InputError("the suite comparison takes reports of evaluations and no option of another suite")
        from eqcli.tasks.comparison import compare

        return compare(models, folder, device=device, overwrite=overwrite, report=console.report)
    if suite is Suite.gwl:
        if given or precision:
            raise InputError(
                f"{', '.join([*given, *(['--precision'] if precision else [])])}: not an option of this suite"
            )
        from eqcli.tasks.gwl import gwl

        return gwl(folder, models, seeds=seeds or 10, seed=seed, overwrite=overwrite, report=console.report)
    if models or seeds:
        raise InputError("the suite tensor-products measures the algebra: it takes no model, no data and no --seeds")
    from eqcli.tasks.tensor_products import tensor_products

    names = sizes["products"]
    chosen = {key: numbers(f"--{key}", sizes[key]) for key in ("degrees", "channels", "rows")}
    return tensor_products(
        folder,
        products=[name.strip() for name in names.split(",")] if names is not None else None,
        device=device,
        precision=precision or "float32",
        overwrite=overwrite,
        report=console.report,
        **{key: value for key, value in chosen.items() if value is not None},  # type: ignore[arg-type]
    )
