"""Dynamics in a batch: drift of the energy at constant energy, and temperatures of both thermostats.

    python tests/benchmarks/dynamics.py --ethanol ETHANOL_MODEL --diamond DIAMOND_MODEL

The models are those of `eqcli quickstart`, used in float64 with neighbour lists that have a skin. Bars: a drift
below 1e-6 eV per atom and ps, mean and variance of the temperature within 2 % of theory. Prints a table, then JSON.

Replicas are independent and start warm. Each gives one estimate (a slope by least squares over the whole run, a mean
over time), and what is told is the mean of these with its standard error: points of one path are correlated over
times that nobody knows beforehand. Whether a bar is met is judged by the limits of 95 % confidence: yes, no, or
unresolved. The shadow energy (see eqcli/engine/batched/observables.py) differs from the energy by a bounded amount
of the second order in the time step, and so drifts by the same in the long run.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from eqcli.engine.batched.field import Field
from eqcli.engine.batched.moving import MotionSettings, make_moving
from eqcli.engine.batched.observables import conserved, shadow_energy, temperature
from eqcli.engine.batched.state import BatchState, from_structure, join, sums
from eqcli.engine.batched.thermal import FREEDOM, kinetic_energy
from eqcli.engine.batched.velocity_verlet import kick
from eqcli.engine.model_file import load_model
from eqcli.engine.tabulated import tabulate
from eqcli.io import read_structures
from eqcli.io.structure import Structure
from eqcli.units import BOLTZMANN
from tests.engine.batched.analytic import Chain, atoms_state
from tests.engine.batched.averages import displacements

DRIFT, SHARE = 1e-6, 0.02
"""Bars: eV/atom/ps, and relative deviation from theory."""

TEMPERATURE = 300.0

DATA = Path(__file__).resolve().parents[2] / "data"
ETHANOL, DIAMOND = DATA / "ethanol/test.extxyz", DATA / "diamond/test.extxyz"

EVERY = 40
"""Steps between two measurements of the configurational temperature, which costs two evaluations."""


def molecules(count: int) -> BatchState:
    """The first `count` structures of the test set of ethanol."""
    frames = iter(read_structures(ETHANOL))
    return join([from_structure(next(frames), k) for k in range(count)])


def crystals(count: int) -> BatchState:
    """Cubic cells of diamond with 8 atoms, of the lattice constant of the test set (cells of 64 atoms)."""
    edge = float(next(iter(read_structures(DIAMOND))).cell[0, 0]) / 2
    corners = np.array([[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0]])
    places = np.concatenate([corners, corners + 1]) * edge / 4
    cell = Structure(np.full(8, 6), places, edge * np.eye(3), np.ones(3, dtype=bool))
    return join([from_structure(cell, k) for k in range(count)])


def follow(
    field: Any,
    start: Callable[[], BatchState],
    settings: MotionSettings,
    probe: Callable[[BatchState], Tensor],
    minutes: float = math.inf,
    keep: Path | None = None,
) -> tuple[BatchState, Tensor]:
    """Runs `settings.steps` steps, or as many as fit into `minutes`; the end, and `probe` of every state.

    With `keep` both are in this file from time to time and at the end, and a run that finds it goes on.
    """
    stepper, until, saved = make_moving(settings), time.monotonic() + 60 * minutes, time.monotonic()
    if keep is not None and keep.exists():
        known = torch.load(keep)
        found = list(known.pop("found"))
        state = BatchState.from_tensors(known)
    else:
        found, state = [], stepper.begin(field.evaluate(start()))
    while len(found) < settings.steps:
        state = stepper.step(state, field)
        found.append(probe(state))
        ended = time.monotonic() > until or len(found) == settings.steps
        if keep is not None and (ended or time.monotonic() > saved + 60):
            saved = time.monotonic()
            torch.save({"found": torch.stack(found), **state.tensors()}, keep.with_suffix(".part"))
            keep.with_suffix(".part").replace(keep)
        if ended:
            break
    return state, torch.stack(found)


def warmed(field: Any, state: BatchState, time_step: float, picoseconds: float, keep: Path | None) -> BatchState:
    """The state after a time with friction and noise; positions and velocities alone are taken from it."""
    steps = round(1000 * picoseconds / time_step)
    bath = MotionSettings(ensemble="nvt", time_step=time_step, friction=0.05, steps=steps, seed=11)
    warm, _ = follow(field, lambda: state, bath, temperature, keep=keep)
    return state.with_(positions=warm.positions, velocities=warm.velocities)


def kept(name: str, options: argparse.Namespace) -> Path | None:
    """Where a run is kept."""
    if options.keep is None:
        return None
    options.keep.mkdir(parents=True, exist_ok=True)
    return Path(options.keep) / f"{name}.pt"


def model_field(model: Path, options: argparse.Namespace) -> Field:
    """A model as dynamics use it: with tables where it can have them."""
    potential = load_model(model, dtype=torch.float64).potential
    if options.tables:
        tabulate(potential)
    return Field(potential, stress=False, skin=options.skin)


def judged(values: np.ndarray[Any, Any], expected: float, bar: float) -> dict[str, Any]:
    """Mean over replicas, its standard error, and whether it is within `bar` of what is expected."""
    mean, error = float(values.mean()), float(values.std(ddof=1)) / len(values) ** 0.5
    away, margin = abs(mean - expected), float(stats.t.ppf(0.975, len(values) - 1)) * error
    met = "yes" if away + margin < bar else "no" if away - margin > bar else "unresolved"
    return {"mean": mean, "error": error, "within_bar": met}


def slopes(times: np.ndarray[Any, Any], values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Of a straight line through each column of values, `[times, replicas]`."""
    centred = times - times.mean()
    found: np.ndarray[Any, Any] = centred @ (values - values.mean(axis=0)) / (centred @ centred)
    return found


