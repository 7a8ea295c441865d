"""`eqcli generate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from eqcli.cli import options, pairs_options, stream_options
from eqcli.cli.options import examples
from eqcli.cli.session import finish, session

WHAT, HOW = "What to make", "How to sample"


@pairs_options.pairs_options
def generate(
    pairs: dict[str, Any],
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="Model file of a generator, or the word pairs for pairs of clouds.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="Where structures go: .cif.zip, .sdf, .h5, .extxyz, .json ...; a folder of pairs."
        ),
    ],
    more: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILES]...", help="More files of --shapes, for pairs alone.", show_default=False),
    ] = None,
    n: Annotated[
        int | None,
        typer.Option(
            "--n", "-n", min=1, help="Structures in all (1); with compositions, structures of each. Of pairs, 20."
        ),
    ] = None,
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
        typer.Option("--atoms", min=1, help="Atoms of a structure; by default as in training.", rich_help_panel=WHAT),
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
    scaffold: Annotated[
        Path | None,
        typer.Option("--scaffold", help="Complete these molecules; heavy atoms stay put.", rich_help_panel=WHAT),
    ] = None,
    condition: Annotated[
        list[str] | None,
        typer.Option(
            "--condition",
            metavar="NAME=VALUE",
            help="A property to have, e.g. gap=7.5; may be repeated.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            min=1,
            help="Only the first structures of --composition-of, --refine or --scaffold.",
            rich_help_panel=WHAT,
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
    workers: stream_options.WorkerCount = None,
    cluster: stream_options.ClusterFile = None,
    resume: stream_options.Resume = False,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Generate crystals or molecules: structures of a composition, new ones, or molecules around a scaffold.

    With the word pairs for a model: pairs of partial clouds with known motions, from files or from made shapes.

    Structures with overlapping atoms or impossible valences are kept and flagged; those without a finite cell or finite
    positions are listed (exit code 3).
    """
    of_pairs = pairs_options.is_pairs(model)
    hint = "`--overwrite` begins anew." if of_pairs else stream_options.ON_INTERRUPT
    with session(quiet=quiet, as_json=json, on_interrupt=hint) as console:
        if of_pairs:
            others: dict[str, object] = {
                "--formula": formula,
                "--formula-units": formula_units != 1,
                "--composition-of": composition_of,
                "--atoms": atoms is not None,
                "--system": system,
                "--value": value is not None,
                "--guidance": guidance != 1.0,
                "--refine": refine,
                "--strength": strength != 0.3,
                "--scaffold": scaffold,
                "--condition": condition,
                "--limit": limit,
                "--steps": steps,
                "--sampling": sampling,
                "--device": device not in ("auto", "cpu"),
                "--precision": precision,
                "--batch-atoms": batch_atoms,
                "--workers": workers,
                "--cluster": cluster,
                "--resume": resume,
            }
            made = pairs_options.run_pairs(
                output, pairs, more=more or [], others=others, n=n, seed=seed, overwrite=overwrite, console=console
            )
            finish(console, made)
            return
        pairs_options.refuse_without_pairs(pairs, more or [])
        settings = options.named_values("--sampling", sampling)
        count, brought_up = stream_options.workers_of(workers, cluster)
        from eqcli.tasks.generate import generate as run

        result = run(
            model,
            output,
            n=n or 1,
            formula=formula,
            formula_units=formula_units,
            composition_of=composition_of,
            atoms=atoms,
            system=system,
            value=value,
            guidance=guidance,
            refine=refine,
            strength=strength,
            scaffold=scaffold,
            condition=options.numbers("--condition", condition),
            seed=seed,
            steps=steps,
            sampling=settings,
            limit=limit,
            device=device,
            precision=precision.value if precision else None,
            batch_atoms=batch_atoms,
            workers=count,
            cluster=brought_up,
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
        "eqcli generate gen.safetensors --n 100000 -o gen.h5 --cluster cluster.yaml",
        "eqcli generate mol.safetensors --n 1000 -o molecules.sdf --steps 100",
        "eqcli generate mol.safetensors --n 50 --scaffold core.sdf -o completed.sdf",
        "eqcli generate gen.safetensors --n 100 --system Li-Fe-O --value -0.5 --guidance 2 -o new.cif.zip",
        "eqcli generate pairs -n 200 -o pairs/ --overlap 0.1 0.3",
        "eqcli generate pairs -o mine/ --shapes cow.obj scan.ply --views crop",
    )
    app.command(epilog=epilog)(generate)
