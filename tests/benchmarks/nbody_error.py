"""The error of an n-body model on more simulated systems than its test part has, with its standard error.

python tests/benchmarks/nbody_error.py runs/nbody/model.safetensors --systems 20000
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from eqcli.data.prepare_particles import simulate_part
from eqcli.engine.model_file import load_model
from eqcli.tasks.evaluate_dynamics import predict_positions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--systems", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=777)
    given = parser.parse_args()
    torch.set_num_threads(1)
    loaded = load_model(given.model)
    section = {**loaded.header["training"]["settings"]["data"], "test": given.systems, "seed": given.seed}
    systems = simulate_part(section, "test", given.seed)
    errors = ((predict_positions(loaded.model, systems) - systems.target) ** 2).mean((1, 2))
    worst = np.sort(errors)[-max(1, len(errors) // 100) :].sum() / errors.sum()
    print(f"mean square error {errors.mean():.5f} +- {errors.std() / len(errors) ** 0.5:.5f} on {len(errors)} systems")
    print(f"median of the systems {np.median(errors):.5f}; the worst hundredth has {100 * worst:.0f} % of the error")


if __name__ == "__main__":
    main()
