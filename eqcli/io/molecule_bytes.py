"""RDKit molecules from the bytes in which RDKit stores them, read in a process of its own.

RDKit trusts these bytes: damaged ones can end the process that reads them. Only that process is lost here, and one
molecule with it. Questions are bytes with their length before them; answers are lines of JSON, so that nothing is
unpickled on either side.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from typing import IO, Any

SECONDS = 60.0
"""That one molecule may take."""

MEMORY = 8 << 30
"""Bytes of address space of the process; damaged bytes may ask for any amount."""

WIDTH = 8


class MoleculeBytes:
    """A process that reads molecules, started with the first and again after one that ended it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> MoleculeBytes:
        return self

    def __exit__(self, *raised: object) -> None:
        self._stop()

    def parse(self, content: bytes) -> dict[str, Any]:
        """Atoms, bonds and conformers of a molecule: see `describe`. Raises ValueError where the bytes are none."""
        process = self._process if self._process is not None else _start()
        self._process = process
        assert process.stdin is not None
        assert process.stdout is not None
        timer = threading.Timer(SECONDS, process.kill)
        timer.start()
        try:
            process.stdin.write(len(content).to_bytes(WIDTH, "little") + content)
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = b""
        finally:
            timer.cancel()
        if not answer.endswith(b"\n"):
            self._stop()
            raise ValueError("RDKit fails on its bytes, which are damaged")
        found: dict[str, Any] = json.loads(answer)
        if "error" in found:
            raise ValueError(found["error"])
        return found

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
        process.kill()
        process.wait()


def _start() -> subprocess.Popen[bytes]:
    # -P: no module of the current folder is imported.
    command = [sys.executable, "-P", "-c", f"from {__name__} import serve; serve()"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    )


def serve() -> None:
    """What the process does: answers until its input ends."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = MEMORY if most == resource.RLIM_INFINITY else min(MEMORY, most)
    resource.setrlimit(resource.RLIMIT_AS, (limit, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    questions: IO[bytes] = sys.stdin.buffer
    while header := questions.read(WIDTH):
        content = questions.read(int.from_bytes(header, "little"))
        try:
            answer = describe(content)
        except (RuntimeError, ValueError, MemoryError) as error:
            answer = {"error": f"RDKit cannot read its bytes: {' '.join(str(error).split())[:200]}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def describe(content: bytes) -> dict[str, Any]:
    """Atomic numbers, arrays of the atoms, bonds and positions of all conformers of a molecule, as plain data."""
    from rdkit import Chem, rdBase

    from eqcli.io.rdkit_molecule import atom_arrays, bonds_of

    with rdBase.BlockLogs():
        molecule: Any = Chem.Mol(content)  # type: ignore[call-overload]
        molecule.UpdatePropertyCache(strict=False)
    return {
        "numbers": [atom.GetAtomicNum() for atom in molecule.GetAtoms()],
        "arrays": {name: values.tolist() for name, values in atom_arrays(molecule).items()},
        "bonds": bonds_of(molecule),
        "conformers": [conformer.GetPositions().tolist() for conformer in molecule.GetConformers()],
        "hydrogens": sum(atom.GetTotalNumHs() for atom in molecule.GetAtoms()),
    }
