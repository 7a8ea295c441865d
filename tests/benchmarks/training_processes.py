"""Steps per second of a training by processes and threads: `python -m tests.benchmarks.training_processes`.

Prints a table; every figure is the best of several short runs, taken in turn, since other work disturbs them.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
CASES = ((1, 1), (1, 2), (2, 1))
"""Processes and threads of each."""


def steps_per_second(batch: int, processes: int, threads: int, epochs: int, folder: Path) -> float:
    """Of a training of the ethanol recipe, from the first report of progress to the last one before a validation."""
    import torch

    from eqcli.progress import Silent
    from eqcli.recipe.load import load_train_recipe
    from eqcli.tasks.train import train

    class Watch(Silent):
        def __init__(self) -> None:
            self.seen: list[tuple[float, int]] = []

        def start(self, label: str, total: int | None, unit: str = "it") -> None:
            self.seen.clear()  # the frames that were read before

        def advance(self, n: int = 1, **figures: float) -> None:
            self.seen.append((time.perf_counter(), n))

    changes = [f"training.batch={{structures: {batch}}}", f"training.max_epochs={epochs}", "~data.test"]
    recipe = load_train_recipe(ROOT / "recipes" / "potentials" / "mace-ethanol.yaml", changes)
    watch = Watch()
    torch.set_num_threads(threads)
    os.environ["OMP_NUM_THREADS"] = str(threads)
    train(recipe, folder, device="cpu", devices=processes, overwrite=True, report=watch)
    (first, _), *rest = watch.seen
    return sum(n for _, n in rest) / (rest[-1][0] - first)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, nargs="+", default=[5, 40], help="structures in a step")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=1)
    options = parser.parse_args()
    print("batch  processes x threads  steps/s")
    with tempfile.TemporaryDirectory() as name:
        for batch in options.batch:
            best = dict.fromkeys(CASES, 0.0)
            for _ in range(options.repeat):
                for processes, threads in CASES:
                    epochs = options.epochs * max(1, batch // 10)
                    found = steps_per_second(batch, processes, threads, epochs, Path(name) / "run")
                    best[processes, threads] = max(best[processes, threads], found)
            for (processes, threads), value in best.items():
                print(f"{batch:5d}  {processes} x {threads}  {value:8.2f}", flush=True)


if __name__ == "__main__":
    main()
