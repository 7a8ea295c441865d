"""Time and memory of a calculation, measured so that figures of one machine can be compared."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence

import torch

Action = Callable[[], object]


def seconds_once(action: Action, device: torch.device) -> float:
    """Wall time of one call, with what it queued on a CUDA device."""
    _wait(device)
    begun = time.perf_counter()
    action()
    _wait(device)
    return time.perf_counter() - begun


def median_seconds(
    actions: Sequence[Action], device: torch.device, *, budget_s: float, least: int = 3, most: int = 15
) -> list[float]:
    """Median wall time of each action. They take turns, so that a busy machine is as busy for all of them.

    As many rounds as `budget_s` has room for, within `least` and `most`. The actions should have run before.
    """
    taken: list[list[float]] = [[] for _ in actions]
    begun = time.perf_counter()
    for turn in range(most):
        if turn >= least and time.perf_counter() - begun > budget_s:
            break
        for action, times in zip(actions, taken, strict=True):
            times.append(seconds_once(action, device))
    return [statistics.median(times) for times in taken]


def peak_bytes(action: Action, device: torch.device) -> int:
    """Most bytes of tensors alive at once during a call, beyond those alive before it.

    On a CPU every allocation and release of torch's allocator is followed, in the order in which they happened.
    """
    if device.type == "cuda":
        _wait(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        action()
        _wait(device)
        return int(torch.cuda.max_memory_allocated(device) - before)
    # The profiler's own log, a line for every start and stop, would otherwise go to the terminal.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        action()
    assert profile.profiler is not None
    assert profile.profiler.kineto_results is not None
    changes = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    alive = peak = 0
    for event in sorted(changes, key=lambda event: event.start_ns()):
        alive += event.nbytes()
        peak = max(peak, alive)
    return peak


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
