"""Generate structures: crystals or molecules, as the model makes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.errors import InputError, Where
from eqcli.progress import Reporter, Silent
from eqcli.tasks.generate_molecules import MoleculeRequest, prepare_molecules
from eqcli.tasks.generate_request import Request, wishes_of
from eqcli.tasks.generate_result import GenerateResult
from eqcli.tasks.generate_run import GenerationRun, partial_file

if TYPE_CHECKING:
    from eqcli.engine.model_file import ModelFile
    from eqcli.models.generators.base import CrystalGenerator


def generate(
    model: Path,
    output: Path,
    *,
    n: int = 1,
    formula: Sequence[str] | str | None = None,
    formula_units: int = 1,
    composition_of: Path | None = None,
    atoms: int | None = None,
    system: str | None = None,
    value: float | None = None,
    guidance: float = 1.0,
    refine: Path | None = None,
    strength: float = 0.3,
    scaffold: Path | None = None,
    condition: Mapping[str, float] | None = None,
    seed: int = 0,
    steps: int | None = None,
    sampling: Mapping[str, Any] | None = None,
    limit: int | None = None,
    device: str = "auto",
    precision: str | None = None,
    batch_atoms: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    report: Reporter | None = None,
) -> GenerateResult:
    """Generates crystals or molecules with a trained generator, one batch after the other, into one file.

    Structures go to `<output>.partial.h5` as they are made, which becomes the
    output at the end; a run that is stopped goes on from there. What a structure
    is depends on the seed and its number alone.

    Parameters
    ----------
    model
        A model file of the family of generators.
    output
        Of any format that io writes.
    n
        Structures in all; with compositions, structures of each.
    formula, formula_units
        Compositions of the cell, and how often a cell holds them.
    composition_of
        File of structures whose compositions are taken; generated structures name their row as `target`.
    atoms
        Atoms of a molecule, or in a cell where species are drawn; by default as often as in training.
    system
        Elements that may occur, e.g. `Li-Fe-O`, where species are drawn.
    value, guidance
        The property that structures are to have, and how strongly conditions act (1 as learned, 0 not at all).
    refine, strength
        File of structures to refine in place of noise: `n` of each, taken back this share of the way to noise.
    scaffold
        File of molecules to complete: `n` of each, around its heavy atoms, which stay where they are.
    condition
        Properties that structures are to have, by name.
    seed
        Of everything random.
    steps, sampling
        Number of steps, and other settings of the sampling by name.
    limit
        Take only so many structures of `composition_of`, `refine` or `scaffold`.
    resume
        Go on with an unfinished generation of the same request.

    Raises
    ------
    InputError
        The request cannot be carried out. Structures without a cell of some volume, and molecules without
        positions, are rows of `failures`.
    """
    from eqcli.tasks.inference import inference_provenance, load_for_inference, refuse_unwritable, runs_in

    report = report or Silent()
    output = Path(output)
    if not (resume and partial_file(output).is_file()):
        sources = (composition_of, refine, scaffold)
        refuse_unwritable(output, [path for path in sources if path is not None], overwrite)
    loaded = load_for_inference(model, device, precision)
    formulas = [formula] if isinstance(formula, str) else list(formula or ())
    result = GenerateResult(output)
    result.device, result.precision = runs_in(loaded)
    if loaded.header.get("family") == "molecules":
        crystal = {
            "--formula": formulas, "--formula-units": formula_units != 1, "--composition-of": composition_of,
            "--system": system is not None, "--value": value is not None, "--refine": refine,
            "--strength": strength != 0.3,
        }  # fmt: skip
        asked = MoleculeRequest(n, atoms, scaffold, dict(condition or {}), guidance, seed, limit)
        asked.refuse_others([name for name, given in crystal.items() if given])
        prepared = prepare_molecules(loaded, asked, steps, sampling or {}, batch_atoms, result.failures, report)
    else:
        generator = _generator(loaded)
        request = Request(
            n, tuple(formulas), formula_units, composition_of, atoms, system, _value(generator, value, condition),
            guidance, refine, strength, seed, limit,
        )  # fmt: skip
        if scaffold is not None:
            raise InputError("--scaffold is for generators of molecules, and this model makes crystals")
        prepared = _crystals(generator, request, steps, sampling or {}, batch_atoms, result, report)
    sampler, wishes, flags, generation = prepared
    result.wanted = len(wishes)
    started = time.perf_counter()
    provenance = inference_provenance(loaded) | {"generation": generation}
    GenerationRun(output, sampler, flags, provenance, result, report).run(wishes, resume=resume, overwrite=overwrite)
    result.seconds = time.perf_counter() - started
    return result


def _crystals(
    generator: CrystalGenerator,
    request: Request,
    steps: int | None,
    sampling: Mapping[str, Any],
    batch_atoms: int | None,
    result: GenerateResult,
    report: Reporter,
) -> Any:
    """Sampler, wishes, flags and what was asked for, as plain data."""
    from eqcli.engine.crystal_sampler import CrystalSampler
    from eqcli.metrics.crystals.validity import flags_of

    settings = request.settings(generator, steps, sampling, batch_atoms)
    wishes = wishes_of(request, generator, result.failures, report)
    asked = request.as_dict() | {"sampling": settings.sampling.model_dump(mode="json")}
    return CrystalSampler(generator, settings, report=report), wishes, flags_of, asked


def _value(model: CrystalGenerator, value: float | None, condition: Mapping[str, float] | None) -> float | None:
    """The wanted value of the one property that a generator of crystals is steered by."""
    if not condition:
        return value
    name = model.config.conditions.value
    if name is None or set(condition) != {name} or value is not None:
        knows = f"this model knows {name}" if name else "this model was trained without a property"
        raise InputError(f"--condition {', '.join(condition)}: {knows}", hint="Give it once, or --value.")
    return float(condition[name])


def _generator(loaded: ModelFile) -> CrystalGenerator:
    """The model as a generator. Raises InputError where it is none."""
    from eqcli.models.generators.base import CrystalGenerator

    if isinstance(loaded.model, CrystalGenerator):
        return loaded.model
    raise InputError(
        f"this model is of the family '{loaded.header.get('family')}' and makes no structures",
        Where(loaded.path),
        "Give a model that was trained by a recipe with `family: generators` or `family: molecules`.",
    )
