"""`eqcli predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from eqcli.cli import options, stream_options
from eqcli.cli.docking_options import ASKS, RESUME, docking_options, refuse_without_receptor, run_docking
from eqcli.cli.options import examples, label_options
from eqcli.cli.session import finish, session
from eqcli.nn.backend import Backend


@docking_options
@label_options
def predict(
    model: options.ModelFile,
    labels: options.Labels,
    docking: dict[str, Any],
    inputs: Annotated[
        list[Path] | None, typer.Argument(metavar="FILES", help="Structure files of any known format.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Where results go: .extxyz, .h5, .csv ..., poses to .sdf or a folder; else they are only shown.",
        ),
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
    workers: stream_options.WorkerCount = None,
    cluster: stream_options.ClusterFile = None,
    resume: stream_options.Resume = False,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Energies, forces and stress of structures; or, with --receptor or --table, where ligands bind.

    Structures and pairs that cannot be read or computed are listed at the end; the others are done (exit code 3).
    """
    docks = any(name in docking for name in ASKS)
    hint = RESUME if docks else (stream_options.ON_INTERRUPT if output is not None else "")
    with session(quiet=quiet, as_json=json, on_interrupt=hint) as console:
        conventions = labels()
        count, brought_up = stream_options.workers_of(workers, cluster)
        if docks:
            others: dict[str, object] = {
                "FILES": inputs,
                "--model-arg": model_arg,
                "--backend": backend is not Backend.AUTO,
                "--precision": precision,
                "--stress": stress is not None,
                "--batch-atoms": batch_atoms,
                "--compile": compile,
            }
            if resume:
                docking["resume"] = True
            docked = run_docking(
                model, output, docking, others=others, device=device, overwrite=overwrite, console=console,
                workers=count, cluster=brought_up,
            )  # fmt: skip
            finish(console, docked)
            return
        refuse_without_receptor(docking)
        from eqcli.tasks.predict import predict as run

        result = run(
            model,
            inputs or [],
            output,
            model_arguments=options.model_arguments(model_arg),
            device=device,
            precision=precision.value if precision else None,
            stress=stress,
            labels=conventions,
            batch_atoms=batch_atoms,
            compile=compile,
            overwrite=overwrite,
            resume=resume,
            workers=count,
            cluster=brought_up,
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
        "eqcli predict model.safetensors huge.h5 -o out.h5 --workers 4",
        "eqcli predict model.safetensors huge.h5 -o out.h5 --cluster cluster.yaml --resume",
        "eqcli predict dock.safetensors --receptor rec.pdb --ligand lig.sdf -o poses.sdf",
        "eqcli predict physics --receptor rec.pdb --ligand CCO --pocket 12.1,3.0,-7.7:10 -o poses.sdf",
        "eqcli predict dock.safetensors --table screen.csv -o out/",
    )
    app.command(epilog=epilog)(predict)
