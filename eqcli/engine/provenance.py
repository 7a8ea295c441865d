"""Where a result comes from: versions, machine, time and source of the code."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import eqcli

PACKAGES = ("torch", "torch-geometric", "lightning", "numpy", "ase", "vesin", "h5py", "safetensors", "small-gicp")

_SURROUNDINGS: ContextVar[Mapping[str, Any] | None] = ContextVar("surroundings", default=None)


def provenance() -> dict[str, Any]:
    """Facts needed to repeat a result, as JSON-able values; within a pipeline also which step of what it is."""
    around = _SURROUNDINGS.get()
    return {
        "eqcli": eqcli.__version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "machine": machine(),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **({} if around is None else {"recipe": dict(around)}),
    }


@contextmanager
def made_by(recipe: Mapping[str, Any]) -> Iterator[None]:
    """Everything whose provenance is taken inside was made by this recipe or step, given as plain data."""
    token = _SURROUNDINGS.set(recipe)
    try:
        yield
    finally:
        _SURROUNDINGS.reset(token)


def machine() -> dict[str, Any]:
    """The processor, how many threads compute, and the CUDA devices where this process uses them; no names of hosts."""
    found: dict[str, Any] = {"cpu": _cpu(), "cores": os.cpu_count()}
    # What torch knows is asked where it is loaded: reading a file does not need it.
    if (torch := sys.modules.get("torch")) is not None:
        found["threads"] = torch.get_num_threads()
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            found["gpus"] = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
            found["cuda"] = torch.version.cuda
    return found


@cache
def _cpu() -> str:
    """The model of the processor, or its kind where the system does not say."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Commit of the source tree that the package runs from, with `+` when it has changes; None when installed."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        head = _git(root, "rev-parse", "HEAD")
        return head + ("+" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
