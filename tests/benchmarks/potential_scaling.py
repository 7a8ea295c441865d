"""Cost of energy and forces against the number of atoms, for every potential: is it linear?

    python tests/benchmarks/potential_scaling.py --output docs/benchmarks/potential-scaling

writes OUTPUT.json and OUTPUT.svg. Silicon with random displacements, float32, weights as initialised; the sizes
of the models are those of the shipped recipes for small machines. Models take turns at each size.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eqcli.engine.provenance import provenance
from eqcli.graph.atom_graph import AtomGraph, build_graph
from eqcli.metrics.cost import median_seconds, seconds_once
from eqcli.models.potentials.base import Potential, Statistics
from eqcli.models.potentials.build import make_potential
from eqcli.models.potentials.derive import evaluate
from eqcli.recipe.load import load_train_recipe
from eqcli.report.svg import INK, SERIES, document_of, figure, logarithmic

RECIPES = Path(__file__).parents[2] / "recipes" / "potentials"
NAMES = ("mace", "tensornet", "egnn", "faenet", "escn", "equiformer-v2")
OVERRIDES = {"faenet": ["model.frames={mode: stochastic, inference: one}"]}
"""A cube of silicon has equal moments, for which all frames are 512: what is measured is the network with one."""

CELLS = (2, 3, 4, 5, 6, 8, 10)
"""Cubic cells of eight atoms along each side: 64 to 8,000 atoms."""

EDGE = 5.43
"""Å, the lattice constant of silicon."""

MARKERS = ("o", "s", "^", "D", "v", "P")


def silicon(n: int, cutoff: float) -> AtomGraph:
    """n^3 cells with displacements of 0.05 Å."""
    basis = np.array([[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0], [1, 1, 1], [1, 3, 3], [3, 1, 3], [3, 3, 1]]) / 4
    corners = np.stack(np.meshgrid(*[range(n)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    positions = ((corners + basis) * EDGE).reshape(-1, 3)
    positions += np.random.default_rng(0).normal(scale=0.05, size=positions.shape)
    return build_graph(np.full(len(positions), 14), positions, np.eye(3) * n * EDGE, np.ones(3, bool), cutoff)


def potentials() -> dict[str, Potential]:
    """One of each kind, with the hyper-parameters of its recipe for ethanol."""
    made = {}
    for name in NAMES:
        config = load_train_recipe(RECIPES / f"{name}-ethanol.yaml", OVERRIDES.get(name, ())).model
        torch.manual_seed(0)
        potential = make_potential(config, [14])
        potential.initialise(Statistics(avg_num_neighbors=28.0, shift=0.0, scale=1.0))
        made[name] = potential.to(torch.float32).eval().requires_grad_(False)
    return made


def measure(models: dict[str, Potential], cells: tuple[int, ...], budget: float) -> list[dict[str, Any]]:
    """Median seconds of energy and forces by model and size."""
    rows = []
    for n in cells:
        graphs = {name: silicon(n, model.cutoff) for name, model in models.items()}
        actions = [lambda m=models[name], g=graphs[name]: evaluate(m, g) for name in models]
        for action in actions:
            seconds_once(action, torch.device("cpu"))
        times = median_seconds(actions, torch.device("cpu"), budget_s=budget, least=2, most=7)
        for name, seconds in zip(models, times, strict=True):
            atoms, edges = graphs[name].num_nodes, graphs[name].edge_index.shape[1]
            rows.append({"model": name, "atoms": atoms, "edges": edges, "seconds": seconds})
            print(f"{name:15} {atoms:6d} atoms {1e6 * seconds / atoms:9.1f} us/atom", flush=True)
    return rows


def exponent(rows: list[dict[str, Any]], name: str) -> float:
    """The power p of seconds ~ atoms^p over all sizes."""
    own = [row for row in rows if row["model"] == name]
    return float(np.polyfit(np.log([r["atoms"] for r in own]), np.log([r["seconds"] for r in own]), 1)[0])


def draw(rows: list[dict[str, Any]], exponents: dict[str, float]) -> str:
    """Microseconds per atom against atoms, an SVG document."""
    from eqcli.report.svg import Plot

    with figure(7.2, 4.6) as drawn:
        axes = drawn.add_subplot()
        for index, name in enumerate(exponents):
            own = [row for row in rows if row["model"] == name]
            axes.plot(
                [r["atoms"] for r in own],
                [1e6 * r["seconds"] / r["atoms"] for r in own],
                marker=MARKERS[index % len(MARKERS)],
                color=SERIES[index % len(SERIES)],
                linestyle="-" if index < len(SERIES) else "--",
                label=f"{name}, power {exponents[name]:.2f}",
            )
        logarithmic(axes, "x")
        logarithmic(axes, "y")
        axes.set_xlabel("atoms", color=INK)
        axes.set_ylabel("energy and forces (µs per atom)")
        drawn.legend(loc="outside right upper")
        document = document_of(drawn)
    return Plot("scaling", "Cost against size", "", "Cost per atom against the number of atoms.", document).standalone()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cells", type=int, nargs="+", default=CELLS)
    parser.add_argument("--budget", type=float, default=60.0, help="seconds for each size")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    models = potentials()
    rows = measure(models, tuple(arguments.cells), arguments.budget)
    exponents = {name: exponent(rows, name) for name in models}
    content = {"rows": rows, "exponents": exponents, "threads": arguments.threads, "provenance": provenance()}
    arguments.output.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    arguments.output.with_suffix(".svg").write_text(draw(rows, exponents), encoding="utf-8")
    for name, power in exponents.items():
        print(f"{name}: atoms^{power:.3f}")


if __name__ == "__main__":
    main()
