"""Relaxations by a calculator of another package: in several processes, each structure by itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eqcli.errors import EqcliError, Failure, InputError
from eqcli.metrics.work import Outcome, measure
from eqcli.progress import Reporter

if TYPE_CHECKING:
    from eqcli.engine.ase_calculator import PotentialCalculator
    from eqcli.engine.relaxation import RelaxSettings
    from eqcli.io.store_writer import DatasetWriter
    from eqcli.io.structure import Structure
    from eqcli.tasks.relax_many import Relaxer

ROW = "relax_row"
FAILURE = "relax_failure"
"""Keys of `info` in the parts: which structure it is, and why it was not relaxed."""

START = "start_energy"
"""Key of `info`: the energy in eV before the relaxation."""


def relax_each(
    waiting: Sequence[tuple[int, Structure]],
    relaxer: Relaxer,
    parts: Path,
    workers: int,
    timeout: float | None,
    report: Reporter,
) -> list[Outcome[Structure]]:
    """Each structure with its row relaxed, or the reason why not, in order; kept in files of `parts` as they come."""
    relax_one = _RelaxOne(relaxer, parts)
    try:
        return measure(relax_one, waiting, workers=workers, timeout=timeout, label="relax", report=report)
    finally:
        relax_one.close()


class _RelaxOne:
    """Relaxes a structure and keeps the result before giving it back; one calculator and one file in each process."""

    def __init__(self, relaxer: Relaxer, parts: Path) -> None:
        self.relaxer = relaxer
        self.parts = parts
        self._ready: tuple[PotentialCalculator, DatasetWriter] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"relaxer": self.relaxer, "parts": self.parts, "_ready": None}

    def __call__(self, item: tuple[int, Structure]) -> Structure:
        row, structure = item
        if not all(np.isfinite(values).all() for values in (structure.positions, structure.cell)):
            raise InputError("positions or cell are not finite")
        calculator, writer = self._opened()
        try:
            found = _relaxed(structure, calculator, self.relaxer.settings)
        except EqcliError as error:
            reason = Failure.of("", error).reason
            writer.append(_part(structure, {ROW: row, FAILURE: reason}))
            writer.commit()
            raise
        writer.append(_part(found, {ROW: row}))
        writer.commit()
        return found

    def close(self) -> None:
        """Closes the file, where this process has one."""
        if self._ready is not None:
            self._ready[1].close()
            self._ready = None

    def _opened(self) -> tuple[PotentialCalculator, DatasetWriter]:
        if self._ready is None:
            from eqcli.io.store_writer import DatasetWriter

            writer = DatasetWriter(self.parts / f"{os.getpid()}.h5", append=True)
            self._ready = self.relaxer.calculator(), writer
        return self._ready


def _relaxed(structure: Structure, calculator: PotentialCalculator, settings: RelaxSettings) -> Structure:
    from eqcli.engine.relaxation import Relaxation

    relaxation = Relaxation(structure, calculator, settings)
    for _ in relaxation.run():
        pass
    found = relaxation.present()
    return _part(found, {START: relaxation.start.energy})


def _part(structure: Structure, info: dict[str, Any]) -> Structure:
    return replace(structure, info={**structure.info, **info})
