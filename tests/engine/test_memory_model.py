"""Memory of batches, learned from measurements; and the measurements themselves."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from eqcli.engine.memory_model import GROWTH, SAFETY, TELLING, MemoryModel
from eqcli.engine.peak_memory import peak_memory

MB = 10**6


def truth(atoms: int, edges: int) -> float:
    return 40 * MB + 2_000 * atoms + 900 * edges


def estimate(atoms: int, edges: int) -> float:
    return 5_000.0 * (atoms + edges)


def test_nothing_measured_leaves_the_estimate():
    model = MemoryModel(estimate)
    assert model.needs(100, 2000) == estimate(100, 2000)
    assert model.tried() == 0.0


def test_a_line_is_found_and_the_margin_stays_on_top():
    model = MemoryModel(estimate)
    for atoms, edges in ((500, 5_000), (900, 18_000), (1_500, 21_000), (2_500, 90_000)):
        model.observe(atoms, edges, truth(atoms, edges))
    np.testing.assert_allclose(model.coefficients, (40 * MB, 2_000, 900), rtol=1e-6)
    assert model.needs(4_000, 200_000) == pytest.approx(SAFETY * truth(4_000, 200_000), rel=1e-6)


def test_no_measurement_lies_above_the_line_and_no_coefficient_is_negative():
    rng = np.random.default_rng(0)
    model = MemoryModel(estimate)
    seen = []
    for atoms in (100, 200, 400, 800, 1600):
        edges = int(atoms * rng.uniform(10, 60))
        peak = truth(atoms, edges) * rng.uniform(0.6, 1.4)
        seen.append((atoms, edges, peak))
        model.observe(atoms, edges, peak)
    assert all(c >= 0 for c in model.coefficients)
    assert all(model.needs(atoms, edges) >= SAFETY * peak * (1 - 1e-9) for atoms, edges, peak in seen)


def test_more_atoms_and_more_edges_never_need_less():
    model = MemoryModel(estimate)
    for k, (atoms, edges) in enumerate(((300, 9_000), (900, 9_500), (1_200, 60_000))):
        model.observe(atoms, edges, (3 - k) * 100 * MB)
    assert model.needs(1_000, 20_000) <= model.needs(2_000, 20_000) <= model.needs(2_000, 40_000)


def test_one_batch_scales_the_estimate():
    model = MemoryModel(estimate)
    model.observe(1_000, 20_000, 3 * estimate(1_000, 20_000))
    assert model.needs(2_000, 40_000) == pytest.approx(SAFETY * 3 * estimate(2_000, 40_000))


def test_what_starting_takes_is_not_taken_for_the_memory_of_a_batch():
    """The first small batch loads code and starts threads: far more than its atoms need."""
    model = MemoryModel(estimate)
    assert estimate(3, 6) < TELLING
    model.observe(3, 6, 60 * MB)
    assert model.needs(1_000, 20_000) == SAFETY * estimate(1_000, 20_000)


def test_a_line_is_not_drawn_far_beyond_what_was_measured():
    model = MemoryModel(estimate)
    for atoms in (300, 600, 1200):
        model.observe(atoms, 20 * atoms, truth(atoms, 20 * atoms))
    near, far = 4_000, 50_000
    assert near * 21 < GROWTH * 1200 * 21 < far * 21
    assert model.needs(near, 20 * near) == pytest.approx(SAFETY * truth(near, 20 * near), rel=1e-6)
    worst = truth(300, 6_000) / estimate(300, 6_000)
    assert model.needs(far, 20 * far) == pytest.approx(SAFETY * worst * estimate(far, 20 * far))


def test_measurements_survive_as_plain_data():
    model, other = MemoryModel(estimate), MemoryModel(estimate)
    for atoms in (500, 1000, 3000):
        model.observe(atoms, 30 * atoms, truth(atoms, 30 * atoms))
    other.restore([list(one) for one in model.measured])
    assert other.needs(5_000, 90_000) == model.needs(5_000, 90_000)


MEASURED = """
import torch
from eqcli.engine.peak_memory import peak_memory

cpu = torch.device("cpu")
with peak_memory(cpu) as warm:
    torch.ones(10)
with peak_memory(cpu) as peak:
    large = torch.ones(25_000_000)
    del large
with peak_memory(cpu) as after:
    torch.ones(10)
print(warm.bytes, peak.bytes, after.bytes, peak.seconds)
"""


def test_the_peak_of_work_on_the_cpu_is_seen_though_it_is_gone_afterwards():
    """In a process of its own: one that has done much takes what its allocator has kept, which is there already."""
    told = subprocess.run([sys.executable, "-c", MEASURED], capture_output=True, text=True, check=True).stdout.split()
    if told[0] == "None":
        pytest.skip("this system does not reset the largest resident size")
    peak, after, seconds = map(float, told[1:])
    assert 95 * MB < peak < 200 * MB
    assert after < 20 * MB
    assert seconds > 0


def test_work_that_fails_is_measured_and_fails():
    with pytest.raises(ValueError, match="on purpose"), peak_memory(torch.device("cpu")) as peak:
        raise ValueError("on purpose")
    assert peak.seconds > 0


def test_the_peak_on_a_cuda_device_is_that_of_its_allocator(monkeypatch: pytest.MonkeyPatch) -> None:
    device = torch.device("cuda:0")
    asked: list[str] = []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: asked.append("reset"))
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 3 * MB)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 10 * MB)
    with peak_memory(device) as peak:
        asked.append("work")
    assert asked == ["reset", "work"]
    assert (peak.floor, peak.bytes) == (3 * MB, 7 * MB)
