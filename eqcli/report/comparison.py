"""The page that compares models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from eqcli.report.html import Markup, card, facts, page, plot_grid, table, tag
from eqcli.report.numbers import count, show
from eqcli.report.svg import Plot

ENERGY, FORCES = "energy", "forces"


def comparison_page(content: Mapping[str, Any], plots: Sequence[Plot], provenance: Mapping[str, Any]) -> str:
    """The HTML document of what `ComparisonResult.as_dict` gives."""
    return page("Comparison of models", _body(content, plots, provenance))


def _body(content: Mapping[str, Any], plots: Sequence[Plot], provenance: Mapping[str, Any]) -> Iterator[Markup]:
    entries = content["entries"]
    datasets = list(dict.fromkeys(entry["dataset"] for entry in entries))
    models = len({entry["name"] for entry in entries})
    yield tag(
        "header",
        tag("p", "Models side by side", cls="eyebrow"),
        tag("h1", "What each model gets right, and what it costs"),
        tag("p", f"{count(models, 'model')}, {count(len(datasets), 'data set')}", cls="quiet"),
        cls="top",
    )
    yield tag("div", *_cards(entries, datasets), cls="cards")
    yield tag(
        "p",
        "Errors are those of the evaluations. Costs are medians of calls in which the models of a data set take turns "
        f"on the same {content['settings'].get('structures', 0)} structures: energy with forces, and a training step "
        "on both without the optimiser. Memory: most bytes of tensors alive at once in that step. Symmetry: largest "
        "relative error under rotations, reflections, translations and permutations in float64. Drift: of the energy "
        "in dynamics without a thermostat.",
        cls="quiet",
    )
    yield plot_grid(plots)
    for dataset in datasets:
        yield from _dataset(dataset, [e for e in entries if e["dataset"] == dataset], content["published"].get(dataset))
    if content["failures"]:
        yield tag("h2", "Failures")
        yield table(["Item", "Reason"], [[f["item"], f["reason"]] for f in content["failures"]])
    yield tag("h2", "Provenance")
    yield facts((key.replace("_", " "), value) for key, value in (*content["settings"].items(), *provenance.items()))


def _cards(entries: Sequence[Mapping[str, Any]], datasets: Sequence[str]) -> Iterator[Markup]:
    for dataset in datasets:
        known = [e for e in entries if e["dataset"] == dataset and FORCES in e["errors"]]
        if known:
            best = min(known, key=lambda e: e["errors"][FORCES]["mae"])
            yield card(dataset, show(best["errors"][FORCES]["mae"]), "meV/Å", f"smallest force MAE, {best['name']}")


def _dataset(name: str, entries: Sequence[Mapping[str, Any]], published: Mapping[str, Any] | None) -> Iterator[Markup]:
    yield tag("h2", name)
    header = [
        "Model", "E MAE (meV/atom)", "E RMSE (meV)", "F MAE (meV/Å)", "F RMSE (meV/Å)", "Stress MAE (meV/Å³)",
        "Parameters", "Trained (min)", "Step (ms)", "E + F (ms)", "Memory (MB)", "Symmetry", "Drift (meV/atom/ps)",
    ]  # fmt: skip
    yield table(header, [_row(entry) for entry in entries], numbers=range(1, len(header)))
    if published is None:
        return
    measure = published["measure"].upper()
    yield tag(
        "p",
        f"What papers report: {published['title']}; {measure} of the energy in meV per structure and of the force "
        "components in meV/Å, at the papers' own sizes and training times.",
        cls="quiet",
    )
    rows = [[r["model"], show(r["energy"]), show(r["forces"]), r["source"]] for r in published["rows"]]
    yield table(["Paper", f"E {measure} (meV)", f"F {measure} (meV/Å)", "Source"], rows, numbers=(1, 2))


def _row(entry: Mapping[str, Any]) -> list[object]:
    def error(quantity: str, measure: str) -> str:
        return show(entry["errors"].get(quantity, {}).get(measure))

    minutes = entry["training_seconds"] / 60 if entry["training_seconds"] else None
    symmetry = "–" if entry["symmetry_error"] is None else f"{entry['symmetry_error']:.1e}"
    return [
        entry["name"],
        error("energy_per_atom", "mae"),
        error(ENERGY, "rmse"),
        error(FORCES, "mae"),
        error(FORCES, "rmse"),
        error("stress", "mae"),
        f"{entry['parameters']:,}",
        show(minutes),
        show(entry["train_ms"]),
        show(entry["evaluate_ms"]),
        show(entry["peak_mb"]),
        symmetry,
        show(entry["nve_drift"]),
    ]
