"""How good generated molecules are, by the bond rule and by their own bonds, beside null baselines and a reference."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from eqcli.progress import Reporter, Silent
from eqcli.tasks.evaluate_molecules_input import MoleculeInput, read_molecules
from eqcli.tasks.evaluate_molecules_options import (
    XTB_LIMIT,
    Scoring,
    posebusters_count,
    refuse_contradictions,
    settings_of,
    valence_table,
)
from eqcli.tasks.evaluate_molecules_result import BY_RULE, OWN, MoleculeEvaluation, MoleculeSet

if TYPE_CHECKING:
    from eqcli.io.structure import Structure

TABLE: Final = "molecules.csv"
GALLERY: Final = "gallery.html"


def evaluate_molecules(
    generated: Sequence[Path],
    reference: Path,
    output: Path,
    *,
    training: Path | None = None,
    valences: str | None = None,
    bonds: str | None = None,
    baselines: bool = True,
    posebusters: bool = True,
    posebusters_limit: int | None = None,
    xtb: bool = False,
    workers: int | None = None,
    timeout: float | None = 10.0,
    bootstrap: int = 1000,
    seed: int = 0,
    limit: int | None = None,
    overwrite: bool = False,
    report: Reporter | None = None,
) -> MoleculeEvaluation:
    """Measures generated molecules against reference molecules.

    Parameters
    ----------
    generated
        Files of generated molecules, taken together.
    reference
        The molecules to be like: a test set. Where they state no bonds, RDKit finds them from distances.
    output
        Folder that receives `index.html`, `gallery.html`, `report.json`, `molecules.csv` and `plots/`.
    training
        What the generator was trained on, for novelty and for the baselines; by default the reference.
    valences
        `published`, `sulphur-246` or `charged`; by default `published` with the bond rule, `charged` with own bonds.
    bonds
        `rule`, `own` or `both`; by default both where the generated molecules state bonds, else the rule.
    baselines
        Whether training molecules drawn anew, and embedded SMILES of the training set, are measured too.
    posebusters, posebusters_limit
        Whether PoseBusters checks molecules, and how many of the generated ones (200); a quarter as many of other sets.
    xtb
        Whether strain, gap and dipole are computed by GFN2-xTB too.
    workers, timeout
        Processes, and seconds that one molecule may take in one measurement; PoseBusters and GFN2-xTB may take
        six times as long.
    bootstrap
        Resamples of the 95 % intervals.
    limit
        Evaluate the first molecules only.

    Raises
    ------
    InputError
        The output exists, a file is missing or holds nothing, structures have a cell, or options contradict each
        other.
    MissingDependency
        `xtb` needs tblite, which is not installed.
    """
    from eqcli.metrics.molecules.xtb import require_tblite
    from eqcli.metrics.pool import kept_processes
    from eqcli.report.write import DATA, PAGE, refuse_report

    begun = time.monotonic()
    report, output = report or Silent(), Path(output)
    refuse_contradictions(bonds, posebusters, posebusters_limit, limit)
    table = valence_table(valences)
    refuse_report(output, overwrite)
    if xtb:
        require_tblite()
    molecules = read_molecules(generated, Path(reference), training, limit, bonds)
    checked = posebusters_count(posebusters, posebusters_limit, molecules.warnings)
    scoring = Scoring(table, checked, XTB_LIMIT if xtb else 0, workers, timeout, bootstrap, seed, report)
    result = MoleculeEvaluation(
        output,
        output / PAGE,
        output / DATA,
        output / TABLE,
        {
            "generated": len(molecules.generated),
            "judged": 0,
            "reference": len(molecules.reference),
            "training": len(molecules.training),
        },
        molecules.bonds,
        molecules.main,
        gallery=output / GALLERY,
        failures=molecules.failures,
        warnings=molecules.warnings,
    )
    with kept_processes():
        _measure(result, molecules, scoring, baselines)
    result.settings |= settings_of(scoring, molecules.bonds)
    result.seconds = time.monotonic() - begun
    _write(result, molecules.generated, [*generated, reference, *([training] if training else [])])
    return result


def _measure(result: MoleculeEvaluation, molecules: MoleculeInput, scoring: Scoring, baselines: bool) -> None:
    from eqcli.tasks.evaluate_molecules_compared import compare_sets
    from eqcli.tasks.evaluate_molecules_rows import add_failures, molecule_rows
    from eqcli.tasks.evaluate_molecules_sets import judged_sets, verdict_figures

    sets, known = judged_sets(molecules, scoring, baselines, result.settings)
    for found in sets:
        figures = {way: verdict_figures(found, way, known[way], scoring) for way in molecules.bonds}
        result.sets[found.name] = MoleculeSet(len(found.structures), rule=figures.get(BY_RULE), own=figures.get(OWN))
    made = sets[0]
    result.counts["judged"] = len(made.structures) - len({i for why in made.reasons.values() for i in why})
    result.molecules = molecule_rows(made, molecules.main, known[molecules.main])
    add_failures(result, made)
    compare_sets(result, sets, scoring)


def _write(result: MoleculeEvaluation, structures: Sequence[Structure], sources: Sequence[Path]) -> None:
    from eqcli.engine.provenance import provenance
    from eqcli.files import atomic_path, sha256
    from eqcli.report.csv_text import csv_text
    from eqcli.report.molecules import molecules_page
    from eqcli.report.molecules_gallery import molecules_gallery, rows_of_evaluation
    from eqcli.report.molecules_plots import molecule_plots
    from eqcli.report.write import finite, write_report

    with atomic_path(result.table) as temporary:
        temporary.write_text(csv_text(result.molecules), encoding="utf-8")
    facts = provenance() | {"files": {str(path): sha256(path) for path in sources}}
    content = finite(result.as_dict())
    plots = molecule_plots(content, result.curves)
    if result.gallery is not None:
        rows = rows_of_evaluation(result.molecules, result.main)
        molecules_gallery(structures, rows, result.gallery, title="Generated molecules", provenance=facts)
    page = molecules_page(content, result.molecules, plots, facts, structures)
    write_report(result.output, page, content | {"provenance": facts}, plots)
