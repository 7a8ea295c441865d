"""Hyper-parameters that the generators of crystals share."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator


class GeneratorSection(BaseModel):
    """A part of the hyper-parameters: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class CSPNetConfig(GeneratorSection):
    """CSPNet: messages between all atoms of a cell, on Fourier features of the differences (Jiao et al., 2023)."""

    name: Literal["cspnet"] = "cspnet"
    channels: int = Field(512, ge=1, le=4096, description="Channels of features and messages.")
    num_layers: int = Field(
        6,
        ge=1,
        le=32,
        description="Message-passing layers.",
        validation_alias=AliasChoices("num_layers", "num_interactions"),
    )
    frequencies: int = Field(128, ge=1, le=512, description="Frequencies of the Fourier features of differences.")


class PairTransformerConfig(GeneratorSection):
    """Attention between all atoms of a cell, with biases and values from the differences of their coordinates."""

    name: Literal["pair-transformer"] = "pair-transformer"
    channels: int = Field(256, ge=1, le=4096, description="Channels of features; a multiple of `heads`.")
    num_layers: int = Field(6, ge=1, le=32, description="Layers of attention.")
    heads: int = Field(8, ge=1, le=64, description="Heads of the attention.")
    frequencies: int = Field(32, ge=1, le=512, description="Frequencies of the Fourier features of differences.")

    @model_validator(mode="after")
    def _shared_out(self) -> Self:
        if self.channels % self.heads:
            raise ValueError(f"{self.channels} channels cannot be shared out among {self.heads} heads")
        return self


DenoiserConfig = Annotated[CSPNetConfig | PairTransformerConfig, Field(discriminator="name")]
"""The network inside a generator; every generator takes every one."""

SpeciesForm = Literal["given", "one-hot", "bits", "discrete"]


class ConditionsConfig(GeneratorSection):
    """What generation can be steered by, learned with classifier-free guidance (Ho and Salimans, 2022)."""

    value: str | None = Field(
        None, description="Name of the property of the training structures, e.g. `energy_per_atom`; absent means none."
    )
    system: bool = Field(False, description="Whether the set of elements that may occur is given to the network.")
    dropout: float = Field(
        0.1, ge=0, le=1, description="Share of training structures that each condition is withheld from."
    )

    @property
    def any(self) -> bool:
        """Whether there are conditions."""
        return self.value is not None or self.system
