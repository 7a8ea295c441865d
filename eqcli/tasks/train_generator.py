"""The data of a training of a generator of crystals."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eqcli.errors import EqcliError, Failure, InputError, Where
from eqcli.files import sha256, write_json
from eqcli.progress import Reporter, Silent
from eqcli.tasks.check import CheckReport

if TYPE_CHECKING:
    from eqcli.data.crystals import PreparedCrystals
    from eqcli.engine.training_generator import TrainableGenerator
    from eqcli.engine.training_run import RunFolder
    from eqcli.io.structure import Structure
    from eqcli.recipe.generators import GeneratorRecipe

Parts = dict[str, list["Structure"]]

PARTS = ("train", "valid", "test")

SHOWN = 3
"""Structures that could not be used are named in a warning up to this number."""


def check_crystals(recipe: GeneratorRecipe, *, report: Reporter | None = None) -> CheckReport:
    """Reads the crystals of a recipe and says what they are like. Raises InputError as training does."""
    from eqcli.tasks.check_faults import logger_faults

    if faults := logger_faults(recipe.training.loggers):
        raise faults[0]
    parts, failures = read_parts(recipe, report or Silent())
    return describe_crystals(parts, failures, recipe)


def prepare_generator(
    recipe: GeneratorRecipe, folder: RunFolder, resuming: bool, report: Reporter
) -> TrainableGenerator:
    """The crystals of the run: as stored by an earlier start, or read, reduced, split and stored now.

    Each part is a dataset file of its own in the folder `data`, so that the held-out crystals can be given to
    `generate` and `evaluate`.
    """
    from eqcli.engine.training_generator import TrainableGenerator

    if resuming and folder.provenance.is_file():
        return TrainableGenerator(recipe, stored(recipe, folder))
    try:
        parts, failures = read_parts(recipe, report)
    except EqcliError:
        folder.discard()
        raise
    found = describe_crystals(parts, failures, recipe)
    for name, value in found.facts:
        report.message(f"{name}: {value}")
    for text in found.warnings:
        report.warning(text)
    return TrainableGenerator(recipe, store(recipe, folder, parts))


def read_parts(recipe: GeneratorRecipe, report: Reporter) -> tuple[Parts, list[Failure]]:
    """Structures of each part, reduced, and what could not be used.

    Raises
    ------
    InputError
        A file cannot be read, or too little is left.
    """
    data = recipe.data
    failures: list[Failure] = []
    found: Parts = {}
    report.start("reading crystals", None, "structures")
    try:
        for name in PARTS:
            if (files := getattr(data, name)) is not None:
                found[name] = _usable([files] if isinstance(files, str) else files, recipe, failures, report)
    finally:
        report.finish()
    parts = _divided(found, recipe)
    for name, part in parts.items():
        if not part:
            raise InputError(f"no {name} structures are left", Where(key=f"data.{name}"), _first_reason(failures))
    known = {int(z) for s in parts["train"] for z in s.numbers}
    for name in ("valid", "test"):
        kept = [s for s in parts.get(name, []) if known.issuperset(s.numbers.tolist())]
        if name in parts and len(kept) < len(parts[name]):
            count = len(parts[name]) - len(kept)
            failures.append(Failure(f"{count} {name} structures", "they have elements that no training structure has"))
            parts[name] = kept
    return parts, failures


def _usable(
    files: Sequence[str], recipe: GeneratorRecipe, failures: list[Failure], report: Reporter
) -> list[Structure]:
    from eqcli.io import read_structures

    kept = []
    for file in files:
        for structure in read_structures(file, on_failure=failures.append):
            report.advance(1)
            try:
                kept.append(_reduced(structure, recipe))
            except InputError as error:
                failures.append(Failure.of(structure.name, error))
    return kept


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


def _divided(found: Parts, recipe: GeneratorRecipe) -> Parts:
    """The parts, those without files of their own drawn from the training structures."""
    from eqcli.data.split import draw_split

    split = recipe.data.split
    drawn = draw_split(
        {name: np.arange(len(part)) for name, part in found.items()},
        valid=split.valid,
        test=split.test,
        max_train=recipe.data.max_train,
        seed=recipe.seed if split.seed is None else split.seed,
    )
    if "valid" not in drawn:
        raise InputError(
            "there are no validation structures", Where(key="data.split.valid"), "Give a share above 0, or data.valid."
        )
    parts = {name: drawn[name] for name in PARTS if name in drawn}
    return {name: [found[part.source][i] for i in part.indices] for name, part in parts.items()}


def describe_crystals(parts: Parts, failures: Sequence[Failure], recipe: GeneratorRecipe) -> CheckReport:
    """What the crystals are like."""
    train = parts["train"]
    sizes = np.array([len(s) for s in train])
    elements = {int(z) for s in train for z in s.numbers}
    volumes = np.array([s.volume / len(s) for s in train])
    warnings = []
    if failures:
        shown = "; ".join(f"{f.item}: {f.reason}" for f in failures[:SHOWN])
        warnings.append(f"{len(failures)} structures or groups of them are left out: {shown}")
    low, high = np.percentile(volumes, [0, 100])
    return CheckReport(
        facts=[
            ("crystals", ", ".join(f"{len(part)} {name}" for name, part in parts.items())),
            ("atoms in a cell", f"{sizes.min()} to {sizes.max()}, {sizes.mean():.1f} on average"),
            ("elements", str(len(elements))),
            ("volume per atom", f"{low:.2f} to {high:.2f} Å^3"),
        ],
        warnings=warnings,
        figures={"crystals": {name: len(part) for name, part in parts.items()}, "left_out": len(failures)},
    )


def _first_reason(failures: Sequence[Failure]) -> str:
    return f"The first of {len(failures)} that were left out: {failures[0].reason}" if failures else ""


def store(recipe: GeneratorRecipe, folder: RunFolder, parts: Parts) -> PreparedCrystals:
    """Writes the parts and where they come from into the folder of the run."""
    from eqcli.engine.provenance import provenance
    from eqcli.io import write_structures

    files = [
        file
        for name in PARTS
        if (given := getattr(recipe.data, name)) is not None
        for file in ([given] if isinstance(given, str) else given)
    ]
    facts = provenance()
    for name, part in parts.items():
        write_structures(part_file(folder, name), part, overwrite=True, provenance={**facts, "part": name})
    inputs = [{"path": path, "sha256": sha256(path)} for path in files]
    write_json(folder.provenance, {**facts, "data": inputs})
    return _prepared(recipe, parts, inputs)


def stored(recipe: GeneratorRecipe, folder: RunFolder) -> PreparedCrystals:
    """What `store` wrote. Raises InputError for damaged files."""
    from eqcli.io import read_structures

    parts = {name: list(read_structures(path)) for name in PARTS if (path := part_file(folder, name)).is_file()}
    if not {"train", "valid"} <= set(parts):
        raise InputError("the prepared data of this run are gone", Where(folder.data), "Start again with --overwrite.")
    inputs: list[dict[str, str]] = json.loads(folder.provenance.read_text(encoding="utf-8"))["data"]
    return _prepared(recipe, parts, inputs)


def part_file(folder: RunFolder, part: str) -> Path:
    """Where the crystals of a part are stored."""
    return folder.data / f"{part}.h5"


def _prepared(recipe: GeneratorRecipe, parts: Parts, inputs: list[dict[str, str]]) -> PreparedCrystals:
    from eqcli.data.crystals import PreparedCrystals, crystal_set

    settings: dict[str, Any] = {"data": recipe.data.model_dump(mode="json"), "seed": recipe.seed}
    name = recipe.model.conditions.value
    return PreparedCrystals({part: crystal_set(rows, name) for part, rows in parts.items()}, settings, inputs)
