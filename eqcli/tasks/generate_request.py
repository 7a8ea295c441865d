"""What a generation is asked for, and the single structures that this means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from eqcli.elements import NUMBERS, SYMBOLS
from eqcli.errors import Failure, InputError, Where
from eqcli.names import did_you_mean
from eqcli.progress import Reporter

if TYPE_CHECKING:
    from eqcli.engine.crystal_sampler import SamplerSettings, Wish
    from eqcli.io.structure import Structure
    from eqcli.models.generators.base import CrystalGenerator

LARGEST_FACTOR = 2
"""Cells with so many times the atoms of the largest training crystal deserve a warning."""


@dataclass(frozen=True)
class Request:
    """The arguments of :func:`eqcli.tasks.generate.generate` that say what is wanted."""

    n: int
    formulas: tuple[str, ...]
    formula_units: int
    composition_of: Path | None
    atoms: int | None
    system: str | None
    value: float | None
    guidance: float
    refine: Path | None
    strength: float
    seed: int
    limit: int | None

    def as_dict(self) -> dict[str, Any]:
        """The request as plain data; files stand with their contents, not their places."""
        from eqcli.files import sha256

        plain = asdict(self)
        for name in ("composition_of", "refine"):
            path = plain[name]
            plain[name] = {"name": Path(path).name, "sha256": sha256(path)} if path is not None else None
        return plain | {"formulas": list(self.formulas)}

    def settings(
        self, model: CrystalGenerator, steps: int | None, sampling: Mapping[str, Any], batch_atoms: int | None
    ) -> SamplerSettings:
        """What holds for all structures. Raises InputError for settings that the model does not have."""
        from eqcli.engine.crystal_sampler import SamplerSettings

        self._check(model)
        given = dict(sampling) | ({"steps": steps} if steps is not None else {})
        return SamplerSettings(
            self.seed,
            changed_sampling(model.config.sampling, given, model.config.name),
            self.guidance,
            _elements(self.system, model) if self.system is not None else None,
            self.strength if self.refine is not None else 1.0,
            batch_atoms,
        )

    def _check(self, model: CrystalGenerator) -> None:
        """Raises InputError for arguments that exclude each other or do not fit the model."""
        compositions = bool(self.formulas) + (self.composition_of is not None) + (self.refine is not None)
        if compositions > 1:
            raise InputError("a formula, --composition-of and --refine exclude each other")
        if not model.gives_species:
            if compositions == 0:
                raise InputError(
                    "this model predicts structures of given compositions", hint="Give --formula, or --composition-of."
                )
            if self.atoms is not None or self.system is not None:
                raise InputError(
                    "--atoms and --system are for models that draw the species, and this one is given them"
                )
        elif self.formulas or self.composition_of is not None:
            raise InputError(
                "this model draws the species itself and takes no composition",
                hint="Structures of a composition need a model with `species: given`; --system limits the elements.",
            )
        if self.atoms is not None and self.refine is not None:
            raise InputError("--atoms and --refine exclude each other")
        if self.value is not None and model.config.conditions.value is None:
            raise InputError(
                "this model was trained without a property", hint="Train with model.conditions.value to use --value."
            )
        for name, number in (("--value", self.value), ("--guidance", self.guidance)):
            if number is not None and not np.isfinite(number):
                raise InputError(f"{name} is a number, not {number}")
        for name, bad in (("n", self.n < 1), ("formula units", self.formula_units < 1), ("atoms", self.atoms == 0)):
            if bad:
                raise InputError(f"the number of {name} is at least 1")
        if self.refine is not None and not 0 < self.strength <= 1:
            raise InputError(f"--strength is above 0 and at most 1, not {self.strength:g}")


def wishes_of(request: Request, model: CrystalGenerator, failures: list[Failure], report: Reporter) -> list[Wish]:
    """The single structures, in order: all of the first composition, then those of the next.

    Structures of a file that the model cannot take are rows of `failures`. Raises InputError where nothing is left.
    """
    from eqcli.engine.crystal_sampler import Wish, drawn_sizes, require_known
    from eqcli.io.formula import parse_formula

    n, value = request.n, request.value
    source = request.refine or request.composition_of
    if source is not None:
        rows = _rows(source, request.limit, model, failures)
        if not rows:
            raise InputError("no structure of this file can be used", Where(source))
        refined = request.refine is not None
        kept = [(row, structure.numbers, structure if refined else None) for row, structure in rows for _ in range(n)]
        wishes = [Wish(i, numbers, row, value, start) for i, (row, numbers, start) in enumerate(kept)]
    elif request.formulas:
        cells = [np.tile(parse_formula(text), request.formula_units) for text in request.formulas]
        for text, numbers in zip(request.formulas, cells, strict=True):
            require_known(model, numbers, f"formula {text}")
        wishes = [Wish(i, cells[i // n], None, value) for i in range(n * len(cells))]
    else:
        sizes = [request.atoms] * n if request.atoms else drawn_sizes(model, request.seed, range(n))
        wishes = [Wish(i, np.zeros(size, dtype=np.int64), None, value) for i, size in enumerate(sizes)]
    largest = max(len(wish.numbers) for wish in wishes)
    if largest > LARGEST_FACTOR * (len(model.sizes) - 1):
        report.warning(f"cells of {largest} atoms: the largest training crystal has {len(model.sizes) - 1}")
    return wishes


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


def changed_sampling(default: Any, changes: Mapping[str, Any], name: str) -> Any:
    """The sampling settings of a model with changes. Raises InputError for unknown or impossible ones."""
    known = type(default).model_fields
    for key in changes:
        if key not in known:
            raise InputError(
                f"{name} has no sampling setting '{key}'", hint=did_you_mean(key, known, f"settings of {name}")
            )
    try:
        return type(default).model_validate(default.model_dump() | dict(changes))
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        raise InputError(f"sampling setting '{detail['loc'][0]}': {detail['msg']}") from error


def same_request(known: Mapping[str, Any], now: Mapping[str, Any], partial: Path) -> None:
    """Raises InputError where an unfinished generation was asked for something else."""
    before, after = known.get("generation") or {}, now["generation"]
    model = (known.get("model") or {}).get("sha256") != now["model"]["sha256"]
    changed = [key for key in after if before.get(key) != after[key]] + (["model"] if model else [])
    if changed:
        raise InputError(
            f"the unfinished generation was asked for something else: {', '.join(changed)} differ",
            Where(partial),
            "Give the same arguments to go on with it, or --overwrite to start again.",
        )
