"""A Slurm that tests share: started once, in a folder of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.slurm_here import Slurm, SlurmUnavailable


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """A Slurm of one node, which the commands of this process find; tests skip where it does not start."""
    # Names of sockets may have a hundred characters.
    folder = tmp_path_factory.mktemp("s")
    made = Slurm(folder)
    before = {name: os.environ.get(name) for name in made.environment}
    try:
        made.start()
    except SlurmUnavailable as reason:
        pytest.skip(str(reason))
    os.environ.update(made.environment)
    yield made
    made.stop()
    for name, value in before.items():
        if value is None:
            os.environ.pop(name)
        else:
            os.environ[name] = value


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
