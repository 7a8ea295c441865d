"""Plots of what audits measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eqcli.audit.symmetry import KINDS
from eqcli.audit.tolerances import TOLERANCES
from eqcli.report.numbers import show
from eqcli.report.orbit_plots import EXACT, all_orbits, full_turn, single_orbit
from eqcli.report.svg import INK, MUTED, SERIES, Plot, document_of, figure, logarithmic

if TYPE_CHECKING:
    from eqcli.audit.result import AuditReport

WIDTH, HEIGHT = 5.6, 3.5


def audit_plots(audit: AuditReport) -> list[Plot]:
    """A plot for each check that has something to draw."""
    return list(_plots(audit))


def _plots(audit: AuditReport) -> Iterator[Plot]:
    run = audit.check("run_symmetry")
    if run and run.curves and _finite(run.distribution):
        yield symmetry_strip(audit)
        yield full_turn(run.curves["circle"])
        yield single_orbit(run.curves["orbit"], run.precision)
        yield all_orbits(run.curves["orbits"], run.precision)
    gradients = audit.check("forces_fd")
    if gradients and gradients.curves and _finite(gradients.curves["ladder"]["five_point"]):
        yield ladder(gradients.curves["ladder"], gradients.tolerance.limit)
    conserved = audit.check("time_step")
    if conserved and conserved.curves and _finite(conserved.curves["nve"]["runs"][0]["total"]):
        yield energy_run(conserved.curves["nve"], conserved.figures.get("ratio"))
    smooth = audit.check("cutoff_energy")
    if smooth and smooth.curves and _finite(smooth.curves["scan"]["energy"]):
        yield cutoff_scan(smooth.curves["scan"])
    pairs = audit.check("dimer_repulsion")
    if pairs and pairs.curves:
        yield dimers(pairs.curves["dimers"])


def _finite(values: Sequence[float]) -> bool:
    """Whether there is anything to draw: a model that gives no numbers has no curves."""
    return bool(np.isfinite(values).any())


def symmetry_strip(audit: AuditReport) -> Plot:
    """Every operation a dot, by kind and precision."""
    run = audit.check("run_symmetry")
    assert run is not None
    kinds = [kind for kind in KINDS if kind in run.curves["kinds"]]
    checks = {kind: check for kind in kinds if (check := audit.check(kind))}
    exact = next((check.precision for check in checks.values()), run.precision)
    rows = {exact: {kind: check.distribution for kind, check in checks.items()}}
    if run.precision != exact:
        rows[run.precision] = run.curves["kinds"]
    with figure(WIDTH, HEIGHT) as drawn:
        axes = drawn.add_subplot()
        for index, (precision, errors) in enumerate(rows.items()):
            for level, kind in enumerate(kinds):
                values = np.maximum(errors.get(kind, []), EXACT)
                spread = (np.arange(len(values)) % 5 - 2) * 0.035
                height = level + (0.14 if index else -0.14) * (len(rows) > 1) + spread
                label = precision if level == 0 else None
                axes.scatter(values, height, s=13, color=SERIES[index], alpha=0.6, linewidths=0, label=label)
        limit = max((check.tolerance.limit for check in checks.values()), default=TOLERANCES["rotation"].limit)
        axes.axvline(limit, color=INK, linewidth=1.1, linestyle="--", label=f"limit for {exact}")
        logarithmic(axes, "x")
        axes.set_xlim(EXACT / 2, max(1e-3, _largest(rows) * 3))
        axes.set_yticks(range(len(kinds)), [TOLERANCES[kind].title for kind in kinds])
        axes.set_ylim(len(kinds) - 0.5, -0.5)
        axes.set_xlabel("relative error")
        drawn.legend(loc="outside upper center", ncols=3)
        document = document_of(drawn)
    worst = {precision: _largest({precision: errors}) for precision, errors in rows.items()}
    words = ", ".join(f"{show(value, 2)} in {precision}" for precision, value in worst.items())
    caption = f"Each dot is one operation on one structure; the worst is {words}. Dots at the left edge are exact."
    return Plot("symmetry", "Symmetry errors of every operation", caption, caption, document)


def _largest(rows: Mapping[str, Mapping[str, Sequence[float]]]) -> float:
    values = [v for errors in rows.values() for group in errors.values() for v in group]
    return float(np.nanmax([*values, EXACT]))


def ladder(curve: Mapping[str, Any], limit: float) -> Plot:
    """Error of finite differences against their step."""
    with figure(WIDTH, HEIGHT) as drawn:
        axes = drawn.add_subplot()
        axes.plot(curve["step"], np.maximum(curve["two_point"], EXACT), "o-", color=SERIES[0], label="two points")
        axes.plot(curve["step"], np.maximum(curve["five_point"], EXACT), "s-", color=SERIES[1], label="four points")
        axes.axhline(limit, color=INK, linewidth=1.1, linestyle="--", label="limit")
        logarithmic(axes, "x")
        logarithmic(axes, "y")
        axes.set_xlabel("step (Å)")
        axes.set_ylabel("relative deviation")
        drawn.legend(loc="outside upper center", ncols=3)
        document = document_of(drawn)
    best = min(curve["five_point"])
    caption = (
        f"Forces against differences of the energy, {curve['structure']}: down to {show(best, 2)}. Straight slopes of "
        "2 and 4 show smooth energies and forces that are their gradient; a floor at large values would be a defect."
    )
    return Plot("finite-differences", "Forces against the energy", caption, caption, document)


def energy_run(curve: Mapping[str, Any], ratio: float | None) -> Plot:
    """Total energy of the run with two time steps."""
    with figure(WIDTH, HEIGHT) as drawn:
        axes = drawn.add_subplot()
        for index, run in enumerate(curve["runs"]):
            axes.plot(run["time"], run["total"], color=SERIES[index], label=f"step {run['step']:g} fs", linewidth=1.3)
        axes.axhline(0, color=MUTED, linewidth=0.8)
        axes.set_xlabel("time (fs)")
        axes.set_ylabel("total energy − start (meV/atom)")
        drawn.legend(loc="outside upper center", ncols=2)
        document = document_of(drawn)
    swing = float(np.ptp(curve["runs"][0]["potential"]))
    words = f" Halving the step divides the fluctuation by {ratio:.2f} (4 expected)." if ratio else ""
    caption = (
        f"{curve['structure']} at constant energy from 300 K.{words} The potential energy meanwhile moves over "
        f"{show(swing)} meV/atom."
    )
    return Plot("energy-conservation", "Energy in a short run", caption, caption, document)


def cutoff_scan(curve: Mapping[str, Any]) -> Plot:
    """Energy and force while one atom is dragged across the cutoff."""
    with figure(WIDTH, HEIGHT) as drawn:
        upper, lower = drawn.subplots(2, 1, sharex=True)
        for axes, key, unit, colour in ((upper, "energy", "eV", SERIES[0]), (lower, "force", "eV/Å", SERIES[1])):
            for crossing in curve["crossings"]:
                axes.axvline(crossing, color=MUTED, linewidth=0.7, linestyle=":")
            values = np.array(curve[key])
            axes.plot(curve["distance"], values, color=colour)
            axes.set_ylabel(f"{key} ({unit})")
        lower.set_xlabel("displacement (Å)")
        document = document_of(drawn)
    caption = (
        f"{curve['path']} dragged away; at the dotted lines another atom passes the cutoff. Both curves must run on."
    )
    return Plot("cutoff", "Through the cutoff", caption, caption, document)


def dimers(curves: Sequence[Mapping[str, Any]]) -> Plot:
    """Energy of two atoms against their distance, one panel for each pair of elements."""
    columns = min(4, max(3, len(curves)))
    rows = -(-len(curves) // columns)
    with figure(2.75 * columns, 1.9 * rows + 0.35) as drawn:
        panels = np.atleast_1d(drawn.subplots(rows, columns, squeeze=False)).ravel()
        for axes in panels[len(curves) :]:
            axes.set_visible(False)
        for axes, curve in zip(panels, curves, strict=False):
            energy = np.array(curve["energy"])
            well = max(0.5, -float(np.min(energy, where=np.isfinite(energy), initial=0.0)))
            bad = not curve["repulsive"] or curve["flips"] > 1
            axes.axhline(0, color=MUTED, linewidth=0.8)
            axes.plot(curve["distance"], energy, color=SERIES[1] if bad else SERIES[0])
            axes.set_ylim(-1.25 * well, 2.5 * well)
            axes.set_title(curve["pair"] + (" (see findings)" if bad else ""), loc="left")
        drawn.supxlabel("distance (Å)", fontsize=10)
        drawn.supylabel("energy − free atoms (eV)", fontsize=10)
        document = document_of(drawn)
    odd = [curve["pair"] for curve in curves if not curve["repulsive"] or curve["flips"] > 1]
    words = (
        f"{', '.join(odd)} {'has' if len(odd) == 1 else 'have'} no clean single well (orange)."
        if odd
        else ("Every pair repels at short range and has one well.")
    )
    caption = f"Two atoms alone, from half a bond length to the cutoff. {words}"
    return Plot("dimers", "Pairs of elements", caption, caption, document, full=True)
