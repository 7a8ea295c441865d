"""Screened nuclear repulsion at short distances."""

from __future__ import annotations

import torch
from torch import Tensor

from eqcli.elements import COVALENT_RADII
from eqcli.geometry.constants import ConstantModule
from eqcli.nn.radial import polynomial_cutoff


class ZBL(ConstantModule):
    """Ziegler-Biersack-Littmark repulsion between pairs closer than the sum of their covalent radii.

    V = 1/2 sum_j 14.3996 Z_i Z_j / r phi(r / a), a = 0.4543 * 0.529 / (Z_i^0.3 + Z_j^0.3) Å
    (Ziegler, Biersack, Littmark 1985), times a polynomial envelope, per atom in eV.

    `factor` multiplies the whole; it is 1 except for imported models that scale it.
    """

    radii: Tensor
    heights: Tensor
    decays: Tensor
    exponent: Tensor
    length: Tensor
    factor: Tensor

    def __init__(self, p: int) -> None:
        super().__init__()
        self.p = p
        constants = {
            "radii": COVALENT_RADII,
            "heights": [0.1818, 0.5099, 0.2802, 0.02817],
            "decays": [3.2, 0.9423, 0.4028, 0.2016],
        }
        for name, values in constants.items():
            self.register_constant(name, torch.tensor(values, dtype=torch.float64))
        self.register_buffer("exponent", torch.tensor(0.3, dtype=torch.float64))
        self.register_buffer("length", torch.tensor(0.4543, dtype=torch.float64))
        self.register_buffer("factor", torch.tensor(1.0, dtype=torch.float64))

    def forward(self, r: Tensor, numbers_i: Tensor, numbers_j: Tensor) -> Tensor:
        """Half the repulsion of each edge, `[E]`: summed over all directed edges it is the energy."""
        z_i, z_j = numbers_i.to(r.dtype), numbers_j.to(r.dtype)
        a = self.length * 0.529 / (z_i.pow(self.exponent) + z_j.pow(self.exponent))
        phi = (self.heights * torch.exp(-self.decays * (r / a).unsqueeze(-1))).sum(-1)
        bond = self.radii[numbers_i] + self.radii[numbers_j]
        return self.factor * 0.5 * 14.3996 * z_i * z_j / r * phi * polynomial_cutoff(r / bond, self.p)
