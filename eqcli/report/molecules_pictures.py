"""Pictures of evaluated molecules: the first ones, the worst and the best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from eqcli.io.structure import Structure
from eqcli.report.depictions import depiction_grid
from eqcli.report.html import Markup, tag
from eqcli.report.numbers import count, show

FIRST: Final = 60
"""Molecules in the grid of the page."""
EXTREMES: Final = 5
"""Worst and best molecules."""

Row = Mapping[str, Any]


def worst_and_best(rows: Sequence[Row], structures: Sequence[Structure], main: str) -> Iterator[Markup]:
    """The molecules with the most and the fewest faults; among equals, those with the most and the least strain."""
    numbers = range(len(rows))
    best = sorted(numbers, key=lambda i: (*faults(rows[i], main), _strain(rows[i], float("inf")), i))[:EXTREMES]
    last = sorted(numbers, key=lambda i: (*faults(rows[i], main), _strain(rows[i], float("-inf")), -i), reverse=True)
    worst = [i for i in last if i not in best][:EXTREMES]
    yield tag("h2", "Worst and best", id="extremes")
    yield tag(
        "p",
        "Worst is what has wrong valences, then what is in pieces, is not stable or fails a check, and then what has "
        "the most strain for each atom; best is the contrary.",
        cls="quiet",
    )
    for title, chosen in (("Worst", worst), ("Best", best)):
        if chosen:
            yield tag("h3", title)
            yield _grid(chosen, rows, structures, main)


def first_molecules(rows: Sequence[Row], structures: Sequence[Structure], main: str) -> Iterator[Markup]:
    """The first molecules as they come, unsorted."""
    shown = range(min(FIRST, len(structures)))
    yield tag("h2", "Molecules", id="molecules")
    yield tag(
        "p",
        f"The first {count(len(shown), 'molecule')} of {len(structures):,}, unsorted; all with every verdict are in ",
        tag("code", "molecules.csv"),
        ". Hydrogens of carbon are not drawn; faulty atoms are ringed.",
        cls="quiet",
    )
    yield _grid(shown, rows, structures, main)


def faults(row: Row, main: str) -> tuple[float, ...]:
    """How much is wrong with a molecule, the gravest first; zeros for one without fault."""

    def of(key: str) -> Any:
        return row.get(f"{main}_{key}")

    return (
        float(not of("valid")),
        float(of("valence_errors") or 0),
        float((of("fragments") or 1) - 1),
        float((row.get("atoms") or 0) - (of("stable_atoms") or 0)),
        float(of("radicals") or 0),
        float(row.get("posebusters") is False),
    )


def _strain(row: Row, unknown: float) -> float:
    """eV per atom; what was not measured is neither the best nor the worst of its like."""
    for key in ("strain_xtb_per_atom", "strain_mmff_per_atom"):
        if row.get(key) is not None:
            return float(row[key])
    return unknown


def _grid(chosen: Sequence[int], rows: Sequence[Row], structures: Sequence[Structure], main: str) -> Markup:
    return depiction_grid([shown_by(structures[i], main) for i in chosen], [_caption(i, rows[i], main) for i in chosen])


def shown_by(structure: Structure, main: str) -> Structure:
    """The structure with the bonds by which it was judged: without its own where those are the rule's."""
    if main == "own":
        return structure
    return replace(structure, info={key: value for key, value in structure.info.items() if key != "bonds"})


def _caption(number: int, row: Row, main: str) -> str:
    sample = row.get("sample")
    words = [f"{number if sample is None else sample}: {row.get(f'{main}_smiles') or row.get('formula') or '–'}"]
    for key, method in (("strain_xtb", "GFN2"), ("strain_mmff", "MMFF")):
        if row.get(key) is not None:
            words.append(f"strain {show(float(row[key]))} eV ({method})")
            break
    failed = row.get("posebusters_failed")
    return ", ".join([*words, *([f"fails {failed}"] if failed else [])])
