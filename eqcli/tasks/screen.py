"""Screening of generated crystals before the work of relaxing them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eqcli.errors import Failure, InputError
from eqcli.metrics.crystal_packing import MIN_CONTACT, SANE_PACKING, faults_of
from eqcli.progress import Reporter, Silent
from eqcli.tasks.inference import read_all, readable_files, refuse_unwritable
from eqcli.tasks.screen_files import table_beside, write_screened
from eqcli.tasks.screen_result import DUPLICATE, FLAG, KNOWN, SURPLUS, UNREADABLE, DroppedRow, ScreenResult
from eqcli.tasks.stability import few_workers

if TYPE_CHECKING:
    from eqcli.io.structure import Structure
    from eqcli.metrics.crystals.pairing import Sameness


def screen(
    inputs: Sequence[Path],
    output: Path,
    *,
    known: Sequence[Path] = (),
    n: int | None = None,
    duplicates: bool = False,
    packings: Sequence[float] = SANE_PACKING,
    min_contact: float = MIN_CONTACT,
    sameness: Sameness | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    report: Reporter | None = None,
) -> ScreenResult:
    """Keeps the structures that are worth relaxing, and says of every other one why it was dropped.

    Dropped are, in this order: structures with a fault of `faults_of` or with flags of the generator in `info`;
    structures that repeat an earlier one; those that `known` has; and what is more than `n`, the last generated
    first.

    Parameters
    ----------
    output
        File of the kept structures; `dropped.csv` is written beside it.
    known
        Files of crystals that are not asked for again, such as the training set. What relaxes into one of them is
        found only after relaxing.
    duplicates
        Whether to keep structures that repeat an earlier one.
    packings, min_contact
        As for `faults_of`.
    sameness
        When two crystals count as one; by default with pymatgen's tolerances.

    Raises
    ------
    InputError
        A file cannot be used, or the output exists.
    MissingDependency
        pymatgen is not installed.
    """
    report = report or Silent()
    if n is not None and n < 1:
        raise InputError(f"n must be at least 1, not {n}")
    sources, others = readable_files(inputs), readable_files(known) if known else []
    refuse_unwritable(output, [*sources, *others], overwrite)
    failures: list[Failure] = []
    structures = list(read_all(sources, None, failures.append))
    if not structures and not failures:
        raise InputError("there are no structures in " + ", ".join(str(path) for path in sources))
    unread = [DroppedRow(None, None, "", UNREADABLE, f"{failure.item}: {failure.reason}") for failure in failures]
    training = list(read_all(others, None, failures.append))
    dropped = _faulty(structures, packings, min_contact)
    if not duplicates or known:
        rest = [item for item in range(len(structures)) if item not in dropped]
        found = _repeated(structures, rest, training if known else None, not duplicates, sameness, workers, report)
        dropped |= found
        failures += [Failure(structures[k].name, row.reason, structures[k].where) for k, row in found.items()
                     if row.kind == UNREADABLE]  # fmt: skip
    kept = [item for item in range(len(structures)) if item not in dropped]
    for item in kept[n:] if n is not None else ():
        dropped[item] = _row(structures, item, SURPLUS, f"{n} are kept, and earlier ones come first")
    kept = kept[:n]
    rows = [dropped[item] for item in sorted(dropped)] + unread
    result = ScreenResult(None, table_beside(output), len(structures) + len(unread), len(kept), rows, failures)
    write_screened(result, [structures[item] for item in kept], Path(output))
    return result


def _faulty(structures: Sequence[Structure], packings: Sequence[float], min_contact: float) -> dict[int, DroppedRow]:
    found = {}
    for item, structure in enumerate(structures):
        faults = list(faults_of(structure, packings=packings, min_contact=min_contact))
        if not faults and (flags := structure.info.get("flags")):
            faults = [f"flagged by what made it: {flags}"]
        if faults:
            found[item] = _row(structures, item, FLAG, "; ".join(faults))
    return found


def _repeated(
    structures: Sequence[Structure],
    chosen: list[int],
    training: list[Structure] | None,
    drop_duplicates: bool,
    sameness: Sameness | None,
    workers: int | None,
    report: Reporter,
) -> dict[int, DroppedRow]:
    """Those of the chosen structures that repeat others, or that nobody can compare."""
    from eqcli.metrics.crystals.distinct import distinct

    seen = distinct(
        [structures[item] for item in chosen],
        training,
        sameness=sameness,
        workers=few_workers(len(chosen), workers),
        report=report,
    )
    found = {}
    for item, row in zip(chosen, seen.rows, strict=True):
        if row.failure is not None:
            found[item] = _row(structures, item, UNREADABLE, f"it could not be compared: {row.failure}")
        elif row.duplicate_of is not None and drop_duplicates:
            found[item] = _row(structures, item, DUPLICATE, f"the same as structure {chosen[row.duplicate_of]}")
        elif row.known_as is not None:
            assert training is not None
            found[item] = _row(structures, item, KNOWN, f"the same as {training[row.known_as].name}")
    return found


def _row(structures: Sequence[Structure], item: int, kind: str, reason: str) -> DroppedRow:
    from eqcli.io.structure import formula

    structure = structures[item]
    sample = structure.info.get("sample")
    return DroppedRow(item, None if sample is None else int(sample), formula(structure.numbers), kind, reason)
