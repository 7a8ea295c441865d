"""The radial weights of the layers of a model as tables, for inference."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from eqcli.errors import InputError
from eqcli.nn.tabulate import RadialTable

TABLE_ERROR = 1e-10
"""Largest error of a table over the largest weight; that of its slope is some hundred times larger."""

SMALLEST_DISTANCE = 0.5
"""Å; where atoms are closer, the networks themselves are used."""

MOST_WEIGHTS = 2**24
"""Weights of one layer that are held at once."""


class RadialTables:
    """One table for each layer. Not a module: no part of what is saved.

    Parameters
    ----------
    tables
        From distances `[E]` to weights `[E, P C]`.
    """

    def __init__(self, tables: Sequence[RadialTable]) -> None:
        self.tables = list(tables)
        self.width = max(table.table.shape[1] for table in tables)

    @classmethod
    def of(
        cls, weights: Sequence[Callable[[Tensor], Tensor]], cutoff: float, dtype: torch.dtype, device: torch.device
    ) -> RadialTables | None:
        """Tables of float64 functions for use in a precision; None where one is not smooth enough for a table."""
        try:
            made = [RadialTable(function, SMALLEST_DISTANCE, cutoff, TABLE_ERROR) for function in weights]
        except InputError:
            return None
        return cls([table.to(device=device, dtype=dtype) for table in made])

    def hold(self, r: Tensor) -> bool:
        """Whether the tables serve for these distances, `[E]`: none of them too small, and not too many at once."""
        first = self.tables[0].table
        if r.dtype != first.dtype or r.device != first.device:  # the model has been moved or cast since
            return False
        return 0 < r.numel() <= MOST_WEIGHTS // self.width and float(r.detach().min()) >= SMALLEST_DISTANCE

    def __call__(self, layer: int, r: Tensor) -> Tensor:
        """The weights of a layer, `[E, P C]`."""
        found: Tensor = self.tables[layer](r)
        return found
