"""Relaxations in batches: equal to those one by one, and to themselves however often they are interrupted."""

from __future__ import annotations

import multiprocessing
import random
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from eqcli.engine.model_file import save_model
from eqcli.errors import ExitCode
from eqcli.io import read_structures
from eqcli.io.ase_bridge import to_ase
from eqcli.io.store_writer import DatasetWriter
from eqcli.io.structure import Structure
from eqcli.tasks import in_batches, relax_result, relax_singly, snapshot_clock
from eqcli.tasks.relax import relax
from tests.engine.test_relaxation import fcc, rattled
from tests.killing import is_there
from tests.listener import Listener
from tests.tasks.test_relax import Stop, assert_same_file
from tests.toy import ToyPotential
from tests.toy_model import register_toy, toy_model


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A folder with a model whose close-packed crystals have a minimum, and crystals of several sizes."""
    register_toy(monkeypatch)
    potential = toy_model().potential
    potential.width.fill_(4.0)
    save_model(tmp_path / "model.safetensors", potential, training={"recipe": {"name": "toy"}}, provenance={})
    crystals = [rattled(seed) for seed in range(4)] + [fcc(2.3), fcc(2.1, cubic=True)]
    write(tmp_path / "crystals.h5", crystals)
    monkeypatch.setattr(snapshot_clock, "SHORTEST", 0.0)
    monkeypatch.setattr(snapshot_clock, "SHARE", 1e9)
    return tmp_path


def write(path: Path, structures: list[Structure]) -> None:
    with DatasetWriter(path) as writer:
        for structure in structures:
            writer.append(structure)


def run(here: Path, output: str, inputs: str = "crystals.h5", **options):
    options = {"cell": "full", "steps": 40, "device": "cpu"} | options
    return relax(here / "model.safetensors", [here / inputs], here / output, **options)


VARIANTS = [
    {},
    {"optimizer": "lbfgs"},
    {"cell": "none"},
    {"cell": "isotropic", "pressure": 10.0, "optimizer": "lbfgs"},
    {"keep_symmetry": True, "symprec": 1e-2},
]


@pytest.mark.parametrize("options", VARIANTS)
def test_batches_end_where_one_by_one_ends(here, options):
    together = run(here, "together.h5", batch_atoms=20, **options)
    singly = run(here, "singly.h5", one_by_one=True, **options)
    assert together.exit_code == singly.exit_code
    for row, other in zip(together.rows, singly.rows, strict=True):
        assert (row.item, row.converged) == (other.item, other.converged)
        assert row.space_group_before == other.space_group_before
        assert row.steps == pytest.approx(other.steps, abs=1)
        assert row.energy_start == pytest.approx(other.energy_start, abs=1e-7)
        assert row.energy == pytest.approx(other.energy, abs=1e-5)
        assert row.volume_start == pytest.approx(other.volume_start, rel=1e-8)
    pairs = zip(*(read_structures(here / name) for name in ("together.h5", "singly.h5")), strict=True)
    for one, other in pairs:
        assert one.info.keys() == other.info.keys()
        assert one.arrays.keys() == other.arrays.keys()
        np.testing.assert_allclose(one.positions, other.positions, atol=1e-3)


@pytest.mark.parametrize("options", VARIANTS)
def test_interrupted_again_and_again_it_ends_the_same(here, options):
    options = options | {"batch_atoms": 20}
    whole = run(here, "whole.h5", trajectory=here / "all.h5", **options)
    for after in (12, 15, 9):
        with pytest.raises(KeyboardInterrupt):
            run(here, "out.h5", trajectory=here / "t.h5", resume=True, report=Stop(after), **options)
    found = run(here, "out.h5", trajectory=here / "t.h5", resume=True, **options)
    assert found.rows == whole.rows
    assert_same_file(here / "out.h5", here / "whole.h5")
    assert_same_file(here / "t.h5", here / "all.h5")


def test_a_bad_structure_among_good_ones(here):
    good = [rattled(seed) for seed in range(3)]
    molecule = Structure([6, 6], [[0.0, 0, 0], [1.5, 0, 0]])
    unknown = replace(rattled(5), numbers=np.full(8, 26))
    write(here / "mixed.h5", [good[0], molecule, good[1], unknown, good[2]])
    write(here / "good.h5", good)
    result = run(here, "out.h5", "mixed.h5", fmax=0.05, smax=1e-2)
    assert result.exit_code == ExitCode.PARTIAL
    assert ["not periodic" in f.reason or "Fe" in f.reason for f in result.failures] == [True, True]
    assert (here / "out.h5.failed.csv").read_text().count("\n") == 3
    alone = run(here, "alone.h5", "good.h5", fmax=0.05, smax=1e-2)
    assert [row.steps for row in result.rows] == [row.steps for row in alone.rows]
    for one, other in zip(read_structures(here / "out.h5"), read_structures(here / "alone.h5"), strict=True):
        np.testing.assert_allclose(one.positions, other.positions, atol=1e-8)


def test_the_summary_says_what_the_table_leaves_out(here, monkeypatch):
    monkeypatch.setattr(relax_result, "TOLD", 2)
    result = run(here, "out.h5", steps=2)
    assert (len(result.rows), result.figures.relaxed) == (2, 6)
    assert ("not in the table", "4 more; the output has all") in result.summary()
    monkeypatch.setattr(relax_result, "TOLD", 6)
    assert "not in the table" not in dict(run(here, "all.h5", steps=2).summary())


@pytest.mark.parametrize("one_by_one", [False, True])
def test_the_first_structures_alone_have_a_line_each(here, monkeypatch, one_by_one):
    module = relax_singly if one_by_one else in_batches
    monkeypatch.setattr(module, "SAID", 2)
    heard = Listener()
    run(here, "out.h5", steps=2, one_by_one=one_by_one, report=heard)
    assert [f"frame {number}" in " ".join(heard.messages) for number in range(4)] == [True, True, False, False]


def _go_on(here: Path, output: str, options: dict) -> None:
    run(here, output, resume=True, **options)


def test_killed_at_any_moment_it_ends_the_same(here):
    options = {"steps": 150, "fmax": 1e-4, "smax": 1e-7, "batch_atoms": 20, "trajectory": here / "t.h5"}
    begin = time.monotonic()
    run(here, "whole.h5", **(options | {"trajectory": here / "all.h5"}))
    duration = time.monotonic() - begin
    context, moments = multiprocessing.get_context("fork"), random.Random(0)
    kills = 0
    # What is warm is faster than the first run: the third kill may come too late.
    while kills < 3 and not (here / "out.h5").exists():
        process = context.Process(target=_go_on, args=(here, "out.h5", options))
        process.start()
        process.join(moments.uniform(0.05, 0.3) * duration)
        process.kill()
        process.join()
        assert not is_there(process.pid)
        kills += 1
    assert kills > 1
    if not (here / "out.h5").exists():
        _go_on(here, "out.h5", options)
    assert_same_file(here / "out.h5", here / "whole.h5")
    assert_same_file(here / "t.h5", here / "all.h5")


def test_what_does_not_fit_the_memory_is_a_failure_and_the_others_are_done(here, monkeypatch):
    atoms = to_ase(fcc(2.2, cubic=True)) * (3, 2, 2)
    large = Structure(atoms.numbers, atoms.positions, atoms.cell.array, True)
    write(here / "mixed.h5", [rattled(0), large, rattled(1), rattled(2)])
    plain = ToyPotential.interaction_energies

    def bounded(self, graph, vectors):
        if graph.num_nodes > 20:
            raise torch.OutOfMemoryError("no")
        return plain(self, graph, vectors)

    monkeypatch.setattr(ToyPotential, "interaction_energies", bounded)
    result = run(here, "out.h5", "mixed.h5", steps=5)
    assert result.exit_code == ExitCode.PARTIAL
    (failure,) = result.failures
    assert "48 atoms" in failure.reason
    assert "needs more memory" in failure.reason
    assert len(result.rows) == 3
