"""The page of the comparison of tensor products."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from eqcli.report.html import Markup, card, facts, page, plot_grid, table, tag
from eqcli.report.numbers import count, show
from eqcli.report.svg import Plot
from eqcli.report.tensor_product_plots import largest


def tensor_product_page(content: Mapping[str, Any], plots: Sequence[Plot], provenance: Mapping[str, Any]) -> str:
    """The HTML document of what `TensorProductResult.as_dict` gives."""
    return page("Tensor products", _body(content, plots, provenance))


def _body(content: Mapping[str, Any], plots: Sequence[Plot], provenance: Mapping[str, Any]) -> Iterator[Markup]:
    settings, measurements = content["settings"], content["measurements"]
    where = f"{settings['precision']} on {settings['device']}, {count(settings['threads'], 'thread')}"
    yield tag(
        "header",
        tag("p", "Tensor products of spherical tensors", cls="eyebrow"),
        tag("h1", "What each product costs and what it couples"),
        tag("p", f"{count(len(measurements), 'measurement')}, {where}, {content['seconds']:.0f} s", cls="quiet"),
        cls="top",
    )
    yield tag("div", *_cards(content), cls="cards")
    yield tag(
        "p",
        "Factors and results have all degrees up to L. Times are medians of calls that take turns with e3nn's; weights "
        "are shared by all rows. Gradient: the product and the gradient by factors and weights. Double gradient: that, "
        "and the gradient of the squared gradient by the factors, as in training on forces. Memory: most bytes of "
        "tensors alive at once during the call. GFLOP/s: two operations for each multiply-add of the product.",
        cls="quiet",
    )
    yield plot_grid(plots, wide=True)
    yield from _tables(content)
    if content["failures"]:
        yield tag("h2", "Failures")
        yield table(["Item", "Reason"], [[f["item"], f["reason"]] for f in content["failures"]])
    yield tag("h2", "Provenance")
    yield facts((key.replace("_", " "), value) for key, value in (*settings.items(), *provenance.items()))


def _cards(content: Mapping[str, Any]) -> Iterator[Markup]:
    for m in _fastest(content["measurements"]):
        yield card(
            f"{m['product']}, {m['step']}", show(m["ratio"]), "times faster than e3nn", f"L = {m['lmax']}, {m['peer']}"
        )
    for e in content["exponents"]:
        if e["step"] == "forward" and e["product"] in ("so2", "uuu") and e["channels"] == max(_channels(content)):
            sub = f"multiply-adds {show(e['multiply_adds'], 2)}, L = {e['degrees'][0]} to {e['degrees'][-1]}"
            yield card(f"Growth of {e['product']}", f"(L+1)^{e['time']:.1f}", "", sub)
    failed = len(content["failures"])
    yield card(
        "Left out", f"{failed}", "", "see the table of failures" if failed else "nothing", "bad" if failed else ""
    )


def _channels(content: Mapping[str, Any]) -> list[int]:
    return content["settings"]["channels"]


def _fastest(measurements: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The largest ratio among products that e3nn has too, forward and with double gradient."""
    found = []
    for step in ("forward", "double gradient"):
        same = [m for m in measurements if m["same_function"] and m["ratio"] and m["step"] == step]
        if same:
            found.append(max(same, key=lambda m: m["ratio"]))
    return found


def _tables(content: Mapping[str, Any]) -> Iterator[Markup]:
    measurements = content["measurements"]
    if content["expressions"]:
        yield tag("h2", "Couplings")
        yield tag(
            "p",
            "At one channel. Expressivity: the dimension of the set of bilinear maps that the weights reach. "
            "Interactions: triples of degrees (first, second, result) that are coupled.",
            cls="quiet",
        )
        rows = [[e["product"], e["lmax"], e["expressivity"], e["interactability"]] for e in content["expressions"]]
        yield table(["Product", "L", "Expressivity", "Interactions"], rows, numbers=(1, 2, 3))
    if measurements:
        top = largest(measurements)
        yield tag("h2", "Measurements")
        size = f"{count(top[0]['channels'], 'channel')} and {count(top[0]['rows'], 'row')}"
        yield tag("p", f"With {size}; the other sizes are in report.json and table.csv.", cls="quiet")
        header = ["Product", "L", "Pass", "Time (ms)", "GFLOP/s", "Memory (MB)", "e3nn (ms)", "Ratio", "Memory ratio"]
        yield table([*header, "Peer"], [_row(m) for m in top], numbers=(1, *range(3, 9)))
    if content["exponents"]:
        yield tag("h2", "Growth with L + 1")
        rows = [
            [e["product"], e["step"], e["channels"], e["rows"], show(e["time"], 2), show(e["multiply_adds"], 2)]
            for e in content["exponents"]
        ]
        header = ["Product", "Pass", "Channels", "Rows", "Power of time", "Power of multiply-adds"]
        yield table(header, rows, numbers=range(2, 6))


def _row(m: Mapping[str, Any]) -> list[object]:
    theirs = show(1e3 * m["peer_seconds"]) if m["peer_seconds"] else "–"
    peer = (m["peer"] or "–") + ("" if m["same_function"] or not m["peer"] else " (nearest)")
    return [
        m["product"],
        m["lmax"],
        m["step"],
        show(1e3 * m["seconds"]),
        show(m["gflops"]),
        show(m["peak_bytes"] / 1e6),
        theirs,
        show(m["ratio"]),
        show(m["memory_ratio"]),
        peer,
    ]