def drift(name: str, field: Field, start: BatchState, time_step: float, options: argparse.Namespace) -> dict[str, Any]:
    """Slopes of energy and shadow energy of a warm start at constant energy, eV/atom/ps."""
    settings = MotionSettings(time_step=time_step, steps=round(1000 * options.picoseconds / time_step))
    last: list[BatchState] = []

    def probe(state: BatchState) -> Tensor:
        last.append(state)
        del last[:-3]
        shadow = shadow_energy(*last, time_step) if len(last) == 3 else torch.full_like(state.energy, torch.nan)
        # The shadow energy is that of the state in the middle.
        return torch.stack([conserved(last[-2] if len(last) > 1 else state), shadow, temperature(state)])

    _, found = follow(
        field,
        lambda: warmed(field, start, 2 * time_step, 0.5, kept(f"{name}-nve-warm", options)),
        settings,
        probe,
        options.minutes,
        kept(f"{name}-nve-{time_step:g}", options),
    )
    known = found[:, 1].isfinite().all(dim=1)
    values = (found[known, :2] / start.counts).numpy()
    times = time_step * np.arange(len(found))[known.numpy()] / 1000
    energies = {"energy": values[:, 0], "shadow": values[:, 1], "difference": values[:, 0] - values[:, 1]}
    return {
        "system": name,
        "replicas": start.n_structures,
        "atoms": int(start.counts[0]),
        "time_step_fs": time_step,
        "picoseconds": time_step * len(found) / 1000,
        "mean_temperature_K": float(found[:, 2].mean()),
        "slopes_eV_per_atom_per_ps": {key: judged(slopes(times, e), 0.0, DRIFT) for key, e in energies.items()},
        "fluctuation_eV_per_atom": {key: float(e.std(axis=0).mean()) for key, e in energies.items()},
    }


def curvature(field: Any, state: BatchState) -> Tensor:
    """The trace of the Hessian over masses, eV/(Å^2 u) `[B]`, up to noise of mean zero: along random signs."""
    generator = torch.Generator().manual_seed(int(state.step[0]))
    signs = torch.randint(0, 2, state.positions.shape, generator=generator).to(state.positions.dtype) * 2 - 1
    along, step = signs / state.masses.sqrt()[:, None], 1e-3
    up, down = (field.evaluate(state.with_(positions=state.positions + s * step * along)).forces for s in (1, -1))
    return sums(state, (along * (down - up)).sum(dim=1)) / (2 * step)


