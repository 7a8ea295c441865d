"""Vina's score of poses of one ligand at one site, batched over the poses, with analytic gradients.

Trott & Olson, J. Comput. Chem. 31, 455 (2010). `energy` is what a search minimises: the terms between ligand and
receptor, those between the ligand's own atoms, and the wall of the box. `affinity` is the number that is printed: the
terms between ligand and receptor alone, divided by 1 + w N_rot. Hydrogens count nothing and feel nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor

from eqcli.models.docking.affinity_maps import AffinityMaps
from eqcli.models.docking.site import Site
from eqcli.models.docking.vina_pairs import PairTable
from eqcli.models.docking.vina_terms import (
    TERMS,
    TORSION_WEIGHT,
    binned_terms,
    capped,
    capped_slope,
    pair_energy,
    pair_kind,
    pair_slope,
    pair_terms,
)

CHUNK = 2_000_000
"""Pairs of ligand and receptor atoms held at once."""


class Topology(Protocol):
    """What the score needs of a ligand: :class:`eqcli.io.ligand_topology.LigandTopology` has it."""

    @property
    def types(self) -> Any: ...
    @property
    def pairs(self) -> Any: ...
    @property
    def torsion_count(self) -> float: ...


class VinaScore:
    """The score of poses `[P, N, 3]` (Å) of a ligand of N atoms, hydrogens included, at a site.

    Parameters
    ----------
    site
        The box and the receptor; it gives the precision and the device.
    types
        `[N]` int64, types of the ligand's atoms, -1 for hydrogens.
    pairs
        `[K, 2]` int64, the heavy pairs of the ligand that count.
    torsion_count
        Vina's N_rot.
    cap
        Ceiling in kcal/mol for the repulsion that an atom feels from the receptor, and for that of each pair in the
        ligand; None for none. Poses that start in a clash need about 10; the `vina` package reports with 1000.
    binned
        Whether `terms`, `energy` and `affinity` use distances rounded as in the table of the `vina` package. Steps, so
        for comparison only: gradients stay those of the smooth terms.
    maps
        Grids of the receptor: with them `energy_and_gradient` interpolates, everything else stays exact.
    """

    def __init__(
        self,
        site: Site,
        types: Tensor,
        pairs: Tensor,
        torsion_count: float,
        *,
        cap: float | None = None,
        binned: bool = False,
        maps: AffinityMaps | None = None,
    ) -> None:
        device, dtype = site.positions.device, site.positions.dtype
        types, pairs = types.to(device), pairs.to(device)
        self.site = site
        self.torsion_count = float(torsion_count)
        self.cap = cap
        self.heavy = torch.nonzero(types >= 0).squeeze(-1)
        self.types = types[self.heavy]
        rank = torch.cumsum(types >= 0, 0) - 1
        self.pairs = rank[pairs].reshape(-1, 2)
        self._inter = pair_kind(self.types[:, None], site.types[None, :], dtype)
        self._intra = pair_kind(self.types[self.pairs[:, 0]], self.types[self.pairs[:, 1]], dtype)
        self._pair_terms = binned_terms if binned else pair_terms
        self._binned = binned
        self.maps = None if maps is None else maps.covering(self.types)
        self._table = None if maps is None else PairTable(self.types, self.pairs, dtype, cap)

    @classmethod
    def of(
        cls,
        site: Site,
        topology: Topology,
        *,
        cap: float | None = None,
        binned: bool = False,
        maps: AffinityMaps | None = None,
    ) -> VinaScore:
        """The score of a ligand given by its topology (arrays of numpy)."""
        types, pairs = torch.as_tensor(topology.types), torch.as_tensor(topology.pairs)
        return cls(site, types, pairs, topology.torsion_count, cap=cap, binned=binned, maps=maps)

    def terms(self, positions: Tensor) -> dict[str, Tensor]:
        """Each weighted term, kcal/mol `[P]`: `gauss1` ... with the receptor, `intra_gauss1` ... in the ligand, `wall`.

        A cap bends each term as if it were alone.
        """
        heavy = positions[:, self.heavy]
        parts = [self._inter_terms(part) for part in self._chunks(heavy)]
        inter = capped(torch.cat(parts), self.cap).sum(1)
        intra = capped(self._pair_terms(self._intra_distances(heavy), self._intra), self.cap).sum(1)
        named = {name: inter[:, k] for k, name in enumerate(TERMS)}
        named |= {f"intra_{name}": intra[:, k] for k, name in enumerate(TERMS)}
        return named | {"wall": self.site.wall(heavy)[0].sum(1)}

    def inter(self, positions: Tensor) -> Tensor:
        """The sum of the terms between ligand and receptor, kcal/mol `[P]`, differentiable."""
        heavy = positions[:, self.heavy]
        if self._binned:
            atoms = [self._inter_terms(part).sum(-1) for part in self._chunks(heavy)]
        else:
            atoms = [pair_energy(self._inter_distances(part), self._inter).sum(-1) for part in self._chunks(heavy)]
        return capped(torch.cat(atoms), self.cap).sum(1)

    def intra(self, positions: Tensor) -> Tensor:
        """The sum of the terms between the ligand's own atoms, kcal/mol `[P]`, differentiable."""
        distances = self._intra_distances(positions[:, self.heavy])
        return capped(self._pair_terms(distances, self._intra).sum(-1), self.cap).sum(1)

    def energy(self, positions: Tensor) -> Tensor:
        """What a search minimises, kcal/mol `[P]`, differentiable: receptor, ligand and wall."""
        wall, _ = self.site.wall(positions[:, self.heavy])
        return self.inter(positions) + self.intra(positions) + wall.sum(1)

    def affinity(self, positions: Tensor) -> Tensor:
        """The number Vina prints for one pose, kcal/mol `[P]`: the terms with the receptor over 1 + w N_rot."""
        return self.inter(positions) / (1 + TORSION_WEIGHT * self.torsion_count)

    def energy_and_gradient(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """The energy `[P]` and its gradient `[P, N, 3]` (kcal/mol/Å), without autograd: from the maps or else exact."""
        with torch.no_grad():
            if self.maps is not None and self._table is not None:
                return self._interpolated(positions, self.maps, self._table)
            heavy = positions[:, self.heavy]
            energy, slope = self._receptor(heavy)
            wall, wall_slope = self.site.wall(heavy)
            own, own_slope = self._ligand(heavy)
            gradient = torch.zeros_like(positions)
            gradient[:, self.heavy] = slope + wall_slope + own_slope
            return energy + wall.sum(1) + own, gradient

    def _interpolated(self, positions: Tensor, maps: AffinityMaps, table: PairTable) -> tuple[Tensor, Tensor]:
        """Energy `[P]` and gradient `[P, N, 3]` from the grids and the table of pairs."""
        coordinates = positions.permute(2, 1, 0)
        if self.heavy.numel() < positions.shape[1]:
            coordinates = coordinates[:, self.heavy]
        coordinates = coordinates.contiguous()  # [3, H, P]: the poses side by side
        atoms, slope = maps.energy_and_gradient(coordinates, self.types)
        if self.cap is not None:
            slope = slope * capped_slope(atoms, self.cap)
            atoms = capped(atoms, self.cap)
        own, own_slope = table.energy_and_gradient(coordinates)
        wall, wall_slope = self.site.wall(coordinates.movedim(0, -1))
        heavy = slope.add_(own_slope).add_(wall_slope.movedim(-1, 0))
        gradient = positions.new_zeros(3, positions.shape[1], positions.shape[0])
        gradient[:, self.heavy] = heavy
        return atoms.add_(wall).sum(0).add_(own), gradient.permute(2, 1, 0).contiguous()

    def _receptor(self, heavy: Tensor) -> tuple[Tensor, Tensor]:
        """Energy `[P]` and gradient `[P, H, 3]` of the terms with the receptor."""
        energies, gradients = [], []
        for part in self._chunks(heavy):
            apart = part[:, :, None] - self.site.positions  # [p, H, M, 3]
            distance = apart.square().sum(-1).clamp(min=1e-12).sqrt()
            energy = pair_energy(distance, self._inter).sum(-1)
            gradient = torch.einsum("phm,phmx->phx", pair_slope(distance, self._inter) / distance, apart)
            if self.cap is not None:
                gradient = gradient * capped_slope(energy, self.cap).unsqueeze(-1)
            energies.append(capped(energy, self.cap).sum(1))
            gradients.append(gradient)
        return torch.cat(energies), torch.cat(gradients)

    def _ligand(self, heavy: Tensor) -> tuple[Tensor, Tensor]:
        """Energy `[P]` and gradient `[P, H, 3]` of the terms between the ligand's own atoms."""
        first, second = self.pairs.unbind(-1)
        apart = heavy[:, first] - heavy[:, second]
        distance = apart.square().sum(-1).clamp(min=1e-12).sqrt()
        energy, slope = pair_energy(distance, self._intra), pair_slope(distance, self._intra)
        if self.cap is not None:
            slope = slope * capped_slope(energy, self.cap)
        push = (slope / distance).unsqueeze(-1) * apart
        gradient = torch.zeros_like(heavy).index_add(1, first, push).index_add(1, second, -push)
        return capped(energy, self.cap).sum(1), gradient

    def _inter_terms(self, heavy: Tensor) -> Tensor:
        """The terms of each ligand atom with the receptor: `[P, H, 5]`."""
        return self._pair_terms(self._inter_distances(heavy), self._inter).sum(2)

    def _inter_distances(self, heavy: Tensor) -> Tensor:
        apart = heavy[:, :, None] - self.site.positions
        return apart.square().sum(-1).clamp(min=1e-12).sqrt()

    def _intra_distances(self, heavy: Tensor) -> Tensor:
        first, second = self.pairs.unbind(-1)
        return (heavy[:, first] - heavy[:, second]).square().sum(-1).clamp(min=1e-12).sqrt()

    def _chunks(self, heavy: Tensor) -> Iterator[Tensor]:
        """Poses in groups whose pairs with the receptor fit in memory; one empty group for no pose."""
        size = max(1, CHUNK // max(1, self.heavy.numel() * self.site.types.numel()))
        return iter(heavy.split(size) or (heavy,))
