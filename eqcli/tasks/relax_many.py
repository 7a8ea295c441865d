"""Relaxations of many small crystals or molecules: in several processes, and going on where a killed run stopped."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eqcli.engine.guest_name import GuestName, is_guest, version_facts
from eqcli.errors import InputError, Where
from eqcli.files import sha256
from eqcli.metrics.work import Outcome, available_cores
from eqcli.progress import Reporter
from eqcli.tasks.relax_each import FAILURE, ROW, START, relax_each
from eqcli.tasks.relax_together import relax_together

if TYPE_CHECKING:
    from eqcli.engine.ase_calculator import PotentialCalculator
    from eqcli.engine.guest_calculator import Scalar
    from eqcli.engine.model_file import ModelFile
    from eqcli.engine.relaxation import RelaxSettings
    from eqcli.io.structure import Structure

PARTS = "relaxing-"
"""Folders of what is relaxed so far begin so; what they were made from follows."""

REACHED = (START, "converged", "relax_steps", "fmax", "smax")
"""Keys of `info` that a relaxation adds; `smax` where the cell is free."""

KEY = "relaxation"
ITEM = "item"
"""Keys of the provenance and of `info` in a file of all that was relaxed."""


@dataclass(frozen=True)
class Relaxer:
    """What relaxes, and how.

    Attributes
    ----------
    model
        A model file, or a calculator as `ase:module:Class`.
    settings
        When a structure has come to rest.
    arguments
        Of the calculator.
    """

    model: str
    settings: RelaxSettings
    arguments: Mapping[str, Scalar] = field(default_factory=dict)
    device: str = "auto"

    def calculator(self) -> PotentialCalculator:
        """The calculator, loaded. Raises InputError as `load` does."""
        from eqcli.engine.ase_calculator import PotentialCalculator

        return PotentialCalculator(self.load())

    def load(self) -> ModelFile:
        """The model, loaded. Raises InputError for one that cannot relax atoms or, if it is free, a cell."""
        from eqcli.tasks.inference import load_for_inference

        precision = None if is_guest(self.model) else "float64"
        loaded = load_for_inference(Path(self.model), self.device, precision, self.arguments)
        free = self.settings.cell != "none"
        for needed in ("energy", "forces", "stress") if free else ("energy", "forces"):
            if needed not in loaded.potential.outputs:
                what = "relaxing crystals" if free else "relaxing"
                raise InputError(f"{what} needs the {needed}, which this model does not give", Where(self.model))
        return loaded

    def facts(self) -> dict[str, Any]:
        """What the result depends on, as plain data."""
        made = (
            {"calculator": self.model, **version_facts(GuestName.parse(self.model))}
            if is_guest(self.model)
            else {"sha256": sha256(self.model)}
        )
        return {**made, "arguments": dict(self.arguments), "settings": asdict(self.settings)}


def relax_many(
    structures: Sequence[Structure],
    relaxer: Relaxer,
    folder: Path,
    *,
    workers: int | None,
    timeout: float | None,
    report: Reporter,
    earlier: Path | None = None,
) -> list[Outcome[Structure]]:
    """Each structure relaxed, or the reason why not, in order.

    What is relaxed is kept in `folder` until `forget` is called, so that a second call with the same structures and
    the same relaxer does only what a killed one left. A model file relaxes them together, in this process, which uses
    the cores itself.

    Parameters
    ----------
    workers
        Processes of a calculator of another package; None for one per core.
    timeout
        Seconds that such a calculator may take for one structure; what takes longer is a failure, and is tried again
        by a later call.
    earlier
        A dataset of relaxed structures whose provenance has `KEY`: what an earlier call ended with, used again
        where the key is that of this call. `info` names their rows under `ITEM`.
    """
    loaded = relaxer.load()  # What is wrong with it is said once, and now.
    key = key_of(structures, relaxer)
    parts = folder / f"{PARTS}{key[:16]}"
    for old in folder.glob(f"{PARTS}*"):
        if old != parts:
            shutil.rmtree(old)
    done = _ended(earlier, key) | _finished(parts)
    waiting = [(row, structure) for row, structure in enumerate(structures) if row not in done]
    if done:
        report.message(f"{len(done)} of {len(structures)} structures are relaxed already")
    if waiting:
        parts.mkdir(parents=True, exist_ok=True)
        if is_guest(relaxer.model):
            found = relax_each(waiting, relaxer, parts, workers or available_cores(), timeout, report)
        else:
            found = relax_together([structure for _, structure in waiting], loaded, relaxer.settings, parts, report)
        done |= {row: outcome for (row, _), outcome in zip(waiting, found, strict=True)}
    return [_placed(done[row], structure) for row, structure in enumerate(structures)]


def forget(folder: Path) -> None:
    """Removes what `relax_many` kept in a folder."""
    for old in folder.glob(f"{PARTS}*"):
        shutil.rmtree(old)


def clear(folder: Path, names: Sequence[str]) -> None:
    """Removes what an earlier call kept in a folder and the files that it ended with, so that the next begins anew."""
    forget(folder)
    for name in names:
        (folder / name).unlink(missing_ok=True)


def key_of(structures: Sequence[Structure], relaxer: Relaxer) -> str:
    """A hash of everything that the relaxed structures depend on."""
    digest = hashlib.sha256(json.dumps(relaxer.facts(), sort_keys=True, default=str).encode())
    for structure in structures:
        for values in (structure.numbers, structure.positions, structure.cell, structure.pbc):
            digest.update(np.ascontiguousarray(values).tobytes())
        digest.update(repr((structure.charge, structure.spin)).encode())
    return digest.hexdigest()


def _placed(outcome: Outcome[Structure], original: Structure) -> Outcome[Structure]:
    """The outcome with the entries and the place of the structure as it was given."""
    if outcome.value is None:
        return outcome
    info = {name: outcome.value.info[name] for name in REACHED if name in outcome.value.info}
    return Outcome(replace(outcome.value, info={**original.info, **info}, where=original.where))


def _ended(earlier: Path | None, key: str) -> dict[int, Outcome[Structure]]:
    """What is in the file of an earlier call, by row, if that was made from the same."""
    from eqcli.io.store import DatasetFile

    if earlier is None or not earlier.is_file():
        return {}
    with DatasetFile(earlier) as dataset:
        if dataset.provenance.get(KEY) != key:
            return {}
        return {int(structure.info.pop(ITEM)): Outcome(structure) for structure in dataset}


def _finished(parts: Path) -> dict[int, Outcome[Structure]]:
    """What the processes of an earlier call have kept, by row."""
    from eqcli.io.store import DatasetFile

    done: dict[int, Outcome[Structure]] = {}
    # A file that was being made when its process was killed has a name that begins with a dot, and nothing in it.
    for path in sorted(path for path in parts.glob("*.h5") if not path.name.startswith(".")):
        with DatasetFile(path) as dataset:
            for structure in dataset:
                row, reason = int(structure.info.pop(ROW)), structure.info.pop(FAILURE, None)
                done[row] = Outcome(None, str(reason)) if reason is not None else Outcome(structure)
    return done
