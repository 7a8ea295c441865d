"""Colours and layout of reports: one palette for the page and its plots, light and dark, on paper and phones."""

from __future__ import annotations

from typing import Final

LIGHT: Final[dict[str, str]] = {
    "ink": "#1c2126",
    "muted": "#5b6570",
    "line": "#d9dfe5",
    "paper": "#f6f7f8",
    "card": "#ffffff",
    "c0": "#2468a8",
    "c1": "#c9601d",
    "c2": "#2b8a5f",
    "c3": "#8a4fa3",
    "good": "#17744a",
    "bad": "#b3261e",
    "note": "#8f6106",
}

DARK: Final[dict[str, str]] = {
    "ink": "#e6e9ec",
    "muted": "#9ba6b1",
    "line": "#343b43",
    "paper": "#121518",
    "card": "#1a1e23",
    "c0": "#74b0ea",
    "c1": "#f0a061",
    "c2": "#66c79a",
    "c3": "#c596dc",
    "good": "#5fcb96",
    "bad": "#ff8a80",
    "note": "#e6b450",
}

# Plots are drawn in these stand-ins, which the page replaces by its variables and a file by the light palette.
STAND_INS: Final[dict[str, str]] = {name: f"#0102{index:02x}" for index, name in enumerate(LIGHT, start=16)}

DENSITY: Final = ("#2f7fb8", "#7a63c2", "#d0577e", "#f0913a")
"""Few to many points; legible on white and on black."""


def _variables(palette: dict[str, str]) -> str:
    return " ".join(f"--{name}: {colour};" for name, colour in palette.items())


CSS: Final = (
    f"""
:root {{ color-scheme: light dark; {_variables(LIGHT)} }}
@media (prefers-color-scheme: dark) {{ :root {{ {_variables(DARK)} }} }}
"""
    + """
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif; }
main { max-width: 68rem; margin: 0 auto; padding: 1.5rem 1.25rem 4rem; }
header.top { padding: .5rem 0 0; }
.eyebrow { color: var(--muted); font-size: .85rem; letter-spacing: .04em; text-transform: uppercase; margin: 0; }
h1 { font-size: clamp(1.5rem, 4vw, 2.1rem); line-height: 1.2; margin: .15rem 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.35rem; margin: 2.6rem 0 .4rem; padding-top: .6rem; border-top: 2px solid var(--ink); }
h3 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; }
p { margin: .4rem 0; max-width: 46rem; }
.quiet, figcaption, .sub { color: var(--muted); }
nav { margin: .8rem 0 0; display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; font-size: .95rem; }
a { color: var(--c0); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(11.5rem, 1fr)); gap: .8rem; margin: 1.2rem 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .8rem 1rem; }
.card .label { color: var(--muted); font-size: .88rem; }
.card .figure { font-size: 1.65rem; font-weight: 650; line-height: 1.25; font-variant-numeric: tabular-nums; }
.card .figure small { font-size: .95rem; font-weight: 400; color: var(--muted); }
.card .sub { font-size: .85rem; }
.card.good { border-left: .3rem solid var(--good); } .card.bad { border-left: .3rem solid var(--bad); }
.callout { border: 1px solid var(--note); border-left-width: .35rem; border-radius: .5rem; background: var(--card);
  padding: .6rem .9rem; margin: .9rem 0; max-width: none; }
.callout.bad { border-color: var(--bad); }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  margin: .6rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: .42rem .75rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
tbody tr:last-child > * { border-bottom: 0; }
thead th { color: var(--muted); font-weight: 600; white-space: nowrap; }
tbody th { font-weight: 600; }
td.n, th.n { text-align: right; white-space: nowrap; }
table.tight :is(th, td) { padding-inline: .36rem; } table.tight .sub { font-size: .85em; }
.meter-box { min-width: 6rem; }
.meter { display: block; height: .7rem; margin-top: .4rem; border-radius: .2rem; background: var(--c0);
  print-color-adjust: exact; -webkit-print-color-adjust: exact; }
.mark { white-space: nowrap; font-weight: 650; }
.pass { color: var(--good); } .fail { color: var(--bad); } .finding { color: var(--note); }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr)); gap: .9rem;
  margin: .8rem 0; }
.plots.wide { grid-template-columns: repeat(auto-fill, minmax(min(100%, 27rem), 1fr)); }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: .7rem .8rem .8rem; }
figure.full { grid-column: 1 / -1; }
figure h4 { margin: 0 0 .3rem; font-size: 1rem; }
figure svg { width: 100%; height: auto; display: block; }
figcaption { font-size: .87rem; line-height: 1.45; margin-top: .35rem; }
.molecules { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 11rem), 1fr)); gap: .7rem;
  margin: .8rem 0; }
.molecules figure { padding: .5rem .6rem .6rem; }
.molecules figure.broken { border-color: var(--bad); }
.molecules figcaption { overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: minmax(8rem, max-content) 1fr; gap: .25rem 1.2rem; margin: .6rem 0; }
dt { color: var(--muted); } dd { margin: 0; overflow-wrap: anywhere; }
code { font: .9em ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
details { margin: .6rem 0; } summary { cursor: pointer; color: var(--c0); }
footer { margin-top: 3rem; color: var(--muted); font-size: .87rem; }
@media (max-width: 34rem) {
  main { padding: 1rem .8rem 3rem; }
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; }
}
"""
    + f"""
@media print {{
  :root {{ color-scheme: light; {_variables(LIGHT)} --paper: #ffffff; }}
  body {{ font-size: 10.5pt; }} main {{ max-width: none; padding: 0; }} nav {{ display: none; }}
  .scroll {{ overflow: visible; }}
  figure, .card, tr, .callout {{ break-inside: avoid; }} h2, h3 {{ break-after: avoid; }}
  .plots {{ grid-template-columns: repeat(3, 1fr); }} .plots.wide {{ grid-template-columns: repeat(2, 1fr); }}
}}
"""
)
