"""Kept neighbour lists change nothing, and save most of the listing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eqcli.engine.batched.field import Field, admit
from eqcli.engine.batched.in_flight_parts import finite
from eqcli.engine.batched.skin_lists import SkinLists
from eqcli.engine.batched.state import BatchState, from_structure, join
from eqcli.errors import InputError
from eqcli.graph.atom_graph import AtomGraph, batch_graphs, build_graph
from eqcli.graph.distances import closest_contact
from eqcli.io.structure import Structure
from eqcli.models.potentials.build import make_potential
from eqcli.models.potentials.config import MACEConfig
from eqcli.models.potentials.derive import evaluate
from tests.toy import ToyPotential

CUTOFF = 4.0


def potential() -> ToyPotential:
    return ToyPotential().double().requires_grad_(False)


def crystal(n: int, seed: int, pbc=True, width: float = 4.5) -> Structure:
    rng = np.random.default_rng(seed)
    cell = width * (np.eye(3) + rng.normal(size=(3, 3)) * 0.1)
    return Structure(rng.choice([1, 6, 8], n), rng.random((n, 3)) @ cell, cell, pbc)


def molecule(n: int, seed: int) -> Structure:
    rng = np.random.default_rng(seed)
    return Structure(rng.choice([1, 6, 8], n), 2.0 * rng.normal(size=(n, 3)))


def mixed(seed: int = 0) -> BatchState:
    structures = [crystal(5, seed), molecule(7, seed), crystal(1, seed, width=2.5), crystal(4, seed, (1, 1, 0))]
    return join([from_structure(s, k) for k, s in enumerate(structures)])


def members(state: BatchState) -> list[AtomGraph]:
    one = [state.select(torch.tensor([k])) for k in range(state.n_structures)]
    return [build_graph(*(x.numpy() for x in (s.numbers, s.positions, s.cell[0], s.pbc[0])), CUTOFF) for s in one]


def assert_fresh(field: Field, state: BatchState) -> None:
    """The evaluation is what freshly listed neighbours give, to the last bit."""
    graph = batch_graphs(members(state))
    expected = evaluate(field.potential, graph, stress=True)
    found = field.evaluate(state)
    used, _ = field._graph(state)
    assert torch.equal(used.edge_index, graph.edge_index)
    assert torch.equal(used.edge_shift, graph.edge_shift)
    for name in ("energy", "forces", "stress", "atomic_energies"):
        value = found.atoms[name] if name in found.atoms else found.systems[name]
        np.testing.assert_array_equal(value.numpy(), expected[name].numpy(), err_msg=name)


def strained(state: BatchState, strain: torch.Tensor, which: torch.Tensor) -> BatchState:
    """Cells and atoms moved together, those of the structures `which` alone."""
    factor = torch.eye(3, dtype=torch.float64) + strain * which[:, None, None]
    positions = torch.bmm(state.positions.unsqueeze(1), factor[state.batch]).squeeze(1)
    return state.with_(positions=positions, cell=torch.bmm(state.cell, factor))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), pace=st.sampled_from([0.02, 0.1, 0.5]), skin=st.sampled_from([0.0, 0.3, 1.0, 2.5]))
def test_random_walks_of_atoms_and_cells(seed, pace, skin):
    generator = torch.Generator().manual_seed(seed)
    state = mixed(seed)
    field = Field(potential(), skin=skin, stress=True)
    periodic = state.pbc.all(dim=1)
    for _ in range(12):
        assert_fresh(field, state)
        step = torch.randn(state.positions.shape, generator=generator, dtype=torch.float64)
        drift = torch.randn(3, generator=generator, dtype=torch.float64)
        state = state.with_(positions=state.positions + pace * (step + 5 * drift))
        strain = 0.2 * pace * torch.randn(state.n_structures, 3, 3, generator=generator, dtype=torch.float64)
        state = strained(state, strain, periodic)


def count(field: Field, state: BatchState) -> int:
    before = field.rebuilds
    field.evaluate(state)
    return field.rebuilds - before


def test_lists_are_made_anew_only_where_needed():
    field = Field(potential(), skin=1.0, stress=False)
    state = mixed()
    assert count(field, state) == 4
    assert count(field, state) == 0
    near = state.with_(positions=state.positions + 0.2 * torch.sin(torch.arange(3 * len(state.batch))).reshape(-1, 3))
    assert count(field, near) == 0
    moved = state.positions.clone()
    moved[state.batch == 1] *= 1.5
    assert count(field, state.with_(positions=moved)) == 1
    # From where it is now, another way is as far.
    assert count(field, state.with_(positions=moved)) == 0
    assert count(field, state) == 1


def test_a_motion_of_the_whole_needs_no_new_list():
    field = Field(potential(), skin=0.5, stress=False)
    state = mixed()
    field.evaluate(state)
    assert count(field, state.with_(positions=state.positions + 30.0)) == 0
    # An affine strain of cell and atoms: 8 % of 4 Å fit into the skin, 20 % do not.
    periodic = state.pbc.all(dim=1)
    wider = strained(state, -0.08 * torch.eye(3, dtype=torch.float64).expand(4, 3, 3), periodic)
    assert count(field, wider) == 0
    assert count(field, strained(state, 0.3 * torch.eye(3, dtype=torch.float64).expand(4, 3, 3), periodic)) == 0
    assert count(field, strained(state, -0.2 * torch.eye(3, dtype=torch.float64).expand(4, 3, 3), periodic)) == 2


def test_the_list_is_not_kept_a_step_too_long():
    # Two atoms that are listed apart and meet, head on and by a strain alone.
    for move in ("atoms", "cell"):
        pair = Structure([1, 1], [[0.0, 0, 0], [6.0, 0, 0]], np.diag([14.0, 20.0, 20.0]), True)
        field = Field(potential(), skin=0.4, stress=False)
        state = from_structure(pair, 0)
        for k in range(60):
            shift = 0.05 * k
            if move == "atoms":
                x = torch.tensor([[shift / 2, 0, 0], [6.0 - shift / 2, 0, 0]], dtype=torch.float64)
                now = state.with_(positions=x)
            else:
                factor = torch.diag(torch.tensor([(6.0 - shift) / 6.0 - 1, 0, 0], dtype=torch.float64))
                now = strained(state, factor[None], torch.tensor([True]))
            assert field.edges(now).tolist() == [2 if 6.0 - shift < CUTOFF - 1e-9 else 0], (move, k)
        assert 2 <= field.rebuilds < 20


def test_structures_come_and_go():
    field = Field(potential(), skin=1.0, stress=True)
    whole = mixed()
    assert_fresh(field, whole)
    for keep in ([0, 2], [2], [3, 2, 1, 0], [1, 3]):
        part = whole.select(torch.tensor(keep))
        assert count(field, part) == 0
        assert_fresh(field, part)
    new = join(
        [from_structure(crystal(6, 9), 17), whole.select(torch.tensor([2, 0])), from_structure(molecule(3, 5), 4)]
    )
    assert count(field, new) == 2
    assert_fresh(field, new)
    field.forget([17, 1])
    assert count(field, new) == 1
    assert count(field, whole) == 1


def test_newcomers_leave_the_batch_under_way_as_it_is():
    field = Field(potential(), skin=1.0, stress=True)
    whole = mixed()
    assert_fresh(field, whole)
    first, second = from_structure(crystal(6, 9), 17), from_structure(molecule(3, 5), 4)
    field.edges(first)
    field.edges(second)
    field.edges(second.with_(positions=second.positions + 0.1))
    assert field.rebuilds == 6
    field.forget([0, 2])
    both = join([whole.select(torch.tensor([1, 3])), first, second])
    assert count(field, both) == 0
    assert_fresh(field, both)
    assert count(field, whole) == 2


def test_a_number_that_now_means_another_structure():
    field = Field(potential(), skin=1.0, stress=True)
    field.evaluate(from_structure(crystal(5, 0), 0))
    for other in (crystal(3, 1), crystal(3, 2), crystal(3, 2, (1, 1, 0)), molecule(3, 0)):
        assert_fresh(field, from_structure(other, 0))


def test_two_structures_of_one_number_are_refused():
    with pytest.raises(ValueError, match="number"):
        Field(potential(), stress=False).evaluate(join([from_structure(molecule(2, 0), 3)] * 2))


def test_a_structure_without_a_list_gets_no_values_and_harms_no_other():
    field = Field(potential(), skin=1.0, stress=True)
    state = mixed()
    good = field.evaluate(state)
    lost = state.positions.clone()
    lost[state.batch == 1] = torch.nan
    flat = state.cell.clone()
    flat[0, 2] = flat[0, 1]
    found = field.evaluate(state.with_(positions=lost, cell=flat))
    assert sorted(field.faults) == [0, 1]
    assert "cell vectors" in str(field.faults[0])
    assert "position" in str(field.faults[1])
    assert bool(found.energy[:2].isnan().all())
    assert bool(found.stress[:2].isnan().all())
    assert bool(found.forces[state.batch < 2].isnan().all())
    np.testing.assert_array_equal(found.energy[2:].numpy(), good.energy[2:].numpy())
    np.testing.assert_array_equal(found.forces[state.batch > 1].numpy(), good.forces[state.batch > 1].numpy())
    with pytest.raises(InputError, match="cell vectors"):
        field.edges(state.with_(cell=flat))
    # It may come back.
    again = field.evaluate(state)
    assert not field.faults
    np.testing.assert_array_equal(again.energy.numpy(), good.energy.numpy())


def test_edges_and_closest_contacts():
    field = Field(potential(), skin=1.0, stress=False)
    state = join([mixed(), from_structure(Structure([1], np.zeros((1, 3))), 9)])
    graphs = members(state)
    assert field.edges(state).tolist() == [graph.edge_index.shape[1] for graph in graphs]
    expected = [contact.ratio if (contact := closest_contact(graph)) else np.inf for graph in graphs]
    np.testing.assert_allclose(field.closest_ratio(state), expected, rtol=1e-14)
    # The energy that follows needs no further list.
    before = field.rebuilds
    field.evaluate(state)
    assert field.rebuilds == before


def test_an_empty_batch():
    lists = SkinLists(CUTOFF, 1.0)
    empty = mixed().select(torch.zeros(4, dtype=torch.bool))
    assert len(lists(empty).sender) == 0
    assert len(lists(mixed()).counts) == 4


def test_what_is_admitted():
    model = potential()
    admit(model, molecule(3, 0))
    with pytest.raises(InputError, match="Fe"):
        admit(model, Structure([26], np.zeros((1, 3))))
    with pytest.raises(InputError, match="charge"):
        admit(model, Structure([1], np.zeros((1, 3)), charge=1.0))
    model.outputs = ("energy",)
    with pytest.raises(InputError, match="no forces"):
        admit(model, molecule(3, 0))
    with pytest.raises(InputError, match="skin"):
        Field(model, skin=-1.0, stress=False)


def test_values_that_are_not_finite_stay_with_the_structure_that_has_them():
    torch.manual_seed(0)
    config = MACEConfig(channels=4, max_ell=1, max_L=1, correlation=2, num_interactions=2, cutoff=CUTOFF)
    mace = make_potential(config, [1, 6, 8]).double().requires_grad_(False)
    apart = [crystal(5, 0), crystal(6, 1), crystal(6, 2), molecule(7, 3)]
    apart[1].positions[1] = apart[1].positions[0]
    found = Field(mace, stress=True).evaluate(join([from_structure(s, k) for k, s in enumerate(apart)]))
    assert finite(found).tolist() == [True, False, True, True]
    assert found.stress.isfinite().all(dim=(1, 2)).tolist() == [True, False, True, False]  # A molecule has none.
    for k in (0, 2, 3):
        alone = Field(mace, stress=True).evaluate(from_structure(apart[k], k))
        torch.testing.assert_close(found.forces[found.batch == k], alone.forces, rtol=0, atol=1e-12)
