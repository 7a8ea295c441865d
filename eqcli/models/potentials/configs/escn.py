"""Hyper-parameters of eSCN."""

from __future__ import annotations

from typing import Literal

from pydantic import AliasChoices, Field

from eqcli.models.potentials.configs.convolutions import FrameConfig


class ESCNConfig(FrameConfig):
    """eSCN: convolutions in the frames of edges (Passaro and Zitnick, ICML 2023)."""

    name: Literal["escn"] = "escn"
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
