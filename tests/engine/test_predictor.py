"""Predictions of many structures: the same as one by one, in order, whatever fails."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eqcli.engine.listed import batch_of
from eqcli.engine.predictor import Predictor
from eqcli.errors import InputError, Where
from eqcli.graph.atom_graph import build_graph
from eqcli.io.structure import Structure
from eqcli.models.potentials.derive import evaluate
from tests.toy_model import REFERENCE_ENERGIES, toy_model


def molecule(n: int = 5, seed: int = 0, **fields) -> Structure:
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(4)] * 3), axis=-1).reshape(-1, 3)
    positions = 1.5 * grid[:n] + rng.normal(size=(n, 3)) * 0.1
    return Structure(rng.choice([1, 6, 8], n), positions, where=Where("m.xyz", frame=seed), **fields)


def crystal(seed: int = 0, pbc=True, **fields) -> Structure:
    cell = np.eye(3) * 3.2 + np.random.default_rng(seed).normal(size=(3, 3)) * 0.1
    positions = np.array([[0.0, 0, 0], [0.5, 0.5, 0.5]]) @ cell
    return Structure([6, 8], positions, cell, pbc, where=Where("c.cif", frame=seed), **fields)


def predict(structures, *, model=None, **options) -> tuple[list[Structure], list]:
    failures: list = []
    found = list(Predictor(model or toy_model(), **options).predict(structures, failures.append))
    return found, failures


def alone(structure: Structure, stress: bool):
    graph = build_graph(structure.numbers, structure.positions, structure.cell, structure.pbc, 4.0)
    return evaluate(toy_model().potential, graph, stress=stress)


@pytest.mark.parametrize("batch_atoms", [None, 1, 7, 1000])
def test_equal_to_one_by_one_and_in_order(batch_atoms):
    structures = [molecule(seed=0), crystal(1), molecule(n=1, seed=2), crystal(3), molecule(n=20, seed=4)]
    found, failures = predict(structures, batch_atoms=batch_atoms)
    assert not failures
    assert [one.where for one in found] == [one.where for one in structures]
    for given, one in zip(structures, found, strict=True):
        expected = alone(given, stress=True)
        assert one.energy == pytest.approx(float(expected["energy"]), abs=1e-10)
        np.testing.assert_allclose(one.forces, expected["forces"], atol=1e-12)
        np.testing.assert_allclose(one.arrays["atomic_energies"], expected["atomic_energies"], atol=1e-10)
        assert one.arrays["atomic_energies"].sum() == pytest.approx(one.energy, abs=1e-9)
        if given.pbc.all():
            np.testing.assert_allclose(one.stress, expected["stress"][0], atol=1e-12)
        else:
            assert one.stress is None


def test_a_batch_never_exceeds_its_atoms(monkeypatch):
    sizes = []

    def watched(items):
        sizes.append(sum(item.atoms for item in items))
        return batch_of(items)

    monkeypatch.setattr("eqcli.engine.predictor.batch_of", watched)
    predict([molecule(n=n, seed=n) for n in (3, 3, 3, 9, 1, 1, 5)], batch_atoms=6)
    assert sizes == [6, 3, 9, 2, 5]


def test_structures_are_read_no_further_than_needed():
    taken = []

    def source():
        for k in range(100):
            taken.append(k)
            yield molecule(seed=k)

    stream = Predictor(toy_model(), batch_atoms=10).predict(source())
    next(stream)
    # A batch, and as much again whose neighbours are listed together.
    assert len(taken) <= 5


def test_an_isolated_atom_has_its_reference_energy():
    (one,), _ = predict([Structure([8], [[100.0, 50.0, 0.0]])])
    assert one.energy == REFERENCE_ENERGIES[8]
    np.testing.assert_array_equal(one.forces, np.zeros((1, 3)))
    assert one.stress is None


def test_labels_of_the_input_are_kept_under_reference_names():
    given = crystal(energy=-1.0, forces=np.ones((2, 3)), stress=np.diag([1.0, 2.0, 3.0]), info={"config_type": "bulk"})
    (one,), _ = predict([given])
    assert one.info["REF_energy"] == -1.0
    assert one.info["REF_stress"] == [1.0, 0, 0, 0, 2.0, 0, 0, 0, 3.0]
    np.testing.assert_array_equal(one.arrays["REF_forces"], np.ones((2, 3)))
    assert one.info["config_type"] == "bulk"
    assert one.energy != -1.0
    assert given.energy == -1.0
    assert "REF_energy" not in given.info
    (again,), _ = predict([one])
    assert again.info["REF_energy"] == -1.0


def test_without_labels_there_are_no_reference_names():
    (one,), _ = predict([molecule()])
    assert not any(name.startswith("REF_") for name in (*one.info, *one.arrays))


def test_bad_structures_become_failures_and_the_others_go_on():
    bad = {
        1: Structure([6, 26], [[0.0, 0, 0], [2.0, 0, 0]], where=Where("bad.xyz", frame=1)),
        2: Structure([6, 6], [[0.0, 0, 0], [np.nan, 0, 0]], where=Where("bad.xyz", frame=2)),
        4: Structure(np.zeros(0, int), np.zeros((0, 3)), where=Where("bad.xyz", frame=4)),
        5: Structure([6], [[0.0, 0, 0]], np.zeros((3, 3)), True, where=Where("bad.xyz", frame=5)),
        7: molecule(seed=7, charge=-1.0),
    }
    structures = [bad.get(k, molecule(seed=k)) for k in range(9)]
    found, failures = predict(structures)
    assert [one.where.frame for one in found] == [0, 3, 6, 8]
    assert [(f.item, f.where.frame) for f in failures] == [(bad[k].name, bad[k].where.frame) for k in sorted(bad)]
    for failure, said in zip(failures, ("Fe", "position", "no atoms", "cell", "charge -1"), strict=True):
        assert said in failure.reason


def test_without_a_listener_the_first_failure_is_raised():
    structures = [molecule(), Structure([26], [[0.0, 0, 0]], where=Where("bad.xyz", frame=3))]
    with pytest.raises(InputError, match=r"bad.xyz, frame 3: .*Fe") as caught:
        list(Predictor(toy_model()).predict(structures))
    assert "H, C, O" in caught.value.message


def test_only_failures_do_not_pile_up(monkeypatch):
    monkeypatch.setattr("eqcli.engine.memory_budget.MAX_ATOMS", 4)
    listed: list = []
    iron = (Structure([26], [[0.0, 0, 0]]) for _ in range(20))
    source = iter(list(iron))
    stream = Predictor(toy_model()).predict(source, listed.append)
    assert list(stream) == []
    assert len(listed) == 20


def test_a_zero_charge_is_accepted():
    found, failures = predict([molecule(charge=0.0)])
    assert len(found) == 1
    assert not failures


def test_a_model_that_declares_it_takes_charges():
    model = toy_model()
    model.potential.accepts_charge = True
    found, _ = predict([molecule(charge=-1.0)], model=model)
    assert len(found) == 1


def test_stress_on_request():
    structures = [molecule(seed=0), crystal(1), crystal(2, pbc=(1, 1, 0))]
    found, failures = predict(structures, stress=False)
    assert [one.stress for one in found] == [None] * 3
    found, failures = predict(structures, stress=True)
    assert [one.where.frame for one in found] == [1]
    assert all("periodic" in failure.reason for failure in failures)


def test_atoms_on_top_of_each_other_are_named_and_the_rest_is_right(monkeypatch):
    model = toy_model()

    def energies(graph, vectors):
        # 1/r^12: infinite energy and undefined forces at zero distance.
        pair = vectors.pow(2).sum(1).pow(-6)
        return pair.new_zeros(graph.num_nodes).index_add(0, graph.edge_index[1], pair)

    monkeypatch.setattr(model.potential, "interaction_energies", energies)
    good = molecule(seed=1)
    overlap = Structure([6, 8, 1], [[0.0, 0, 0], [2.0, 0, 0], [2.0, 0, 0]], where=Where("o.xyz", frame=0))
    found, failures = predict([good, overlap, good], model=model)
    assert len(found) == 2
    (expected,), _ = predict([good], model=model)
    for one in found:
        np.testing.assert_array_equal(one.forces, expected.forces)
    (failure,) = failures
    assert "atoms 1 (O) and 2 (H) are 0 Å apart" in failure.reason


class Cramped:
    """Raises out-of-memory for batches above a size, as a device would."""

    def __init__(self, limit: int, error: Exception) -> None:
        self.limit, self.error, self.sizes = limit, error, []

    def __call__(self, potential, graph, **options):
        self.sizes.append(graph.num_nodes)
        if graph.num_nodes > self.limit:
            raise self.error
        return evaluate(potential, graph, **options)


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"),
    MemoryError(),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=["cuda", "cpu", "numpy"])
def test_batches_that_do_not_fit_are_halved(monkeypatch, error):
    cramped = Cramped(12, error)
    monkeypatch.setattr("eqcli.engine.predictor.evaluate_on_cores", cramped)
    structures = [molecule(n=5, seed=k) for k in range(16)]
    found, failures = predict(structures, batch_atoms=40)
    assert not failures
    assert [one.where.frame for one in found] == list(range(16))
    # The second batch is planned by what the first one taught.
    assert max(cramped.sizes[cramped.sizes.index(10) :]) <= 40
    assert cramped.sizes.count(40) == 1


def test_a_structure_too_large_alone_is_a_failure(monkeypatch):
    monkeypatch.setattr("eqcli.engine.predictor.evaluate_on_cores", Cramped(12, OUT_OF_MEMORY[0]))
    found, failures = predict([molecule(n=5, seed=0), molecule(n=20, seed=1), molecule(n=5, seed=2)])
    assert [one.where.frame for one in found] == [0, 2]
    assert "20 atoms" in failures[0].reason
    assert "memory" in failures[0].reason


def test_other_errors_are_not_taken_for_lack_of_memory(monkeypatch):
    monkeypatch.setattr(
        "eqcli.engine.predictor.evaluate_on_cores", Cramped(0, RuntimeError("shapes cannot be multiplied"))
    )
    with pytest.raises(RuntimeError, match="shapes"):
        predict([molecule()])


def test_a_batch_of_no_atoms_is_refused():
    with pytest.raises(InputError, match="at least one atom"):
        Predictor(toy_model(), batch_atoms=0)


def test_float32_models_give_float32_accuracy_and_float64_sums():
    (one,), _ = predict([molecule(n=30)], model=toy_model(torch.float32))
    (exact,), _ = predict([molecule(n=30)])
    assert one.forces.dtype == np.float64
    np.testing.assert_allclose(one.forces, exact.forces, atol=1e-4)
    # The reference energies are 4e4 eV here, where float32 resolves 4 meV.
    assert one.energy == pytest.approx(exact.energy, abs=1e-4)
