"""Hyper-parameters of FAENet."""

from __future__ import annotations

from typing import Literal

from pydantic import AliasChoices, Field

from eqcli.models.potentials.configs.common import FeatureConfig
from eqcli.models.potentials.configs.frames import FramesConfig


class FAENetConfig(FeatureConfig):
    """FAENet: messages from raw edge vectors, with symmetry from frames alone (Duval et al., ICML 2023)."""

    name: Literal["faenet"] = "faenet"
    avg_num_neighbors: float | None = Field(
        None,
        gt=0,
        description="Neighbours by whose root their sum is divided; measured on the training data when absent.",
    )
    hidden_channels: int = Field(128, ge=1, le=2048, description="Features of each atom.")
    num_filters: int = Field(128, ge=2, le=2048, description="Features of each edge and message.")
    num_layers: int = Field(
        4,
        ge=1,
        le=12,
        description="Message-passing layers.",
        validation_alias=AliasChoices("num_layers", "num_interactions"),
    )
    num_radial_basis: int = Field(
        50,
        ge=1,
        le=512,
        description="Radial basis functions on each edge.",
        validation_alias=AliasChoices("num_radial_basis", "num_gaussians"),
    )
    radial_type: Literal["gaussian", "bessel", "expnormal"] = Field("gaussian", description="Radial basis.")
    graph_norm: bool = Field(
        False,
        description="Normalise messages over the atoms of each structure, as published. Every atom then feels all "
        "others at any distance, and the energy is not extensive.",
    )
    skip: Literal["concat", "none"] = Field(
        "concat", description="What is read out: the features after every layer together, or those after the last."
    )
    pooling: Literal["sum", "weighted"] = Field(
        "sum", description="Sum of the energies of the atoms, or of each times a learned weight."
    )
    forces: Literal["gradient", "direct"] = Field(
        "gradient",
        description="Derivatives of the energy, or `direct`: read from the features, as published, which conserves "
        "no energy.",
    )
    frames: FramesConfig = Field(default_factory=FramesConfig, description="Where the symmetry comes from.")
