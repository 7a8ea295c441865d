"""Relaxation of generated molecules by a potential: in several processes, and going on where a killed run stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from eqcli.errors import Failure, InputError, Where
from eqcli.progress import Reporter, Silent
from eqcli.tasks.inference import read_all, readable_files, refuse_unwritable
from eqcli.tasks.relax_each import START
from eqcli.tasks.relax_many import ITEM, KEY, Relaxer, clear, forget, key_of, relax_many
from eqcli.tasks.sanitise import dropped_row
from eqcli.tasks.screen_files import TABLE, table_beside, write_screened
from eqcli.tasks.screen_result import UNREADABLE, DroppedMolecule, ScreenResult

if TYPE_CHECKING:
    from eqcli.engine.guest_calculator import Scalar
    from eqcli.engine.relaxation import OptimizerName
    from eqcli.io.structure import Structure

FAILED = "not relaxed"
"""Kind of reason: the potential gave up."""

STRAIN, RMSD = "strain", "relax_rmsd"
"""Keys of `info`: energy in eV that the relaxation released, and how far the heavy atoms went in Å."""


def relax_molecules(
    inputs: Sequence[Path],
    output: Path,
    *,
    relaxer: str | Path,
    relaxer_arguments: Mapping[str, Scalar] | None = None,
    fmax: float = 0.05,
    steps: int = 300,
    optimizer: OptimizerName = "lbfgs",
    device: str = "auto",
    workers: int | None = None,
    timeout: float | None = 300.0,
    overwrite: bool = False,
    report: Reporter | None = None,
) -> ScreenResult:
    """Relaxes molecules one by one and keeps what it does of each.

    A relaxed molecule has its bonds and entries as before, whether or not the atoms still stand so, and in `info`
    `start_energy` (eV), `strain` (eV, the energy before less the energy after), `relax_rmsd` (Å, of the heavy atoms),
    `converged`, `relax_steps` and `fmax`. Those that the relaxer gave up are rows of `dropped.csv` beside the output.
    What is relaxed is kept beside the output as it comes: after a kill, the same call does what is left.

    Parameters
    ----------
    output
        An eqcli dataset (`.h5`).
    relaxer, relaxer_arguments
        A model file that gives forces, or a calculator of another package as `ase:module:Class`, and its arguments.
    fmax, steps, optimizer
        When a relaxation ends, largest force in eV/Å and most steps, and by what it goes.
    workers, timeout
        As for `relax_many`.

    Raises
    ------
    InputError
        A file or the relaxer cannot be used, or the output exists or is no dataset.
    """
    from eqcli.engine.relaxation import RelaxSettings

    report, output = report or Silent(), Path(output)
    sources = readable_files(inputs)
    refuse_unwritable(output, sources, overwrite)
    _refuse_other_formats(output)
    failures: list[Failure] = []
    structures = list(read_all(sources, None, failures.append))
    if not structures:
        raise InputError("there are no molecules in " + ", ".join(str(path) for path in sources))
    rows = [DroppedMolecule(None, None, "", UNREADABLE, f"{failure.item}: {failure.reason}") for failure in failures]
    maker = Relaxer(
        str(relaxer), RelaxSettings(fmax, steps=steps, optimizer=optimizer), relaxer_arguments or {}, device
    )
    outcomes = relax_many(
        structures, maker, output.parent, workers=workers, timeout=timeout, report=report, earlier=output
    )
    kept = []
    for item, (structure, outcome) in enumerate(zip(structures, outcomes, strict=True)):
        if outcome.value is not None:
            kept.append(_measured(structure, outcome.value, item))
        else:
            reason = outcome.failure or ""
            rows.append(dropped_row(structure, item, FAILED, reason))
            failures.append(Failure(structure.name, reason, structure.where))
    total = len(structures) + sum(row.kind == UNREADABLE for row in rows)
    result = ScreenResult(None, table_beside(output), total, len(kept), rows, failures)
    facts = {"relaxer": maker.facts(), KEY: key_of(structures, maker)}
    write_screened(result, kept, output, kind=DroppedMolecule, facts=facts)
    forget(output.parent)
    return result


def start_over(output: Path) -> None:
    """Removes what an earlier call of `relax_molecules` left, so that the next one relaxes everything."""
    clear(output.parent, (output.name, TABLE))


def _refuse_other_formats(output: Path) -> None:
    from eqcli.io.formats import Format, format_of

    if format_of(output) is not Format.DATASET:
        raise InputError("relaxed molecules are written to an .h5 file, from which a later call goes on", Where(output))


def _measured(start: Structure, end: Structure, item: int) -> Structure:
    """A relaxed molecule with what its relaxation released."""
    assert end.energy is not None
    info = {ITEM: item, STRAIN: end.info[START] - end.energy, RMSD: heavy_rmsd(start, end)}
    return replace(end, info={**end.info, **info})


def heavy_rmsd(start: Structure, end: Structure) -> float:
    """Root mean square way in Å of the atoms beside hydrogen after the best fit; of all where there are no others."""
    from eqcli.metrics.molecules.strain import superposed_rmsd

    heavy = start.numbers > 1
    chosen = heavy if heavy.any() else ~heavy
    return superposed_rmsd(start.positions[chosen], end.positions[chosen])
