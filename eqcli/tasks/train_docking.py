"""The data of a training of a docking network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eqcli.errors import EqcliError, Failure, InputError, Where
from eqcli.progress import Reporter, Silent
from eqcli.tasks.check import CheckReport
from eqcli.tasks.read_complexes import Complexes, ComplexReader, Limits, named
from eqcli.tasks.training_parts import left_out, store_parts, stored

if TYPE_CHECKING:
    from eqcli.data.complex_set import ComplexSet
    from eqcli.data.prepared_sets import PreparedSets
    from eqcli.engine.training_docking import TrainableDocking
    from eqcli.engine.training_run import RunFolder
    from eqcli.io.structure import Structure
    from eqcli.recipe.docking import DockingRecipe

Parts = dict[str, list["Structure"]]

PARTS = ("train", "valid", "seen", "test")


def check_complexes(recipe: DockingRecipe, *, report: Reporter | None = None) -> CheckReport:
    """Reads the complexes of a recipe and says what they are like. Raises InputError as training does."""
    from eqcli.tasks.check_faults import logger_faults

    if faults := logger_faults(recipe.training.loggers):
        raise faults[0]
    parts, failures = read_parts(recipe, report or Silent())
    return describe_complexes(parts, failures)


def prepare_complexes(recipe: DockingRecipe, folder: RunFolder, resuming: bool, report: Reporter) -> TrainableDocking:
    """The complexes of the run: as stored by an earlier start, or read, split and stored now."""
    from eqcli.engine.training_docking import TrainableDocking

    if resuming and folder.provenance.is_file():
        parts, inputs = stored(folder, PARTS)
    else:
        try:
            parts, failures = read_parts(recipe, report)
        except EqcliError:
            folder.discard()
            raise
        describe_complexes(parts, failures).tell(report)
        inputs = store_parts(folder, parts, _sources(recipe))
    return TrainableDocking(recipe, _prepared(recipe, parts, inputs), {"proteins": proteins_of(parts["train"])})


def read_parts(recipe: DockingRecipe, report: Reporter) -> tuple[Parts, list[Failure]]:
    """Receptors and ligands of each part, and what could not be used.

    Raises
    ------
    InputError
        A source cannot be read, the split cannot be made, or too little is left.
    """
    data = recipe.data
    reader = ComplexReader(Limits(data.conformers, recipe.seed, data.max_residues, data.max_atoms), report)
    report.start("reading complexes", None, "complexes")
    try:
        given: Parts = {
            name: [ligand for source in named(getattr(data, name)) for ligand in reader.read(source)]
            for name in ("train", "valid", "test")
            if getattr(data, name) is not None
        }
        _refuse_empty(given, reader.found.failures)
        parts = _divided(recipe, given, reader.found)
        if data.generated is not None:
            parts["train"] += _generated(recipe, reader)
    finally:
        report.finish()
    failures = reader.found.failures
    _refuse_empty(parts, failures)
    return {name: reader.found.of(part) for name, part in parts.items()}, failures


def _refuse_empty(parts: Parts, failures: Sequence[Failure]) -> None:
    for name, part in parts.items():
        if not part:
            first = f"The first of {len(failures)} that were left out: {failures[0].reason}" if failures else ""
            raise InputError(f"no {name} complexes are left", Where(key=f"data.{name}"), first)


def _divided(recipe: DockingRecipe, given: Parts, found: Complexes) -> Parts:
    """The parts, those without files of their own drawn from the training complexes by protein or by year."""
    from eqcli.data.complex_split import split_complexes

    split, ligands = recipe.data.split, given["train"]
    seed = recipe.seed if split.seed is None else split.seed
    groups = _groups(recipe, ligands, found)
    valid = 0 if "valid" in given or split.valid_seen else split.valid
    rows = split_complexes(
        split.by,
        groups,
        valid=valid,
        test=0 if "test" in given else split.test,
        seed=seed,
        seen=split.seen,
        years=[found.receptors[str(x.info["receptor"])].info.get("year") for x in ligands],
        allow_leak=split.allow_leak,
    )
    if split.valid_seen and "valid" not in given:
        train = rows["train"]
        again = split_complexes("protein", [groups[i] for i in train], valid=0, test=0, seed=seed + 1, seen=split.valid)
        rows |= {"train": train[again["train"]], "valid": train[again["seen"]]}
    parts = {name: [ligands[i] for i in part] for name, part in rows.items() if len(part) or name == "train"}
    parts |= {name: part for name, part in given.items() if name != "train"}
    if "valid" not in parts:
        raise InputError(
            "there are no validation complexes", Where(key="data.split.valid"), "Give a share above 0, or data.valid."
        )
    if recipe.data.max_train is not None and len(parts["train"]) > recipe.data.max_train:
        chosen = np.random.default_rng(seed).permutation(len(parts["train"]))[: recipe.data.max_train]
        parts["train"] = [parts["train"][i] for i in np.sort(chosen)]
    return {name: parts[name] for name in PARTS if name in parts}


def _groups(recipe: DockingRecipe, ligands: Sequence[Structure], found: Complexes) -> list[Any]:
    """What a split keeps together, of each complex."""
    from eqcli.data.sequence_clusters import sequence_clusters

    split = recipe.data.split
    if split.by != "cluster":
        return [found.protein(ligand) for ligand in ligands]
    names = list(dict.fromkeys(str(ligand.info["receptor"]) for ligand in ligands))
    chains = [found.receptors[name].info["sequence"] for name in names]
    number = dict(zip(names, sequence_clusters(chains, identity=split.identity).tolist(), strict=True))
    return [number[str(ligand.info["receptor"])] for ligand in ligands]


def _generated(recipe: DockingRecipe, reader: ComplexReader) -> list[Structure]:
    from eqcli.tasks.generated_complexes import generated

    assert recipe.data.generated is not None
    section = recipe.data.generated
    return [
        ligand
        for source in named(section.proteins)
        for ligand in generated(source, section.per_protein, section.pieces, recipe.seed, reader)
    ]


def _sources(recipe: DockingRecipe) -> list[str]:
    data = recipe.data
    files = [source for name in ("train", "valid", "test") for source in named(getattr(data, name))]
    return [*files, *named(data.generated.proteins if data.generated is not None else None)]


def proteins_of(structures: Sequence[Structure]) -> dict[str, dict[str, str]]:
    """Sequences by chain of every protein among stored complexes, by name."""
    return {s.info["protein"]: s.info["sequence"] for s in structures if s.info["role"] == "receptor"}


def describe_complexes(parts: Parts, failures: Sequence[Failure]) -> CheckReport:
    """What the complexes are like, and what of the test proteins training knows."""
    ligands = {name: [s for s in part if s.info["role"] == "ligand"] for name, part in parts.items()}
    receptors = [s for s in parts["train"] if s.info["role"] == "receptor"]
    residues = np.array([len(s.info["residues"]["amino_acid"]) for s in receptors])
    heavy = np.array([int((s.numbers > 1).sum()) for s in ligands["train"]])
    facts = [
        ("complexes", ", ".join(f"{len(part)} {name}" for name, part in ligands.items())),
        ("receptors", ", ".join(f"{len(part) - len(ligands[name])} {name}" for name, part in parts.items())),
        ("residues", f"{residues.min()} to {residues.max()}, {residues.mean():.0f} on average"),
        ("heavy atoms", f"{heavy.min()} to {heavy.max()}, {heavy.mean():.1f} on average"),
    ]
    leaks = {name: _leak(parts["train"], part) for name, part in parts.items() if name != "train"}
    facts += [(f"known to training, {name}", words) for name, words in leaks.items()]
    return CheckReport(
        facts=facts,
        warnings=left_out(failures),
        figures={"complexes": {name: len(part) for name, part in ligands.items()}, "left_out": len(failures)},
    )


def _leak(train: Sequence[Structure], part: Sequence[Structure]) -> str:
    """How much of a held-out part training knows, in words."""
    from eqcli.data.sequence_clusters import leak_report

    rows = leak_report(_members(train), _members(part))
    highest = max((row.identity for row in rows), default=0.0)
    alike = sum(row.identity >= ALIKE for row in rows)
    shared = len({smiles for row in rows for smiles in row.ligands})
    return (
        f"{alike} of {len(rows)} proteins with {ALIKE:.0%} or more equal residues (the nearest {highest:.0%}), "
        f"{shared} ligands"
    )


ALIKE = 0.9
"""Share of equal residues from which two proteins count as the same."""


def _members(structures: Sequence[Structure]) -> list[Any]:
    from eqcli.data.sequence_clusters import Member
    from eqcli.io.rdkit_molecule import molecule_of, sanitised, smiles_of

    ligands: dict[str, list[str]] = {}
    for structure in structures:
        if structure.info["role"] == "ligand":
            smiles = smiles_of(sanitised(molecule_of(structure)))
            ligands.setdefault(str(structure.info["receptor"]), []).append(smiles)
    return [
        Member(s.info["protein"], s.info["sequence"], tuple(ligands.get(str(s.info["name"]), ())))
        for s in structures
        if s.info["role"] == "receptor"
    ]


def _prepared(recipe: DockingRecipe, parts: Parts, inputs: list[dict[str, str]]) -> PreparedSets[ComplexSet]:
    from eqcli.data.complex_set import complex_set
    from eqcli.data.prepared_sets import PreparedSets

    settings: dict[str, Any] = {"data": recipe.data.model_dump(mode="json"), "seed": recipe.seed}
    model = recipe.model
    sets = {name: complex_set(part, neighbours=model.neighbours, reach=model.reach) for name, part in parts.items()}
    return PreparedSets(sets, settings, inputs)
