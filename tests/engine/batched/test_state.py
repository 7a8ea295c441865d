"""The batched state: joined, taken apart and saved without a change."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eqcli.engine.batched.state import BatchState, from_structure, join, per_atom, sums, to_structure
from eqcli.io.structure import Structure


def structure(n: int, seed: int = 0, **fields) -> Structure:
    rng = np.random.default_rng(seed)
    return Structure(rng.choice([1, 6, 8], n), rng.normal(size=(n, 3)), np.eye(3) * 5.0, n % 2 == 0, **fields)


def batch(*sizes: int) -> BatchState:
    return join([from_structure(structure(n, seed=n), 10 + k) for k, n in enumerate(sizes)])


def assert_same(found: BatchState, expected: BatchState) -> None:
    a, b = found.tensors(), expected.tensors()
    assert a.keys() == b.keys()
    for name, value in b.items():
        assert a[name].dtype == value.dtype, name
        np.testing.assert_array_equal(a[name].numpy(), value.numpy(), err_msg=name)


def test_what_a_structure_becomes():
    given = structure(3, charge=-1.0, info={"spin": 2}, fixed=np.array([True, False, False]))
    given.arrays["velocities"] = np.full((3, 3), 0.25)
    state = from_structure(given, 7)
    assert state.item.tolist() == [7]
    assert state.step.tolist() == [0]
    assert state.charge.tolist() == [-1.0]
    assert state.spin.tolist() == [2.0]
    assert state.free.tolist() == [[False] * 3, [True] * 3, [True] * 3]
    assert state.velocities.tolist() == [[0.25] * 3] * 3
    assert all(value.dtype == torch.float64 for value in (state.positions, state.cell, state.energy, state.masses))
    np.testing.assert_allclose(state.masses, [{1: 1.008, 6: 12.011, 8: 15.999}[int(z)] for z in given.numbers])
    state.positions[0] = 9.0
    assert not (given.positions == 9.0).any()


def test_without_velocities_there_are_none():
    assert bool(from_structure(structure(2), 0).velocities.isnan().all())
    assert "velocities" not in to_structure(from_structure(structure(2), 0), 0, structure(2)).arrays


def test_selected_by_a_mask_and_by_number():
    whole = batch(3, 1, 4, 2)
    parts = [whole.select(torch.tensor([k])) for k in range(4)]
    assert [part.counts.tolist() for part in parts] == [[3], [1], [4], [2]]
    assert_same(join(parts), whole)
    assert_same(whole.select(torch.tensor([True, False, True, True])), join([parts[0], parts[2], parts[3]]))
    assert_same(whole.select(torch.tensor([3, 0])), join([parts[3], parts[0]]))
    nothing = whole.select(torch.zeros(4, dtype=torch.bool))
    assert nothing.n_structures == 0
    assert_same(join([nothing, whole]), whole)


def test_memory_of_a_stepper_goes_with_its_structure():
    state = batch(3, 2).with_(
        atoms={"x/v": torch.arange(5.0)}, systems={"x/dt": torch.tensor([1.0, 2.0])}, energy=torch.tensor([5.0, 6.0])
    )
    second = state.select(torch.tensor([False, True]))
    assert second.atoms["x/v"].tolist() == [3.0, 4.0]
    assert second.systems["x/dt"].tolist() == [2.0]
    assert second.energy.tolist() == [6.0]
    with pytest.raises(ValueError, match="x/v"):
        join([state, batch(1)])


def test_an_unknown_name_is_refused():
    with pytest.raises(KeyError, match="momenta"):
        batch(2).with_(momenta=torch.zeros(2, 3))


def test_saved_and_restored_to_the_last_bit(tmp_path):
    from safetensors.torch import load_file, save_file

    state = batch(3, 1, 2).with_(systems={"fire/n": torch.tensor([1, 2, 3])})
    save_file(state.tensors(), tmp_path / "state.safetensors")
    assert_same(BatchState.from_tensors(load_file(tmp_path / "state.safetensors")), state)


def test_sums_and_what_an_atom_has_of_its_structure():
    state = batch(3, 1, 2)
    values = torch.arange(12.0).reshape(6, 2)
    expected = torch.stack([values[:3].sum(0), values[3], values[4:].sum(0)])
    assert torch.equal(sums(state, values), expected)
    assert per_atom(state, torch.tensor([5.0, 6.0, 7.0])).tolist() == [5.0, 5.0, 5.0, 6.0, 7.0, 7.0]


def test_back_to_a_structure():
    original = structure(
        2, info={"REF_energy": 1.0, "name": "a"}, arrays={"REF_forces": np.ones((2, 3)), "tags": [1, 2]}
    )
    state = from_structure(original, 0)
    state = state.with_(
        energy=torch.tensor([-3.0], dtype=torch.float64),
        forces=torch.ones(2, 3, dtype=torch.float64),
        stress=torch.eye(3, dtype=torch.float64)[None],
        velocities=torch.full((2, 3), 0.5, dtype=torch.float64),
        atomic_energies=torch.tensor([-1.0, -2.0], dtype=torch.float64),
    )
    found = to_structure(state, 0, original)
    assert found.energy == -3.0
    assert found.info == {"name": "a"}
    assert sorted(found.arrays) == ["atomic_energies", "tags", "velocities"]
    np.testing.assert_array_equal(found.stress, np.eye(3))
    np.testing.assert_array_equal(found.positions, original.positions)
    molecule = structure(3)
    assert to_structure(from_structure(molecule, 0), 0, molecule).stress is None
