"""Complexes on which docking is evaluated: read, with a start that knows nothing of the crystal pose."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eqcli.errors import EqcliError, Failure
from eqcli.tasks.evaluate_docking_training import Familiarity, TrainingProteins

if TYPE_CHECKING:
    from eqcli.data.complex_files import ComplexFiles
    from eqcli.data.complex_reading import ComplexReader
    from eqcli.io.ligand import Ligand
    from eqcli.io.receptor import Receptor
    from eqcli.metrics.docking.pose_errors import References

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class DockingCase:
    """One complex to dock.

    Attributes
    ----------
    name, protein
        Of the complex, and of what complexes are drawn together by.
    ligand
        In the crystal pose, which no method is shown but for its box where the pocket is known.
    places
        Where the crystal has this ligand.
    conformer
        Start, `[N, 3]` Å: made by RDKit from the bonds alone.
    familiar
        Whether the model was trained on this protein.
    checked
        Whether PoseBusters is asked.
    notes
        Rules that applied to receptor and ligand.
    """

    name: str
    protein: str
    receptor: Receptor
    ligand: Ligand
    places: References
    conformer: FloatArray
    familiar: Familiarity
    checked: bool = False
    notes: list[str] = field(default_factory=list)


def docking_cases(
    sources: Sequence[Path],
    training: TrainingProteins,
    on_failure: Callable[[Failure], None],
    *,
    limit: int | None = None,
    seed: int = 0,
    checked: bool = False,
) -> Iterator[DockingCase]:
    """The complexes of folders, tables and dataset files, the first `limit` of them; what cannot be used is told.

    Raises InputError where a source is missing or holds no complexes.
    """
    from eqcli.data.complex_files import ComplexFiles
    from eqcli.data.complex_reading import ComplexReader
    from eqcli.data.complexes import find_complexes

    reader, count = ComplexReader(), 0
    for source in sources:
        for found in find_complexes(source):
            if limit is not None and count >= limit:
                return
            if not isinstance(found, ComplexFiles):
                on_failure(found)
                continue
            count += 1
            try:
                yield _case(found, reader, training, seed, checked)
            except (EqcliError, ValueError, RuntimeError, LookupError) as error:
                on_failure(Failure.of(found.name, error))


def _case(
    files: ComplexFiles, reader: ComplexReader, training: TrainingProteins, seed: int, checked: bool
) -> DockingCase:
    from eqcli.io.ligand import conformers
    from eqcli.metrics.docking.pose_errors import references

    read = reader.read(files)
    places = references(read.ligand.structure, read.copies)
    notes = list(dict.fromkeys((*read.receptor.notes, *read.ligand.notes, *read.notes, *places.notes)))
    start = conformers(read.ligand, 1, seed)[0]
    return DockingCase(
        files.name,
        files.protein,
        read.receptor,
        read.ligand,
        places,
        np.asarray(start, dtype=np.float64),
        training.familiar(files.protein, read.receptor),
        checked,
        notes,
    )
