"""Completing molecules of which some atoms are given: a scaffold to grow, or fragments to link."""

from __future__ import annotations

import torch
from torch import Tensor

from eqcli.diffusion.dense_noise import DenseNoise
from eqcli.geometry.centred import centred
from eqcli.geometry.kabsch import align
from eqcli.graph.molecule_batch import MoleculeBatch
from eqcli.models.molecules.categories import Categories

ROUNDS = 5
"""How often points are dealt out, and the given atoms laid onto theirs."""

TWO = 0.3
"""Share of the molecules of which two fragments are given in training, where these do not touch."""

SLACK = 1.0
"""Å by which chance changes which atoms count as near."""

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

    def dealt(self, predicted: Tensor, unlikely: Tensor) -> tuple[Tensor, Tensor]:
        """An order of the atoms of each molecule, `[B, N]`, by which the given ones take the places of those like them.

        Besides, whether the mirror image of the prediction is more like them, `[B]` bool.

        All atoms that are to be made are alike, so a model decides early, from the noise alone, which of them become
        what. Whatever looks most like the scaffold in its prediction had better be the scaffold.

        Parameters
        ----------
        predicted
            Positions, `[B, N, 3]`.
        unlikely
            How little each atom (last axis) looks like each given one, beside its place, in Å^2, `[B, N, N]`.
        """
        orders, mirrored = [], []
        for row in range(len(predicted)):
            left, right = (self._dealt(row, points, unlikely[row]) for points in (predicted[row], -predicted[row]))
            mirrored.append(right[1] < left[1])
            orders.append(right[0] if mirrored[-1] else left[0])
        return torch.stack(orders), torch.tensor(mirrored, device=predicted.device)

    def _dealt(self, row: int, points: Tensor, unlikely: Tensor) -> tuple[Tensor, float]:
        """The order, and how unlike the chosen atoms are."""
        from scipy.optimize import linear_sum_assignment

        n, known = int(self.request.counts[row]), self.known[row]
        core, other = self.request.positions[row, known].unsqueeze(0), unlikely[known, :n]
        chosen = known.nonzero().squeeze(1)
        for _ in range(ROUNDS):
            placed = align(core, points[chosen].unsqueeze(0)).apply(core)
            costs = torch.cdist(placed[0], points[:n]).square() + other
            rows, columns = linear_sum_assignment(costs.double().cpu().numpy())
            chosen = torch.from_numpy(columns).to(points.device)
        order = torch.arange(len(points), device=points.device)
        taken = torch.zeros(len(points), dtype=torch.bool, device=points.device)
        taken[chosen] = True
        free = order[~taken]
        order[known] = chosen
        order[~known] = free
        return order, float(costs[torch.from_numpy(rows).to(points.device), chosen].sum())

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
        return self.restored(made.with_molecules(positions=self._laid(made.positions, self.request.positions)))

    def restored(self, made: MoleculeBatch) -> MoleculeBatch:
        """Molecules that are in the frame of what was given, with the given atoms and bonds exactly as they were."""
        positions = torch.where(self.known.unsqueeze(-1), self.request.positions, made.positions)
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


def drawn_scaffolds(batch: MoleculeBatch, noise: DenseNoise) -> Tensor:
    """Atoms of each molecule that training gives, `[B, N]` bool: heavy ones about one atom, or about two.

    As many as come, from one to all heavy atoms; the nearest to the chosen ones in space come first.
    """
    heavy = batch.mask & (batch.numbers > 1)
    lots, draws = noise.uniform_atoms(2), noise.uniform_molecules(2)
    order = lots[..., 0].masked_fill(~heavy, -1.0).argsort(dim=1, descending=True)
    first, second = order[:, 0], torch.where(draws[:, 0] < TWO, order[:, min(1, order.shape[1] - 1)], order[:, 0])
    molecule = torch.arange(len(batch), device=order.device)
    roots = torch.stack([batch.positions[molecule, first], batch.positions[molecule, second]], dim=1)
    far = torch.cdist(batch.positions, roots).amin(dim=2) + SLACK * lots[..., 1]
    rank = far.masked_fill(~heavy, torch.inf).argsort(dim=1).argsort(dim=1)
    wanted = 1 + (draws[:, 1] * heavy.sum(dim=1)).long()
    return heavy & (rank < wanted.unsqueeze(1))
