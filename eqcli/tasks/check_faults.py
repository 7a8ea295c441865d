"""Faults in the data of a recipe: labels that are missing, elements that are not trained on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from eqcli.errors import EqcliError, InputError, Where

if TYPE_CHECKING:
    import numpy as np

    from eqcli.data.frames import FrameTable
    from eqcli.data.split import Split
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

    errors: list[EqcliError] = []
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
        for term in TERMS:
            if getattr(recipe.loss, term) > 0:
                errors += _label_faults(recipe, name, term, table, part.indices, warnings)
    if "tensorboard" in recipe.training.loggers:
        from eqcli.engine.training_log import summary_writer

        try:
            summary_writer()
        except EqcliError as error:
            errors.append(error)
    return errors


def _label_faults(
    recipe: TrainRecipe, name: str, term: str, table: FrameTable, frames: np.ndarray, warnings: list[str]
) -> list[EqcliError]:
    have = int(table.labelled(term)[frames].sum())
    if have == len(frames):
        return []
    if have or name == "test":
        warnings.append(f"{len(frames) - have} of {len(frames)} {name} structures have no {term}")
        return []
    files = data_files(recipe)
    source = name if name in files else "train"
    return [
        InputError(
            f"no {name} structure has {term}, which has the weight {getattr(recipe.loss, term):g} in the loss; "
            f"{_found_columns(files[source][0], recipe)}",
            Where(file=files[source][0], key=f"loss.{term}"),
            f"Name the column in data.labels.{term}, or set loss.{term}: 0.",
        )
    ]


def _found_columns(path: str, recipe: TrainRecipe) -> str:
    """What the first frame of a file offers besides the labels that were taken."""
    from eqcli.io import read_structures

    first = next(iter(read_structures(path, recipe.data.labels, on_failure=lambda _: None)), None)
    names = sorted({*first.info, *first.arrays}) if first is not None else []
    return f"other columns of the file: {', '.join(names)}" if names else "the file has no other columns"
