"""`eqcli predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eqcli.cli import options
from eqcli.cli.options import examples, label_options
from eqcli.cli.session import finish, session
from eqcli.nn.backend import Backend


@label_options
def predict(
    model: options.ModelFile,
    inputs: options.InputFiles,
    labels: options.Labels,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where results go: .extxyz, .h5, .csv ...; else they are only shown."),
    ] = None,
    model_arg: options.ModelArgs = None,
    device: options.Device = "auto",
    backend: options.BackendOption = Backend.AUTO,
    precision: options.PrecisionOption = None,
    stress: Annotated[
        bool | None, typer.Option("--stress/--no-stress", help="Compute the stress; by default where there is a cell.")
    ] = None,
    batch_atoms: options.BatchAtoms = None,
    compile: options.Compile = False,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Energies, forces and stress of structures.

    Structures that cannot be read or computed are listed at the end; the others are done (exit code 3).
    """
    with session(quiet=quiet, as_json=json) as console:
        conventions = labels()
        from eqcli.tasks.predict import predict as run

        result = run(
            model,
            inputs,
            output,
            model_arguments=options.model_arguments(model_arg),
            device=device,
            precision=precision.value if precision else None,
            stress=stress,
            labels=conventions,
            batch_atoms=batch_atoms,
            compile=compile,
            overwrite=overwrite,
            report=console.report,
        )
        finish(console, result)


def add_to(app: typer.Typer) -> None:
    """Registers the subcommand."""
    epilog = examples(
        "eqcli predict model.safetensors molecules.sdf crystal.cif traj.extxyz -o out.extxyz",
        "eqcli predict model.safetensors 'CCO.smi' -o out.csv --json",
        "eqcli predict model.safetensors vasp.extxyz -o out.h5 --stress-unit kbar --stress-sign vasp",
        "eqcli predict ase:tblite.ase:TBLite molecules.sdf -o xtb.extxyz --model-arg method=GFN2-xTB",
    )
    app.command(epilog=epilog)(predict)
