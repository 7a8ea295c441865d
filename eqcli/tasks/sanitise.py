"""Sanitising of generated molecules: what is no chemistry, repeated or known is dropped before it is relaxed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eqcli.errors import Failure, InputError
from eqcli.metrics.work import measure
from eqcli.progress import Reporter, Silent
from eqcli.tasks.inference import read_all, readable_files, refuse_unwritable
from eqcli.tasks.screen_files import table_beside, write_screened
from eqcli.tasks.screen_result import DUPLICATE, KNOWN, SURPLUS, UNREADABLE, DroppedMolecule, ScreenResult
from eqcli.tasks.sound_molecule import MIN_CONTACT, KeyOf, Sound, Soundness, Unsound
from eqcli.tasks.stability import few_workers

if TYPE_CHECKING:
    from eqcli.io.structure import Structure
    from eqcli.metrics.work import Outcome


def sanitise(
    inputs: Sequence[Path],
    output: Path,
    *,
    known: Sequence[Path] = (),
    n: int | None = None,
    perceive: bool = False,
    charged: bool = False,
    duplicates: bool = False,
    stereo: bool = False,
    min_contact: float = MIN_CONTACT,
    workers: int | None = None,
    timeout: float | None = 60.0,
    overwrite: bool = False,
    report: Reporter | None = None,
) -> ScreenResult:
    """Keeps the molecules that are chemistry and new, and says of every other one why it was dropped.

    Dropped are, in this order: atoms that are none or on top of each other; molecules without bonds; what RDKit
    cannot sanitise; molecules in pieces, radicals and ions; those that repeat an earlier one; those that `known` has;
    and what is more than `n`, the last generated first. The kept ones have bonds of whole orders, formal charges, and
    their canonical SMILES, with the stereochemistry of their positions, as `smiles`.

    Parameters
    ----------
    output
        File of the kept molecules; `dropped.csv` is written beside it.
    known
        Files of molecules that are not asked for again, such as the training set.
    perceive
        Whether molecules without bonds get those that RDKit finds from the positions.
    charged
        Whether ions are kept. Charged atoms that cancel are always.
    duplicates
        Whether to keep molecules that repeat an earlier one.
    stereo
        Whether stereoisomers are different molecules, among each other and from the known ones.
    min_contact
        Atoms nearer than this share of the sum of their covalent radii are on top of each other.
    workers, timeout
        Processes, and seconds that one molecule may take.

    Raises
    ------
    InputError
        A file cannot be used, or the output exists.
    """
    report = report or Silent()
    if n is not None and n < 1:
        raise InputError(f"n must be at least 1, not {n}")
    sources, others = readable_files(inputs), readable_files(known) if known else []
    refuse_unwritable(output, [*sources, *others], overwrite)
    failures: list[Failure] = []
    structures = list(read_all(sources, None, failures.append))
    if not structures and not failures:
        raise InputError("there are no molecules in " + ", ".join(str(path) for path in sources))
    unread = [DroppedMolecule(None, None, "", UNREADABLE, f"{failure.item}: {failure.reason}") for failure in failures]
    keys = _known(list(read_all(others, None, failures.append)), KeyOf(stereo), workers, timeout, report)
    asked = Soundness(perceive, charged, stereo, min_contact)
    count = few_workers(len(structures), workers)
    outcomes = measure(asked, structures, workers=count, timeout=timeout, label="sanitise", report=report)
    sound, dropped = _sorted(structures, outcomes, failures)
    sound, repeated = _new(structures, sound, keys, duplicates)
    kept, surplus = list(sound)[:n], list(sound)[n:] if n is not None else []
    dropped |= repeated | {
        item: dropped_row(structures[item], item, SURPLUS, f"{n} are kept, and earlier ones come first", sound[item])
        for item in surplus
    }
    rows = [dropped[item] for item in sorted(dropped)] + unread
    total = len(structures) + len(unread)
    result = ScreenResult(None, table_beside(output), total, len(kept), rows, failures)
    write_screened(result, [sound[item].structure for item in kept], Path(output), kind=DroppedMolecule)
    return result


def dropped_row(structure: Structure, item: int, kind: str, reason: str, found: Sound | None = None) -> DroppedMolecule:
    """The row of a molecule in the table of what was dropped; `item` is its place among those that were read."""
    from eqcli.io.structure import formula

    sample = structure.info.get("sample")
    smiles = (found.structure if found else structure).info.get("smiles", "")
    number = None if sample is None else int(sample)
    return DroppedMolecule(item, number, formula(structure.numbers), kind, reason, str(smiles))


def _known(
    structures: Sequence[Structure], key_of: KeyOf, workers: int | None, timeout: float | None, report: Reporter
) -> dict[str, str]:
    """What known molecules are called, by their keys."""
    if not structures:
        return {}
    count = few_workers(len(structures), workers)
    outcomes = measure(key_of, structures, workers=count, timeout=timeout, label="known", report=report)
    keys: dict[str, str] = {}
    for structure, outcome in zip(structures, outcomes, strict=True):
        if outcome.value is not None:
            keys.setdefault(outcome.value, structure.name)
    if lost := sum(outcome.value is None for outcome in outcomes):
        first = next(outcome.failure for outcome in outcomes if outcome.value is None)
        report.warning(
            f"{lost} of {len(structures)} known molecules have no SMILES, and nothing is held against them: "
            f"the first because {first}"
        )
    return keys


def _sorted(
    structures: Sequence[Structure], outcomes: Sequence[Outcome[Sound | Unsound]], failures: list[Failure]
) -> tuple[dict[int, Sound], dict[int, DroppedMolecule]]:
    """The molecules that passed and the rows of the others, by place; those without a verdict are failures too."""
    sound: dict[int, Sound] = {}
    dropped: dict[int, DroppedMolecule] = {}
    for item, (structure, outcome) in enumerate(zip(structures, outcomes, strict=True)):
        verdict = outcome.value
        if isinstance(verdict, Sound):
            sound[item] = verdict
        elif verdict is not None:
            row = dropped_row(structure, item, verdict.kind, verdict.reason)
            dropped[item] = DroppedMolecule(item, row.sample, row.formula, row.kind, row.reason, verdict.smiles)
        else:
            reason = f"it could not be sanitised: {outcome.failure}"
            dropped[item] = dropped_row(structure, item, UNREADABLE, reason)
            failures.append(Failure(structure.name, reason, structure.where))
    return sound, dropped


def _new(
    structures: Sequence[Structure], sound: dict[int, Sound], known: dict[str, str], duplicates: bool
) -> tuple[dict[int, Sound], dict[int, DroppedMolecule]]:
    """The molecules that are neither repeated nor known, and the rows of the others."""
    first: dict[str, int] = {}
    kept: dict[int, Sound] = {}
    dropped: dict[int, DroppedMolecule] = {}
    for item, found in sound.items():
        earlier = first.setdefault(found.key, item)
        if earlier != item and not duplicates:
            dropped[item] = dropped_row(structures[item], item, DUPLICATE, f"the same as molecule {earlier}", found)
        elif found.key in known:
            dropped[item] = dropped_row(structures[item], item, KNOWN, f"the same as {known[found.key]}", found)
        else:
            kept[item] = found
    return kept, dropped
