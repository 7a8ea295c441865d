"""The contract of a docking network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from eqcli.graph.complex_batch import ComplexBatch, Judged


@dataclass(frozen=True)
class BoundPoses:
    """Where ligands bind, as a network says in one pass.

    Attributes
    ----------
    rigid
        Å, `[n, 3]`: the conformers that were given, moved as rigid bodies.
    uncorrected
        Å, `[n, 3]`: the cloud of points that the network made of them; its bonds are not those of a molecule.
    rotation, translation
        What moves the conformer of each ligand, as given, to `rigid`: `[B, 3, 3]` and Å, `[B, 3]`.
    """

    rigid: Tensor
    uncorrected: Tensor
    rotation: Tensor
    translation: Tensor


class DockingNetwork(nn.Module, ABC):
    """Says where a ligand binds to a receptor.

    What must hold, in exact arithmetic: poses move with the receptor, and do not depend on where the ligand's
    conformer was; they do not depend on the order of atoms and residues; the members of a batch do not depend on
    each other; confidences do not change when receptor and pose move together.

    Parameters
    ----------
    config
        Hyper-parameters, one of the classes in `configs/`.
    ligand_codes, receptor_codes
        Number of categories of each code of ligand atoms, and of receptor atoms.
    """

    family: ClassVar[str] = "docking"

    def __init__(self, config: Any, *, ligand_codes: tuple[int, ...], receptor_codes: tuple[int, ...]) -> None:
        super().__init__()
        self.config = config
        self.ligand_codes = ligand_codes
        self.receptor_codes = receptor_codes

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the parameters."""
        return next(self.parameters()).dtype

    @abstractmethod
    def losses(self, batch: ComplexBatch) -> dict[str, Tensor]:
        """Terms of the loss by name, means over the batch; `loss` is what is minimised. Needs `truth`."""

    @abstractmethod
    def poses(self, batch: ComplexBatch) -> BoundPoses:
        """Where the ligands bind."""

    @abstractmethod
    def confidence(self, judged: Judged) -> Tensor | None:
        """How likely it is that each pose is near-native, `[P]` in (0, 1); None from networks that cannot tell."""
