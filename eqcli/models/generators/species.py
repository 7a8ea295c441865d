"""The forms in which generators hold species."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from eqcli.diffusion.codes import analog_bits, nearest_code, one_hot


class Species(nn.Module, ABC):
    """Between atomic numbers `[N]` and states; states are what is diffused or flows.

    Attributes
    ----------
    elements
        Atomic numbers that the model knows, `[M]` ascending.
    output_size
        Numbers that a network gives for each atom.
    """

    elements: Tensor
    output_size: int

    def __init__(self, elements: Tensor) -> None:
        super().__init__()
        self.register_buffer("elements", elements, False)

    def index(self, numbers: Tensor) -> Tensor:
        """The place of each atomic number among the known elements, `[N]`."""
        return torch.searchsorted(self.elements, numbers)

    def allowed(self, system: Tensor | None) -> Tensor | None:
        """Which known elements atoms may have, by atomic numbers that they may have: `[N, 119] -> [N, M]`."""
        return None if system is None else system[:, self.elements]

    @abstractmethod
    def features(self, state: Tensor) -> Tensor:
        """What a network is shown of states, `[N, C]`."""

    def loss(self, found: Tensor, state: Tensor, target: Tensor) -> Tensor:
        """Mean error of what a network said of the species in a state; a scalar."""
        return (found - target).square().mean()


class GivenSpecies(Species):
    """Species that are known: the state is their place among the known elements."""

    output_size = 0

    def __init__(self, elements: Tensor, channels: int) -> None:
        super().__init__(elements)
        self.embedding = nn.Embedding(len(elements), channels)

    def features(self, state: Tensor) -> Tensor:
        found: Tensor = self.embedding(state)
        return found


class CodedSpecies(Species):
    """Species as points of a Euclidean space: unit vectors or binary digits of -1 and 1."""

    codes: Tensor

    def __init__(self, elements: Tensor, channels: int, form: str) -> None:
        super().__init__(elements)
        codes = one_hot(len(elements)) if form == "one-hot" else analog_bits(elements)
        self.register_buffer("codes", codes, False)
        self.output_size = codes.shape[1]
        self.embedding = nn.Linear(codes.shape[1], channels)

    def features(self, state: Tensor) -> Tensor:
        found: Tensor = self.embedding(state)
        return found

    def encode(self, numbers: Tensor) -> Tensor:
        """The codes of atomic numbers, `[N, width]`."""
        return self.codes[self.index(numbers)]

    def decode(self, state: Tensor, system: Tensor | None) -> Tensor:
        """The atomic numbers whose codes are nearest, `[N]`."""
        return self.elements[nearest_code(state, self.codes, self.allowed(system))]


class HiddenSpecies(Species):
    """Species some of which are hidden: the state is their place among the known elements, or `mask`."""

    def __init__(self, elements: Tensor, channels: int) -> None:
        super().__init__(elements)
        self.mask = len(elements)
        self.output_size = len(elements)
        self.embedding = nn.Embedding(len(elements) + 1, channels)

    def features(self, state: Tensor) -> Tensor:
        found: Tensor = self.embedding(state)
        return found

    def loss(self, found: Tensor, state: Tensor, target: Tensor) -> Tensor:
        """Cross entropy of the hidden ones."""
        masked = (state == self.mask).to(found.dtype)
        return (cross_entropy(found, target, reduction="none") * masked).sum() / masked.sum().clamp(min=1.0)


def make_species(form: str, elements: Tensor, channels: int) -> Species:
    """The form that a recipe names."""
    if form == "given":
        return GivenSpecies(elements, channels)
    return HiddenSpecies(elements, channels) if form == "discrete" else CodedSpecies(elements, channels, form)
