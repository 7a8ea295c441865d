"""The data of a training of a generator of crystals."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from eqcli.errors import EqcliError, Failure, InputError
from eqcli.progress import Reporter, Silent
from eqcli.tasks.check import CheckReport
from eqcli.tasks.training_parts import Parts, left_out, read_parts, store, stored

if TYPE_CHECKING:
    from eqcli.data.crystals import CrystalSet
    from eqcli.data.prepared_sets import PreparedSets
    from eqcli.engine.training_generator import TrainableGenerator
    from eqcli.engine.training_run import RunFolder
    from eqcli.io.structure import Structure
    from eqcli.recipe.generators import GeneratorRecipe


def check_crystals(recipe: GeneratorRecipe, *, report: Reporter | None = None) -> CheckReport:
    """Reads the crystals of a recipe and says what they are like. Raises InputError as training does."""
    from eqcli.tasks.check_faults import logger_faults

    if faults := logger_faults(recipe.training.loggers):
        raise faults[0]
    parts, failures = read_crystals(recipe, report or Silent())
    return describe_crystals(parts, failures)


def prepare_generator(
    recipe: GeneratorRecipe, folder: RunFolder, resuming: bool, report: Reporter
) -> TrainableGenerator:
    """The crystals of the run: as stored by an earlier start, or read, reduced, split and stored now."""
    from eqcli.engine.training_generator import TrainableGenerator

    if resuming and folder.provenance.is_file():
        return TrainableGenerator(recipe, _prepared(recipe, *stored(folder)))
    try:
        parts, failures = read_crystals(recipe, report)
    except EqcliError:
        folder.discard()
        raise
    describe_crystals(parts, failures).tell(report)
    return TrainableGenerator(recipe, _prepared(recipe, parts, store(recipe, folder, parts)))


def read_crystals(recipe: GeneratorRecipe, report: Reporter) -> tuple[Parts, list[Failure]]:
    """Crystals of each part, reduced, and what could not be used; see `read_parts`."""
    return read_parts(recipe, partial(_reduced, recipe=recipe), "crystals", report)


def _reduced(structure: Structure, recipe: GeneratorRecipe) -> Structure:
    """The structure in the cell that the recipe wants. Raises InputError for one that cannot be trained on."""
    from eqcli.data.cell_reduction import reduced
    from eqcli.data.crystals import value_of

    data = recipe.data
    made = reduced(structure, niggli=data.niggli, primitive=data.primitive)
    if data.max_atoms is not None and len(made) > data.max_atoms:
        raise InputError(f"{len(made)} atoms are more than data.max_atoms", structure.where)
    name = recipe.model.conditions.value
    if name is not None and not np.isfinite(value_of(made, name)):
        raise InputError(f"the property '{name}' of model.conditions is missing", structure.where)
    return made


def describe_crystals(parts: Parts, failures: Sequence[Failure]) -> CheckReport:
    """What the crystals are like."""
    train = parts["train"]
    sizes = np.array([len(s) for s in train])
    elements = {int(z) for s in train for z in s.numbers}
    volumes = np.array([s.volume / len(s) for s in train])
    low, high = np.percentile(volumes, [0, 100])
    return CheckReport(
        facts=[
            ("crystals", ", ".join(f"{len(part)} {name}" for name, part in parts.items())),
            ("atoms in a cell", f"{sizes.min()} to {sizes.max()}, {sizes.mean():.1f} on average"),
            ("elements", str(len(elements))),
            ("volume per atom", f"{low:.2f} to {high:.2f} Å^3"),
        ],
        warnings=left_out(failures),
        figures={"crystals": {name: len(part) for name, part in parts.items()}, "left_out": len(failures)},
    )


def _prepared(recipe: GeneratorRecipe, parts: Parts, inputs: list[dict[str, str]]) -> PreparedSets[CrystalSet]:
    from eqcli.data.crystals import crystal_set
    from eqcli.data.prepared_sets import PreparedSets

    settings: dict[str, Any] = {"data": recipe.data.model_dump(mode="json"), "seed": recipe.seed}
    name = recipe.model.conditions.value
    return PreparedSets({part: crystal_set(rows, name) for part, rows in parts.items()}, settings, inputs)
