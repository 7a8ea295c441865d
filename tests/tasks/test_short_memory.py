"""Work in a process with little memory: what fits in parts is done, what fits not even alone is a failure."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eqcli.engine.model_file import load_model, save_model
from eqcli.engine.predictor import Predictor
from eqcli.io import read_structures, write_structures
from eqcli.io.structure import Structure
from eqcli.models.potentials.build import make_potential
from eqcli.models.potentials.configs.mace import MACEConfig

ROOM = 300
"""MB beyond what the process holds when it begins."""

PROGRAM = """
import resource, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
import eqcli.tasks.predict, eqcli.tasks.relax, eqcli.engine.predictor, eqcli.models.potentials.mace
import scipy.optimize, h5py, vesin
from eqcli.cli.app import main
status = Path("/proc/self/status").read_text().split("VmSize:")[1]
limit = int(status.split()[0]) * 1024 + int(sys.argv[1]) * 10**6
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
main(sys.argv[2:])
"""

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or resource.getrlimit(resource.RLIMIT_AS)[1] != resource.RLIM_INFINITY,
    reason="the memory of a process cannot be limited here",
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    config = MACEConfig(cutoff=4.0, channels=16, max_L=1, max_ell=2, num_interactions=2, correlation=2)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_model(path, make_potential(config, [6]).to(torch.float32), training={}, provenance={})
    return path


def crystal(n: int) -> Structure:
    """`n^3` carbon atoms on a simple cubic lattice, shaken."""
    grid = np.stack(np.meshgrid(*[np.arange(n)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    positions = 1.9 * grid + np.random.default_rng(n).normal(size=(n**3, 3)) * 0.05
    return Structure(np.full(n**3, 6), positions, 1.9 * n * np.eye(3), np.ones(3, dtype=bool))


def predict(
    model: Path, structures: list[Structure], room: int, *options: str, command: str = "predict"
) -> tuple[int, dict[str, Any], str]:
    """Exit code, the result and what was said, of `eqcli predict` or another command with so many MB."""
    folder = model.parent
    write_structures(folder / "in.extxyz", structures, overwrite=True)
    given = [command, str(model), str(folder / "in.extxyz"), "-o", str(folder / "out.extxyz"), "--overwrite"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(room), *given, "--json", *options], capture_output=True, text=True
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


def test_a_batch_that_does_not_fit_is_done_in_halves_and_told(model: Path) -> None:
    structures = [crystal(4)] * 32
    energies = [one.energy for one in Predictor(load_model(model)).predict(structures)]
    code, result, said = predict(model, structures, ROOM, "--batch-atoms", "2048")
    assert code == 0
    assert result["structures"] == 32
    assert "did not fit the memory of cpu" in said
    halves = [one.energy for one in read_structures(model.parent / "out.extxyz")]
    np.testing.assert_allclose(halves, energies, rtol=1e-5)


def test_batches_are_chosen_so_that_none_fails(model: Path) -> None:
    code, result, said = predict(model, [crystal(4)] * 32, ROOM)
    assert (code, result["structures"]) == (0, 32)
    assert "did not fit" not in said


def test_a_structure_too_large_alone_is_a_failure_among_others_that_are_done(model: Path) -> None:
    code, result, _ = predict(model, [crystal(3), crystal(22), crystal(4)], ROOM)
    assert code == 3
    assert result["structures"] == 2
    (failure,) = result["failures"]
    assert "10648 atoms" in failure["reason"]
    assert "needs more memory than" in failure["reason"]


def test_relaxations_go_on_without_a_structure_that_is_too_large(model: Path) -> None:
    structures = [crystal(3), crystal(22), crystal(4)]
    code, result, _ = predict(model, structures, ROOM, "--steps", "1", command="relax")
    assert code == 3
    assert len(result["structures"]) == 2
    (failure,) = result["failures"]
    assert "needs more memory" in failure["reason"]
