"""Hyper-parameters of TensorNet."""

from __future__ import annotations

from typing import Literal

from pydantic import AliasChoices, Field

from eqcli.models.potentials.configs.common import FeatureConfig


class TensorNetConfig(FeatureConfig):
    """TensorNet: Cartesian tensors of rank 2 as features (Simeon and De Fabritiis, NeurIPS 2023)."""

    name: Literal["tensornet"] = "tensornet"
    channels: int = Field(
        128,
        ge=2,
        le=1024,
        description="Tensors of nine numbers per atom.",
        validation_alias=AliasChoices("channels", "hidden_channels", "embedding_dimension"),
    )
    num_layers: int = Field(2, ge=0, le=6, description="Interaction layers; 0 leaves the embedding alone.")
    num_radial_basis: int = Field(
        32,
        ge=2,
        le=256,
        description="Radial basis functions.",
        validation_alias=AliasChoices("num_radial_basis", "num_rbf"),
    )
    radial_type: Literal["expnormal", "gaussian", "bessel"] = Field(
        "expnormal", description="Radial basis; `expnormal` carries the envelope itself, as published."
    )
    trainable_basis: bool = Field(
        False,
        description="Whether centres and widths (frequencies) of the radial basis are learned.",
        validation_alias=AliasChoices("trainable_basis", "trainable_rbf"),
    )
    envelope: Literal["polynomial", "cosine"] = Field(
        "polynomial",
        description="What takes interactions to zero at the cutoff: `cosine` is the published one, whose second "
        "derivative jumps there; with `polynomial` the energy is smooth.",
    )
    group: Literal["O(3)", "SO(3)"] = Field(
        "O(3)",
        description="Symmetry. `O(3)`: energies are the same for mirror images. `SO(3)`: rotations alone, so that a "
        "molecule and its mirror image may differ.",
        validation_alias=AliasChoices("group", "equivariance_invariance_group"),
    )
    charge: bool = Field(
        False,
        description="Whether the energy depends on the total charge q: products of tensors are multiplied by "
        "1 + 0.1 q on every atom of the structure, however far away.",
    )
    avg_num_neighbors: float | None = Field(
        1.0,
        gt=0,
        description="Divisor of the sums over neighbours: 1 for the published sums; null measures it on the training "
        "data.",
    )
