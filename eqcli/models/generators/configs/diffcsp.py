"""Hyper-parameters of DiffCSP."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from eqcli.models.generators.configs.common import (
    ConditionsConfig,
    CSPNetConfig,
    DenoiserConfig,
    GeneratorSection,
    SpeciesForm,
)


class DiffCSPSampling(GeneratorSection):
    """How DiffCSP samples unless asked otherwise."""

    steps: int = Field(1000, ge=1, description="Steps; fewer than `timesteps` take evenly spaced ones of them.")
    corrector: float = Field(
        1e-5, ge=0, description="Step size of the corrector on the coordinates at the largest width; 0 means none."
    )
    eta: float = Field(
        1.0, ge=0, le=1, description="Noise of the steps of lattices and species: 1 ancestral, 0 none (DDIM)."
    )


class DiffCSPConfig(GeneratorSection):
    """DiffCSP: joint diffusion of lattice, coordinates and species (Jiao et al., NeurIPS 2023)."""

    name: Literal["diffcsp"] = "diffcsp"
    denoiser: DenoiserConfig = Field(default_factory=CSPNetConfig, description="The network.")
    species: SpeciesForm = Field(
        "given",
        description="`given`: the composition is given (structure prediction). De novo: `one-hot` as published, `bits` "
        "(seven binary digits), or `discrete` (hidden species are uncovered).",
    )
    lattice: Literal["matrix", "log-symmetric"] = Field(
        "matrix",
        description="`matrix`: the lattice vectors in Å as published; `log-symmetric`: six numbers that do not change "
        "with rotations (Jiao et al., ICLR 2024), in units of their spread.",
    )
    timesteps: int = Field(1000, ge=2, le=10000, description="Steps of the diffusion.")
    sigma_min: float = Field(0.005, gt=0, description="Smallest width of the noise on fractional coordinates.")
    sigma_max: float = Field(0.5, gt=0, description="Largest width of the noise on fractional coordinates.")
    lattice_weight: float = Field(1.0, ge=0, description="Weight of the lattice in the loss.")
    coordinates_weight: float = Field(1.0, ge=0, description="Weight of the coordinates in the loss.")
    species_weight: float = Field(20.0, ge=0, description="Weight of the species in the loss.")
    conditions: ConditionsConfig = Field(default_factory=ConditionsConfig, description="What steers the generation.")
    sampling: DiffCSPSampling = Field(default_factory=DiffCSPSampling, description="Defaults of sampling.")

    @model_validator(mode="after")
    def _widths_grow(self) -> Self:
        if self.sigma_min >= self.sigma_max:
            raise ValueError("sigma_min is the smaller width and sigma_max the larger one")
        return self
