"""Dynamics in a batch: drift of the energy at constant energy, and temperatures of both thermostats.

    python tests/benchmarks/dynamics.py --ethanol ETHANOL_MODEL --diamond DIAMOND_MODEL

The models are those of `eqcli quickstart`, used in float64 with neighbour lists that have a skin. Bars: a drift
below 1e-6 eV per atom and ps, mean and variance of the temperature within 2 % of theory. Prints a table, then JSON.
A drift is the slope of a straight line through the energy, its error from the scatter of block means. Runs of a few
ps do not resolve 1e-6 in the energy itself, which swings by much more; the shadow energy (see
eqcli/engine/batched/observables.py) differs from it by a bounded amount and so drifts by the same in the long run.
Whether the bar is met is told for both: yes, no, or unresolved within two standard errors.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from eqcli.audit.drift import slope_and_error
from eqcli.engine.batched.field import Field
from eqcli.engine.batched.moving import MotionSettings, make_moving
from eqcli.engine.batched.observables import conserved, shadow_energy, temperature
from eqcli.engine.batched.state import BatchState, from_structure, join
from eqcli.engine.model_file import load_model
from eqcli.engine.tabulated import tabulate
from eqcli.io import read_structures
from tests.engine.batched.analytic import Chain, atoms_state
from tests.engine.batched.averages import displacements

DRIFT, SHARE = 1e-6, 0.02
"""Bars: eV/atom/ps, and relative deviation from theory."""

TEMPERATURE = 300.0

DATA = Path(__file__).resolve().parents[2] / "data"
ETHANOL, DIAMOND = DATA / "ethanol/test.extxyz", DATA / "diamond/test.extxyz"


def copies(path: Path, count: int) -> BatchState:
    """The first `count` structures of a file, each with velocities of its own."""
    frames = read_structures(path)
    return join([from_structure(next(iter(frames)), k) for k in range(count)])


def follow(
    field: Any, state: BatchState, settings: MotionSettings, minutes: float, probe: Callable[[BatchState], Tensor]
) -> tuple[BatchState, Tensor]:
    """Runs `settings.steps` steps, or as many as fit into `minutes`; the end, and `probe` of every state."""
    stepper, until, found = make_moving(settings), time.monotonic() + 60 * minutes, []
    state = stepper.begin(field.evaluate(state))
    for _ in range(settings.steps):
        state = stepper.step(state, field)
        found.append(probe(state))
        if time.monotonic() > until:
            break
    return state, torch.stack(found)


def warmed(field: Any, state: BatchState, settings: MotionSettings, steps: int) -> BatchState:
    """The state after a while in contact with a bath; positions and velocities alone are kept."""
    bath = MotionSettings(ensemble="nvt", time_step=settings.time_step, friction=0.05, steps=steps, seed=11)
    warm, _ = follow(field, state, bath, 10.0, temperature)
    return state.with_(positions=warm.positions, velocities=warm.velocities)


def _field(model: Path) -> Field:
    """A model as dynamics use it: with tables where it can have them."""
    potential = load_model(model, dtype=torch.float64).potential
    tabulate(potential)
    return Field(potential, stress=False)


def drift(model: Path, start: BatchState, time_step: float, minutes: float, picoseconds: float) -> dict[str, Any]:
    """Slopes of energy and shadow energy of a warm start at constant energy, eV/atom/ps: means over the structures."""
    field = _field(model)
    settings = MotionSettings(time_step=time_step, steps=round(1000 * picoseconds / time_step))
    start = warmed(field, start, settings, 500)
    last: list[BatchState] = []

    def probe(state: BatchState) -> Tensor:
        last.append(state)
        del last[:-3]
        shadow = shadow_energy(*last, time_step) if len(last) == 3 else torch.full_like(state.energy, torch.nan)
        return torch.stack([conserved(state), shadow, temperature(state)])

    began, listed = time.monotonic(), field.rebuilds
    _, found = follow(field, start, settings, minutes, probe)
    wall = time.monotonic() - began
    values = (found[2:] / start.counts).numpy()
    times = time_step * np.arange(len(values)) / 1000
    relisted = field.rebuilds - listed
    result = {
        "model": str(model),
        "structures": start.n_structures,
        "atoms": int(start.counts[0]),
        "time_step_fs": time_step,
        "picoseconds": float(times[-1]),
        "mean_temperature_K": float(found[:, 2].mean()),
        "milliseconds_per_step": 1e3 * wall / len(found),
        "rebuilt_lists_per_structure_and_ps": relisted / start.n_structures / float(times[-1]),
    }
    for k, name in enumerate(("energy", "shadow")):
        slopes, errors = zip(*(slope_and_error(times, values[:, k, b]) for b in range(start.n_structures)), strict=True)
        result[f"{name}_drift_eV_per_atom_per_ps"] = float(np.mean(slopes))
        result[f"{name}_drift_error"] = float(np.sqrt(np.mean(np.square(errors)) / len(errors)))
        result[f"{name}_fluctuation_eV_per_atom"] = float(values[:, k].std(axis=0).mean())
        # Whether the run is long enough to tell, not only whether the slope happens to be small.
        slope, error = abs(result[f"{name}_drift_eV_per_atom_per_ps"]), result[f"{name}_drift_error"]
        result[f"{name}_met"] = (
            "yes" if slope + 2 * error < DRIFT else "no" if slope - 2 * error > DRIFT else "unresolved"
        )
    return result


def bath(field: Any, start: BatchState, settings: MotionSettings, minutes: float, name: str) -> dict[str, Any]:
    """Mean and variance of the temperature over those of theory, with errors from blocks in time and structures."""
    start = warmed(field, start, settings, 400)
    end, found = follow(field, start, settings, minutes, temperature)
    freedom = float(end.systems["motion/freedom"][0])
    # Structures are independent; of a few of them parts of the run must do, longer than the memory of the bath.
    parts = 1 if start.n_structures >= 100 else 10
    cut = len(found) // parts * parts
    ratios = {
        "mean": found[:cut] / TEMPERATURE,
        "variance": (found[:cut] - TEMPERATURE).square() * freedom / (2 * TEMPERATURE**2),
    }
    result: dict[str, Any] = {
        "system": name,
        "thermostat": settings.thermostat,
        "structures": start.n_structures,
        "freedom": freedom,
        "picoseconds": settings.time_step * len(found) / 1000,
    }
    for key, values in ratios.items():
        blocks = values.reshape(parts, -1, values.shape[1]).mean(dim=1).flatten()
        result[f"{key}_over_theory"] = float(blocks.mean())
        result[f"{key}_error"] = float(blocks.std()) / len(blocks) ** 0.5
    result["met"] = all(abs(result[f"{key}_over_theory"] - 1) < SHARE for key in ratios)
    return result


def baths(ethanol: Path, minutes: float) -> list[dict[str, Any]]:
    """Both thermostats, on molecules of the model and on as many chains of springs as the statistics need."""
    field, found = _field(ethanol), []
    chains = atoms_state([6] * 1000).with_(positions=displacements(0.1, 1000, 6))
    for thermostat in ("langevin", "nose-hoover"):
        common: dict[str, Any] = {"ensemble": "nvt", "thermostat": thermostat, "friction": 0.05, "tau_thermostat": 50.0}
        springs = MotionSettings(time_step=1.0, steps=4000, **common)
        found.append(bath(Chain(1.0, 20.0), chains, springs, minutes, "springs"))
        molecules = MotionSettings(time_step=0.5, steps=40_000, **common)
        found.append(bath(field, copies(ETHANOL, 32), molecules, minutes, "ethanol"))
    return found


def table(drifts: list[dict[str, Any]], found: list[dict[str, Any]]) -> str:
    """What was found, a line each."""
    lines = ["structures of atoms  step   time      energy drift (eV/atom/ps)  of the shadow energy"]
    for r in drifts:
        lines.append(
            f"{r['structures']:4d} of {r['atoms']:3d}          {r['time_step_fs']:3.1f} fs "
            f"{r['picoseconds']:5.1f} ps   "
            f"{r['energy_drift_eV_per_atom_per_ps']:+.1e} ± {r['energy_drift_error']:.0e}       "
            f"{r['shadow_drift_eV_per_atom_per_ps']:+.1e} ± {r['shadow_drift_error']:.0e}"
        )
    lines.append("system     thermostat     time       mean T / 300 K      var T / (2 T^2 / freedom)")
    for r in found:
        lines.append(
            f"{r['system']:10s} {r['thermostat']:12s} {r['picoseconds']:5.2f} ps   "
            f"{r['mean_over_theory']:.4f} ± {r['mean_error']:.4f}     "
            f"{r['variance_over_theory']:.4f} ± {r['variance_error']:.4f}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ethanol", type=Path, required=True)
    parser.add_argument("--diamond", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=5.0, help="at most, for each run")
    parser.add_argument("--picoseconds", type=float, default=20.0, help="of the runs at constant energy")
    parser.add_argument("--only", choices=("drift", "baths"))
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    drifts: list[dict[str, Any]] = []
    if options.only != "baths":
        run = options.minutes, options.picoseconds
        drifts = [
            drift(options.ethanol, copies(ETHANOL, 4), 0.5, *run),
            drift(options.diamond, copies(DIAMOND, 1), 1.0, *run),
        ]
    found = baths(options.ethanol, options.minutes) if options.only != "drift" else []
    print(table(drifts, found))
    print(json.dumps({"drift": drifts, "temperature": found}, indent=1))


if __name__ == "__main__":
    main()
