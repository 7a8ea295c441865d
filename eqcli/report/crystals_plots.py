"""Plots of generated crystals beside a reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from eqcli.report.distribution_plots import bars, histogram
from eqcli.report.svg import Plot

SYSTEMS: Final = ("triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic")
MOST_GROUPS: Final = 10

NUMBERS: Final = {
    "density": ("Density", "density (g/cm³)"),
    "volume_per_atom": ("Volume per atom", "volume per atom (Å³)"),
}
COUNTS: Final = {"n_elements": ("Elements", "number of elements"), "n_atoms": ("Atoms", "atoms per cell")}


def crystal_plots(curves: Mapping[str, Any]) -> list[Plot]:
    """A plot for each distribution that has values; sides are named by the keys."""
    plots = [histogram("rmse", "RMSE of matches", "RMSE / (V/N)^(1/3)", curves["rmse"])] if "rmse" in curves else []
    plots += [histogram(name, *words, curves[name]) for name, words in NUMBERS.items() if name in curves]
    for name, words in COUNTS.items():
        if name in curves:
            kinds = sorted({int(v) for side in curves[name].values() for v in side})
            if len(kinds) > 24:
                plots.append(histogram(name, *words, curves[name]))
            else:
                plots.append(bars(name, *words, curves[name], kinds))
    if "crystal_system" in curves:
        present = {v for side in curves["crystal_system"].values() for v in side}
        systems: list[str | None] = [name for name in SYSTEMS if name in present]
        systems += [None] if None in present else []
        plots.append(bars("crystal_system", "Crystal systems", "", curves["crystal_system"], systems))
    if "space_group" in curves:
        plots.append(
            bars("space_group", "Space groups", "number", curves["space_group"], _groups(curves["space_group"]))
        )
    return [plot for plot in plots if plot is not None]


def _groups(sides: Mapping[str, Sequence[int | None]]) -> list[int | None]:
    """The most frequent space groups of all sides, each side weighing the same."""
    share: dict[int | None, float] = {}
    for side in sides.values():
        for value in side:
            share[value] = share.get(value, 0.0) + 1 / len(side)
    most = sorted(share, key=lambda group: (-share[group], group or 0))[:MOST_GROUPS]
    return sorted(most, key=lambda group: group or 0)
