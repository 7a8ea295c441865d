"""`eqcli evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eqcli.cli import options
from eqcli.cli.options import examples, label_options
from eqcli.cli.session import finish, session


@label_options
def evaluate(
    model: options.ModelFile,
    data: Annotated[list[Path], typer.Argument(metavar="DATA", help="Files of labelled structures.")],
    labels: options.Labels,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder of the report; by default evaluation-<data> beside the model."),
    ] = None,
    device: options.Device = "auto",
    precision: options.PrecisionOption = None,
    audit: Annotated[bool, typer.Option(help="Audit symmetry, forces, drift, smoothness and limits.")] = True,
    audit_structures: Annotated[
        int, typer.Option("--audit-structures", min=1, help="Structures that the audit looks at.")
    ] = 4,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the audit's rotations and of its choice.")] = 0,
    batch_atoms: options.BatchAtoms = None,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Accuracy of a model on labelled structures, and an audit of what it promises.

    Writes an HTML report with plots and a JSON file with every figure. A failed audit has exit code 5.
    """
    with session(quiet=quiet, as_json=json) as console:
        conventions = labels()
        from eqcli.tasks.evaluate import evaluate as run

        result = run(
            model,
            data,
            output or model.parent / f"evaluation-{data[0].stem}",
            device=device,
            precision=precision.value if precision else None,
            labels=conventions,
            audit=audit,
            audit_structures=audit_structures,
            seed=seed,
            batch_atoms=batch_atoms,
            overwrite=overwrite,
            report=console.report,
        )
        finish(console, result)


def add_to(app: typer.Typer) -> None:
    """Registers the subcommand."""
    epilog = examples(
        "eqcli evaluate runs/x/model.safetensors test.extxyz -o report/",
        "eqcli evaluate runs/x/model.safetensors test.extxyz --no-audit --json",
        "eqcli evaluate runs/x/model.safetensors kcal.extxyz --energy-unit kcal/mol",
    )
    app.command(epilog=epilog)(evaluate)
