"""Hyper-parameters of EquiformerV2."""

from __future__ import annotations

from typing import Literal

from pydantic import AliasChoices, Field

from eqcli.models.potentials.configs.convolutions import FrameConfig


class EquiformerV2Config(FrameConfig):
    """EquiformerV2: graph attention with convolutions in the frames of edges (Liao et al., ICLR 2024)."""

    name: Literal["equiformer-v2"] = "equiformer-v2"
    channels: int = Field(
        32,
        ge=1,
        le=1024,
        description="Copies of every degree in the features of an atom.",
        validation_alias=AliasChoices("channels", "sphere_channels"),
    )
    num_heads: int = Field(4, ge=1, le=64, description="Attention heads.")
    attn_hidden_channels: int = Field(
        32, ge=1, le=1024, description="Channels between the two convolutions of an attention block."
    )
    attn_alpha_channels: int = Field(16, ge=1, le=1024, description="Scalars of each head that make its logit.")
    attn_value_channels: int = Field(8, ge=1, le=1024, description="Channels of the values of each head.")
    ffn_hidden_channels: int = Field(
        64, ge=1, le=2048, description="Channels inside the feed-forward networks, and in the readout of the energy."
    )
    alpha_drop: float = Field(0.0, ge=0, lt=1, description="Share of the attention weights left out in training.")
    drop_path: float = Field(0.0, ge=0, lt=1, description="Share of the structures that skip a block in training.")
    norm_epsilon: float = Field(
        1e-2,
        gt=0,
        le=1,
        description="Added to the mean square in normalisations of features. Published is 1e-5, with which features "
        "that vanish by symmetry respond to displacements of 1e-3 Å as if to large ones.",
    )
