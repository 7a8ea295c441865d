"""Hyper-parameters of eSCN."""

from __future__ import annotations

from typing import Literal

from pydantic import AliasChoices, Field

from eqcli.models.potentials.configs.convolutions import FrameConfig


class ESCNConfig(FrameConfig):
    """eSCN: convolutions in the frames of edges (Passaro and Zitnick, ICML 2023)."""

    name: Literal["escn"] = "escn"
    num_layers: int = Field(
        3, ge=1, le=24, description="Message-passing layers.", validation_alias=AliasChoices("num_layers", "layers")
    )
    channels: int = Field(
        32,
        ge=1,
        le=1024,
        description="Copies of every degree in the features of an atom.",
        validation_alias=AliasChoices("channels", "sphere_channels"),
    )
    hidden_channels: int = Field(
        64, ge=1, le=2048, description="Channels inside messages, updates of atoms and the readout of the energy."
    )
    norm: Literal["none", "separable"] = Field(
        "separable",
        description="Normalisation of features before each layer: `separable` is that of EquiformerV2, `none` is "
        "published and learns more slowly.",
    )
    norm_epsilon: float = Field(
        1e-2, gt=0, le=1, description="Added to the mean square in normalisations of features; see `equiformer-v2`."
    )
