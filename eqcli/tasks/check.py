"""Open the data of a recipe and say what is wrong or odd, before any time is spent on training."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.errors import EqcliError, ErrorGroup, Failure, InputError, Where
from eqcli.progress import Reporter, Silent
from eqcli.tasks.check_faults import TERMS, data_files, find_faults, repeated_files

if TYPE_CHECKING:
    import numpy as np

    from eqcli.data.frames import FrameTable
    from eqcli.data.split import Split
    from eqcli.data.statistics import DataStatistics
    from eqcli.recipe.schema import TrainRecipe
    from eqcli.recipe.training import TrainingRecipe


@dataclass
class CheckReport:
    """What the data of a recipe are like.

    Attributes
    ----------
    facts
        Name and value of what was found, for people.
    warnings
        What is suspicious and does not stop the training.
    """

    facts: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """The report as text, warnings last."""
        return [f"{name}: {value}" for name, value in self.facts] + [f"warning: {text}" for text in self.warnings]

    def tell(self, report: Reporter) -> None:
        """Says all of it to a reporter."""
        for name, value in self.facts:
            report.message(f"{name}: {value}")
        for text in self.warnings:
            report.warning(text)

    def as_dict(self) -> dict[str, Any]:
        return {"facts": dict(self.facts), "warnings": self.warnings, **self.figures}


@dataclass
class Inspection:
    """A report, and what was computed on the way to it."""

    report: CheckReport
    tables: dict[str, FrameTable]
    split: Split
    statistics: DataStatistics


def check_data(recipe: TrainingRecipe, *, report: Reporter | None = None) -> CheckReport:
    """Reads every file of a training recipe, of any family, and checks what is in it.

    Raises
    ------
    ErrorGroup
        With all faults that would make the training fail or silently wrong.
    """
    if recipe.family == "dynamics":
        from eqcli.tasks.train_dynamics import check_dynamics

        return check_dynamics(recipe, report=report)
    if recipe.family == "generators":
        from eqcli.tasks.train_generator import check_crystals

        return check_crystals(recipe, report=report)
    if recipe.family == "molecules":
        from eqcli.tasks.train_molecules import check_molecules

        return check_molecules(recipe, report=report)
    if recipe.family == "docking":
        from eqcli.tasks.train_docking import check_complexes

        return check_complexes(recipe, report=report)
    if recipe.family == "pointcloud":
        from eqcli.tasks.train_pointcloud import check_pairs

        return check_pairs(recipe, report=report)
    return inspect(recipe, report or Silent()).report


def inspect(recipe: TrainRecipe, report: Reporter, *, store: Path | None = None) -> Inspection:
    """`check_data`, with its by-products; frames are stored in the folder `store` as they pass by."""
    failures: list[Failure] = []
    errors = repeated_files(recipe)
    tables = _read(recipe, report, store, failures, errors)
    errors += [InputError(failure.reason, failure.where) for failure in failures]
    errors += [
        InputError("a structure without atoms", Where(key=f"data.{source}", frame=int(i)))
        for source, table in tables.items()
        for i in (table.n_atoms == 0).nonzero()[0][:5]
    ]
    empty = [source for source, table in tables.items() if not len(table) or not table.n_atoms.all()]
    errors += [
        InputError("no structures in these files", Where(key=f"data.{source}"))
        for source in empty
        if not len(tables[source])
    ]
    if len(tables) < len(data_files(recipe)) or empty:
        raise ErrorGroup(errors)
    split, found = _split(recipe, tables)
    errors += found
    statistics = None
    if "train" in split and len(split["train"]):
        statistics = _statistics(recipe, tables, split, errors)
    result = CheckReport(facts=_columns_taken(recipe))
    if len(split.get("train", ())):
        # Before what could not be made of them: a label that is missing is the reason, not the consequence.
        errors[:0] = find_faults(recipe, tables, split, result.warnings)
    if statistics is not None:
        _describe(recipe, tables, split, statistics, result)
    if errors or statistics is None:
        raise ErrorGroup(errors)
    return Inspection(result, tables, split, statistics)


def _read(
    recipe: TrainRecipe, report: Reporter, store: Path | None, failures: list[Failure], errors: list[EqcliError]
) -> dict[str, FrameTable]:
    from eqcli.data.prepare import scan, store_path
    from eqcli.models.potentials.properties import properties_of

    tables = {}
    report.start("reading the data", None, "frames")
    for source, files in data_files(recipe).items():
        try:
            tables[source] = scan(
                files,
                recipe.data.labels,
                recipe.model.cutoff,
                properties_of(recipe.model),
                on_failure=failures.append,
                advance=report.advance,
                store=store_path(store, source) if store else None,
            )
        except EqcliError as error:
            errors.append(error)
    report.finish()
    return tables


def _split(recipe: TrainRecipe, tables: dict[str, FrameTable]) -> tuple[Split, list[EqcliError]]:
    import numpy as np

    from eqcli.data.index_files import check_indices, read_indices
    from eqcli.data.split import draw_split, pool, share

    usable = {source: np.flatnonzero(~table.isolated) for source, table in tables.items()}
    section = recipe.data.split
    try:
        given = {part: read_indices(file, part) for part, file in section.index_files.items()}
        check_indices(given, usable["train"], len(tables["train"]))
    except EqcliError as error:
        return {}, [error]
    total = len(pool(usable["train"], given))
    seed = recipe.seed if section.seed is None else section.seed
    named = tables.keys() | given.keys()
    drawn = sum(share(getattr(section, name), total) for name in ("valid", "test") if name not in named)
    if drawn >= total:
        found = f"{drawn} structures are wanted for validation and test, of {total} that are not isolated atoms"
        return {}, [InputError(f"nothing is left to train on: {found}", Where(key="data.split"))]
    split = draw_split(
        usable,
        valid=section.valid,
        test=section.test,
        max_train=recipe.data.max_train,
        seed=seed,
        fingerprint=tables["train"].fingerprint,
        given=given,
    )
    if not len(split["train"]):
        found = "every structure that is not held out repeats one that is"
        return split, [InputError(f"nothing is left to train on: {found}", Where(key="data.split"))]
    if not len(split.get("valid", ())):
        hint = "Name a file in data.valid, or give data.split.valid a share, e.g. 0.1."
        return split, [InputError("there are no validation structures", Where(key="data.split.valid"), hint)]
    return split, []


def _statistics(
    recipe: TrainRecipe, tables: dict[str, FrameTable], split: Split, errors: list[EqcliError]
) -> DataStatistics | None:
    from eqcli.data.statistics import measure_statistics
    from eqcli.models.potentials.properties import gives_energy, properties_of

    # A model without an energy needs no reference, and its data may have no energies to fit one to.
    wanted = recipe.data.reference_energies if gives_energy(recipe.model) else "zero"
    try:
        return measure_statistics(tables["train"], split["train"].indices, wanted, properties_of(recipe.model))
    except EqcliError as error:
        errors.append(error)
        return None


def _describe(
    recipe: TrainRecipe, tables: dict[str, FrameTable], split: Split, statistics: DataStatistics, result: CheckReport
) -> None:
    """Fills the report with what was found and what is odd."""
    from eqcli.data.memory import describe_batches
    from eqcli.data.plausibility import duplicates, energy_warnings, force_warnings, overlap, stress_warnings
    from eqcli.elements import SYMBOLS
    from eqcli.models.potentials.properties import gives_energy

    train = split["train"]
    table = tables[train.source]
    energy = gives_energy(recipe.model)
    result.facts += [
        ("structures", ", ".join(f"{len(split[n])} {n}" for n in ("train", "valid", "test") if n in split)),
        ("elements", " ".join(SYMBOLS[z] for z in statistics.elements)),
        ("atoms per structure", _range(table.n_atoms[train.indices])),
        ("neighbours per atom", f"{statistics.avg_num_neighbors:.1f} on average"),
        ("labels", ", ".join(_label_count(term, table, train.indices) for term in (*TERMS, *table.properties))),
        ("reference energies", reference_text(statistics) if energy else "not needed: the model gives no energy"),
        *_property_facts(recipe, statistics),
    ]
    isolated = int(table.isolated.sum())
    if isolated:
        result.facts.append(("isolated atoms", f"{isolated}, used for reference energies only"))
    if energy:
        result.warnings += statistics.reference.notes
        result.warnings += energy_warnings(table, train.indices, statistics.reference)
        result.warnings += force_warnings(table, train.indices) + stress_warnings(table, train.indices)
    lonely = int(table.lonely[train.indices].sum())
    if lonely:
        result.warnings.append(
            f"{lonely} atoms in the training structures have no neighbour within {recipe.model.cutoff:g} Å"
        )
    drawn = sum(len(part) for part in split.values() if part.source == "train")
    left = len(table) - isolated - drawn
    if left and recipe.data.split.train_indices is not None:
        result.facts.append(("not used", f"{left} structures, which are in no part"))
    elif left and recipe.data.max_train is None:
        result.warnings.append(f"{left} structures repeat a held-out one and are left out of the training")
    if repeated := duplicates(table, train.indices):
        result.warnings.append(f"{repeated} training structures repeat another one")
    for name in ("valid", "test"):
        if name in split:
            other = split[name]
            if same := overlap(table, train.indices, tables[other.source], other.indices):
                result.warnings.append(f"{same} {name} structures are identical to a training structure")
    text, warnings = describe_batches(recipe.training, recipe.model, table, train.indices)
    result.facts.append(("largest batch", text))
    result.warnings += warnings
    result.figures = {
        "splits": {name: len(part) for name, part in split.items()},
        "elements": [SYMBOLS[z] for z in statistics.elements],
        "statistics": statistics.as_dict(),
    }


def reference_text(statistics: DataStatistics) -> str:
    """The reference energies and where they come from, in one line."""
    reference = statistics.reference
    return ", ".join(f"{s} {e:.6g} eV ({reference.source[s]})" for s, e in reference.energies.items())


def _property_facts(recipe: TrainRecipe, statistics: DataStatistics) -> list[tuple[str, str]]:
    """Where the labels of each property stand, their unit, and their scale and shift."""
    from eqcli.models.potentials.properties import properties_of

    found = []
    for wanted in properties_of(recipe.model):
        text = f"{wanted.config.kind} from '{wanted.entry}'"
        if wanted.config.unit:
            text += f" in {wanted.config.unit}"
        if wanted.name in statistics.properties:
            shift, scale = statistics.properties[wanted.name]
            text += f"; scale {scale:.4g}, shift {shift:.4g} {wanted.unit}".rstrip()
            text += " per atom" if wanted.extensive else ""
        found.append((f"head {wanted.name}", text))
    return found


def _range(values: np.ndarray) -> str:
    low, high = int(values.min()), int(values.max())
    return str(low) if low == high else f"{low} to {high}"


def _columns_taken(recipe: TrainRecipe) -> list[tuple[str, str]]:
    """For each file, which of its columns were taken for what, and in which units."""
    from eqcli.io import label_report

    files = dict.fromkeys(path for paths in data_files(recipe).values() for path in paths)
    reports = [label_report(path, recipe.data.labels, frames=20) for path in files]
    return [(f"columns of {r.path.name}", "; ".join(line.strip() for line in r.lines()[1:4])) for r in reports]


def _label_count(term: str, table: FrameTable, frames: np.ndarray) -> str:
    have = int(table.labelled(term)[frames].sum())
    return f"{term} in {'all' if have == len(frames) else have or 'none'}"
