"""The data of a training of a network of registration."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eqcli.errors import EqcliError, Failure, InputError, Where
from eqcli.files import sha256, write_json
from eqcli.progress import Reporter, Silent
from eqcli.tasks.check import CheckReport
from eqcli.tasks.read_complexes import named
from eqcli.tasks.training_parts import left_out

if TYPE_CHECKING:
    from eqcli.data.cloud_pairs import CloudPair
    from eqcli.data.pair_generation import PairSource
    from eqcli.data.pair_set import PairSet
    from eqcli.data.prepared_sets import PreparedSets
    from eqcli.engine.training_pointcloud import TrainableRegistration
    from eqcli.engine.training_run import RunFolder
    from eqcli.recipe.pointcloud import GeneratedPairs, PointCloudRecipe

PARTS = ("train", "valid", "test")

SAMPLED = 8
"""Pairs of a part that are made or read to check it."""


def check_pairs(recipe: PointCloudRecipe, *, report: Reporter | None = None) -> CheckReport:
    """Finds the pairs of a recipe, makes or reads a few, and says what they are like. Raises InputError as training."""
    from eqcli.tasks.check_faults import logger_faults

    if faults := logger_faults(recipe.training.loggers):
        raise faults[0]
    prepared, failures = make_pairs(recipe, [])
    return describe_pairs(recipe, prepared, failures, report or Silent())


def prepare_pairs(
    recipe: PointCloudRecipe, folder: RunFolder, resuming: bool, report: Reporter
) -> TrainableRegistration:
    """The pairs of the run. They are not stored: files are read again, and must not have changed since the start."""
    from eqcli.engine.provenance import provenance
    from eqcli.engine.training_pointcloud import TrainableRegistration

    if resuming and folder.provenance.is_file():
        inputs = fingerprints(recipe)
        _refuse_changed(inputs, json.loads(folder.provenance.read_text(encoding="utf-8"))["data"])
        return TrainableRegistration(recipe, make_pairs(recipe, inputs)[0])
    try:
        inputs = fingerprints(recipe)
        prepared, failures = make_pairs(recipe, inputs)
        describe_pairs(recipe, prepared, failures, report).tell(report)
    except EqcliError:
        folder.discard()
        raise
    write_json(folder.provenance, {**provenance(), "data": inputs})
    return TrainableRegistration(recipe, prepared)


def fingerprints(recipe: PointCloudRecipe) -> list[dict[str, str]]:
    """Path and digest of what a recipe names, and for tables of pairs a digest of what they list, too.

    In the order of `eqcli.engine.training_run.INPUTS`, which tells by it whether files have but moved.
    """
    data, generated = recipe.data, recipe.data.generated
    known: dict[str, dict[str, str]] = {}
    entries = []
    for path in [path for name in PARTS for path in named(getattr(data, name))]:
        if path not in known:
            known[path] = {"path": path, "sha256": sha256(path)} | ({} if Path(path).is_dir() else _listed(path))
        entries.append(known[path])
    if generated is not None:
        shapes = [*named(generated.files), *named(generated.valid_files)]
        entries += [{"path": path, "sha256": sha256(path)} for path in shapes]
    return entries


def _listed(table: str) -> dict[str, str]:
    """A digest of the clouds and motions of a table, whatever their names."""
    digest = hashlib.sha256()
    for pair in _pairs_of([table], []):
        assert pair.truth is not None
        digest.update(f"{sha256(pair.source)} {sha256(pair.target)} {pair.truth.tolist()} {pair.voxel}\n".encode())
    return {"clouds": digest.hexdigest()}


def _refuse_changed(now: Sequence[dict[str, str]], then: Sequence[dict[str, str]]) -> None:
    """Files may have moved: the recipe stands for their order."""
    for number, entry in enumerate(now):
        before = then[number] if number < len(then) else {}
        if any(entry[key] != before.get(key) for key in entry if key != "path"):
            raise InputError(
                "the data changed since the run began", Where(entry["path"]), "Start again with --overwrite."
            )


def make_pairs(recipe: PointCloudRecipe, inputs: list[dict[str, str]]) -> tuple[PreparedSets[PairSet], list[Failure]]:
    """The parts of a recipe and what could not be used. Raises InputError where nothing is left of one."""
    from eqcli.data.pair_set import PairSet
    from eqcli.data.prepared_sets import PreparedSets

    data = recipe.data
    failures: list[Failure] = []
    parts: dict[str, PairSet] = {}
    for number, name in enumerate(PARTS):
        earlier = len(failures)
        pairs = _pairs_of(named(getattr(data, name)), failures)
        source = _generator(data.generated, name, recipe.seed)
        count = getattr(data.generated, "pairs" if name == "train" else "valid") if source is not None else 0
        if getattr(data, name) is not None and not pairs:
            own = failures[earlier:]
            first = f"The first of {len(own)} that were left out: {own[0].item}: {own[0].reason}" if own else ""
            raise InputError(f"no {name} pairs with a known motion are left", Where(key=f"data.{name}"), first)
        if pairs or count:
            parts[name] = PairSet(
                tuple(pairs), source, count, data.voxel, data.max_points, int(np.uint32(recipe.seed * 3 + number))
            )
    settings: dict[str, Any] = {"data": data.model_dump(mode="json"), "seed": recipe.seed}
    return PreparedSets(parts, settings, inputs), failures


def _pairs_of(paths: Iterable[str], failures: list[Failure]) -> list[CloudPair]:
    from eqcli.data.cloud_pairs import find_pairs

    found = []
    for path in paths:
        for item in find_pairs(path):
            if isinstance(item, Failure):
                failures.append(item)
            elif item.truth is None:
                failures.append(Failure(item.name, "its true motion is not known", Where(path)))
            else:
                found.append(item)
    return found


def _generator(section: GeneratedPairs | None, part: str, seed: int) -> PairSource | None:
    """What draws the generated pairs of a part; the validation has shapes of its own."""
    if section is None or part == "test" or (part == "valid" and not section.valid):
        return None
    from eqcli.data.pair_files import files_in
    from eqcli.data.pair_generation import PairSource

    train = part == "train"
    files = files_in(named(section.files if train else section.valid_files))
    kinds = section.kinds.model_dump()
    if not files:
        kinds["file"] = 0.0
    elif not train and not kinds["file"]:
        kinds["file"] = 1.0
    return PairSource(
        kinds=kinds,
        files=files,
        views=section.views.model_dump(),
        overlap=section.overlap if train else section.valid_overlap,
        density=section.density,
        noise=section.noise,
        outliers=section.outliers,
        voxels=section.voxels,
        pool=section.pool if train else max(section.valid // 2, 1),
        uses=section.uses,
        seed=seed if train else seed + 1_000_003,
    )


def describe_pairs(
    recipe: PointCloudRecipe, prepared: PreparedSets[PairSet], failures: Sequence[Failure], report: Reporter
) -> CheckReport:
    """What the pairs are like, from a few of each part."""
    from eqcli.data.pair_batches import PyramidSettings

    settings = PyramidSettings.of(recipe.model)
    facts = [("pairs", ", ".join(f"{len(part)} {name}" for name, part in prepared.parts.items()))]
    report.start("looking at pairs", None, "pairs")
    try:
        for name, part in prepared.parts.items():
            facts.append((name, _words(part, settings, report)))
    finally:
        report.finish()
    return CheckReport(
        facts=facts,
        warnings=left_out(failures, "pairs"),
        figures={"pairs": {name: len(part) for name, part in prepared.parts.items()}, "left_out": len(failures)},
    )


def _words(part: PairSet, settings: Any, report: Reporter) -> str:
    rows = np.unique(np.linspace(0, len(part) - 1, SAMPLED).astype(int))
    points, coarse, shared = [], [], []
    for row in rows.tolist():
        batch = part.batch(row, 0, settings)
        assert batch.truth is not None
        points += [len(side.levels[0].points) for side in (batch.source, batch.target)]
        coarse += [len(side.coarse.points) for side in (batch.source, batch.target)]
        shared.append(len(batch.truth.matches[0].unique()) / len(batch.source.fine.points))
        report.advance(1)
    return (
        f"{len(part.pairs)} of files and {part.generated} generated; of {len(rows)}: {min(points)} to {max(points)} "
        f"voxels and {min(coarse)} to {max(coarse)} superpoints a cloud, {min(shared):.0%} to {max(shared):.0%} of a "
        "source's points have a match"
    )
