"""Points spread evenly over a cloud."""

from __future__ import annotations

import torch
from torch import Tensor

from eqcli.errors import InputError
from eqcli.graph.points.checks import require_count, require_points


def farthest_points(points: Tensor, count: int, *, start: int | None = None) -> Tensor:
    """Indices `[count]` of points chosen one by one, each as far as can be from those before it.

    Begins with `start`, by default the point farthest from the mean of the cloud, so that a turned cloud gives
    the same points. Takes `count` passes over the cloud. A count above the number of points is cut to it;
    duplicates come last.

    Raises
    ------
    InputError
        An empty cloud `[N, 3]`, points that are not finite, a count below 1, a start that is no point.
    """
    require_points(points)
    require_count(count, "the number of points to choose")
    if start is not None and not 0 <= start < len(points):
        raise InputError(f"point {start} cannot be the first: the cloud has {len(points)} points")
    x = points.detach()
    if start is None:
        # The mean in float64, so that the choice does not hang on the order of summation.
        start = int((x.double() - x.double().mean(0)).square().sum(1).argmax())
    count = min(count, len(x))
    chosen = torch.empty(count, dtype=torch.int64, device=x.device)
    chosen[0] = start
    distance = (x - x[start]).square().sum(1)
    # A chosen point is never chosen again, even when only duplicates of it are left.
    distance[start] = -1
    for i in range(1, count):
        index = distance.argmax()
        chosen[i] = index
        distance = torch.minimum(distance, (x - x[index]).square().sum(1))
        distance[index] = -1
    return chosen
