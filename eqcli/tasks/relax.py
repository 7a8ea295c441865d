"""Relaxation of structures from files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from eqcli.progress import Reporter, Silent
from eqcli.tasks.moving_request import MovingRequest, check_only, first_structures
from eqcli.tasks.relax_result import RelaxResult, RelaxRow
from eqcli.tasks.stream.division import AUTO, Workers

if TYPE_CHECKING:
    from eqcli.engine.guest_calculator import Scalar
    from eqcli.recipe.cluster import ClusterRecipe
    from eqcli.tasks.relax_chunks import RelaxInBatches
    from eqcli.tasks.relax_singly import RelaxSingly
    from eqcli.tasks.stream.result import StreamResult

USUAL_STEPS = 100
"""Of a relaxation, for the estimate of how much work there is."""


def relax(
    model: Path,
    inputs: Sequence[Path],
    output: Path | None,
    *,
    fmax: float = 0.01,
    smax: float = 1e-4,
    steps: int = 500,
    cell: Literal["none", "isotropic", "full"] = "none",
    pressure: float = 0.0,
    optimizer: Literal["fire", "lbfgs"] = "fire",
    keep_symmetry: bool = False,
    symprec: float = 1e-3,
    trajectory: Path | None = None,
    device: str = "auto",
    precision: str = "float64",
    model_arguments: Mapping[str, Scalar] | None = None,
    compile: bool = False,
    batch_atoms: int | None = None,
    one_by_one: bool = False,
    overwrite: bool = False,
    resume: bool = False,
    workers: Workers = AUTO,
    cluster: ClusterRecipe | None = None,
    report: Reporter | None = None,
) -> RelaxResult:
    """Relaxes every structure of `inputs`, many at once, into one file.

    A structure is converged when no free atom has a force of `fmax` (eV/Å) or more and, where
    the cell moves, no stress component differs by `smax` (eV/Å^3) or more from the target
    `pressure` (GPa). Atoms marked as fixed keep their place. See `RelaxSettings` for the rest.
    Results are kept in `<output>.work` until all are there; see `stream.run.run_stream`.

    Parameters
    ----------
    model, model_arguments, inputs, device, overwrite, resume, workers, cluster, report
        As for `predict`.
    output
        Where the relaxed structures go; None writes nothing.
    trajectory
        A file of a format that holds many structures, for every step of every structure, one after the other.
    compile, batch_atoms
        As for `predict`.
    one_by_one
        One structure after the other, by ASE: slower, and what the other path is compared with. Calculators of other
        packages always go this way.
    precision
        `float64` or `float32`; small forces need the first.

    Raises
    ------
    InputError
        The request cannot be carried out as a whole, or not for its only structure. What concerns
        one structure of several is a row of `failures`.
    """
    from eqcli.engine.relaxation import RelaxSettings
    from eqcli.tasks.relax_chunks import open_relax

    report = report or Silent()
    settings = RelaxSettings(fmax, smax, steps, cell, pressure, optimizer, keep_symmetry, symprec)
    moving = MovingRequest(
        "relax", model, inputs, output, trajectory, device, precision, model_arguments or {}, compile, batch_atoms,
        overwrite, resume, workers, cluster,
    )  # fmt: skip
    request = moving.stream_request({"relax": asdict(settings), "one_by_one": one_by_one})
    first, alone = first_structures(request, (output, trajectory))
    processor = open_relax(request, report)
    _warn_of_direct_forces(processor, report)
    result = RelaxResult(device=processor.device, precision=processor.precision)
    if alone:
        check_only(first[0], processor)
    report.message(f"relaxing on {result.device} in {result.precision}")
    _take(moving.run(request, processor, report, steps=min(settings.steps, USUAL_STEPS)), result)
    return result


def _warn_of_direct_forces(processor: RelaxInBatches | RelaxSingly, report: Reporter) -> None:
    if "forces" in processor.loaded.potential.direct and "guest" not in processor.loaded.header:
        report.warning(
            "the forces of this model are not the gradient of its energy: a relaxation may not come to rest, "
            "and may end where the energy has no minimum"
        )


def _take(found: StreamResult, result: RelaxResult) -> None:
    for part in found.figures:
        result.figures.join(part)
        result.rows += [RelaxRow(**row) for row in part["rows"]]
    result.output, result.trajectory = found.output, found.trajectory
    result.failures, result.failed = found.listed(), found.failed
