"""What every task that applies a model to files begins and ends with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.engine.guest_name import is_guest
from eqcli.errors import Failure, InputError, Where
from eqcli.files import refuse_existing, require_file
from eqcli.progress import Reporter, Silent

if TYPE_CHECKING:
    from eqcli.engine.guest_calculator import Scalar
    from eqcli.engine.model_file import ModelFile
    from eqcli.io.conventions import LabelConvention
    from eqcli.io.structure import Structure


def readable_files(paths: Sequence[Path]) -> list[Path]:
    """The files themselves. Raises InputError, before any work, for one that is missing or of unknown format."""
    from eqcli.io.formats import readable_format

    if not paths:
        raise InputError("no structure file was given")
    sources = [require_file(path) for path in paths]
    for source in sources:
        readable_format(source)
    return sources


def family_of(model: Path) -> str:
    """The family of a model; calculators of other packages are potentials."""
    if is_guest(model):
        return "potentials"
    from eqcli.engine.model_file import read_header

    return str(read_header(model)["family"])


def load_for_inference(
    model: Path,
    device: str,
    precision: str | None,
    arguments: Mapping[str, Scalar] | None = None,
    report: Reporter | None = None,
) -> ModelFile:
    """The model on a device, in a precision (None: the one it was saved in).

    `model` is a file or, as `ase:module:Class`, the calculator of another package, made from `arguments`.
    """
    if is_guest(model):
        from eqcli.engine.guest import open_guest

        return open_guest(str(model), arguments or {}, device=device, precision=precision, report=report or Silent())
    if arguments:
        hint = "A model file holds everything it needs."
        raise InputError("arguments are for calculators of other packages (ase:module:Class)", Where(model), hint)
    from eqcli.engine.device import PRECISIONS, choose_device
    from eqcli.engine.model_file import load_model

    if precision is not None and precision not in PRECISIONS:
        raise InputError(f"unknown precision '{precision}'", hint=f"Use {' or '.join(PRECISIONS)}.")
    return load_model(model, device=choose_device(device), dtype=PRECISIONS[precision] if precision else None)


def inference_provenance(model: ModelFile) -> dict[str, Any]:
    """What the header of an output says about where its numbers come from."""
    from eqcli.engine.provenance import provenance
    from eqcli.files import sha256

    device, precision = runs_in(model)
    if "guest" in model.header:
        return provenance() | {
            "device": device,
            "model": {**model.header["guest"], "name": "ase", "precision": precision},
        }
    return provenance() | {
        "device": device,
        "model": {
            "path": str(model.path),
            "sha256": sha256(model.path) if model.path else None,
            "name": model.header.get("config", {}).get("name"),
            "precision": precision,
            **_training(model.header),
        },
    }


def _training(header: Mapping[str, Any]) -> dict[str, Any]:
    """Name and seed of the recipe that a model was trained by; the whole of it stands in the model file."""
    recipe = (header.get("training") or {}).get("recipe") or {}
    known = {"recipe": recipe.get("name"), "seed": recipe.get("seed")}
    return {key: value for key, value in known.items() if value is not None}


def runs_in(model: ModelFile) -> tuple[str, str]:
    """Device and precision in words; a calculator of another package has its own."""
    from eqcli.engine.device import precision_name

    if "guest" in model.header:
        return model.header["device"], model.header["precision"]
    weights = next(model.model.parameters())
    return str(weights.device), precision_name(weights.dtype)


def read_all(
    sources: Sequence[Path], labels: LabelConvention | None, on_failure: Callable[[Failure], None]
) -> Iterator[Structure]:
    """The structures of several files, one after the other."""
    from eqcli.io import read_structures

    for path in sources:
        yield from read_structures(path, labels, on_failure=on_failure)


def refuse_unwritable(output: Path | None, sources: Sequence[Path], overwrite: bool) -> None:
    """Raises InputError, before any work, for an output of unknown format, one that exists or one that is an input."""
    if output is None:
        return
    from eqcli.io.formats import writable_format

    writable_format(output)
    if any(Path(output).resolve() == path.resolve() for path in sources):
        raise InputError("this file is an input and cannot be the output too", Where(output))
    refuse_existing(output, overwrite)
