"""Faults in the data of a recipe: labels that are missing, elements that are not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eqcli.errors import EqcliError, InputError, Where
from eqcli.names import nearest

if TYPE_CHECKING:
    import numpy as np

    from eqcli.data.frames import FrameTable
    from eqcli.data.split import Split
    from eqcli.io.structure import Structure
    from eqcli.models.potentials.properties import Property
    from eqcli.recipe.schema import TrainRecipe

TERMS = ("energy", "forces", "stress")


def data_files(recipe: TrainRecipe) -> dict[str, tuple[str, ...]]:
    """The files of each source that the recipe names."""
    named = {"train": recipe.data.train, "valid": recipe.data.valid, "test": recipe.data.test}
    return {source: (files,) if isinstance(files, str) else tuple(files) for source, files in named.items() if files}


def repeated_files(recipe: TrainRecipe) -> list[EqcliError]:
    """An error for every file that is to be trained on and held out, or read twice."""
    errors: list[EqcliError] = []
    first: dict[Path, str] = {}
    for source, files in data_files(recipe).items():
        for name in files:
            path = Path(name).resolve()
            if path in first:
                message = f"this file stands under data.{first[path]} already"
                hint = "Errors on frames that were trained on mean nothing; data.split draws parts from one file."
                errors.append(InputError(message, Where(file=name, key=f"data.{source}"), hint))
            first.setdefault(path, source)
    return errors


def find_faults(
    recipe: TrainRecipe, tables: dict[str, FrameTable], split: Split, warnings: list[str]
) -> list[EqcliError]:
    """Faults of labels, elements and options; what is only odd goes into the warnings."""
    from eqcli.elements import SYMBOLS
    from eqcli.models.potentials.properties import gives_energy, properties_of

    errors = _model_faults(recipe, tables, split) + _fine_tune_faults(recipe)
    trained = set(tables["train"].elements(split["train"].indices))
    for name, part in split.items():
        table = tables[part.source]
        foreign = set(table.elements(part.indices)) - trained
        if foreign:
            symbols = ", ".join(SYMBOLS[z] for z in sorted(foreign))
            errors.append(
                InputError(
                    f"{symbols} occur in the {name} structures and in no training structure",
                    Where(key=f"data.{part.source}"),
                    "Take those structures out, or add training structures with these elements.",
                )
            )
        for term in TERMS if gives_energy(recipe.model) else ():
            if getattr(recipe.loss, term) > 0:
                errors += _label_faults(recipe, name, term, table, part.indices, warnings)
        for wanted in properties_of(recipe.model):
            if recipe.loss.properties.get(wanted.name, 1.0) > 0:
                errors += _property_faults(recipe, name, wanted, table, part.indices, warnings)
    return errors + logger_faults(recipe.training.loggers)


def logger_faults(loggers: Sequence[str]) -> list[EqcliError]:
    """What is missing for the loggers that a recipe names."""
    if "tensorboard" in loggers:
        from eqcli.engine.training_log import summary_writer

        try:
            summary_writer()
        except EqcliError as error:
            return [error]
    return []


def _model_faults(recipe: TrainRecipe, tables: dict[str, FrameTable], split: Split) -> list[EqcliError]:
    """Whether the model can be made with its heads, and takes the charges of the data and the weights of the loss."""
    from eqcli.models.potentials.config import POTENTIALS
    from eqcli.models.potentials.properties import gives_energy, properties_of

    charges = {
        name: charge[charge != 0]
        for name, part in split.items()
        if (charge := tables[part.source].charge[part.indices]).any()
    }
    wants_stress = recipe.loss.stress > 0 and gives_energy(recipe.model)
    if recipe.model.name not in POTENTIALS or not (charges or wants_stress or properties_of(recipe.model)):
        return []
    from eqcli.models.potentials.build import make_potential

    try:
        potential = make_potential(recipe.model, [1])
    except (KeyError, ValueError) as error:
        # Names of heads that torch keeps for itself are KeyErrors.
        return [InputError(f"the model cannot have these heads: {error.args[0]}", Where(key="model.heads"))]
    errors: list[EqcliError] = []
    if wants_stress and "stress" not in potential.outputs:
        message = f"{recipe.model.name} gives no stress, which has the weight {recipe.loss.stress:g} in the loss"
        errors.append(InputError(message, Where(key="loss.stress"), "Set loss.stress: 0."))
    if not potential.accepts_charge:
        errors += [
            InputError(
                f"{len(found)} {name} structures are charged (the first {found[0]:+g} e), and {recipe.model.name} "
                "knows neutral structures alone",
                Where(key=f"data.{split[name].source}"),
                "Take them out, or choose a model that takes the charge.",
            )
            for name, found in charges.items()
        ]
    return errors


def _fine_tune_faults(recipe: TrainRecipe) -> list[EqcliError]:
    """Whether the model to start from fits the recipe, and has the parts that are to be frozen."""
    if recipe.fine_tune is None:
        return []
    from eqcli.engine.fine_tuning import adopt, freeze
    from eqcli.engine.model_file import load_model
    from eqcli.models.potentials.build import make_potential

    source = Path(recipe.fine_tune.model)
    try:
        base = load_model(source).potential
        potential = make_potential(recipe.model, base.elements.tolist())
        adopt(potential, base, source)
        freeze(potential, recipe.fine_tune.freeze)
    except EqcliError as error:
        return [error]
    return []


def _property_faults(
    recipe: TrainRecipe, name: str, wanted: Property, table: FrameTable, frames: np.ndarray, warnings: list[str]
) -> list[EqcliError]:
    if _some_labels(name, wanted.name, table, frames, warnings):
        return []
    file = _first_file(recipe, name)
    first = _first_structure(file, recipe)
    names = sorted({*first.info, *first.arrays}) if first is not None else []
    where = Where(file=file, key=f"model.heads.{wanted.name}")
    if first is not None and wanted.stated(first) and not wanted.defined(first):
        message = f"a {wanted.config.kind} is not defined for periodic structures, and no {name} structure is without"
        return [InputError(message, where, "Use a head of kind vector, or leave it out.")]
    others = f"entries of the file: {', '.join(names)}" if names else "the file has no other entries"
    meant = f"Did you mean '{near}'? " if (near := nearest(wanted.entry, names)) else ""
    return [
        InputError(
            f"no {name} structure has '{wanted.entry}', the label of the head '{wanted.name}'; {others}",
            where,
            f"{meant}Name the entry in model.heads.{wanted.name}.entry, or leave the head out.",
        )
    ]


def _some_labels(name: str, term: str, table: FrameTable, frames: np.ndarray, warnings: list[str]) -> bool:
    """Whether the labels of a part suffice; where only some have one, a warning says so."""
    have = int(table.labelled(term)[frames].sum())
    if have == len(frames):
        return True
    if have or name == "test":
        warnings.append(f"{len(frames) - have} of {len(frames)} {name} structures have no {term}")
        return True
    return False


def _first_file(recipe: TrainRecipe, name: str) -> str:
    files = data_files(recipe)
    return files[name if name in files else "train"][0]


def _label_faults(
    recipe: TrainRecipe, name: str, term: str, table: FrameTable, frames: np.ndarray, warnings: list[str]
) -> list[EqcliError]:
    if _some_labels(name, term, table, frames, warnings):
        return []
    file = _first_file(recipe, name)
    return [
        InputError(
            f"no {name} structure has {term}, which has the weight {getattr(recipe.loss, term):g} in the loss; "
            f"{_found_columns(file, recipe)}",
            Where(file=file, key=f"loss.{term}"),
            f"Name the column in data.labels.{term}, or set loss.{term}: 0.",
        )
    ]


def _found_columns(path: str, recipe: TrainRecipe) -> str:
    """What the first frame of a file offers besides the labels that were taken."""
    first = _first_structure(path, recipe)
    names = sorted({*first.info, *first.arrays}) if first is not None else []
    return f"other columns of the file: {', '.join(names)}" if names else "the file has no other columns"


def _first_structure(path: str, recipe: TrainRecipe) -> Structure | None:
    from eqcli.io import read_structures

    return next(iter(read_structures(path, recipe.data.labels, on_failure=lambda _: None)), None)
