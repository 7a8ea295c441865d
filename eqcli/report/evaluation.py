"""The page that `evaluate` writes: accuracy, audit, failures, and where everything came from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any

from eqcli.errors import Failure
from eqcli.report.audit_section import audit_card, audit_section
from eqcli.report.evaluation_parts import callouts, header, section_link
from eqcli.report.html import Markup, card, facts, join, page, plot_grid, table, tag
from eqcli.report.numbers import count, fit, rounded, show
from eqcli.report.svg import Plot

MOST_ROWS = 200
"""Rows of a table on the page; the JSON file has all of them."""


@dataclass(frozen=True)
class Evaluation:
    """Everything the page shows.

    Attributes
    ----------
    model
        Facts of the model: `name`, `config`, `elements`, `parameters`, `sha256`, ...
    figures
        What `metrics.errors.Errors.figures` gave.
    audit
        What `AuditReport.as_dict` gave, or None.
    data
        One entry per file: `file`, `sha256`, `structures`, and sentences about its `labels`.
    provenance
        Versions, machine and command.
    """

    model: Mapping[str, Any]
    figures: Mapping[str, Any]
    audit: Mapping[str, Any] | None
    data: Sequence[Mapping[str, Any]]
    failures: Sequence[Failure]
    warnings: Sequence[str]
    provenance: Mapping[str, Any]
    accuracy_plots: Sequence[Plot] = field(default_factory=list)
    audit_plots: Sequence[Plot] = field(default_factory=list)


def evaluation_page(evaluation: Evaluation) -> str:
    """The HTML document."""
    return page(f"Evaluation of {evaluation.model['name']}", _body(evaluation))


def _body(evaluation: Evaluation) -> Iterator[Markup]:
    sections = (["Accuracy"] if evaluation.data else []) + (["Audit"] if evaluation.audit else [])
    sections += (["Failures"] if evaluation.failures else []) + ["Provenance"]
    links = map(section_link, sections)
    yield header("Evaluation of an interatomic potential", evaluation.model["name"], _subtitle(evaluation), links)
    yield tag("div", *_cards(evaluation), cls="cards")
    yield from callouts(evaluation.warnings)
    if evaluation.data:
        yield from _accuracy(evaluation)
    if evaluation.audit:
        short = _Places(evaluation.data)
        yield from audit_section(short.within(evaluation.audit), short.captioned(evaluation.audit_plots))
    if evaluation.failures:
        yield from _failures(evaluation.failures, _Places(evaluation.data))
    yield from _provenance(evaluation)


def _subtitle(evaluation: Evaluation) -> str:
    figures = evaluation.figures
    if not evaluation.data:
        return "Audited without data"
    size = f"{count(figures['structures'], 'structure')} with {count(figures['atoms'], 'atom')}"
    return f"{size} from {', '.join(str(entry['file']) for entry in evaluation.data)}"


def _cards(evaluation: Evaluation) -> Iterator[Markup]:
    total = evaluation.figures["total"]
    if "forces" in total:
        forces = total["forces"]
        yield card("Force error (MAE)", show(forces["mae"]), "meV/Å", f"RMSE {show(forces['rmse'])}, components")
    if "energy_per_atom" in total:
        energy, whole = total["energy_per_atom"], total["energy"]
        shift = evaluation.figures["energy_shift"]
        sub, kind = f"{show(whole['mae'])} meV per structure", ""
        if shift["suspicious"]:
            sub, kind = f"{show(shift['mae_without_shift'])} without the mean shift", "bad"
        yield card("Energy error (MAE)", show(energy["mae"]), "meV/atom", sub, kind)
    if "stress" in total:
        stress, gpa = total["stress"], total["stress_gpa"]
        yield card("Stress error (MAE)", show(gpa["mae"]), "GPa", f"{show(stress['mae'])} meV/Å³")
    for name, f in total.get("properties", {}).items():
        yield card(f"{name} error (MAE)", show(f["mae"]), f["unit"], f"RMSE {show(f['rmse'])}, R² {fit(f['r2'])}")
    if evaluation.audit:
        yield audit_card(evaluation.audit)
    if not evaluation.data:
        return
    failed = len(evaluation.failures)
    yield card(
        "Evaluated",
        f"{evaluation.figures['structures']:,}",
        "structures",
        f"{failed} failed" if failed else "none failed",
        "bad" if failed else "",
    )


def _accuracy(evaluation: Evaluation) -> Iterator[Markup]:
    figures, short = evaluation.figures, _Places(evaluation.data)
    yield tag("h2", "Accuracy", id="accuracy")
    if not figures["total"]:
        yield tag("p", "The data carry no labels of what the model gives, so there is nothing to compare with.")
        return
    yield tag(
        "p",
        "Errors are predicted minus reference. Force and stress errors are those of the components. MAE is the mean "
        "absolute error, RMSE the root mean square error; both are given because papers use either.",
        cls="quiet",
    )
    yield _totals(figures)
    yield plot_grid(evaluation.accuracy_plots)
    if figures.get("uncertainty"):
        yield tag("h3", "Uncertainty")
        yield _uncertainty(figures["uncertainty"])
    if figures["by_element"]:
        yield tag("h3", "Forces by element")
        yield _elements(figures["by_element"])
    for key, title, column in (
        ("by_config_type", "By kind of configuration", "Kind"),
        ("by_file", "By file", "File"),
    ):
        if len(figures[key]) > 1:
            yield tag("h3", title)
            yield _groups({short(name): group for name, group in figures[key].items()}, column)
    yield from _worst(figures["worst"], short)


def _uncertainty(found: Mapping[str, Any]) -> Markup:
    """Predicted standard deviations against the errors that came."""
    header = ["Quantity", "Unit", "RMSE", "Predicted", "Within 1 σ", "Within 2 σ", "ENCE", "Rank correlation"]
    rows = [
        [
            name.replace("_", " "),
            f["unit"],
            show(f["rmse"]),
            show(f["root_mean_variance"]),
            f"{100 * f['within_one']:.0f} % of 68",
            f"{100 * f['within_two']:.0f} % of 95",
            show(f["ence"]),
            show(f["rank_correlation"]),
        ]
        for name, f in found.items()
    ]
    return table(header, rows, numbers=range(2, len(header)))


class _Places:
    """Places in files by the names of the files alone, where these tell them apart; the page lists the folders."""

    def __init__(self, data: Sequence[Mapping[str, Any]]) -> None:
        names = [PurePath(entry["file"]).name for entry in data]
        self._short = {
            str(entry["file"]): name for entry, name in zip(data, names, strict=True) if names.count(name) == 1
        }
        files = "|".join(re.escape(file) for file in sorted(self._short, key=len, reverse=True))
        self._pattern = re.compile(rf"(?<![\w/.-])({files})(?=[:,]|$)") if files else None

    def __call__(self, words: str) -> str:
        """`words` with every place in them shortened."""
        return self._pattern.sub(lambda found: self._short[found[1]], words) if self._pattern else words

    def within(self, value: Any) -> Any:
        """The same for every text in nested mappings and lists."""
        if isinstance(value, Mapping):
            return {key: self.within(v) for key, v in value.items()}
        if isinstance(value, list | tuple):
            return [self.within(v) for v in value]
        return self(value) if isinstance(value, str) else value

    def captioned(self, plots: Sequence[Plot]) -> list[Plot]:
        """The same for what plots say."""
        return [replace(plot, caption=self(plot.caption), alt=self(plot.alt)) for plot in plots]


def _totals(figures: Mapping[str, Any]) -> Markup:
    titles = {
        "energy_per_atom": "Energy per atom",
        "energy": "Energy per structure",
        "forces": "Force components",
        "force_magnitude": "Force magnitude",
        "stress": "Stress components",
        "stress_gpa": "Stress components",
    }
    rows: list[list[object]] = []
    for key, title in titles.items():
        if key in figures["total"]:
            f = figures["total"][key]
            figs = [*(show(f[name]) for name in ("mae", "rmse", "max")), show(rounded(f["bias"], f["rmse"]))]
            rows.append([title, f["unit"], *figs, fit(f["r2"]), f"{f['count']:,}"])
    for name, f in figures["total"].get("properties", {}).items():
        figs = [*(show(f[key]) for key in ("mae", "rmse", "max")), show(rounded(f["bias"], f["rmse"]))]
        rows.append([name, f["unit"] or "–", *figs, fit(f["r2"]), f"{f['count']:,}"])
    shift = figures["energy_shift"]
    if shift:
        without = [show(shift["mae_without_shift"]), show(shift["rmse_without_shift"])]
        rows.insert(1, ["Energy per atom, mean shift removed", shift["unit"], *without, "–", "0", "–", "–"])
    cosine = figures["total"].get("force_cosine")
    header = ["Quantity", "Unit", "MAE", "RMSE", "Largest", "Mean", "R²", "Values"]
    parts: list[object] = [table(header, rows, numbers=range(2, 8))]
    if cosine:
        parts.append(
            tag("p", f"Mean cosine between predicted and reference forces: {cosine['mean']:.6f}.", cls="quiet")
        )
    return join(parts)


def _elements(groups: Mapping[str, Any]) -> Markup:
    largest = max(group["forces"]["mae"] for group in groups.values()) or 1.0
    rows = []
    for name, group in groups.items():
        f = group["forces"]
        length = f"width:{100 * f['mae'] / largest:.1f}%"
        bar = tag("div", tag("span", cls="meter", style=length), cls="meter-box", aria_hidden="true")
        rows.append([name, show(f["mae"]), bar, show(f["rmse"]), show(f["max"]), fit(f["r2"]), f"{f['count'] // 3:,}"])
    header = ["Element", "MAE (meV/Å)", "", "RMSE (meV/Å)", "Largest (meV/Å)", "R²", "Atoms"]
    return table(header, rows, numbers=(1, 3, 4, 5, 6))


def _groups(groups: Mapping[str, Any], column: str) -> Markup:
    names = {"energy_per_atom": "Energy", "forces": "Forces", "stress_gpa": "Stress"}
    every = [{**group, **group.get("properties", {})} for group in groups.values()]
    properties = list(dict.fromkeys(name for group in groups.values() for name in group.get("properties", {})))
    present = [key for key in (*names, *properties) if any(key in group for group in every)]
    header = [column]
    for key in present:
        unit = next(group[key]["unit"] for group in every if key in group)
        header += [f"{names.get(key, key)} MAE" + (f" ({unit})" if unit else ""), "RMSE", "Values"]
    rows = []
    for name, group in list(zip(groups, every, strict=True))[:MOST_ROWS]:
        row: list[object] = [name]
        for key in present:
            f = group.get(key)
            row += [show(f["mae"]), show(f["rmse"]), f"{f['count']:,}"] if f else ["–", "–", "0"]
        rows.append(row)
    return table(header, rows, numbers=range(1, len(header)))


def _worst(worst: Mapping[str, Any], short: Callable[[str], str]) -> Iterator[Markup]:
    if worst["forces"]:
        yield tag("h3", "Worst forces")
        header = ["Structure", "Formula", "Kind", "RMSE (meV/Å)", "Largest (meV/Å)", "On atom"]
        rows = [
            [short(e["place"]), e["formula"], e["config_type"] or "–", show(e["rmse"]), show(e["max"]), _atom(e)]
            for e in worst["forces"]
        ]
        yield table(header, rows, numbers=(3, 4))
    if worst["energy"]:
        yield tag("h3", "Worst energies")
        rows = [[short(e["place"]), e["formula"], e["config_type"] or "–", show(e["error"])] for e in worst["energy"]]
        yield table(["Structure", "Formula", "Kind", "Error (meV/atom)"], rows, numbers=(3,))


def _atom(entry: Mapping[str, Any]) -> str:
    return f"{entry['atom']} ({entry['element']})"


def _failures(failures: Sequence[Failure], short: Callable[[str], str]) -> Iterator[Markup]:
    yield tag("h2", "Failures", id="failures")
    yield tag("p", f"{count(len(failures), 'item')} could not be evaluated and count in none of the figures above.")
    yield table(["Item", "Reason"], [[short(failure.item), failure.reason] for failure in failures[:MOST_ROWS]])
    if len(failures) > MOST_ROWS:
        yield tag("p", f"The other {len(failures) - MOST_ROWS} are in report.json.", cls="quiet")


def _provenance(evaluation: Evaluation) -> Iterator[Markup]:
    yield tag("h2", "Provenance", id="provenance")
    yield tag("h3", "Model")
    yield facts((name.replace("_", " "), value) for name, value in evaluation.model.items() if value != "")
    if evaluation.data:
        yield tag("h3", "Data")
        header = ["File", "Structures", "Labels", "SHA-256"]
        rows = [
            [e["file"], f"{e['structures']:,}", join(e["labels"], Markup("<br>")), tag("code", e["sha256"][:16] + "…")]
            for e in evaluation.data
        ]
        yield table(header, rows, numbers=(1,))
    yield tag("h3", "This evaluation")
    yield facts((name.replace("_", " "), value) for name, value in evaluation.provenance.items())
    yield tag(
        "footer",
        tag("p", "Every figure on this page, with full hashes and all audit data, is in ", tag("code", "report.json"),
            "; every plot is an SVG and a PNG file under ", tag("code", "plots/"), "."),
    )  # fmt: skip
