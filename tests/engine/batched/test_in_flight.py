"""Streams of structures through a stepper."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from eqcli.engine.batched.field import Field
from eqcli.engine.batched.in_flight import InFlight
from eqcli.engine.batched.in_flight_parts import Ended, Snapshot
from eqcli.engine.batched.state import BatchState, from_structure
from eqcli.errors import InputError
from eqcli.io.structure import Structure
from tests.toy import ToyPotential

FMAX = 0.05


class Descent:
    """Goes down the forces; what it remembers is a step length of each structure and the last move of each atom."""

    def begin(self, state: BatchState) -> BatchState:
        return state.with_(
            atoms={"descent/move": torch.zeros_like(state.positions)},
            systems={"descent/rate": torch.full_like(state.energy, 0.01)},
        )

    def step(self, state: BatchState, field: Field) -> BatchState:
        move = 0.5 * state.atoms["descent/move"] + state.systems["descent/rate"][state.batch, None] * state.forces
        there = field.evaluate(state.with_(positions=state.positions + move, step=state.step + 1))
        return there.with_(atoms={"descent/move": move}, systems={"descent/rate": state.systems["descent/rate"] * 1.02})


class Limit:
    """A budget of so many atoms."""

    def __init__(self, atoms: int) -> None:
        self.atoms = atoms
        self.halved = 0

    def admits(self, atoms: int, edges: int) -> bool:
        return atoms <= self.atoms

    def hopeless(self, atoms: int, edges: int) -> bool:
        return atoms > 500

    def halve(self, atoms: int, edges: int) -> None:
        self.atoms = min(self.atoms, atoms) // 2
        self.halved += 1

    def facts(self) -> dict[str, int]:
        return {"atoms": self.atoms}

    def take_up(self, facts: dict[str, int]) -> None:
        self.atoms = facts["atoms"]

    @contextmanager
    def watch(self, atoms: int, edges: int) -> Iterator[None]:
        yield


def chain(seed: int, atoms: int) -> Structure:
    """A zigzag of carbon atoms off their distances."""
    rng = np.random.default_rng(seed)
    rows = np.stack([1.5 * np.arange(atoms), 0.5 * (np.arange(atoms) % 2), np.zeros(atoms)], axis=1)
    return Structure([6] * atoms, rows + 0.1 * rng.normal(size=rows.shape))


def structures(count: int = 13) -> list[tuple[int, Structure]]:
    return [(k, chain(k, 2 + (7 * k) % 5)) for k in range(count)]


def settled(state: BatchState) -> torch.Tensor:
    force = state.forces.norm(dim=1)
    largest = force.new_zeros(state.n_structures).scatter_reduce(0, state.batch, force, "amax")
    return (largest < FMAX) | (state.step >= 60)


def flight(atoms: int = 12, field: Field | None = None, **options) -> InFlight:
    options = {"ended": settled, "budget": Limit(atoms)} | options
    return InFlight(field or Field(toy(), stress=False), Descent(), **options)


def toy() -> ToyPotential:
    return ToyPotential().double().eval().requires_grad_(False)


def by_item(ended: Iterator[Ended]) -> dict[int, Ended]:
    found: dict[int, Ended] = {}
    for one in ended:
        assert one.item not in found
        found[one.item] = one
    return found


def assert_same(found: dict[int, Ended], expected: dict[int, Ended]) -> None:
    """To the last bit."""
    assert found.keys() == expected.keys()
    for item, one in expected.items():
        assert (found[item].state is None) == (one.state is None)
        if one.state is not None:
            for name, value in one.state.tensors().items():
                assert found[item].state.tensors()[name].numpy().tobytes() == value.numpy().tobytes(), (item, name)


def test_every_structure_ends_where_it_ends_alone():
    many = structures()
    found = by_item(flight().run(many))
    assert list(found) != sorted(found)
    for item, structure in many:
        (alone,) = flight().run([(item, structure)])
        assert found[item].error is None
        assert found[item].structure is structure
        assert int(found[item].state.step[0]) == int(alone.state.step[0])
        torch.testing.assert_close(found[item].state.positions, alone.state.positions, rtol=0, atol=1e-9)


def test_the_batch_is_filled_and_never_too_full():
    sizes = []
    list(flight(on_step=lambda state: sizes.append(len(state.batch))).run(structures()))
    assert max(sizes) <= 12
    assert np.mean(sizes) > 7


def test_a_structure_over_the_budget_goes_alone():
    many = [(0, chain(0, 4)), (1, chain(1, 20)), (2, chain(2, 4))]
    together = []
    found = by_item(flight(8, on_step=lambda state: together.append(sorted(state.item.tolist()))).run(many))
    assert all(one.error is None for one in found.values())
    assert [1] in together
    assert all(items == [1] for items in together if 1 in items)


class Interrupted(Exception):
    pass


class Recorder:
    """What is known of a run that is interrupted again and again."""

    def __init__(self) -> None:
        self.found: dict[int, Ended] = {}
        self.at_snapshot: dict[int, Ended] = {}
        self.saved: Snapshot | None = None

    def go_on(self, many: list[tuple[int, Structure]], snapshot_at: int, stop_at: int) -> None:
        """Goes on from the last snapshot to a later call of `on_step`."""
        self.found, calls = dict(self.at_snapshot), 0

        def on_step(state: BatchState) -> None:
            nonlocal calls
            calls += 1
            if calls == snapshot_at:
                self.saved, self.at_snapshot = runner.snapshot(), dict(self.found)
            if calls == stop_at:
                raise Interrupted

        runner = flight(on_step=on_step)
        for one in runner.run([pair for pair in many if pair[0] not in self.found], self.saved):
            self.found[one.item] = one


@pytest.mark.parametrize("seed", range(4))
def test_going_on_from_a_snapshot_ends_the_same_to_the_last_bit(seed):
    many = structures()
    whole = by_item(flight().run(many))
    rng = np.random.default_rng(seed)
    recorder = Recorder()
    for _ in range(4):
        with pytest.raises(Interrupted):
            recorder.go_on(many, int(rng.integers(1, 5)), int(rng.integers(5, 25)))
    recorder.go_on(many, 0, 0)
    assert_same(recorder.found, whole)


def test_what_cannot_be_started_is_a_failure_and_harms_nobody():
    many = structures(6)
    bad = {4: Structure([6], [[np.nan, 0, 0]])}

    def start(structure: Structure, item: int) -> BatchState:
        if item == 5:
            raise InputError("not this one")
        return from_structure(structure, item)

    found = by_item(flight(start=start).run([(k, bad.get(k, s)) for k, s in many]))
    assert sorted(k for k, one in found.items() if one.error) == [4, 5]
    assert found[5].error.message == "not this one"
    healthy = by_item(flight().run([(k, s) for k, s in many if k not in (4, 5)]))
    for item, one in healthy.items():
        torch.testing.assert_close(found[item].state.positions, one.state.positions, rtol=0, atol=1e-9)


class Poisoned(Field):
    """Loses its mind about structure 3 after five steps."""

    def evaluate(self, state: BatchState) -> BatchState:
        state = super().evaluate(state)
        lost = (state.item == 3) & (state.step == 5)
        return state.with_(energy=torch.where(lost, torch.nan, state.energy))


def test_values_that_are_not_finite_are_a_failure_of_one():
    found = by_item(flight(field=Poisoned(toy(), stress=False)).run(structures(8)))
    (item,) = [k for k, one in found.items() if one.error]
    assert item == 3
    assert "not finite at step 5" in found[3].error.message


class Astray(Descent):
    """Sends an atom of structure 3 out of all space in its sixth step."""

    def step(self, state: BatchState, field: Field) -> BatchState:
        lost = ((state.item == 3) & (state.step == 5))[state.batch, None]
        far = torch.where(lost, torch.inf, state.atoms["descent/move"])
        return super().step(state.with_(atoms={"descent/move": far}), field)


@pytest.mark.parametrize("count", [8, 1])
def test_one_that_loses_its_neighbours_is_told_why_and_harms_nobody(count):
    many = structures(8) if count > 1 else structures(8)[3:4]
    seen = []
    runner = InFlight(
        Field(toy(), stress=False),
        Astray(),
        ended=settled,
        budget=Limit(12),
        on_step=lambda state: seen.append(bool(torch.isfinite(state.positions).all())),
    )
    found = by_item(runner.run(many))
    assert [k for k, one in found.items() if one.error] == [3]
    assert "no usable position" in found[3].error.message
    assert all(seen)
    for item, one in by_item(flight().run([pair for pair in many if pair[0] != 3])).items():
        torch.testing.assert_close(found[item].state.positions, one.state.positions, rtol=0, atol=1e-9)


class Unsteady(Descent):
    """Cannot step structure 1."""

    def step(self, state: BatchState, field: Field) -> BatchState:
        if bool(((state.item == 1) & (state.step == 2)).any()):
            raise InputError("no way from here")
        return super().step(state, field)


def test_a_step_that_cannot_be_made_is_a_failure_of_one():
    runner = InFlight(Field(toy(), stress=False), Unsteady(), ended=settled, budget=Limit(12))
    found = by_item(runner.run(structures(8)))
    (item,) = [k for k, one in found.items() if one.error]
    assert (item, found[1].error.message) == (1, "no way from here")


class Small(Field):
    """A device that holds so many atoms."""

    room = 9

    def evaluate(self, state: BatchState) -> BatchState:
        if len(state.batch) > self.room:
            raise torch.OutOfMemoryError("no")
        return super().evaluate(state)


@pytest.mark.parametrize("limit", [12, 40, 1000])
def test_what_does_not_fit_waits_and_goes_on(limit):
    many = structures()
    budget = Limit(limit)
    runner = flight(field=Small(toy(), stress=False), budget=budget)
    found = by_item(runner.run(many))
    expected = by_item(flight().run(many))
    assert budget.halved
    assert found.keys() == expected.keys()
    for item, one in expected.items():
        assert found[item].error is None
        torch.testing.assert_close(found[item].state.positions, one.state.positions, rtol=0, atol=1e-9)


class Shrinking(Small):
    """Has less room once structures have come some way."""

    def evaluate(self, state: BatchState) -> BatchState:
        self.room = 12 if bool((state.step < 7).all()) else 5
        return super().evaluate(state)


def test_a_batch_that_no_longer_fits_is_divided_and_nothing_is_lost():
    many = [(k, chain(k, 3)) for k in range(8)]
    found = by_item(flight(field=Shrinking(toy(), stress=False)).run(many))
    expected = by_item(flight().run(many))
    assert found.keys() == expected.keys()
    for item, one in expected.items():
        assert int(found[item].state.step[0]) == int(one.state.step[0])
        torch.testing.assert_close(found[item].state.positions, one.state.positions, rtol=0, atol=1e-9)


def test_one_that_does_not_fit_alone_is_a_failure():
    many = [(0, chain(0, 4)), (1, chain(1, 14)), (2, chain(2, 4)), (3, chain(3, 600))]
    found = by_item(flight(field=Small(toy(), stress=False), atoms=20).run(many))
    assert sorted(k for k, one in found.items() if one.error) == [1, 3]
    assert "14 atoms with" in found[1].error.message
    assert "needs more memory than is left on cpu" in found[3].error.message


def test_nothing_comes_in_and_nothing_goes_out():
    assert list(flight().run([])) == []
