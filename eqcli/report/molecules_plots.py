"""Plots of generated molecules beside a reference.

`curves` has the samples, each as {set: values} by the names of the sets of a report (`generated`, `reference`, ...)::

    {
      "lengths": {"C-C": {set: [Å, ...]}}, "angles": {"C-C-O": {set: [degrees]}}, "torsions": {"C-C": {set: [degrees]}},
      "n_atoms": {set: [int, ...]}, "elements": {set: [symbol, ...] or {symbol: count}},
      "bond_orders", "ring_sizes", "hybridisations": as elements,
      "strain_mmff": {set: [eV, ...]}, "strain_xtb": as that,
      "properties": {"qed": {set: [number, ...]}}
    }

Whatever is absent is not drawn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from eqcli.report.distribution_plots import bars, histogram
from eqcli.report.molecules_words import PROPERTIES, REFERENCE, SETS, WAYS, title_of
from eqcli.report.svg import INK, SERIES, Plot, document_of, figure

COLOURS: Final = dict(zip(SETS, (SERIES[0], SERIES[2], SERIES[3], SERIES[1]), strict=True))
MOST_TYPES: Final = 6
"""Types of lengths, angles and torsions that are drawn: the most frequent of the reference."""
MOST_KINDS: Final = 12
MOST_WHOLE: Final = 24
"""Bars of names and of numbers in one plot."""

GEOMETRY: Final = {
    "lengths": ("bond length", "length (Å)", 0.02),
    "angles": ("angle", "angle (°)", 2.0),
    "torsions": ("torsion", "|torsion| (°)", 10.0),
}
"""Kind -> word, axis and width of a bin."""

NUMBERS: Final = {
    "strain_mmff": ("Strain, MMFF", "strain energy (eV)"),
    "strain_xtb": ("Strain, GFN2-xTB", "strain energy (eV)"),
}
KINDS: Final = {
    "elements": ("Elements", "element"),
    "bond_orders": ("Bond orders", ""),
    "ring_sizes": ("Rings", "atoms of a ring"),
    "hybridisations": ("Hybridisations", ""),
}
ORDERS: Final = {"~": "none", "-": "single", ":": "aromatic", "=": "double", "#": "triple", "$": "quadruple"}

SHARES: Final = (
    "atom_stability", "molecule_stability", "valid", "valid_and_connected", "closed_shell", "unique", "novel",
)  # fmt: skip
BOUNDED: Final = SHARES[:5]
"""Figures that real molecules bound from above; their own uniqueness and novelty say nothing."""


def molecule_plots(result: Mapping[str, Any], curves: Mapping[str, Any]) -> list[Plot]:
    """The plots of a report, whose `sets` and `geometry_types` are those of `MoleculeEvaluation.as_dict`."""
    plots = [stability_bars(result["sets"], way) for way in result["bonds"]]
    plots += _geometry(curves, result.get("geometry_types") or {})
    plots += [_numbers("n_atoms", "Atoms", "atoms of a molecule", curves["n_atoms"])] if "n_atoms" in curves else []
    plots += [_kinds(name, *words, curves[name]) for name, words in KINDS.items() if name in curves]
    plots += [_numbers(name, *words, curves[name]) for name, words in NUMBERS.items() if name in curves]
    for name, sides in (curves.get("properties") or {}).items():
        title, unit = PROPERTIES.get(name, (name.replace("_", " "), ""))
        axis = f"{title} ({unit})" if unit else title
        plots.append(_numbers(f"property-{name}", title if title != title.lower() else title.capitalize(), axis, sides))
    return [plot for plot in plots if plot is not None]


def stability_bars(sets: Mapping[str, Any], way: str) -> Plot | None:
    """Bars of shares with their intervals beside the null baselines, and a line where the reference is."""
    known = {name: found[way] for name, found in sets.items() if found.get(way)}
    keys = [key for key in SHARES if any(_value(figures, key) is not None for figures in known.values())]
    shown = {name: figures for name, figures in known.items() if name != REFERENCE}
    if not keys or not shown:
        return None
    with figure(8.6, 3.4) as drawn:
        axes = drawn.add_subplot()
        width = 0.8 / len(shown)
        for k, (name, figures) in enumerate(shown.items()):
            at = np.arange(len(keys)) + (k - (len(shown) - 1) / 2) * width
            values = np.array([_percent(_value(figures, key)) for key in keys])
            colour = COLOURS.get(name, SERIES[k % len(SERIES)])
            axes.bar(at, np.nan_to_num(values), width * 0.94, color=colour, alpha=0.8, label=name)
            axes.errorbar(at, values, _whiskers(figures, keys, values), fmt="none", ecolor=INK, elinewidth=1, capsize=2)
        for k, key in enumerate(keys):
            ceiling = _percent(_value(known.get(REFERENCE), key))
            if key in BOUNDED and np.isfinite(ceiling):
                label = "" if k else f"{REFERENCE} (data ceiling)"
                ends = [k - 0.45, k + 0.45]
                axes.plot(ends, [ceiling] * 2, color=COLOURS[REFERENCE], linestyle="--", label=label or None)
        axes.set_xticks(range(len(keys)), [title_of(key).replace(" ", "\n", 1) for key in keys])
        axes.set(ylabel="share (%)", ylim=(0, 119), yticks=range(0, 101, 20))
        axes.legend(loc="upper center", ncols=len(shown) + 1, fontsize=8)
        axes.grid(visible=False, axis="x")
        document = document_of(drawn)
    caption = (
        f"Whiskers are 95 % intervals. {'; '.join(_words(name, figures, keys) for name, figures in known.items())}."
    )
    return Plot(f"stability-{way}", f"Stability and validity {WAYS[way]}", caption, caption, document, full=True)


def _value(figures: Mapping[str, Any] | None, key: str) -> float | None:
    value = ((figures or {}).get(key) or {}).get("value")
    return None if value is None else float(value)


def _percent(value: float | None) -> float:
    return float("nan") if value is None else 100 * value


def _whiskers(figures: Mapping[str, Any], keys: Sequence[str], values: Any) -> Any:
    """Lengths below and above the values, `[2, keys]`; none where there is no interval."""
    sides = []
    for side, sign in (("low", -1), ("high", 1)):
        ends = np.array([_percent((figures.get(key) or {}).get(side)) for key in keys])
        sides.append(np.nan_to_num(sign * (ends - values)).clip(min=0))
    return np.array(sides)


def _words(name: str, figures: Mapping[str, Any], keys: Sequence[str]) -> str:
    said = [f"{title_of(key)} {value:.1%}" for key in keys[:4] if (value := _value(figures, key)) is not None]
    return f"{name}: {', '.join(said)}"


def _geometry(curves: Mapping[str, Any], types: Mapping[str, Any]) -> Iterator[Plot | None]:
    for kind, (word, axis, width) in GEOMETRY.items():
        samples = curves.get(kind) or {}
        most = sorted(samples, key=lambda name: (-len(samples[name].get(REFERENCE, ())), name))[:MOST_TYPES]
        for name in most:
            js = ((types.get(kind) or {}).get(name) or {}).get("js")
            title = f"{name} {word}" + ("" if js is None else f": JS {float(js):.2f}")
            turns = kind == "torsions"
            yield histogram(
                f"{kind}-{_file_name(name)}",
                title,
                axis,
                _folded(samples[name]) if turns else samples[name],
                width=width,
                limits=(0.0, 180.0) if turns else None,
                colours=COLOURS,
                means=not turns,
            )


def _folded(sides: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """Torsions without their sign, which mirror images do not share, as their JS is made of them."""
    return {name: np.abs(np.asarray(values, dtype=np.float64)).tolist() for name, values in sides.items()}


def _file_name(name: str) -> str:
    for sign, word in (("=", "-double-"), ("#", "-triple-"), (":", "-aromatic-"), ("~", "-any-")):
        name = name.replace(sign, word)
    return "".join(letter if letter.isalnum() or letter == "-" else "-" for letter in name)


def _numbers(name: str, title: str, axis: str, sides: Mapping[str, Sequence[float]]) -> Plot | None:
    """Bars of whole numbers where there are few, else a histogram."""
    kinds = {float(value) for values in sides.values() for value in values if np.isfinite(value)}
    if len(kinds) > MOST_WHOLE or any(kind != int(kind) for kind in kinds):
        return histogram(name, title, axis, sides, colours=COLOURS)
    whole = {side: [int(value) for value in values if np.isfinite(value)] for side, values in sides.items()}
    return bars(name, title, axis, whole, sorted(int(kind) for kind in kinds), colours=COLOURS)


def _kinds(name: str, title: str, axis: str, sides: Mapping[str, Any]) -> Plot | None:
    """The most frequent kinds of all sides, each side weighing the same."""
    counted = {side: _named(Counter(values)) for side, values in sides.items()}
    share: dict[Any, float] = {}
    for found in counted.values():
        for kind, number in found.items():
            share[kind] = share.get(kind, 0.0) + number / found.total()
    most = sorted(share, key=lambda kind: (-share[kind], str(kind)))[:MOST_KINDS]
    return bars(name, title, axis, counted, most, colours=COLOURS)


def _named(found: Counter[Any]) -> Counter[Any]:
    return Counter({ORDERS.get(kind, kind): number for kind, number in found.items()})