def bath(
    name: str, field: Any, start: BatchState, settings: MotionSettings, options: argparse.Namespace
) -> dict[str, Any]:
    """Mean and variance of the temperature over those of theory, and other measures of the temperature.

    `completed` is that of the velocities with the half of a kick that the state of Langevin dynamics lacks, and
    `configurational` the mean square of the forces over masses, over the mean curvature. The latter is told of
    Langevin dynamics alone: molecules that may not turn are distributed a little otherwise.
    """
    configurational = options.configurational and settings.is_langevin

    long = 1.0 if name == "springs" else 0.5

    def probe(state: BatchState) -> Tensor:
        freedom = BOLTZMANN * TEMPERATURE * state.systems[FREEDOM]
        full = 2 * kinetic_energy(kick(state, settings.time_step / 2)) / freedom
        square = sums(state, (state.forces.square() / state.masses[:, None]).sum(dim=1))
        bends = torch.full_like(square, torch.nan)
        if configurational and int(state.step[0]) % EVERY == 0:
            bends = curvature(field, state) * BOLTZMANN * TEMPERATURE
        return torch.stack([temperature(state) / TEMPERATURE, full, square, bends])

    end, found = follow(
        field,
        lambda: warmed(field, start, settings.time_step, long, kept(f"{name}-warm", options)),
        settings,
        probe,
        options.minutes,
        kept(f"{name}-{settings.thermostat}", options),
    )
    freedom = float(end.systems[FREEDOM][0])
    warm, full, square, bends = found[len(found) // 10 :].unbind(dim=1)
    variance = (warm - 1).square() * freedom / 2
    ratios = {"mean": warm, "variance": variance, "completed": full}
    result: dict[str, Any] = {
        "system": name,
        "thermostat": settings.thermostat,
        "replicas": start.n_structures,
        "freedom": freedom,
        "time_step_fs": settings.time_step,
        "picoseconds": settings.time_step * len(warm) / 1000,
        "over_theory": {key: judged(value.mean(dim=0).numpy(), 1.0, SHARE) for key, value in ratios.items()},
    }
    if configurational:
        pushes, bent = square.mean(dim=0).numpy(), bends.nanmean(dim=0).numpy()
        ratio = pushes.mean() / bent.mean()
        # Linear in the two means, which is what its error needs.
        result["over_theory"]["configurational"] = judged(ratio + (pushes - ratio * bent) / bent.mean(), 1.0, SHARE)
    return result


def baths(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Both thermostats, on molecules of the model and on as many chains of springs."""
    found = []
    for thermostat in ("langevin", "nose-hoover"):
        common: dict[str, Any] = {
            "ensemble": "nvt", "thermostat": thermostat, "friction": options.friction, "tau_thermostat": options.tau,
        }  # fmt: skip
        if "springs" in options.cases:
            springs = MotionSettings(time_step=1.0, steps=4000, **common)
            chains = atoms_state([6] * 1000).with_(positions=displacements(0.1, 1000, 6))
            found.append(told(bath("springs", Chain(1.0, 20.0), chains, springs, options)))
        if thermostat in options.cases:
            steps = round(1000 * options.bath_picoseconds / options.bath_time_step)
            settings = MotionSettings(time_step=options.bath_time_step, steps=steps, **common)
            field = model_field(options.ethanol, options)
            found.append(told(bath("ethanol", field, molecules(options.bath_replicas), settings, options)))
    return found


def drifts(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Of both models."""
    found = []
    if "ethanol" in options.cases:
        field = model_field(options.ethanol, options)
        found.append(told(drift("ethanol", field, molecules(options.replicas), options.time_step, options)))
    if "diamond" in options.cases:
        field, step = model_field(options.diamond, options), options.diamond_time_step
        found.append(told(drift("diamond", field, crystals(options.replicas), step, options)))
    return found


def told(result: dict[str, Any]) -> dict[str, Any]:
    """The same; one line of it is printed at once, since the next may take an hour."""
    values = result.get("over_theory") or result["slopes_eV_per_atom_per_ps"]
    head = f"{result['system']:8s} {result.get('thermostat', 'nve'):12s} {result['replicas']:4d} x "
    head += f"{result['picoseconds']:6.2f} ps, {result['time_step_fs']:g} fs:"
    parts = [f"{key} {v['mean']:.4g} ± {v['error']:.1g} ({v['within_bar']})" for key, v in values.items()]
    print(head, "; ".join(parts), flush=True)
    return result


CASES = ("ethanol", "diamond", "springs", "langevin", "nose-hoover")
"""Constant energy of both models, and both thermostats on springs and on ethanol."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ethanol", type=Path, required=True)
    parser.add_argument("--diamond", type=Path, required=True)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--minutes", type=float, default=30.0, help="at most, for each run")
    parser.add_argument("--keep", type=Path, help="a folder in which runs are kept, to go on with the same command")
    parser.add_argument("--replicas", type=int, default=16, help="of runs at constant energy")
    parser.add_argument("--picoseconds", type=float, default=8.0, help="of the same")
    parser.add_argument("--time-step", type=float, default=0.25, help="of ethanol at constant energy, fs")
    parser.add_argument("--diamond-time-step", type=float, default=0.5, help="fs")
    parser.add_argument("--bath-replicas", type=int, default=32, help="molecules in the baths")
    parser.add_argument("--bath-picoseconds", type=float, default=15.0)
    parser.add_argument("--bath-time-step", type=float, default=0.5, help="fs")
    parser.add_argument("--friction", type=float, default=0.1, help="1/fs")
    parser.add_argument("--tau", type=float, default=20.0, help="of the Nose-Hoover chain, fs")
    parser.add_argument("--skin", type=float, default=1.0, help="of neighbour lists, Å")
    parser.add_argument("--tables", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--configurational", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(json.dumps({"drift": drifts(options), "temperature": baths(options)}, indent=1))


if __name__ == "__main__":
    main()
