"""`eqcli relax`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from eqcli.cli import options, stream_options
from eqcli.cli.motion_options import PANELS, chosen_motion, default_files, refuse_without_md
from eqcli.cli.option_groups import option_group
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


@option_group("motion", PANELS)
def relax(
    model: options.ModelFile,
    inputs: options.InputFiles,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Relaxed structures; by default <input>-relaxed.extxyz in this folder."),
    ] = None,
    fmax: Annotated[float | None, typer.Option("--fmax", min=0.0, help="Largest force at the end, eV/Å; 0.01.")] = None,
    smax: Annotated[
        float | None,
        typer.Option("--smax", min=0.0, help="Largest stress component at the end, eV/Å^3, with a free cell; 0.0001."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Largest number of steps, 500; with --md their number.")
    ] = None,
    cell: Annotated[Cell, typer.Option("--cell", help="Which changes of the cell are allowed.")] = Cell.none,
    pressure: Annotated[float, typer.Option("--pressure", help="External pressure, GPa.")] = 0.0,
    optimizer: Annotated[Optimizer | None, typer.Option("--optimizer", help="The optimiser; fire.")] = None,
    keep_symmetry: Annotated[bool, typer.Option("--keep-symmetry", help="Keep the space group.")] = False,
    symprec: Annotated[
        float | None,
        typer.Option("--symprec", min=0.0, help="Tolerance with which the symmetry is found, Å; 0.001."),
    ] = None,
    one_by_one: Annotated[
        bool, typer.Option("--one-by-one", help="One structure after the other by ASE: slow, for comparison.")
    ] = False,
    trajectory: Annotated[
        Path | None,
        typer.Option("--trajectory", help="Every step of the relaxation, or every --every-th of dynamics, e.g. t.h5."),
    ] = None,
    *,
    motion: dict[str, Any],
    model_arg: options.ModelArgs = None,
    device: options.Device = "auto",
    backend: options.BackendOption = Backend.AUTO,
    precision: Annotated[
        Precision, typer.Option("--precision", help="Precision of the model's arithmetic.")
    ] = Precision.float64,
    batch_atoms: options.BatchAtoms = None,
    compile: options.Compile = False,
    workers: stream_options.WorkerCount = None,
    cluster: stream_options.ClusterFile = None,
    resume: stream_options.Resume = False,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Relax molecules, crystals and slabs, or move them through time.

    Many structures are computed at once. Fixed atoms of the input stay in place. A structure that does not converge
    is written and marked, and the exit code is 4.
    """
    with session(quiet=quiet, as_json=json, on_interrupt=stream_options.ON_INTERRUPT) as console:
        asked = {"fmax": fmax, "smax": smax, "optimizer": optimizer and optimizer.value, "symprec": symprec}
        flags = {name: value for name, value in (("keep_symmetry", keep_symmetry), ("one_by_one", one_by_one)) if value}
        relaxing: dict[str, Any] = {name: value for name, value in asked.items() if value is not None} | flags
        count, brought_up = stream_options.workers_of(workers, cluster)
        common: dict[str, Any] = {
            "model_arguments": options.model_arguments(model_arg),
            "device": device,
            "precision": precision.value,
            "batch_atoms": batch_atoms,
            "compile": compile,
            "resume": resume,
            "workers": count,
            "cluster": brought_up,
            "overwrite": overwrite,
            "report": console.report,
        }
        moving: dict[str, Any] = {"cell": cell.value, "pressure": pressure}
        if "md" in motion:
            settings = chosen_motion(motion, relaxing, moving | {"steps": steps})
            from eqcli.tasks.move import move

            last, frames = default_files(inputs, output, trajectory)
            moved = move(model, inputs, last, settings, trajectory=frames, **common)
            finish(console, moved)
            return
        refuse_without_md(motion)
        from eqcli.tasks.relax import relax as run

        limit: dict[str, Any] = {} if steps is None else {"steps": steps}
        target = output or default_output(inputs)
        finish(console, run(model, inputs, target, trajectory=trajectory, **relaxing, **moving, **limit, **common))


def default_output(inputs: list[Path]) -> Path:
    """Where relaxed structures go when nobody said."""
    return Path(f"{inputs[0].stem}-relaxed.extxyz" if len(inputs) == 1 else "relaxed.extxyz")


def add_to(app: typer.Typer) -> None:
    """Registers the subcommand."""
    epilog = examples(
        "eqcli relax model.safetensors POSCAR -o relaxed.cif --fmax 0.01 --cell full",
        "eqcli relax model.safetensors slab.extxyz --optimizer lbfgs --trajectory steps.h5",
        "eqcli relax model.safetensors crystal.cif --cell full --keep-symmetry --pressure 5",
        "eqcli relax model.safetensors candidates.h5 -o relaxed.h5 --cell full --workers 2 --resume",
        "eqcli relax model.safetensors crystal.cif -o last.h5 --md nvt --temperature 300 --time 10ps --every 100",
    )
    app.command(epilog=epilog)(relax)
