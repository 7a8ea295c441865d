"""How well clouds are registered: a network, and the classical methods beside it in the same table."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from eqcli.errors import Failure, InputError
from eqcli.metrics.registration.recall import MATCH
from eqcli.progress import Reporter, Silent
from eqcli.tasks.evaluate_registration_hypotheses import HypothesisCurves
from eqcli.tasks.evaluate_registration_input import PairRules, registration_cases
from eqcli.tasks.evaluate_registration_result import METRICS, PAIRS, RegistrationEvaluation
from eqcli.tasks.evaluate_registration_rows import PairRecord, add_figures, count, failures_of, record_of
from eqcli.tasks.evaluate_registration_run import Method, Refine, register_case

if TYPE_CHECKING:
    from eqcli.data.cloud_pairs import CloudPair
    from eqcli.engine.model_file import ModelFile

GICP = "gicp"


@dataclass(frozen=True)
class RegistrationOptions:
    """What is compared, and by which rules.

    Attributes
    ----------
    pairs
        How pairs are read, and the thresholds.
    methods
        Names of `evaluate_registration_methods.NAMES`; None is all that are at hand.
    rule
        Of `metrics.registration.recall.RULES`: by which errors and curves are those of found pairs.
    refinement
        Applied to every method that does not refine by itself: `gicp`, `point-to-plane`, `point-to-point` or `none`.
    hypotheses
        Whether recall is plotted against the number of motions that solvers may try.
    bootstrap
        Resamples of the intervals.
    pictures, pages
        Whether the best and worst pairs are drawn, and whether in three dimensions too.
    """

    pairs: PairRules = field(default_factory=PairRules)
    methods: Sequence[str] | None = None
    rule: str = MATCH
    refinement: str = GICP
    hypotheses: bool = False
    bootstrap: int = 1000
    limit: int | None = None
    pictures: bool = True
    pages: bool = True


def evaluate_registration(
    loaded: ModelFile | None,
    sources: Sequence[Path],
    output: Path,
    options: RegistrationOptions | None = None,
    *,
    overwrite: bool = False,
    methods: Sequence[Method] | None = None,
    refine: Refine | None = None,
    report: Reporter | None = None,
) -> RegistrationEvaluation:
    """Registers pairs of clouds by several methods, and measures the motions where the truth is known.

    Parameters
    ----------
    loaded
        A registration model, or None: the classical methods alone.
    sources
        Tables and folders of pairs; see `eqcli.data.cloud_pairs.find_pairs`.
    output
        Folder that receives `index.html`, `metrics.json`, `pairs.csv`, `pictures/` and `plots/`.
    methods, refine
        In place of those that the options name.

    Raises
    ------
    InputError
        The output exists, a source is missing or holds no pairs, or an option cannot be.
    MissingDependency
        A method was asked for by name whose package is not installed.
    """
    from eqcli.report.write import PAGE, refuse_report
    from eqcli.tasks.evaluate_registration_methods import refinement_of, registration_methods
    from eqcli.tasks.evaluate_registration_options import check_options, settings_of, threshold_words

    begun = time.monotonic()
    report, output, options = report or Silent(), Path(output), options or RegistrationOptions()
    if not sources:
        raise InputError("no pairs of clouds were given", hint="Name a table or a folder of pairs.")
    check_options(options.rule, options.pairs)
    refuse_report(output, overwrite)
    result = RegistrationEvaluation(output, output / PAGE, output / METRICS, output / PAIRS)
    if methods is None:
        methods = registration_methods(loaded, options.methods, result.warnings)
        refine = refinement_of(options.refinement)
    result.settings = settings_of(
        loaded, options.pairs, methods=[one.name for one in methods], rule=options.rule,
        refinement=options.refinement, bootstrap=options.bootstrap, limit=options.limit,
    )  # fmt: skip
    unread: list[Failure] = []
    records, pairs = _run(result, sources, methods, refine, options, unread, report)
    if not records:
        nothing = result.warnings[-1] if result.warnings else "there are none"
        first = unread[0] if unread else Failure("", nothing)
        raise InputError(f"no pair could be evaluated: {first.reason}", first.where)
    result.failures = [*unread, *result.failures]
    add_figures(result, records, rule=options.rule, bootstrap=options.bootstrap, seed=options.pairs.seed)
    count(result, records, len(unread))
    result.thresholds = threshold_words(options.pairs, (one.unit for one in records))
    for warning in result.warnings:
        report.warning(warning)
    from eqcli.tasks.evaluate_registration_files import draw_gallery, write_evaluation

    if options.pictures:
        draw_gallery(result, records, pairs, options.pairs, pages=options.pages)
    result.seconds = time.monotonic() - begun
    write_evaluation(result, loaded, sources)
    return result


def evaluate_with_model(
    model: Path,
    sources: Sequence[Path],
    output: Path,
    *,
    audit: bool | Sequence[str] = False,
    precision: str | None = None,
    seed: int = 0,
    device: str = "auto",
    overwrite: bool = False,
    report: Reporter | None = None,
) -> RegistrationEvaluation:
    """The evaluation of a model file with the options as they are. Raises InputError where an audit was asked for."""
    from eqcli.tasks.inference import load_for_inference

    if not isinstance(audit, bool):
        raise InputError("a registration model has no audit", hint="Leave out --audit.")
    loaded = load_for_inference(model, device, precision, None, report)
    options = RegistrationOptions(pairs=PairRules(seed=seed))
    return evaluate_registration(loaded, sources, output, options, overwrite=overwrite, report=report)


def _run(
    result: RegistrationEvaluation,
    sources: Sequence[Path],
    methods: Sequence[Method],
    refine: Refine | None,
    options: RegistrationOptions,
    unread: list[Failure],
    report: Reporter,
) -> tuple[list[PairRecord], dict[str, CloudPair]]:
    """Every pair by every method; clouds are let go after each pair."""
    records: list[PairRecord] = []
    pairs: dict[str, CloudPair] = {}
    curves = HypothesisCurves()
    sources_of_matches = [one.matches for one in methods if one.matches is not None]
    report.start("evaluate", None, "pairs")
    left: list[CloudPair] = []
    cases = registration_cases(sources, options.pairs, unread.append, limit=options.limit, on_left_out=left.append)
    for case in cases:
        registered = register_case(case, methods, refine, options.refinement)
        if options.hypotheses:
            curves.add(case, sources_of_matches)
        result.failures += failures_of(registered)
        records += [record_of(one) for one in registered]
        pairs[case.pair.name] = case.pair
        report.advance(1)
    report.finish()
    result.curves["hypotheses"] = curves.rows(options.pairs.seed)
    if left:
        result.warnings.append(
            f"{len(left)} pairs follow one another in their scene and are left out, as in the published recall; "
            "`--adjacent` takes them in"
        )
    return records, pairs
