"""Constant pressure."""

from __future__ import annotations

from typing import Literal

import pytest
import torch

from eqcli.engine.batched.moving import MotionSettings
from eqcli.engine.batched.observables import conserved, pressure, temperature, volume
from eqcli.engine.batched.state import BatchState
from eqcli.errors import InputError
from eqcli.units import BOLTZMANN, STRESS
from tests.engine.batched.analytic import AnalyticField, ElasticCell, IdealGas, Sines, Springs, atoms_state
from tests.engine.batched.averages import displacements, require_mean, sampled

HEAT = BOLTZMANN * 300
GPA = STRESS["GPa"]
VOLUME = 30.0


def settings(**changes: object) -> MotionSettings:
    base: dict[str, object] = {
        "ensemble": "npt",
        "time_step": 1.0,
        "tau_cell": 60.0,
        "friction": 0.05,
        "bulk_modulus": 10.0,
    }
    return MotionSettings(**(base | changes))  # type: ignore[arg-type]


def volumes(atoms: int, energy: torch.Tensor, v: torch.Tensor, press: float) -> tuple[float, float]:
    """Mean and variance of the density V^N exp(-(energy + P V) / kT)."""
    exponent = atoms * v.log() - (energy + press * GPA * v) / HEAT
    weight = torch.exp(exponent - exponent.max())
    weight /= weight.sum()
    mean = float((weight * v).sum())
    return mean, float((weight * (v - mean) ** 2).sum())


@pytest.mark.parametrize(("atoms", "thermostat"), [(1, "langevin"), (4, "langevin"), (4, "nose-hoover")])
def test_volumes_of_an_elastic_cell(atoms: int, thermostat: str) -> None:
    """Cells of few atoms, where N + 1 and N are not the same, and a stiffness that is not much above kT."""
    stiffness = 100 * HEAT
    chosen = settings(
        pressure=3.0, bulk_modulus=stiffness / VOLUME / GPA, steps=700, thermostat=thermostat, tau_thermostat=30.0
    )
    v = torch.linspace(5, 80, 100_001, dtype=torch.float64)
    mean, variance = volumes(atoms, 0.5 * stiffness * (v / VOLUME).log() ** 2, v, 3.0)
    start = atoms_state([atoms] * 700, edge=VOLUME ** (1 / 3))

    def probe(state: BatchState) -> torch.Tensor:
        return torch.stack([volume(state), (volume(state) - mean) ** 2], dim=1)

    _, found = sampled(ElasticCell(stiffness, VOLUME), start, chosen, probe, burn=200)
    require_mean(found[:, :, 0], mean, 0.002)
    # A step of the cell is one of Euler's: the spread is too large by half a time step over the relaxation time.
    require_mean(found[:, :, 1], variance, 0.03, bias=0.01 * variance)


@pytest.mark.parametrize("cell", ["isotropic", "full"])
def test_an_ideal_gas_has_the_volumes_of_its_pressure(cell: Literal["isotropic", "full"]) -> None:
    """V^N exp(-P V / kT): mean (N + 1) kT / P, variance (N + 1) (kT / P)^2; and PV = NkT on average over 1/V."""
    atoms, press = 7, 2.0
    share = HEAT / (press * GPA)
    chosen = settings(cell=cell, pressure=press, bulk_modulus=press, steps=800, tau_cell=40.0)
    start = atoms_state([atoms] * 500, edge=((atoms + 1) * share) ** (1 / 3))

    def probe(state: BatchState) -> torch.Tensor:
        v = volume(state)
        return torch.stack([v, (v - (atoms + 1) * share) ** 2, pressure(state), temperature(state)], dim=1)

    _, found = sampled(IdealGas(), start, chosen, probe, burn=250)
    require_mean(found[:, :, 0], (atoms + 1) * share, 0.01, bias=0.01 * (atoms + 1) * share)
    require_mean(found[:, :, 1], (atoms + 1) * share**2, 0.05, bias=0.02 * (atoms + 1) * share**2)
    # <1/V> = P / (N kT), and momenta know nothing of the volume.
    require_mean(found[:, :, 2], press, 0.01, bias=0.01 * press)
    require_mean(found[:, :, 3], 300.0, 0.005)


def test_every_strain_of_a_stiff_cell_has_half_kt() -> None:
    stiffness = 4000 * HEAT
    chosen = settings(cell="full", bulk_modulus=stiffness / 3 / VOLUME / GPA, steps=800, tau_cell=50.0)
    start = atoms_state([1] * 600, edge=VOLUME ** (1 / 3))
    a = VOLUME ** (1 / 3)

    def probe(state: BatchState) -> torch.Tensor:
        metric = torch.bmm(state.cell, state.cell.transpose(1, 2)) / a**2
        strain = 0.5 * (metric - torch.eye(3, dtype=torch.float64))
        each = stiffness * strain.square().flatten(1)
        return torch.cat([state.energy[:, None], each[:, [0, 4, 8, 1, 2, 5]]], dim=1)

    _, found = sampled(ElasticCell(stiffness, VOLUME, shape=True), start, chosen, probe, burn=200)
    # Shear strains stand twice in the energy.
    for k, expected in enumerate([3.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5]):
        require_mean(found[:, :, k], expected * HEAT, 0.025, bias=0.02 * expected * HEAT)


