"""Radial weights of the paths, given for every edge or formed from radial features piece by piece."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from eqcli.nn.edge_pieces import Piece, Scratch


class EdgeWeights(ABC):
    """The weights of one piece at a time, `[edges, C]` for each path, and what is found of their derivatives."""

    @abstractmethod
    def open(self, piece: Piece, channels: int) -> None:
        """Turns to a piece."""

    @abstractmethod
    def path(self, p: int) -> Tensor:
        """Weights of path p."""

    @abstractmethod
    def direction(self, p: int) -> Tensor:
        """Cotangents a_w of the derivative by the weights of path p."""

    @abstractmethod
    def gradient(self, p: int) -> Tensor:
        """Where the derivative by the weights of path p is to be written."""

    def first_gradient(self, p: int) -> Tensor | None:
        """Where `dT/dw` itself is to be written when second derivatives need it, or None."""
        return None

    def close_path(self, p: int) -> None:  # noqa: B027 (doing nothing is right for weights that are given)
        """Uses what was written for path p."""

    @abstractmethod
    def close(self) -> None:
        """Uses what was written for the piece."""


class GivenWeights(EdgeWeights):
    """Weights `[E, P C]`; `cotangent` is a_w of the same shape, and `derivative` is where the derivative is put."""

    def __init__(self, weights: Tensor, cotangent: Tensor | None = None, derivative: Tensor | None = None) -> None:
        self.weights, self.cotangent, self.derivative = weights, cotangent, derivative
        self.scratch = Scratch(weights)

    def open(self, piece: Piece, channels: int) -> None:
        self.piece, self.channels = piece, channels
        self._rows = piece.take_edges(self.weights)
        if self.cotangent is not None:
            self._directions = piece.take_edges(self.cotangent)
        if self.derivative is not None:
            in_place = isinstance(piece.edges, slice)
            shape = self._rows.shape
            self._gradient = self.derivative[piece.edges] if in_place else self.scratch("gradient", *shape)

    def path(self, p: int) -> Tensor:
        return self._columns(self._rows, p)

    def direction(self, p: int) -> Tensor:
        return self._columns(self._directions, p)

    def gradient(self, p: int) -> Tensor:
        return self._columns(self._gradient, p)

    def close(self) -> None:
        if self.derivative is not None and not isinstance(self.piece.edges, slice):
            self.piece.put_edges(self.derivative, self._gradient)

    def _columns(self, rows: Tensor, p: int) -> Tensor:
        return rows.narrow(1, p * self.channels, self.channels)


class FormedWeights(EdgeWeights):
    """Weights `radial @ matrix` of `radial` `[E, K]` and `matrix` `[K, P C]`.

    Parameters
    ----------
    cotangents
        Those of `radial` and of `matrix`; None in place of the latter stands for zero.
    of_radial, of_matrix
        Where the derivatives go; to the latter they are added. None where they are not wanted.
    """

    def __init__(
        self,
        radial: Tensor,
        matrix: Tensor,
        cotangents: tuple[Tensor, Tensor | None] | None = None,
        of_radial: Tensor | None = None,
        of_matrix: Tensor | None = None,
    ) -> None:
        self.radial, self.matrix, self.cotangents = radial, matrix, cotangents
        self.of_radial, self.of_matrix = of_radial, of_matrix
        self.scratch = Scratch(radial)

    def open(self, piece: Piece, channels: int) -> None:
        self.piece, self.channels = piece, channels
        self._radial = piece.take_edges(self.radial)
        if self.cotangents is not None:
            self._a_radial = piece.take_edges(self.cotangents[0])
        if self.of_radial is not None:
            self._of_radial = self.scratch("of_radial", *self._radial.shape).zero_()

    def path(self, p: int) -> Tensor:
        return torch.mm(self._radial, self._columns(self.matrix, p), out=self._buffer("weights"))

    def direction(self, p: int) -> Tensor:
        direction = torch.mm(self._a_radial, self._columns(self.matrix, p), out=self._buffer("direction"))
        if (a_matrix := self._a_matrix) is not None:
            direction.addmm_(self._radial, self._columns(a_matrix, p))
        return direction

    def gradient(self, p: int) -> Tensor:
        return self._buffer("gradient")

    def first_gradient(self, p: int) -> Tensor | None:
        return self._buffer("first gradient") if self._needs_first else None

    def close_path(self, p: int) -> None:
        gradient = self._buffer("gradient")
        self._of_radial.addmm_(gradient, self._columns(self.matrix, p).T)
        if self.of_matrix is not None:
            self._columns(self.of_matrix, p).addmm_(self._radial.T, gradient)
        if self._needs_first:
            first = self._buffer("first gradient")
            if (a_matrix := self._a_matrix) is not None:
                self._of_radial.addmm_(first, self._columns(a_matrix, p).T)
            if self.of_matrix is not None:
                self._columns(self.of_matrix, p).addmm_(self._a_radial.T, first)

    def close(self) -> None:
        if self.of_radial is not None:
            self.piece.put_edges(self.of_radial, self._of_radial)

    @property
    def _a_matrix(self) -> Tensor | None:
        return None if self.cotangents is None else self.cotangents[1]

    @property
    def _needs_first(self) -> bool:
        return self.cotangents is not None and (self.of_matrix is not None or self._a_matrix is not None)

    def _columns(self, x: Tensor, p: int) -> Tensor:
        return x.narrow(1, p * self.channels, self.channels)

    def _buffer(self, name: str) -> Tensor:
        return self.scratch(name, self.piece.n_edges, self.channels)
