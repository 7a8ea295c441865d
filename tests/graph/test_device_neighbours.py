"""Lists made where the positions are: the same pairs in the same order by every way."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from eqcli.graph.device_neighbours import DENSE_TRIALS, _ways, by_ways, device_pairs, library_pairs
from eqcli.graph.many import list_pairs
from eqcli.graph.pair_table import PairTable
from eqcli.io.structure import Structure

CUTOFF = 4.5
PERIODS = [(1, 1, 1), (0, 0, 0), (1, 1, 0), (0, 0, 1)]


def structure(n: int, seed: int, pbc=(1, 1, 1), width: float = 4.0) -> Structure:
    rng = np.random.default_rng(seed)
    cell = width * (np.eye(3) + rng.normal(size=(3, 3)) * 0.15)
    fractional = rng.random((n, 3)) + rng.integers(-3, 4, size=(n, 3)) * np.array(pbc)
    return Structure(np.ones(n), fractional @ cell, cell, pbc)


def tensors(structures) -> tuple[torch.Tensor, ...]:
    return (
        torch.from_numpy(np.concatenate([s.positions for s in structures])),
        torch.tensor([len(s) for s in structures]),
        torch.from_numpy(np.stack([s.cell for s in structures])),
        torch.from_numpy(np.stack([s.pbc for s in structures])),
    )


def assert_same(found: PairTable, expected: PairTable) -> None:
    for name in ("counts", "receiver", "sender", "shift"):
        a, b = getattr(found, name), getattr(expected, name)
        assert a.dtype == b.dtype
        assert torch.equal(a, b), name


def several() -> list[Structure]:
    # One atom, tiny and skewed cells, all kinds of periods, one without a neighbour.
    found = [structure(n, seed, (1, 1, 1), 2.0 + n / 3) for seed, n in enumerate((1, 2, 5, 9, 12))]
    found += [structure(6, 20 + k, pbc) for k, pbc in enumerate(PERIODS)]
    return [*found, structure(1, 30, width=30.0), structure(30, 31, (0, 0, 0), 9.0)]


@pytest.mark.parametrize("way", [0, 2])
def test_all_pairs_and_lists_of_the_cpu_agree(way):
    structures = several()
    expected, _ = list_pairs(structures, CUTOFF)
    found, failures = by_ways(*tensors(structures), CUTOFF, torch.full((len(structures),), way))
    assert not failures
    assert_same(found, expected)


def test_blocks_of_pairs_change_nothing(monkeypatch):
    structures = several()
    expected, _ = list_pairs(structures, CUTOFF)
    monkeypatch.setattr("eqcli.graph.dense_pairs.BLOCK", 2000)
    found, _ = by_ways(*tensors(structures), CUTOFF, torch.zeros(len(structures), dtype=torch.int64))
    assert_same(found, expected)


def test_the_library_on_the_device_agrees():
    pytest.importorskip("vesin_torch")
    structures = [s for s in several() if s.pbc.all() or not s.pbc.any()]
    found = library_pairs(*tensors(structures), CUTOFF)
    assert found is not None
    assert_same(found, list_pairs(structures, CUTOFF)[0])


def test_ways_are_mixed_in_the_order_of_the_structures():
    structures = several()
    ways = torch.tensor([(0, 2, 1)[k % 3] if s.pbc.all() else 0 for k, s in enumerate(structures)])
    assert_same(by_ways(*tensors(structures), CUTOFF, ways)[0], list_pairs(structures, CUTOFF)[0])


def test_without_the_library_the_lists_come_from_the_cpu(monkeypatch):
    monkeypatch.setitem(sys.modules, "vesin_torch", None)
    structures = [structure(4, 0), structure(3, 1)]
    assert library_pairs(*tensors(structures), CUTOFF) is None
    assert_same(by_ways(*tensors(structures), CUTOFF, torch.tensor([1, 0]))[0], list_pairs(structures, CUTOFF)[0])


def test_what_is_not_plainly_usable_is_left_to_the_cpu():
    lost = Structure([1, 1], [[0.0, 0, 0], [np.nan, 0, 0]])
    flat = Structure([1], np.zeros((1, 3)), np.zeros((3, 3)), True)
    broken = Structure([1], np.zeros((1, 3)), np.full((3, 3), np.nan), True)
    far = Structure([1, 1], [[0.0, 0, 0], [1e9, 0, 0]], np.eye(3), True)
    dense = Structure(np.ones(40), np.zeros((40, 3)), 1e-3 * np.eye(3), True)
    large = structure(600, 3, width=25.0)
    members = [
        structure(4, 0),
        lost,
        flat,
        broken,
        far,
        dense,
        structure(5, 1, (0, 0, 0)),
        structure(5, 2, (1, 1, 0)),
        large,
    ]
    ways = _ways(*tensors(members), CUTOFF)
    assert DENSE_TRIALS < 600**2 * 27
    assert ways.tolist() == [0, 2, 2, 2, 2, 2, 0, 2, 1]
    found, failures = by_ways(*tensors(members), CUTOFF, ways)
    expected, reasons = list_pairs(members, CUTOFF)
    assert {k: str(error) for k, error in failures.items()} == {k: str(error) for k, error in reasons.items()}
    assert sorted(failures) == [1, 2, 3, 4, 5]
    assert_same(found, expected)


def test_no_structures():
    empty = [structure(1, 0)]
    positions, atoms, cell, pbc = tensors(empty)
    none = (positions[:0], atoms[:0], cell[:0], pbc[:0])
    for table, _ in (device_pairs(*none, CUTOFF), by_ways(*none, CUTOFF, atoms[:0])):
        assert len(table.sender) == len(table.counts) == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_cuda_device():
    structures = [*several(), structure(600, 3, width=25.0)]
    found, failures = device_pairs(*(x.cuda() for x in tensors(structures)), CUTOFF)
    assert not failures
    assert found.sender.is_cuda
    assert_same(found.to("cpu"), list_pairs(structures, CUTOFF)[0])