def test_a_gas_without_momentum_has_the_pressure_of_all_its_atoms() -> None:
    """Three of the directions of three atoms are at rest under a Nose-Hoover chain; the cell is as large as ever."""
    atoms, press = 3, 2.0
    share = HEAT / (press * GPA)
    chosen = settings(
        pressure=press, bulk_modulus=press, steps=600, tau_cell=40.0, thermostat="nose-hoover", tau_thermostat=30.0
    )
    start = atoms_state([atoms] * 500, edge=((atoms + 1) * share) ** (1 / 3))
    _, found = sampled(IdealGas(), start, chosen, lambda s: torch.stack([volume(s), pressure(s)], dim=1), burn=200)
    require_mean(found[:, :, 0], (atoms + 1) * share, 0.02, bias=0.01 * (atoms + 1) * share)
    require_mean(found[:, :, 1], press, 0.02, bias=0.01 * press)


def test_held_atoms_are_no_gas() -> None:
    """They go along with the cell and do not push: V^N with the N that move, a third for every free direction."""
    atoms, press, moving = 5, 2.0, 3 + 1 / 3
    free = torch.ones(atoms, 3, dtype=torch.bool)
    free[0] = False
    free[3, :2] = False
    share = HEAT / (press * GPA)
    chosen = settings(pressure=press, bulk_modulus=press, steps=700, tau_cell=40.0)
    start = atoms_state([atoms] * 500, edge=((moving + 1) * share) ** (1 / 3), free=free.repeat(500, 1))
    _, found = sampled(IdealGas(), start, chosen, lambda s: torch.stack([volume(s), pressure(s)], dim=1), burn=200)
    require_mean(found[:, :, 0], (moving + 1) * share, 0.015, bias=0.01 * (moving + 1) * share)
    require_mean(found[:, :, 1], press, 0.015, bias=0.01 * press)


def test_pressure_is_what_was_asked_for() -> None:
    """With forces, cell and atoms coupled: the mean of the inner pressure is the outer one."""
    atoms, press = 3, 4.0
    field = Sines(0.05, VOLUME, 200 * HEAT)
    chosen = settings(pressure=press, bulk_modulus=200 * HEAT / VOLUME / GPA, steps=700, tau_cell=80.0)
    start = atoms_state([atoms] * 700, edge=VOLUME ** (1 / 3)).with_(positions=displacements(0.3, 700, atoms))

    def probe(state: BatchState) -> torch.Tensor:
        return torch.stack([pressure(state), temperature(state)], dim=1)

    _, found = sampled(field, start, chosen, probe, burn=250)
    require_mean(found[:, :, 0], press, 0.03)
    require_mean(found[:, :, 1], 300.0, 0.005)


@pytest.mark.parametrize("field", [ElasticCell(300 * HEAT, VOLUME, shape=True), Sines(0.05, VOLUME, 200 * HEAT)])
def test_conserved_energy_strays_less_with_shorter_steps(field: AnalyticField) -> None:
    cell = "full" if isinstance(field, ElasticCell) else "isotropic"
    # Of first order: random steps of the cell go with the root of the time step, their error with its third power.
    strayed = []
    for time in (2.0, 0.5):
        chosen = settings(time_step=time, steps=int(600 / time), cell=cell, bulk_modulus=30.0, tau_cell=100.0)
        start = atoms_state([3] * 40, edge=VOLUME ** (1 / 3)).with_(positions=displacements(0.3, 40, 3))
        end, found = sampled(field, start, chosen, conserved, burn=0, every=1)
        strayed.append(float(found.std(dim=0).mean()))
        assert float(end.systems["rescaling/work"].abs().mean()) > 10 * strayed[-1]
    assert strayed[0] > 3 * strayed[1]


def test_conserved_energy_is_exact_where_the_force_on_the_cell_is_linear() -> None:
    chosen = settings(steps=200, bulk_modulus=30.0)
    _, found = sampled(
        ElasticCell(300 * HEAT, VOLUME), atoms_state([3] * 20, edge=3.0), chosen, conserved, burn=0, every=1
    )
    _, energies = sampled(
        ElasticCell(300 * HEAT, VOLUME), atoms_state([3] * 20, edge=3.0), chosen, lambda s: s.energy, burn=0, every=1
    )
    assert float(energies.std(dim=0).min()) > 1e-3
    assert float(found.std(dim=0).max()) < 1e-12


def test_isotropic_cells_keep_their_shape_and_atoms_their_places_in_it() -> None:
    start = atoms_state([2], edge=3.0, free=torch.zeros(2, 3, dtype=torch.bool))
    start = start.with_(positions=torch.tensor([[0.3, 0.6, 0.9], [10.0, -4.0, 1.0]], dtype=torch.float64))
    end, _ = sampled(IdealGas(), start, settings(steps=50), volume, burn=0)
    factor = float(end.cell[0, 0, 0]) / 3
    assert abs(factor - 1) > 1e-3
    torch.testing.assert_close(end.cell, factor * start.cell)
    torch.testing.assert_close(end.positions, factor * start.positions)


def test_a_full_cell_is_strained_without_turning() -> None:
    start = atoms_state([2], edge=3.0).with_(positions=displacements(0.3, 1, 2))
    end, _ = sampled(IdealGas(), start, settings(steps=1, cell="full", tau_cell=1.0), volume, burn=0)
    strain = end.cell[0] / 3
    torch.testing.assert_close(strain, strain.T)
    assert float((strain - strain[0, 0] * torch.eye(3, dtype=torch.float64)).abs().max()) > 1e-4


def test_no_stress_is_refused() -> None:
    with pytest.raises(InputError, match="three periods"):
        sampled(Springs(), atoms_state([2]), settings(steps=1), volume, burn=0)
