"""`eqcli generate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eqcli.cli import options
from eqcli.cli.options import examples
from eqcli.cli.session import finish, session

WHAT, HOW = "What to make", "How to sample"


def generate(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model file of a generator.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where structures go: .cif.zip, .h5, .extxyz, .json, .cif ...")
    ],
    n: Annotated[
        int, typer.Option("--n", "-n", min=1, help="Structures in all; with compositions, structures of each.")
    ] = 1,
    formula: Annotated[
        list[str] | None,
        typer.Option("--formula", help="Composition of the cell, e.g. CaTiO3; may be repeated.", rich_help_panel=WHAT),
    ] = None,
    formula_units: Annotated[
        int, typer.Option("--formula-units", min=1, help="Formulas in a cell.", rich_help_panel=WHAT)
    ] = 1,
    composition_of: Annotated[
        Path | None,
        typer.Option("--composition-of", help="Take the compositions of these structures.", rich_help_panel=WHAT),
    ] = None,
    atoms: Annotated[
        int | None,
        typer.Option("--atoms", min=1, help="Atoms in a cell; by default as in training.", rich_help_panel=WHAT),
    ] = None,
    system: Annotated[
        str | None,
        typer.Option("--system", metavar="A-B-C", help="Elements that may occur, e.g. Li-Fe-O.", rich_help_panel=WHAT),
    ] = None,
    value: Annotated[
        float | None,
        typer.Option("--value", help="The property that structures are to have.", rich_help_panel=WHAT),
    ] = None,
    guidance: Annotated[
        float,
        typer.Option(
            "--guidance", min=0.0, help="How strongly conditions act: 1 as learned, 0 not.", rich_help_panel=WHAT
        ),
    ] = 1.0,
    refine: Annotated[
        Path | None,
        typer.Option("--refine", help="Start from these structures instead of noise.", rich_help_panel=WHAT),
    ] = None,
    strength: Annotated[
        float,
        typer.Option("--strength", help="Share of the way back to noise that --refine takes.", rich_help_panel=WHAT),
    ] = 0.3,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", min=1, help="Only the first structures of --composition-of or --refine.", rich_help_panel=WHAT
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed: the same gives the same structures.")] = 0,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Steps; by default the model's.", rich_help_panel=HOW)
    ] = None,
    sampling: Annotated[
        list[str] | None,
        typer.Option(
            "--sampling",
            metavar="NAME=VALUE",
            help="Another setting of the sampling, e.g. slope=5 or method=heun; may be repeated.",
            rich_help_panel=HOW,
        ),
    ] = None,
    device: options.Device = "auto",
    precision: options.PrecisionOption = None,
    batch_atoms: options.BatchAtoms = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an unfinished generation.")] = False,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Generate crystals: structures of a composition, or new ones.

    Structures with overlapping atoms are kept and flagged; those without a finite cell are listed (exit code 3).
    """
    hint = "`--resume` goes on with it."
    with session(quiet=quiet, as_json=json, on_interrupt=hint) as console:
        settings = options.named_values("--sampling", sampling)
        from eqcli.tasks.generate import generate as run

        result = run(
            model,
            output,
            n=n,
            formula=formula,
            formula_units=formula_units,
            composition_of=composition_of,
            atoms=atoms,
            system=system,
            value=value,
            guidance=guidance,
            refine=refine,
            strength=strength,
            seed=seed,
            steps=steps,
            sampling=settings,
            limit=limit,
            device=device,
            precision=precision.value if precision else None,
            batch_atoms=batch_atoms,
            resume=resume,
            overwrite=overwrite,
            report=console.report,
        )
        finish(console, result)


def add_to(app: typer.Typer) -> None:
    """Registers the subcommand."""
    epilog = examples(
        "eqcli generate csp.safetensors --formula CaTiO3 --n 20 -o candidates.cif.zip --seed 1",
        "eqcli generate csp.safetensors --composition-of test.csv --n 20 -o predictions.h5",
        "eqcli generate gen.safetensors --n 10000 -o gen.h5 --resume",
        "eqcli generate gen.safetensors --n 100 --system Li-Fe-O --value -0.5 --guidance 2 -o new.cif.zip",
    )
    app.command(epilog=epilog)(generate)
