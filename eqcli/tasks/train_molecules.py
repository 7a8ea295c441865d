"""The data of a training of a generator of molecules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from eqcli.errors import EqcliError, Failure, InputError
from eqcli.progress import Reporter, Silent
from eqcli.tasks.check import CheckReport
from eqcli.tasks.training_parts import Parts, left_out, read_parts, store, stored

if TYPE_CHECKING:
    from eqcli.data.molecules import MoleculeSet
    from eqcli.data.prepared_sets import PreparedSets
    from eqcli.engine.training_molecules import TrainableMolecules
    from eqcli.engine.training_run import RunFolder
    from eqcli.io.structure import Structure
    from eqcli.recipe.molecules import MoleculesRecipe


def check_molecules(recipe: MoleculesRecipe, *, report: Reporter | None = None) -> CheckReport:
    """Reads the molecules of a recipe and says what they are like. Raises InputError as training does."""
    from eqcli.tasks.check_faults import logger_faults

    if faults := logger_faults(recipe.training.loggers):
        raise faults[0]
    parts, failures = read_molecules(recipe, report or Silent())
    return describe_molecules(parts, failures)


def prepare_molecules(
    recipe: MoleculesRecipe, folder: RunFolder, resuming: bool, report: Reporter
) -> TrainableMolecules:
    """The molecules of the run: as stored by an earlier start, or read, given bonds, split and stored now."""
    from eqcli.engine.training_molecules import TrainableMolecules

    if resuming and folder.provenance.is_file():
        return TrainableMolecules(recipe, _prepared(recipe, *stored(folder)))
    try:
        parts, failures = read_molecules(recipe, report)
    except EqcliError:
        folder.discard()
        raise
    describe_molecules(parts, failures).tell(report)
    return TrainableMolecules(recipe, _prepared(recipe, parts, store(recipe, folder, parts)))


def read_molecules(recipe: MoleculesRecipe, report: Reporter) -> tuple[Parts, list[Failure]]:
    """Molecules of each part with their bonds, and what could not be used; see `read_parts`."""
    return read_parts(recipe, partial(_usable, recipe=recipe), "molecules", report)


def _usable(structure: Structure, recipe: MoleculesRecipe) -> Structure:
    """The molecule with what the model learns. Raises InputError for one that cannot be trained on."""
    from eqcli.data.crystals import value_of
    from eqcli.data.molecule_features import featured

    data = recipe.data
    if data.max_atoms is not None and len(structure) > data.max_atoms:
        raise InputError(f"{len(structure)} atoms are more than data.max_atoms", structure.where)
    for name in recipe.model.conditions.values:
        if not np.isfinite(value_of(structure, name)):
            raise InputError(f"the property '{name}' of model.conditions is missing", structure.where)
    return featured(structure, bonds=getattr(recipe.model, "bonds", False), aromatic=data.aromatic)


def describe_molecules(parts: Parts, failures: Sequence[Failure]) -> CheckReport:
    """What the molecules are like."""
    from eqcli.elements import SYMBOLS

    train = parts["train"]
    sizes = np.array([len(s) for s in train])
    elements = Counter(int(z) for s in train for z in s.numbers)
    bonds = Counter(float(bond[2]) for s in train for bond in s.info.get("bonds", []))
    facts = [
        ("molecules", ", ".join(f"{len(part)} {name}" for name, part in parts.items())),
        ("atoms", f"{sizes.min()} to {sizes.max()}, {sizes.mean():.1f} on average"),
        ("elements", ", ".join(f"{SYMBOLS[z]} {count:,}" for z, count in sorted(elements.items()))),
    ]
    if bonds:
        facts.append(("bonds by order", ", ".join(f"{order:g}: {count:,}" for order, count in sorted(bonds.items()))))
    return CheckReport(
        facts=facts,
        warnings=left_out(failures),
        figures={"molecules": {name: len(part) for name, part in parts.items()}, "left_out": len(failures)},
    )


def _prepared(recipe: MoleculesRecipe, parts: Parts, inputs: list[dict[str, str]]) -> PreparedSets[MoleculeSet]:
    from eqcli.data.molecules import molecule_set
    from eqcli.data.prepared_sets import PreparedSets

    settings: dict[str, Any] = {"data": recipe.data.model_dump(mode="json"), "seed": recipe.seed}
    names = recipe.model.conditions.values
    return PreparedSets({part: molecule_set(rows, names) for part, rows in parts.items()}, settings, inputs)
