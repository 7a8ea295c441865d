"""The page that `evaluate` writes for a generator of molecules and given molecules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from eqcli.report.html import Markup, card, facts, page, table, tag
from eqcli.report.numbers import count, show

TITLES = {
    "prior": "prior",
    "diffusion": "diffusion",
    "reconstruction": "reconstruction",
    "size": "number of atoms",
    "total": "bound on -log p, nats per molecule",
    "loss": "training loss",
}

MEANINGS = {
    "prior": "What is left of the molecule at the last step of the diffusion.",
    "diffusion": "What the errors of the predicted noise cost, over all steps.",
    "reconstruction": "Positions as a density, and elements as a probability, given the first step.",
    "size": "How rare this number of atoms was in training.",
    "total": "An upper bound on -log p(positions, elements, number of atoms).",
    "loss": "The weighted sum that training minimises.",
}


def spread(term: Mapping[str, float | None]) -> str:
    """A mean with its interval, as text."""
    value, low, high = (show(term[key], 4) for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def terms_page(result: Mapping[str, Any], model: Mapping[str, Any], provenance: Mapping[str, Any]) -> str:
    """The HTML document of what `GeneratorEvaluation.as_dict` gives, with `steps` and `data`."""
    return page(f"Evaluation of {model['name']}", _body(result, model, provenance))


def _body(result: Mapping[str, Any], model: Mapping[str, Any], provenance: Mapping[str, Any]) -> Iterator[Markup]:
    figures, bounded = result["figures"], result["kind"] == "bound"
    said = f"{count(figures['molecules'], 'molecule')}, {result['seconds']:.0f} s"
    eyebrow = tag("p", "Generator of molecules", cls="eyebrow")
    yield tag("header", eyebrow, tag("h1", model["name"]), tag("p", said, cls="quiet"), cls="top")
    if bounded:
        total = figures["terms"]["total"]
        atom = card("Per atom", show(figures["per_atom"]["value"]), "nats", "total over atoms")
        yield tag("div", card("Bound on -log p", show(total["value"]), "nats", "per molecule"), atom, cls="cards")
    for warning in result["warnings"]:
        yield tag("p", warning, cls="quiet")
    yield tag("h2", "Variational bound" if bounded else "Terms of the training loss", id="terms")
    yield table(
        ["Term", "Mean", "95 % interval", ""],
        [
            [TITLES.get(name, name), show(term["value"], 4), f"{show(term['low'], 4)} to {show(term['high'], 4)}",
             MEANINGS.get(name, "")]
            for name, term in figures["terms"].items()
        ],
        numbers=(1, 2),
    )  # fmt: skip
    yield tag("p", *_words(result["steps"], bounded), cls="quiet")
    if result["failures"]:
        yield tag("h2", "Not evaluated", id="failures")
        yield table(["Molecule", "Reason"], [[row["item"], row["reason"]] for row in result["failures"]])
    yield tag("h2", "Provenance", id="provenance")
    rows = {**model, "data": [entry["file"] for entry in result["data"]], **provenance}
    yield facts((key.replace("_", " "), value) for key, value in rows.items())


def _words(steps: int, bounded: bool) -> Iterator[object]:
    if bounded:
        yield (
            "The smaller, the likelier the model makes these molecules. Positions have a density in Å to the power of "
            "minus their dimensions, 3 (N - 1) without translation, with the atoms in their order: only bounds on the "
            f"same molecules compare. {count(steps, 'step')} of the diffusion were drawn for each molecule, without "
            "bias. "
        )
    else:
        yield (
            "This model has no bound on the likelihood of molecules: what it was trained on is shown instead, "
            f"{count(steps, 'draw')} of time and noise for each molecule. It compares models of one kind and the same "
            "weights, and says little of the molecules that they make. "
        )
    yield "Intervals are of the mean over molecules. Every molecule is in "
    yield tag("code", "molecules.csv")
    yield "."
