"""A writer killed at any moment loses no committed frame."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from eqcli.io import DatasetFile, DatasetWriter, Structure

WRITER = """
import sys
from eqcli.io import DatasetWriter
from tests.io.test_store_kill import frame
with DatasetWriter(sys.argv[1], append=True) as writer:
    i = writer.committed
    print(i, flush=True)
    while True:
        for _ in range(1 + i % 40):
            writer.append(frame(i))
            i += 1
        writer.commit()
        print(writer.committed, flush=True)
"""


def frame(i: int) -> Structure:
    rng = np.random.default_rng(i)
    n = 1 + i % 30
    return Structure(rng.integers(1, 90, n), rng.normal(size=(n, 3)), energy=float(i), info={"i": i})


def test_killed_at_random_moments(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    generator = random.Random(0)
    root = Path(__file__).resolve().parents[2]
    previous = 0
    for _ in range(6):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=root,
            text=True,
        )
        assert writer.stdout is not None
        assert writer.stderr is not None
        first = writer.stdout.readline()
        assert first, writer.stderr.read()
        # What an earlier writer committed is there when the next one continues.
        assert int(first) >= previous
        time.sleep(generator.uniform(0, 0.4))
        writer.send_signal(signal.SIGKILL)
        reported = [int(line) for line in writer.stdout.read().split()]
        writer.wait()
        writer.stdout.close()
        writer.stderr.close()
        previous = reported[-1] if reported else int(first)
        data = DatasetFile(path)
        assert len(data) >= previous
        for i, structure in enumerate(data):
            expected = frame(i)
            assert structure.energy == i
            assert structure.info == {"i": i}
            np.testing.assert_array_equal(structure.positions, expected.positions)
        data.close()
    assert previous > 0
    with DatasetWriter(path, append=True) as last:
        n = last.committed
        last.append(frame(n))
    assert len(DatasetFile(path)) == n + 1


def _opened_again_and_again(path: Path) -> None:
    while True:
        with DatasetWriter(path, append=True) as writer:
            for _ in range(3):
                writer.append(frame(writer.committed))
                writer.commit()


def test_killed_while_it_is_opened_or_closed(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    generator = random.Random(1)
    known, longest = 0, 0.02
    for _ in range(40):
        process = get_context("fork").Process(target=_opened_again_and_again, args=(path,))
        process.start()
        time.sleep(generator.uniform(0.001, longest))
        process.kill()
        process.join()
        # A busy machine needs longer to come as far.
        longest = 0.02 if known else min(1.0, 1.5 * longest)
        if path.exists():
            with DatasetFile(path) as data:
                assert len(data) >= known
                known = len(data)
                assert [structure.energy for structure in data] == list(range(known))
    assert known > 0
