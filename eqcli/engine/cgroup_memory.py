"""What the control groups of Linux leave a process of memory and of cores, version 1 and 2."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from eqcli.engine.memory_text import number_in

UNLIMITED = 1 << 60
"""Bytes; version 1 writes a number near 2^63 where there is no limit."""


class Group(NamedTuple):
    """A control group above or around the process, and which version it is of."""

    folder: Path
    version: int


def groups(root: Path, controller: str = "memory") -> Iterator[Group]:
    """All groups of this process that bound its memory, its own first, up to the top of what is mounted.

    Parameters
    ----------
    root
        Where `/proc` and `/sys` are; `/` except in tests.
    controller
        What version 1 calls what they bound: `memory` or `cpu`.
    """
    paths = _paths(root, controller)
    for point, top, version in _mounts(root, controller):
        if (path := paths.get(version)) is None:
            continue
        below = PurePosixPath(path)
        # In a container, the path may be that of the host, of which what is mounted is a part, or none.
        inside = below.relative_to(top) if below.is_relative_to(top) else PurePosixPath(path.lstrip("/"))
        for part in (inside, *inside.parents):
            folder = root / point.lstrip("/") / part
            if ".." not in part.parts and folder.is_dir():
                yield Group(folder, version)


def room(group: Group) -> tuple[int, int] | None:
    """Limit of a group and what it has left, in bytes; None without a limit.

    What lies in the cache of files and was not used lately does not count: the kernel drops it when memory is needed.
    """
    names = ("memory.max", "memory.high") if group.version == 2 else ("memory.limit_in_bytes",)
    limits = [value for name in names if (value := number_in(group.folder / name)) is not None and value < UNLIMITED]
    if not limits:
        return None
    current = "memory.current" if group.version == 2 else "memory.usage_in_bytes"
    idle = "inactive_file" if group.version == 2 else "total_inactive_file"
    used = (number_in(group.folder / current) or 0) - _statistic(group.folder / "memory.stat", idle)
    return min(limits), max(0, min(limits) - max(0, used))


def cores(group: Group) -> float | None:
    """How many cores' worth of time the processes of a group of `cpu` may take; None without a limit."""
    if group.version == 2:
        quota, _, period = "".join(_lines(group.folder / "cpu.max")[:1]).partition(" ")
    else:
        quota, period = ("".join(_lines(group.folder / f"cpu.cfs_{name}_us")[:1]) for name in ("quota", "period"))
    if not (quota.strip().isdigit() and period.strip().isdigit() and int(period)):  # `max`, and -1 in version 1
        return None
    return int(quota) / int(period)


def _paths(root: Path, controller: str) -> dict[int, str]:
    """Version -> path of this process within its hierarchy."""
    found = {}
    for line in _lines(root / "proc/self/cgroup"):
        number, controllers, path = (*line.split(":", 2), "", "")[:3]
        if number == "0" and not controllers:
            found[2] = path
        elif controller in controllers.split(","):
            found[1] = path
    return found


def _mounts(root: Path, controller: str) -> Iterator[tuple[str, str, int]]:
    """Where hierarchies are mounted, which part of them, and the version."""
    for line in _lines(root / "proc/self/mountinfo"):
        first, _, second = line.partition(" - ")
        fields, kind = first.split(), second.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        if kind[0] == "cgroup2":
            yield fields[4], fields[3], 2
        elif kind[0] == "cgroup" and controller in kind[2].split(","):
            yield fields[4], fields[3], 1


def _statistic(path: Path, name: str) -> int:
    for line in _lines(path):
        key, _, value = line.partition(" ")
        if key == name and value.strip().isdigit():
            return int(value)
    return 0


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
