"""Completing molecules of which some atoms are given: a scaffold to grow, or fragments to link."""

from __future__ import annotations

import torch
from torch import Tensor

from eqcli.geometry.centred import centred
from eqcli.geometry.kabsch import align
from eqcli.graph.molecule_batch import MoleculeBatch
from eqcli.models.molecules.categories import Categories

CERTAIN = 30.0
"""Logit of what is given, against zero."""


class Scaffold:
    """The atoms that a request gives. In every prediction of the data they stand in for what was predicted of them.

    The data that a model predicts may be constrained without training it anew, as in the replacement of Song et al.
    (ICLR 2021); here it is the prediction that is replaced, not the noisy state, so that every step is one that the
    constrained data would give. The given atoms are laid onto the predicted ones as a rigid body, never mirrored.

    Parameters
    ----------
    request
        With `known` atoms.
    """

    def __init__(self, request: MoleculeBatch) -> None:
        assert request.known is not None
        self.request = request
        self.known = request.known & request.mask
        self.weights = self.known.to(request.positions.dtype)

    def fitted(self, predicted: Tensor) -> Tensor:
        """Predicted positions `[B, N, 3]` with the given atoms in place, without drift."""
        laid = self._laid(self.request.positions, predicted)
        return centred(torch.where(self.known.unsqueeze(-1), laid, predicted), self.request.mask)

    def certain(self, name: str, field: str, categories: Categories, logits: Tensor) -> Tensor:
        """Logits `[B, ..., K]` with certainty for what is given."""
        where = self.request.known_pairs if name == "bonds" else self.known
        if name == "hybridisations" or where is None:
            # They follow from the bonds that are to come.
            return logits
        states = categories.index(getattr(self.request, field))
        given = CERTAIN * torch.nn.functional.one_hot(states, categories.count).to(logits.dtype)
        return torch.where(where.unsqueeze(-1), given, logits)

    def placed(self, made: MoleculeBatch) -> MoleculeBatch:
        """Finished molecules in the frame of what was given, the given atoms exactly as they were."""
        positions = self._laid(made.positions, self.request.positions)
        positions = torch.where(self.known.unsqueeze(-1), self.request.positions, positions)
        numbers, charges = (
            torch.where(self.known, getattr(self.request, name), getattr(made, name)) for name in ("numbers", "charges")
        )
        pairs = self.request.known_pairs
        assert pairs is not None
        bonds = torch.where(pairs, self.request.bonds, made.bonds)
        return made.with_molecules(positions=positions, numbers=numbers, charges=charges, bonds=bonds)

    def _laid(self, mobile: Tensor, target: Tensor) -> Tensor:
        """All of `mobile`, moved as the given atoms of it must be to lie on those of `target`."""
        return align(mobile, target, weights=self.weights).apply(mobile)
