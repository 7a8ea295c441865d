"""`eqcli relax`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from eqcli.cli import options
from eqcli.cli.options import Precision, examples
from eqcli.cli.session import finish, session
from eqcli.nn.backend import Backend


class Cell(StrEnum):
    """Which changes of the cell are allowed."""

    none = "none"
    isotropic = "isotropic"
    full = "full"


class Optimizer(StrEnum):
    """Optimisers."""

    fire = "fire"
    lbfgs = "lbfgs"


def relax(
    model: options.ModelFile,
    inputs: options.InputFiles,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Relaxed structures; by default <input>-relaxed.extxyz in this folder."),
    ] = None,
    fmax: Annotated[float, typer.Option("--fmax", min=0.0, help="Largest force at the end, eV/Å.")] = 0.01,
    smax: Annotated[
        float, typer.Option("--smax", min=0.0, help="Largest stress component at the end, eV/Å^3, with a free cell.")
    ] = 1e-4,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Largest number of steps.")] = 500,
    cell: Annotated[Cell, typer.Option("--cell", help="Which changes of the cell are allowed.")] = Cell.none,
    pressure: Annotated[float, typer.Option("--pressure", help="External pressure, GPa.")] = 0.0,
    optimizer: Annotated[Optimizer, typer.Option("--optimizer", help="The optimiser.")] = Optimizer.fire,
    keep_symmetry: Annotated[bool, typer.Option("--keep-symmetry", help="Keep the space group.")] = False,
    symprec: Annotated[
        float, typer.Option("--symprec", min=0.0, help="Tolerance with which the symmetry is found, Å.")
    ] = 1e-3,
    trajectory: Annotated[
        Path | None, typer.Option("--trajectory", help="Every step of the relaxation, e.g. t.h5 or t.extxyz.")
    ] = None,
    model_arg: options.ModelArgs = None,
    device: options.Device = "auto",
    backend: options.BackendOption = Backend.AUTO,
    precision: Annotated[
        Precision, typer.Option("--precision", help="Precision of the model's arithmetic.")
    ] = Precision.float64,
    compile: options.Compile = False,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Relax molecules, crystals and slabs.

    Fixed atoms of the input stay in place. A structure that does not converge is
    written and marked, and the exit code is 4.
    """
    with session(quiet=quiet, as_json=json) as console:
        from eqcli.tasks.relax import relax as run

        result = run(
            model,
            inputs,
            output or default_output(inputs),
            fmax=fmax,
            smax=smax,
            steps=steps,
            cell=cell.value,
            pressure=pressure,
            optimizer=optimizer.value,
            keep_symmetry=keep_symmetry,
            symprec=symprec,
            trajectory=trajectory,
            model_arguments=options.model_arguments(model_arg),
            device=device,
            precision=precision.value,
            compile=compile,
            overwrite=overwrite,
            report=console.report,
        )
        finish(console, result)


def default_output(inputs: list[Path]) -> Path:
    """Where relaxed structures go when nobody said."""
    return Path(f"{inputs[0].stem}-relaxed.extxyz" if len(inputs) == 1 else "relaxed.extxyz")


def add_to(app: typer.Typer) -> None:
    """Registers the subcommand."""
    epilog = examples(
        "eqcli relax model.safetensors POSCAR -o relaxed.cif --fmax 0.01 --cell full",
        "eqcli relax model.safetensors slab.extxyz --optimizer lbfgs --trajectory steps.h5",
        "eqcli relax model.safetensors crystal.cif --cell full --keep-symmetry --pressure 5",
    )
    app.command(epilog=epilog)(relax)
