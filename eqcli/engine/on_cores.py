"""A batch evaluated on every core: its structures are divided, where one operation after the other would wait."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING

import torch

from eqcli.engine.device import threads_for
from eqcli.graph.parts import parts_of
from eqcli.models.potentials.derive import evaluate
from eqcli.models.prediction import Prediction

if TYPE_CHECKING:
    from eqcli.graph.atom_graph import AtomGraph
    from eqcli.models.potentials.base import Potential

WORK_PER_PART = 250_000
"""Neighbour pairs times channels below which operations are so short that threads wait for each other in between."""


def evaluate_on_cores(potential: Potential, graph: AtomGraph, *, stress: bool) -> Prediction:
    """What `derive.evaluate` gives, with forces, of a graph on the device of the potential.

    On a CPU consecutive structures are given to as many threads as torch may use, each of which works alone, where
    there is enough to do for each; else the operations themselves are divided. How they are divided is a function of
    the graph, of the model and of the number of threads.
    """
    count = _useful(potential, graph)
    parts = parts_of(graph, count) if count > 1 else [graph]
    if len(parts) == 1:
        with threads_for(graph.edge_index.shape[1]):
            return evaluate(potential, graph, stress=stress)
    with threads_for(0), ThreadPoolExecutor(len(parts) - 1, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        # The backend that was chosen for this thread holds for the others.
        others = [pool.submit(copy_context().run, evaluate, potential, part, stress=stress) for part in parts[1:]]
        found = [evaluate(potential, parts[0], stress=stress), *(other.result() for other in others)]
    return Prediction({name: torch.cat([one[name] for one in found]) for name in found[0]}, potential.quantities)


def _useful(potential: Potential, graph: AtomGraph) -> int:
    """Into how many parts a batch is worth dividing."""
    # Compiled programs and calculators of other packages are called from one thread.
    if graph.positions.is_cuda or potential.one_by_one or "compute" in vars(potential):
        return 1
    work = graph.edge_index.shape[1] * _channels(potential)
    return max(1, min(torch.get_num_threads(), graph.n_structures, work // WORK_PER_PART))


def _channels(potential: Potential) -> int:
    """The width of the features, as far as the configuration tells."""
    config = getattr(potential.config, "members", [potential.config])[0]
    return int(getattr(config, "channels", None) or getattr(config, "hidden_channels", None) or 16)
