"""Pieces of an HTML page. Text is escaped here, once; what is markup already says so by its type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from eqcli.report.style import CSS
from eqcli.report.svg import Plot


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(value: object) -> Markup:
    """Anything as HTML: markup as it is, the rest escaped."""
    return value if isinstance(value, Markup) else Markup(escape(str(value)))


def join(parts: Iterable[object], separator: str = "\n") -> Markup:
    return Markup(separator.join(text(part) for part in parts))


def tag(name: str, *content: object, cls: str = "", **attributes: str) -> Markup:
    """One element with its content; attribute names take `_` for `-`."""
    given = {"class": cls} if cls else {}
    given |= {key.replace("_", "-"): value for key, value in attributes.items()}
    written = "".join(f' {key}="{escape(value, quote=True)}"' for key, value in given.items())
    return Markup(f"<{name}{written}>{join(content, '')}</{name}>")


def with_code(value: str) -> Markup:
    """Text in which what stands between backticks is code."""
    parts = value.split("`")
    return join((tag("code", part) if k % 2 else part for k, part in enumerate(parts)), "")


def table(header: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Sequence[int] = ()) -> Markup:
    """A table that scrolls sideways when it must; `numbers` are the columns set flush right."""

    def cell(kind: str, column: int, value: object, **attributes: str) -> Markup:
        return tag(kind, value, cls="n" if column in numbers else "", **attributes)

    head = tag("tr", *(cell("th", k, name, scope="col") for k, name in enumerate(header)))
    body = [
        tag("tr", *(cell("th", k, v, scope="row") if k == 0 else cell("td", k, v) for k, v in enumerate(row)))
        for row in rows
    ]
    return tag("div", tag("table", tag("thead", head), tag("tbody", *body)), cls="scroll")


def facts(rows: Iterable[tuple[str, object]]) -> Markup:
    """Names and values, one pair per line; mappings and lists as words, not as code."""
    return tag("dl", *(join([tag("dt", name), tag("dd", _value(value))], "") for name, value in rows))


def _value(value: object) -> Markup:
    if isinstance(value, Mapping):
        return join((f"{key} {_plain(v)}" for key, v in value.items()), ", ")
    if isinstance(value, list | tuple):
        return join(value, " ")
    return value if isinstance(value, Markup) else text(_plain(value))


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return "(" + ", ".join(f"{key} {_plain(v)}" for key, v in value.items()) + ")"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_plain(v) for v in value) + "]"
    return f"{value:.10g}" if isinstance(value, float) else "–" if value is None else str(value)


def card(label: str, figure: object, unit: str = "", sub: str = "", kind: str = "") -> Markup:
    """One large figure; `kind` is `good` or `bad` where it is a verdict."""
    number = tag("div", figure, *([" ", tag("small", unit)] if unit else []), cls="figure")
    return tag("div", tag("div", label, cls="label"), number, tag("div", sub, cls="sub"), cls=f"card {kind}".strip())


def plot_grid(plots: Iterable[Plot], wide: bool = False) -> Markup:
    """Plots side by side, as many as the page has room for."""
    shown = [
        tag(
            "figure",
            tag("h4", plot.title),
            Markup(plot.inline()),
            tag("figcaption", plot.caption),
            cls="full" if plot.full else "",
        )
        for plot in plots
    ]
    return tag("div", *shown, cls="plots wide" if wide else "plots")


def page(title: str, body: Iterable[object]) -> str:
    """A whole document that needs nothing but itself."""
    return (
        "<!doctype html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>\n"
        f"{join(body)}\n</main>\n</body>\n</html>\n"
    )
