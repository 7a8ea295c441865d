"""The files of an evaluation of registration: the gallery, then tables and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from eqcli.errors import EqcliError, Failure
from eqcli.files import file_stem
from eqcli.tasks.evaluate_registration_input import PairRules, read_case
from eqcli.tasks.evaluate_registration_result import PICTURES, Drawn, RegistrationEvaluation
from eqcli.tasks.evaluate_registration_rows import PairRecord

if TYPE_CHECKING:
    from eqcli.data.cloud_pairs import CloudPair
    from eqcli.engine.model_file import ModelFile

SHOWN: Final = 4
"""Pairs in each half of the gallery."""
ENDS: Final = {"m": {"rre": 15.0, "rte": 1.0}, "voxels": {"rre": 15.0, "rte": 15.0}}
"""Errors at which the axes of their plots end."""


def draw_gallery(
    result: RegistrationEvaluation,
    records: Sequence[PairRecord],
    pairs: Mapping[str, CloudPair],
    rules: PairRules,
    *,
    pages: bool = True,
) -> None:
    """Pictures and pages of the best and worst pairs of the first method, as it is refined."""
    if not result.methods:
        return
    name = result.methods[0].method
    refinement = [row.refinement for row in result.methods if row.method == name][-1]
    mine = [one for one in records if (one.method, one.refinement) == (name, refinement) and one.motion is not None]
    known = [one for one in mine if one.outcome is not None and np.isfinite(one.outcome.displacement)]
    known.sort(key=lambda one: one.outcome.displacement if one.outcome is not None else np.inf)
    best = known[: min(SHOWN, (len(known) + 1) // 2)]
    worst = known[max(len(best), len(known) - SHOWN) :][::-1]
    stems: list[str] = []
    for one, good in [*((one, False) for one in worst), *((one, True) for one in best)]:
        stems.append(file_stem(one.pair, stems, "pair"))
        try:
            result.drawn.append(_draw(result, one, pairs[one.pair], rules, stems[-1], best=good, page=pages))
        except (EqcliError, OSError, ValueError) as error:
            result.failures.append(Failure.of(f"{one.pair}, picture", error))


def _draw(
    result: RegistrationEvaluation, one: PairRecord, pair: CloudPair, rules: PairRules, stem: str, *, best: bool,
    page: bool,
) -> Drawn:  # fmt: skip
    from eqcli.report.cloud_picture import picture
    from eqcli.report.cloud_viewer import viewer
    from eqcli.report.numbers import show

    case, outcome = read_case(pair, rules), one.outcome
    assert one.motion is not None
    assert outcome is not None
    words = f"RRE {show(outcome.rotation)}°, RTE {show(outcome.translation)} {one.unit}"
    words += "" if np.isnan(one.overlap) else f", overlap {show(one.overlap, 2)}"
    label = one.method if one.refinement in ("none", "its own") else f"{one.method}, {one.refinement}"
    facts = {"method": label, "errors": words}
    image, link = f"{PICTURES}/{stem}.png", f"{PICTURES}/{stem}.html" if page else ""
    clouds = (case.source, case.target, one.motion, one.matches)
    picture(result.output / image, *clouds, title=one.pair, facts=facts)
    if page:
        viewer(result.output / link, *clouds, title=one.pair, facts=facts)
    return Drawn(one.pair, label, image, link, words, best)


def write_evaluation(result: RegistrationEvaluation, loaded: ModelFile | None, sources: Sequence[Path]) -> None:
    """`pairs.csv`, `metrics.json`, the plots and, last, the page."""
    from eqcli.engine.provenance import provenance
    from eqcli.files import atomic_path, sha256
    from eqcli.metrics.registration.table import MEANINGS
    from eqcli.report.csv_text import csv_text
    from eqcli.report.registration import registration_page
    from eqcli.report.registration_plots import registration_plots
    from eqcli.report.registration_tables import RULES
    from eqcli.report.write import finite, write_report
    from eqcli.tasks.inference import inference_provenance

    facts: dict[str, Any] = provenance() if loaded is None else inference_provenance(loaded)
    facts |= {"pairs": {str(p): sha256(p) if p.is_file() else "folder" for p in sources}}
    with atomic_path(result.table) as temporary:
        temporary.write_text(csv_text(result.pairs), encoding="utf-8")
    content = finite(result.as_dict())
    plots = registration_plots(
        content["curves"], result.pairs, rule=RULES[result.rule], unit=result.unit, limits=ENDS[result.unit]
    )
    drawn = [asdict(one) for one in result.drawn]
    page = registration_page(content, result.pairs, plots, facts, MEANINGS, gallery=drawn)
    write_report(result.output, page, content | {"provenance": facts}, plots, data_name=result.metrics.name)
