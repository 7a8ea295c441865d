"""Hyper-parameters of EGNN."""

from __future__ import annotations

from typing import Literal

from pydantic import AliasChoices, Field

from eqcli.models.potentials.configs.common import FeatureConfig


class EGNNConfig(FeatureConfig):
    """EGNN: messages from squared distances, with vectors along edges (Satorras et al., ICML 2021)."""

    name: Literal["egnn"] = "egnn"
    avg_num_neighbors: float | None = Field(
        None,
        gt=0,
        description="Neighbours by whose root their sum is divided; measured on the training data when absent.",
    )
    channels: int = Field(
        128,
        ge=1,
        le=2048,
        description="Features of each atom and message.",
        validation_alias=AliasChoices("channels", "hidden_channels"),
    )
    num_layers: int = Field(7, ge=1, le=16, description="Message-passing layers.")
    num_radial_basis: int = Field(
        0,
        ge=0,
        le=256,
        description="Radial basis functions of the distance as further features of each edge; 0 as published: the "
        "squared distance alone.",
    )
    radial_type: Literal["bessel", "gaussian", "expnormal"] = Field("bessel", description="Radial basis.")
    envelope: Literal["polynomial", "cosine"] = Field(
        "polynomial", description="Factor on messages that goes to zero at the cutoff; the cosine only to first order."
    )
    attention: bool = Field(True, description="Whether each message is multiplied by a soft gate.")
    update_positions: bool = Field(
        False,
        description="Whether layers move the atoms that later layers see, by sums of vectors along edges, as in "
        "dynamics; distances then carry angles too.",
    )
    forces: Literal["gradient", "direct"] = Field(
        "gradient",
        description="Derivatives of the energy, or `direct`: a sum of vectors along edges, which conserves no energy.",
    )
