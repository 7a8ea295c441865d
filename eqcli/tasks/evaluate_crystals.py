"""How good generated crystals are: for structure prediction and for de novo generation, beside null baselines."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from eqcli.progress import Reporter, Silent
from eqcli.tasks.evaluate_crystals_input import CrystalInput, read_crystals
from eqcli.tasks.evaluate_crystals_options import cutoffs_of, refuse_contradictions, settings_of
from eqcli.tasks.evaluate_crystals_result import DE_NOVO, PREDICTION, CrystalEvaluation
from eqcli.tasks.inference import readable_files

if TYPE_CHECKING:
    from eqcli.engine.guest_calculator import Scalar
    from eqcli.tasks.evaluate_crystals_scores import Scoring

TABLE: Final = "structures.csv"


def evaluate_crystals(
    generated: Sequence[Path],
    reference: Path,
    output: Path,
    *,
    training: Path | None = None,
    tolerances: str = "published",
    ks: Sequence[int] = (1, 20),
    baselines: bool = True,
    fingerprint: str = "fast",
    coverage_cutoffs: str | tuple[float, float] | None = None,
    workers: int | None = None,
    timeout: float | None = 10.0,
    bootstrap: int = 1000,
    seed: int = 0,
    limit: int | None = None,
    relaxer: str | Path | None = None,
    hull: Sequence[Path] = (),
    hull_threshold: float = 0.1,
    relaxer_arguments: Mapping[str, Scalar] | None = None,
    device: str = "auto",
    overwrite: bool = False,
    report: Reporter | None = None,
) -> CrystalEvaluation:
    """Measures generated crystals against reference crystals.

    Structures whose `info` names a `target`, a row of the reference, answer it: structure prediction. Others are judged
    as a set: de novo generation.

    Parameters
    ----------
    generated
        Files of generated structures, taken together.
    reference
        The crystals to find, or to be like: a test set.
    output
        Folder that receives `index.html`, `report.json`, `structures.csv` and `plots/`.
    training
        What the generator was trained on, for novelty and for the baselines that need known crystals.
    tolerances
        `published` or `strict`, of matches in structure prediction; uniqueness and novelty always use pymatgen's.
    ks
        Numbers of predictions of which the best counts; where there are fewer, all of them.
    fingerprint
        Of coverage: `fast`, or `crystalnn` as in papers.
    coverage_cutoffs
        Largest distances of structures and compositions, or, with `crystalnn`, the data set whose published ones to
        take. By default they are made from the reference.
    workers, timeout
        Processes, and seconds that one structure may take.
    bootstrap
        Resamples of the 95 % intervals.
    limit
        Evaluate so many rows of the reference only, or in de novo generation so many structures.
    relaxer, hull, hull_threshold
        What relaxes the structures, files of crystals with its energies, and eV per atom above their hull that count
        as stable; see :func:`eqcli.tasks.stability.stability`, which gets `relaxer_arguments` and `device` too.

    Raises
    ------
    InputError
        The output exists, a file is missing or holds nothing, or options contradict each other.
    MissingDependency
        pymatgen is not installed.
    """
    from eqcli.metrics.crystals import PUBLISHED, STRICT
    from eqcli.metrics.crystals.convert import require_pymatgen
    from eqcli.metrics.pool import kept_processes
    from eqcli.report.write import DATA, PAGE, refuse_report
    from eqcli.tasks.evaluate_crystals_de_novo import score_de_novo
    from eqcli.tasks.evaluate_crystals_prediction import score_structure_prediction
    from eqcli.tasks.evaluate_crystals_rows import add_failures, structure_rows
    from eqcli.tasks.evaluate_crystals_scores import Scoring, measure_sanity

    begun = time.monotonic()
    report, output = report or Silent(), Path(output)
    refuse_contradictions(tolerances, ks, fingerprint, coverage_cutoffs, relaxer, hull)
    refuse_report(output, overwrite)
    require_pymatgen()
    if hull:
        readable_files(hull)
    crystals = read_crystals(generated, Path(reference), training, limit)
    most = max(map(len, crystals.by_target())) if crystals.targets is not None else 1
    used = tuple(sorted({min(k, most) for k in ks}))
    rule = PUBLISHED if tolerances == "published" else STRICT
    scoring = Scoring(rule, used, fingerprint, workers, timeout, bootstrap, seed, report)
    result = CrystalEvaluation(
        output,
        output / PAGE,
        output / DATA,
        output / TABLE,
        DE_NOVO if crystals.targets is None else PREDICTION,
        {
            "generated": len(crystals.generated),
            "reference": len(crystals.reference),
            "training": len(crystals.training or ()),
        },
        failures=crystals.failures,
        warnings=crystals.warnings,
    )
    if crystals.training is None:
        result.warnings.append("novelty and most baselines need the training set: give it with `--training`")
    with kept_processes():
        sane = measure_sanity(crystals.generated, crystals.training, scoring)
        result.structures = structure_rows(crystals, sane)
        if crystals.targets is None:
            score_de_novo(result, crystals, sane, scoring, baselines, cutoffs_of(coverage_cutoffs))
        else:
            score_structure_prediction(result, crystals, sane, scoring, baselines)
    add_failures(result, crystals, sane)
    if relaxer is not None:
        arguments = {"relaxer": relaxer, "relaxer_arguments": relaxer_arguments, "device": device}
        _stability(result, crystals, hull, scoring, threshold=hull_threshold, **arguments)
    result.settings |= settings_of(scoring, crystals.targets is not None)
    result.seconds = time.monotonic() - begun
    _write(result, [*generated, reference, *([training] if training else []), *hull])
    return result


def _stability(
    result: CrystalEvaluation,
    crystals: CrystalInput,
    hull: Sequence[Path],
    scoring: Scoring,
    **options: Any,
) -> None:
    """Relaxes the structures into the folder `stability`, where an interrupted call goes on with --overwrite."""
    from eqcli.tasks.inference import read_all
    from eqcli.tasks.stability import stability

    known = list(read_all(hull, None, result.failures.append))
    found = stability(
        crystals.generated,
        hull=known,
        output=result.output / "stability",
        training=crystals.training,
        workers=scoring.workers,
        report=scoring.report,
        **options,
    )
    for entry, row in zip(result.structures, found.rows, strict=True):
        entry["e_hull"], entry["stable_unique_novel"] = row.energy_above_hull, row.sun
    result.failures += found.failures
    result.stability = {key: value for key, value in found.as_dict().items() if key != "structures"}


def _write(result: CrystalEvaluation, sources: Sequence[Path]) -> None:
    from eqcli.engine.provenance import provenance
    from eqcli.files import atomic_path, sha256
    from eqcli.report.crystals import crystals_page
    from eqcli.report.crystals_plots import crystal_plots
    from eqcli.report.csv_text import csv_text
    from eqcli.report.write import finite, write_report

    with atomic_path(result.table) as temporary:
        temporary.write_text(csv_text(result.structures), encoding="utf-8")
    facts = provenance() | {"files": {str(path): sha256(path) for path in sources}}
    content = finite(result.as_dict())
    plots = crystal_plots(result.curves)
    page = crystals_page(content, result.structures, plots, facts)
    write_report(result.output, page, content | {"provenance": facts}, plots)
