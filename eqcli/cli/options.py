"""Options that several subcommands share: one name and one meaning everywhere."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from eqcli.nn.backend import Backend, using_backend
from eqcli.units import ENERGY, LENGTH, STRESS

if TYPE_CHECKING:
    from eqcli.io.conventions import LabelConvention

    Labels = Callable[[], LabelConvention]
else:
    Labels = Callable[[], Any]  # read at run time by typer, where pydantic must not be imported yet

F = TypeVar("F", bound=Callable[..., Any])


class Precision(StrEnum):
    """Precisions of the model's arithmetic."""

    float32 = "float32"
    float64 = "float64"


def _use_backend(context: typer.Context, backend: Backend) -> Backend:
    """Makes the choice hold for everything that the command does."""
    context.with_resource(using_backend(backend))
    return backend


class StressSign(StrEnum):
    """Signs of the stress."""

    ase = "ase"
    vasp = "vasp"


class Periodicity(StrEnum):
    """How periodicity is decided."""

    auto = "auto"
    on = "on"
    off = "off"


EnergyUnit = StrEnum("EnergyUnit", [(name, name) for name in ENERGY])  # type: ignore[misc]
LengthUnit = StrEnum("LengthUnit", [(name, name) for name in LENGTH])  # type: ignore[misc]
StressUnit = StrEnum("StressUnit", [(name, name) for name in STRESS])  # type: ignore[misc]

ModelFile = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        help="Model file, or a calculator of another package: ase:module:Class, e.g. ase:tblite.ase:TBLite.",
    ),
]
ModelArgs = Annotated[
    list[str] | None,
    typer.Option(
        "--model-arg", metavar="NAME=VALUE", help="Argument of a calculator ase:module:Class; may be repeated."
    ),
]
InputFiles = Annotated[list[Path], typer.Argument(metavar="FILES", help="Structure files of any known format.")]
RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="Recipe file (YAML).")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="Changes of the recipe: key=value, or ~key to remove a key."),
]
Device = Annotated[str, typer.Option("--device", help="Where to compute: auto, cpu, cuda or cuda:N.")]
BackendOption = Annotated[
    Backend,
    typer.Option(
        "--backend",
        callback=_use_backend,
        help="Kernels for messages between atoms; each is used only after it has matched plain torch.",
    ),
]
Compile = Annotated[
    bool,
    typer.Option(
        "--compile", help="Compile the model (a minute or two); used if it then gives the same. For long runs."
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only warnings, failures and errors.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, all else on standard error.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an output that exists.")]
PrecisionOption = Annotated[
    Precision | None, typer.Option("--precision", help="Precision of the model's arithmetic; by default the model's.")
]
BatchAtoms = Annotated[
    int | None,
    typer.Option("--batch-atoms", min=1, help="Largest number of atoms computed at once; by default as memory allows."),
]

LABELS: dict[str, tuple[Any, Any, str, str]] = {
    "energy": (str | None, None, "--energy-key", "Name of the energy entry in the input."),
    "forces": (str | None, None, "--forces-key", "Name of the forces column in the input."),
    "stress": (str | None, None, "--stress-key", "Name of the stress entry in the input."),
    "virial": (str | None, None, "--virial-key", "Name of the virial entry in the input."),
    "energy_unit": (EnergyUnit | None, None, "--energy-unit", "Unit of energies; by default the layout's, else eV."),
    "length_unit": (LengthUnit | None, None, "--length-unit", "Unit of lengths; by default the layout's, else Å."),
    "stress_unit": (StressUnit, StressUnit("eV/Angstrom^3"), "--stress-unit", "Unit of the stresses in the input."),
    "stress_sign": (StressSign, StressSign.ase, "--stress-sign", "ase: tensile stress is positive; vasp: compressive."),
    "stress_order": (str, "xx yy zz yz xz xy", "--stress-order", "Order of the components of a stress of six numbers."),
    "energy_per_atom": (bool, False, "--energy-per-atom", "The energies in the input are per atom."),
    "pbc": (Periodicity, Periodicity.auto, "--pbc", "Periodicity: as the file states, or on or off for all."),
}
"""Field of LabelConvention -> type, default, option and help."""


def label_options(command: F) -> F:
    """Gives a subcommand the options that say how labels are written.

    The command takes them as one function `labels`, which makes the LabelConvention.
    """
    signature = inspect.signature(command, eval_str=True)
    added = [
        inspect.Parameter(
            f"label_{name}",
            inspect.Parameter.KEYWORD_ONLY,
            default=default,
            annotation=Annotated[kind, typer.Option(option, help=text, rich_help_panel="Labels of the input")],
        )
        for name, (kind, default, option, text) in LABELS.items()
    ]

    @wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        values = {name: kwargs.pop(f"label_{name}") for name in LABELS}
        return command(*args, labels=lambda: convention(values), **kwargs)

    parameters = [*(p for p in signature.parameters.values() if p.name != "labels"), *added]
    wrapper.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
    return wrapper  # type: ignore[return-value]


def convention(values: dict[str, Any]) -> LabelConvention:
    """The convention that the options say. Raises InputError for one that cannot be."""
    from pydantic import ValidationError

    from eqcli.errors import InputError
    from eqcli.io.conventions import LabelConvention

    plain = {name: value.value if isinstance(value, StrEnum) else value for name, value in values.items()}
    try:
        return LabelConvention(**plain)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        option = LABELS[str(detail["loc"][0])][2]
        raise InputError(f"{option}: {detail['msg'].removeprefix('Value error, ')}") from error


def model_arguments(texts: list[str] | None) -> dict[str, bool | int | float | str | None]:
    """The arguments that `--model-arg` gives."""
    return named_values("--model-arg", texts)


def named_values(option: str, texts: list[str] | None) -> dict[str, bool | int | float | str | None]:
    """What `name=value` texts say, values as YAML has them. Raises InputError for any that is none."""
    from eqcli.errors import ErrorGroup, InputError
    from eqcli.recipe.tree import Place
    from eqcli.recipe.yaml12 import parse_yaml

    found: dict[str, bool | int | float | str | None] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise InputError(f"{option} {text}: a name and a value were expected", hint="Write name=value.")
        if name in found:
            raise InputError(f"{option} {name} is given twice", hint="Keep one of them.")
        errors: list[Any] = []
        node = parse_yaml(value, Place(Path(), override=text), errors)
        if errors:
            raise ErrorGroup(errors)
        if isinstance(node.value, dict | list):
            raise InputError(f"{option} {text}: the value must be text, a number, true, false or null")
        found[name] = node.value
    return found


def numbers(option: str, texts: list[str] | None) -> dict[str, float]:
    """What `name=number` texts say. Raises InputError for any that is none."""
    from eqcli.errors import InputError

    found = {}
    for name, value in named_values(option, texts).items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(f"{option} {name}: expected a number, not '{value}'", hint="Write name=number.")
        found[name] = float(value)
    return found


def examples(*lines: str) -> str:
    """An epilog of example commands that keeps its line breaks."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
