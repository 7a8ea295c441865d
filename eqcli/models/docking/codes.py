"""Sums of embeddings of categories."""

from __future__ import annotations

from torch import Tensor, nn


class CodeEmbedding(nn.Module):
    """The sum of one vector for each category of a node.

    Categories beyond those that are known share the last one.

    Parameters
    ----------
    sizes
        Number of categories of each code.
    channels
        Length of the vectors.
    """

    def __init__(self, sizes: tuple[int, ...], channels: int) -> None:
        super().__init__()
        self.sizes = sizes
        self.tables = nn.ModuleList(nn.Embedding(size, channels) for size in sizes)

    def forward(self, codes: Tensor) -> Tensor:
        """`[n, F]` -> `[n, C]`."""
        total: Tensor | float = 0.0
        for column, (table, size) in enumerate(zip(self.tables, self.sizes, strict=True)):
            total = total + table(codes[:, column].clamp(0, size - 1))
        assert isinstance(total, Tensor)
        return total
