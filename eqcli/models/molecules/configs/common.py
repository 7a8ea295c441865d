"""Hyper-parameters that the generators of molecules share."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator


class MoleculeSection(BaseModel):
    """A part of the hyper-parameters: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class EGNNDenoiserConfig(MoleculeSection):
    """EGNN between all atoms of a molecule, as in EDM (Hoogeboom et al., ICML 2022)."""

    name: Literal["egnn"] = "egnn"
    channels: int = Field(256, ge=1, le=4096, description="Channels of features and messages.")
    num_layers: int = Field(
        9,
        ge=1,
        le=64,
        description="Layers.",
        validation_alias=AliasChoices("num_layers", "num_interactions"),
    )
    pair_channels: int = Field(
        32, ge=1, le=1024, description="Channels of the features of pairs, for models that have bonds."
    )
    attention: bool = Field(True, description="Whether each message is multiplied by a gate.")
    coordinates_range: float = Field(
        15.0, gt=0, description="Å; all layers together move an atom along each pair by at most this."
    )
    normalization: float = Field(
        1.0, gt=0, description="Sums of messages are divided by this; 1 as trained on QM9, 100 is the class default."
    )


class EQGATConfig(MoleculeSection):
    """Attention between all atoms on scalars, vectors and features of pairs, after EQGAT (Le et al., ICLR 2024)."""

    name: Literal["eqgat"] = "eqgat"
    channels: int = Field(256, ge=1, le=4096, description="Channels of the scalars; a multiple of `heads`.")
    vector_channels: int = Field(64, ge=1, le=1024, description="Channels of the vectors.")
    pair_channels: int = Field(32, ge=1, le=1024, description="Channels of the features of pairs.")
    hidden_channels: int = Field(128, ge=1, le=4096, description="Width of the network on pairs.")
    num_layers: int = Field(
        7,
        ge=1,
        le=64,
        description="Layers.",
        validation_alias=AliasChoices("num_layers", "num_interactions"),
    )
    heads: int = Field(8, ge=1, le=64, description="Heads of the attention.")
    radial: int = Field(16, ge=1, le=256, description="Radial basis functions of distances.")
    cutoff: float = Field(10.0, gt=0, description="Å; distances beyond are told apart less and less.")

    @model_validator(mode="after")
    def _shared_out(self) -> Self:
        if self.channels % self.heads:
            raise ValueError(f"{self.channels} channels cannot be shared out among {self.heads} heads")
        return self


MoleculeDenoiserConfig = Annotated[EGNNDenoiserConfig | EQGATConfig, Field(discriminator="name")]
"""The network inside a generator; every generator takes every one."""

Prior = Literal["marginal", "absorbing", "uniform"]


class MoleculeConditionsConfig(MoleculeSection):
    """What generation can be steered by, learned with classifier-free guidance (Ho and Salimans, 2022)."""

    values: tuple[str, ...] = Field(
        (), description="Names of properties of the training molecules, e.g. `gap`; absent means none."
    )
    dropout: float = Field(
        0.1, ge=0, le=1, description="Share of training molecules that each property is withheld from."
    )


class FeaturesConfig(MoleculeSection):
    """What a molecule has besides elements and positions."""

    charges: bool = Field(True, description="Whether formal charges are made.")
    hybridisations: bool = Field(
        True, description="Whether hybridisations are made too; they are not written, but help the rest."
    )
    prior: Prior = Field(
        "marginal",
        description="Where categories come from: the frequencies of the training set, a mask that is uncovered, or all "
        "alike.",
    )


class CategoryWeights(MoleculeSection):
    """Weights of the terms of the loss."""

    positions: float = Field(3.0, ge=0, description="Mean square error of the positions.")
    elements: float = Field(0.4, ge=0, description="Cross entropy of the elements.")
    charges: float = Field(1.0, ge=0, description="Cross entropy of the formal charges.")
    hybridisations: float = Field(0.4, ge=0, description="Cross entropy of the hybridisations.")
    bonds: float = Field(2.0, ge=0, description="Cross entropy of the bonds.")
