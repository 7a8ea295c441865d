"""What a generation of crystals is asked for, and the single crystals that this means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eqcli.elements import NUMBERS, SYMBOLS
from eqcli.errors import Failure, InputError, Where
from eqcli.names import did_you_mean
from eqcli.progress import Reporter
from eqcli.tasks.generate_request import LARGEST_FACTOR, Generation, GenerationRequest

if TYPE_CHECKING:
    from eqcli.engine.crystal_sampler import Wish
    from eqcli.io.structure import Structure
    from eqcli.models.generators.base import CrystalGenerator

ASKED = (
    *("n", "formula_units", "composition_of", "atoms", "system", "value", "guidance", "refine", "strength", "seed"),
    "limit",
)
"""Arguments that outputs tell of, beside formulas and sampling."""


def prepare_crystals(
    model: CrystalGenerator, given: GenerationRequest, failures: list[Failure], report: Reporter
) -> Generation:
    """How a model carries a request out. Structures of its file that the model cannot take are rows of `failures`.

    Raises InputError for arguments that exclude each other or do not fit the model.
    """
    from eqcli.engine.crystal_sampler import CrystalSampler, SamplerSettings
    from eqcli.metrics.crystals.validity import flags_of

    if given.scaffold is not None:
        raise InputError("--scaffold is for generators of molecules, and this model makes crystals")
    request = replace(given, value=_value(model, given))
    _check(model, request)
    sampling = request.changed_sampling(model.config.sampling, model.config.name)
    settings = SamplerSettings(
        request.seed,
        sampling,
        request.guidance,
        _elements(request.system, model) if request.system is not None else None,
        request.strength if request.refine is not None else 1.0,
        request.batch_atoms,
    )
    wishes = CrystalWishes(request, model, _cells(request, model, failures))
    if (largest := wishes.largest) > LARGEST_FACTOR * (len(model.sizes) - 1):
        report.warning(f"cells of {largest} atoms: the largest training crystal has {len(model.sizes) - 1}")
    asked = request.as_dict(*ASKED) | {
        "formulas": list(request.formula),
        "sampling": sampling.model_dump(mode="json"),
    }
    return Generation(CrystalSampler(model, settings, report=report), wishes, flags_of, asked)


@dataclass(frozen=True)
class Cell:
    """What a cell is to hold.

    Attributes
    ----------
    numbers
        Atomic numbers, `[n]`.
    target
        Row of the file that they were taken from.
    start
        The structure to refine.
    """

    numbers: NDArray[np.int64]
    target: int | None = None
    start: Structure | None = None


class CrystalWishes:
    """The single crystals, in order: all of the first cell, then those of the next.

    Parameters
    ----------
    cells
        None where the species are drawn.
    """

    def __init__(self, request: GenerationRequest, model: CrystalGenerator, cells: Sequence[Cell]) -> None:
        self.request = request
        self.model = model
        self.cells = cells

    def __len__(self) -> int:
        return self.request.n * max(1, len(self.cells))

    @property
    def largest(self) -> int:
        """Atoms of the largest; numbers that are drawn are those of training crystals."""
        return max((len(cell.numbers) for cell in self.cells), default=self.request.atoms or 0)

    def of(self, samples: Sequence[int]) -> list[Wish]:
        """The wishes of these numbers."""
        from eqcli.engine.crystal_sampler import Wish, drawn_sizes

        n, value = self.request.n, self.request.value
        if self.cells:
            found = [(sample, self.cells[sample // n]) for sample in samples]
            return [Wish(sample, cell.numbers, cell.target, value, cell.start) for sample, cell in found]
        atoms = self.request.atoms
        sizes = [atoms] * len(samples) if atoms else drawn_sizes(self.model, self.request.seed, samples)
        return [
            Wish(sample, np.zeros(size, dtype=np.int64), None, value)
            for sample, size in zip(samples, sizes, strict=True)
        ]


def _check(model: CrystalGenerator, request: GenerationRequest) -> None:
    """Raises InputError for arguments that exclude each other or do not fit the model."""
    compositions = bool(request.formula) + (request.composition_of is not None) + (request.refine is not None)
    if compositions > 1:
        raise InputError("a formula, --composition-of and --refine exclude each other")
    if not model.gives_species:
        if compositions == 0:
            raise InputError(
                "this model predicts structures of given compositions", hint="Give --formula, or --composition-of."
            )
        if request.atoms is not None or request.system is not None:
            raise InputError("--atoms and --system are for models that draw the species, and this one is given them")
    elif request.formula or request.composition_of is not None:
        raise InputError(
            "this model draws the species itself and takes no composition",
            hint="Structures of a composition need a model with `species: given`; --system limits the elements.",
        )
    if request.atoms is not None and request.refine is not None:
        raise InputError("--atoms and --refine exclude each other")
    if request.value is not None and model.config.conditions.value is None:
        raise InputError(
            "this model was trained without a property", hint="Train with model.conditions.value to use --value."
        )
    for name, number in (("--value", request.value), ("--guidance", request.guidance)):
        if number is not None and not np.isfinite(number):
            raise InputError(f"{name} is a number, not {number}")
    for name, bad in (
        ("n", request.n < 1),
        ("formula units", request.formula_units < 1),
        ("atoms", request.atoms == 0),
    ):
        if bad:
            raise InputError(f"the number of {name} is at least 1")
    if request.refine is not None and not 0 < request.strength <= 1:
        raise InputError(f"--strength is above 0 and at most 1, not {request.strength:g}")


def _value(model: CrystalGenerator, request: GenerationRequest) -> float | None:
    """The wanted value of the one property that a generator of crystals is steered by."""
    if not request.condition:
        return request.value
    name = model.config.conditions.value
    if name is None or set(request.condition) != {name} or request.value is not None:
        knows = f"this model knows {name}" if name else "this model was trained without a property"
        raise InputError(f"--condition {', '.join(request.condition)}: {knows}", hint="Give it once, or --value.")
    return float(request.condition[name])


def _cells(request: GenerationRequest, model: CrystalGenerator, failures: list[Failure]) -> list[Cell]:
    """What cells are to hold, where that is given. Raises InputError where nothing of it can be used."""
    from eqcli.engine.crystal_sampler import require_known
    from eqcli.io.formula import parse_formula

    source = request.refine or request.composition_of
    if source is not None:
        rows = _rows(source, request.limit, model, failures)
        if not rows:
            raise InputError("no structure of this file can be used", Where(source))
        refined = request.refine is not None
        return [Cell(structure.numbers, row, structure if refined else None) for row, structure in rows]
    cells = [Cell(np.tile(parse_formula(text), request.formula_units)) for text in request.formula]
    for text, cell in zip(request.formula, cells, strict=True):
        require_known(model, cell.numbers, f"formula {text}")
    return cells


def _rows(
    source: Path, limit: int | None, model: CrystalGenerator, failures: list[Failure]
) -> list[tuple[int, Structure]]:
    """Row and structure of what a file holds and the model can take."""
    from eqcli.data.cell_reduction import reduced
    from eqcli.engine.crystal_sampler import require_known
    from eqcli.io import read_structures

    found = []
    for structure in islice(read_structures(source, on_failure=failures.append), limit):
        row = structure.where.frame or 0
        try:
            require_known(model, structure.numbers, "its composition")
            found.append((row, reduced(structure)))
        except InputError as error:
            failures.append(Failure.of(structure.name, error))
    return found


def _elements(text: str, model: CrystalGenerator) -> tuple[int, ...]:
    from eqcli.engine.crystal_sampler import require_known

    found = []
    for symbol in text.replace(",", "-").split("-"):
        if NUMBERS.get(symbol.strip(), 0) <= 0:
            hint = did_you_mean(symbol.strip(), SYMBOLS[1:]) or "Write for example Li-Fe-O."
            raise InputError(f"--system: '{symbol.strip()}' is not a chemical element", hint=hint)
        found.append(int(NUMBERS[symbol.strip()]))
    require_known(model, np.array(found), f"--system {text}")
    return tuple(sorted(set(found)))
