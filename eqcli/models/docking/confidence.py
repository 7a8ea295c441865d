"""How likely a pose is near-native, from the contacts of its atoms."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from eqcli.graph.complex_batch import Judged
from eqcli.graph.segments import segment_mean, segment_sum
from eqcli.models.docking.codes import CodeEmbedding


class PoseJudge(nn.Module):
    """Messages from the receptor's atoms to those of the ligand, then along its bonds; one number for each pose.

    Only distances enter: receptor and pose may move together, mirrored or not.

    Parameters
    ----------
    config
        The section `confidence` of the hyper-parameters.
    ligand_codes, receptor_codes
        Number of categories of each code.
    """

    centres: Tensor

    def __init__(self, config: Any, *, ligand_codes: tuple[int, ...], receptor_codes: tuple[int, ...]) -> None:
        super().__init__()
        c = config.channels
        self.reach = config.reach
        self.ligand = CodeEmbedding(ligand_codes, c)
        self.receptor = CodeEmbedding(receptor_codes, c)
        self.register_buffer("centres", torch.linspace(1.5, config.reach, config.radial, dtype=torch.float64), False)
        self.radial = nn.Linear(config.radial, c, bias=False)
        self.contact = nn.Sequential(nn.SiLU(), nn.Linear(c, c), nn.SiLU(), nn.Linear(c, c))
        self.collect = _network(2 * c, c)
        self.exchanges = nn.ModuleList(_network(2 * c, c) for _ in range(config.num_layers))
        self.atom = nn.Sequential(nn.Linear(c, c), nn.SiLU())
        self.pose = nn.Sequential(nn.Linear(2 * c, c), nn.SiLU(), nn.Linear(c, 1))

    def forward(self, judged: Judged) -> Tensor:
        """Logits, `[P]`: above 0 near-native is the likelier."""
        atoms = self.ligand(judged.ligand_codes)
        n = len(atoms)
        sender, receiver = judged.edges
        near = self.ramp(judged.lengths)
        pairs = atoms.index_select(0, receiver) + self.receptor(judged.receptor_codes).index_select(0, sender)
        messages = self.contact(pairs + self.radial(self.basis(judged.lengths))) * near.unsqueeze(1)
        atoms = atoms + self.collect(torch.cat([atoms, segment_sum(messages, receiver, n) / CONTACTS], dim=1))
        for exchange in self.exchanges:
            heard = segment_mean(atoms.index_select(0, judged.bonds[0]), judged.bonds[1], n)
            atoms = atoms + exchange(torch.cat([atoms, heard], dim=1))
        pose = torch.arange(len(judged.counts), device=atoms.device).repeat_interleave(judged.counts)
        total = segment_sum(self.atom(atoms), pose, len(judged.counts))
        mean = total / judged.counts.unsqueeze(1).to(total.dtype)
        logits: Tensor = self.pose(torch.cat([mean, total / ATOMS], dim=1)).squeeze(1)
        return logits

    def basis(self, lengths: Tensor) -> Tensor:
        """Gaussians of distances, `[E, radial]`."""
        spacing = (self.reach - 1.5) / (len(self.centres) - 1)
        return torch.exp(-0.5 * ((lengths.unsqueeze(1) - self.centres.to(lengths.dtype)) / spacing).square())

    def ramp(self, lengths: Tensor) -> Tensor:
        """1 near, falling to 0 at the reach, so that contacts come and go smoothly."""
        return 0.5 * (1.0 + torch.cos(torch.pi * (lengths / self.reach).clamp(max=1.0)))


CONTACTS = 10.0
"""What sums over contacts are divided by: about as many as an atom in a pocket has."""

ATOMS = 25.0
"""What sums over atoms are divided by: a common size of ligands."""


def _network(inputs: int, channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, channels), nn.LayerNorm(channels), nn.SiLU(), nn.Linear(channels, channels))
