"""The terms of Vina's score for one pair of heavy atoms, as functions of the distance of their surfaces.

Trott & Olson, J. Comput. Chem. 31, 455 (2010), table 1. The surface distance is d = r - R_i - R_j with the radii of the
atom types; a pair whose centres are 8 Å apart or more counts nothing. Every value here is weighted: kcal/mol.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from eqcli.io.atom_types import RADII, AtomType, is_acceptor, is_donor, is_hydrophobic

TERMS: Final = ("gauss1", "gauss2", "repulsion", "hydrophobic", "hydrogen_bond")
WEIGHTS: Final = {
    "gauss1": -0.035579,
    "gauss2": -0.005156,
    "repulsion": 0.840245,
    "hydrophobic": -0.035069,
    "hydrogen_bond": -0.587439,
}
TORSION_WEIGHT: Final = 0.05846
"""What each rotatable bond adds to the divisor of the affinity."""

CUTOFF: Final = 8.0
"""Å between centres."""

GAUSS1_WIDTH: Final = 0.5
GAUSS2_OFFSET: Final = 3.0
GAUSS2_WIDTH: Final = 2.0
HYDROPHOBIC_RANGE: Final = (0.5, 1.5)
"""Surface distances in Å: full strength up to the first, nothing from the second on."""

HYDROGEN_BOND_RANGE: Final = (-0.7, 0.0)


@dataclass(frozen=True)
class PairKind:
    """What the terms need to know of pairs of atoms; the three share one shape."""

    radii: Tensor
    """Sum of the two radii, Å."""
    hydrophobic: Tensor
    """1 where both atoms are hydrophobic, else 0."""
    hydrogen_bond: Tensor
    """1 where one is a donor and the other an acceptor, else 0."""

    def at(self, index: Any) -> PairKind:
        """The kinds at an index of the tensors."""
        return PairKind(self.radii[index], self.hydrophobic[index], self.hydrogen_bond[index])


def type_properties(dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu") -> Tensor:
    """Radius (Å), hydrophobic, donor and acceptor (0 or 1) of each atom type: `[types, 4]`."""
    rows = [[RADII[t], is_hydrophobic(t), is_donor(t), is_acceptor(t)] for t in AtomType]
    return torch.tensor([[float(value) for value in row] for row in rows], dtype=dtype, device=device)


def pair_kind(first: Tensor, second: Tensor, dtype: torch.dtype = torch.float64) -> PairKind:
    """The kinds of the pairs of two integer tensors of atom types (none -1) that broadcast against each other."""
    table = type_properties(dtype, first.device)
    radius_a, hydrophobic_a, donor_a, acceptor_a = table[first].unbind(-1)
    radius_b, hydrophobic_b, donor_b, acceptor_b = table[second].unbind(-1)
    bond = torch.maximum(donor_a * acceptor_b, acceptor_a * donor_b)
    return PairKind(radius_a + radius_b, hydrophobic_a * hydrophobic_b, bond)


def pair_terms(distance: Tensor, kind: PairKind) -> Tensor:
    """Each term at centre distances (Å): `[..., 5]` in the order of `TERMS`, kcal/mol, differentiable."""
    d = distance - kind.radii
    low, high = HYDROPHOBIC_RANGE
    bonded, free = HYDROGEN_BOND_RANGE
    values = torch.stack(
        [
            WEIGHTS["gauss1"] * torch.exp(-((d / GAUSS1_WIDTH) ** 2)),
            WEIGHTS["gauss2"] * torch.exp(-(((d - GAUSS2_OFFSET) / GAUSS2_WIDTH) ** 2)),
            WEIGHTS["repulsion"] * d.clamp(max=0) ** 2,
            WEIGHTS["hydrophobic"] * kind.hydrophobic * ((high - d) / (high - low)).clamp(0, 1),
            WEIGHTS["hydrogen_bond"] * kind.hydrogen_bond * ((free - d) / (free - bonded)).clamp(0, 1),
        ],
        dim=-1,
    )
    return torch.where((distance < CUTOFF).unsqueeze(-1), values, 0.0)


def pair_energy(distance: Tensor, kind: PairKind) -> Tensor:
    """The sum of the terms at the centre distances (Å), kcal/mol, differentiable."""
    return pair_terms(distance, kind).sum(-1)


def pair_slope(distance: Tensor, kind: PairKind) -> Tensor:
    """The derivative of :func:`pair_energy` with the distance, kcal/mol/Å; at a kink that of the outer side."""
    d = distance - kind.radii
    low, high = HYDROPHOBIC_RANGE
    bonded, free = HYDROGEN_BOND_RANGE
    narrow, wide = d / GAUSS1_WIDTH, (d - GAUSS2_OFFSET) / GAUSS2_WIDTH
    slope = WEIGHTS["gauss1"] * -2 / GAUSS1_WIDTH * narrow * torch.exp(-(narrow**2))
    slope = slope + WEIGHTS["gauss2"] * -2 / GAUSS2_WIDTH * wide * torch.exp(-(wide**2))
    slope = slope + WEIGHTS["repulsion"] * 2 * d.clamp(max=0)
    slope = slope - WEIGHTS["hydrophobic"] / (high - low) * kind.hydrophobic * ((d >= low) & (d < high))
    slope = slope - WEIGHTS["hydrogen_bond"] / (free - bonded) * kind.hydrogen_bond * ((d >= bonded) & (d < free))
    return torch.where(distance < CUTOFF, slope, 0.0)


def capped(energy: Tensor, cap: float | None) -> Tensor:
    """Energies above zero bent towards `cap` (kcal/mol): e * cap / (cap + e), smooth at zero; others as they are."""
    return energy if cap is None else torch.where(energy > 0, energy * cap / (cap + energy.clamp(min=0)), energy)


def capped_slope(energy: Tensor, cap: float) -> Tensor:
    """The derivative of :func:`capped` with the energy."""
    return (cap / (cap + energy.clamp(min=0))) ** 2


def binned_terms(distance: Tensor, kind: PairKind, per_square: float = 32.0) -> Tensor:
    """:func:`pair_terms` as the `vina` package tabulates them: the mean of both ends of a bin of squared distance.

    `per_square` is the number of bins per Å^2.
    """
    index = torch.floor(distance**2 * per_square)
    near, far = torch.sqrt(index / per_square), torch.sqrt((index + 1) / per_square)
    values = (pair_terms(near, kind) + pair_terms(far, kind)) / 2
    return torch.where((distance < CUTOFF).unsqueeze(-1), values, 0.0)
