"""`eqcli evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from eqcli.audit.groups import ALL, DEFAULT, GROUPS, STRUCTURES
from eqcli.cli import docking_evaluation_options, generated_options, options, registration_evaluation_options, suites
from eqcli.cli.options import examples, label_options
from eqcli.cli.session import finish, session
from eqcli.errors import InputError
from eqcli.nn.backend import Backend


@label_options
@generated_options.generated_options
def evaluate(
    labels: options.Labels,
    generated: dict[str, Any],
    model: Annotated[
        Path | None, typer.Argument(metavar="MODEL", help="Model file, or a calculator: ase:module:Class.")
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[DATA]...", help="Files of labelled structures; without any, an audit alone."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder of the report; by default evaluation-<data>, or audit, beside it."),
    ] = None,
    model_arg: options.ModelArgs = None,
    device: options.Device = "auto",
    backend: options.BackendOption = Backend.AUTO,
    precision: options.PrecisionOption = None,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="Name of the data in comparisons, e.g. rmd17-ethanol.")
    ] = None,
    audit: Annotated[
        list[str] | None,
        typer.Option(
            "--audit",
            metavar="GROUPS",
            help=f"What to audit: {ALL}, or some of {', '.join(GROUPS)}, with commas or repeated; "
            f"by default {', '.join(DEFAULT)}.",
        ),
    ] = None,
    no_audit: Annotated[bool, typer.Option("--no-audit", help="Measure errors alone.")] = False,
    audit_structures: Annotated[
        int, typer.Option("--audit-structures", min=1, help="Structures that the audit looks at.")
    ] = STRUCTURES,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the audit's rotations and of its choice.")] = 0,
    batch_atoms: options.BatchAtoms = None,
    suite: suites.SuiteOption = None,
    products: suites.Products = None,
    degrees: suites.Degrees = None,
    channels: suites.Channels = None,
    rows: suites.Rows = None,
    seeds: suites.Seeds = None,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Accuracy of a model on labelled structures, and an audit of what it promises; or a suite that needs no data.

    With --reference, how good generated crystals or molecules are, beside baselines that no model made.
    With a docking model, how near its poses are to those of complexes, beside baselines in the same table.
    With a registration model, or --suite registration, how many pairs of clouds are registered, and how well.

    Writes an HTML report with plots and a JSON file with every figure. A failed audit has exit code 5.
    """
    with session(quiet=quiet, as_json=json) as console:
        others: dict[str, object] = {
            "--suite": suite,
            "--audit": audit,
            "--no-audit": no_audit,
            "--audit-structures": audit_structures != STRUCTURES,
            "--dataset": dataset,
            "--batch-atoms": batch_atoms,
            "--products": products,
            "--degrees": degrees,
            "--channels": channels,
            "--rows": rows,
            "--seeds": seeds,
            "options of labels": labels() != type(labels())(),
        }
        if docking_evaluation_options.is_docking(model) and "reference" not in generated:
            assert model is not None
            docked = docking_evaluation_options.run_docking(
                model,
                data or [],
                output,
                generated,
                others={**others, "--model-arg": model_arg},
                seed=seed,
                device=device,
                precision=precision.value if precision else None,
                overwrite=overwrite,
                console=console,
            )
            finish(console, docked)
            return
        if registration_evaluation_options.is_registration(model, suite) and "reference" not in generated:
            registered = registration_evaluation_options.run_registration(
                model,
                data or [],
                output,
                generated,
                others={**others, "--suite": suite not in (None, suites.Suite.registration), "--model-arg": model_arg},
                suite=suite is not None,
                seed=seed,
                device=device,
                precision=precision.value if precision else None,
                overwrite=overwrite,
                console=console,
            )
            finish(console, registered)
            return
        docking_evaluation_options.refuse_without_docking(generated)
        registration_evaluation_options.refuse_without_registration(generated)
        if "reference" in generated:
            evaluated = generated_options.run_generated(
                [*([model] if model else []), *(data or [])],
                output,
                generated,
                others={**others, "--precision": precision},
                seed=seed,
                device=device,
                arguments=model_arg,
                overwrite=overwrite,
                console=console,
            )
            finish(console, evaluated)
            return
        generated_options.refuse_without_reference(generated)
        sizes = {"products": products, "degrees": degrees, "channels": channels, "rows": rows}
        if suite is not None:
            if audit or no_audit:
                raise InputError("--audit and --suite exclude each other")
            result = suites.run_suite(
                suite,
                [*([model] if model else []), *(data or [])],
                output,
                sizes=sizes,
                seeds=seeds,
                precision=precision.value if precision else None,
                device=device,
                seed=seed,
                overwrite=overwrite,
                console=console,
            )
            finish(console, result)
            return
        _require_model(model, sizes | {"seeds": seeds})
        assert model is not None
        conventions = labels()
        if audit and no_audit:
            raise InputError("--audit and --no-audit exclude each other")
        files = data or []
        name = f"evaluation-{files[0].stem}" if files else "audit"
        from eqcli.tasks.evaluate import evaluate as run

        result = run(
            model,
            files,
            output or model.parent / name,
            model_arguments=options.model_arguments(model_arg),
            device=device,
            precision=precision.value if precision else None,
            labels=conventions,
            dataset=dataset,
            audit=False if no_audit else audit or True,
            audit_structures=audit_structures,
            seed=seed,
            batch_atoms=batch_atoms,
            overwrite=overwrite,
            report=console.report,
        )
        finish(console, result)


def _require_model(model: Path | None, of_suites: dict[str, object]) -> None:
    given = [f"--{name}" for name, value in of_suites.items() if value is not None]
    if given:
        raise InputError(f"{', '.join(given)}: an option of --suite, which was not given")
    if model is None:
        names = ", ".join(suite.value for suite in suites.Suite)
        raise InputError("no model was given", hint=f"Name a model file, or a suite: --suite {names}.")


def add_to(app: typer.Typer) -> None:
    """Registers the subcommand."""
    epilog = examples(
        "eqcli evaluate runs/x/model.safetensors test.extxyz -o report/",
        "eqcli evaluate runs/x/model.safetensors test.extxyz --no-audit --json",
        "eqcli evaluate runs/x/model.safetensors --audit equivariance,conservation -o audit/",
        "eqcli evaluate runs/x/model.safetensors kcal.extxyz --energy-unit kcal/mol",
        "eqcli evaluate ase:tblite.ase:TBLite test.extxyz --model-arg method=GFN1-xTB -o xtb/",
        "eqcli evaluate gen.h5 --reference test.csv --training train.csv -o report/",
        "eqcli evaluate gen.sdf --reference test.sdf --training train.sdf -o report/",
        "eqcli evaluate dock.safetensors complexes/ --pocket both -o report/",
        "eqcli evaluate pare.safetensors pairs.csv -o report/",
        "eqcli evaluate --suite registration pairs.csv -o report/",
        "eqcli evaluate --suite tensor-products -o report/",
        "eqcli evaluate --suite gwl -o report/",
    )
    app.command(epilog=epilog)(evaluate)
