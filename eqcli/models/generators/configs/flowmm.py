"""Hyper-parameters of FlowMM."""

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


class FlowMMSampling(GeneratorSection):
    """How FlowMM samples unless asked otherwise."""

    steps: int = Field(100, ge=1, description="Steps of the integration.")
    method: Literal["euler", "heun", "adaptive"] = Field(
        "euler",
        description="The integrator. `adaptive` chooses its steps for a whole batch: a structure depends, within the "
        "tolerance, on the others.",
    )
    tolerance: float = Field(1e-3, gt=0, description="Error of a step of the adaptive integrator.")
    slope: float = Field(
        5.0,
        ge=0,
        description="Anti-annealing: the velocity of coordinates is multiplied by 1 + slope (t - slope_start) after "
        "the time slope_start.",
    )
    slope_start: float = Field(0.0, ge=0, le=1, description="Time from 0 to 1 at which the anti-annealing begins.")


class FlowMMConfig(GeneratorSection):
    """FlowMM: Riemannian flow matching of lattice, coordinates and species (Miller et al., ICML 2024)."""

    name: Literal["flowmm"] = "flowmm"
    denoiser: DenoiserConfig = Field(default_factory=CSPNetConfig, description="The network.")
    species: SpeciesForm = Field(
        "given",
        description="`given`: the composition is given (structure prediction). De novo: `bits` (seven binary digits) "
        "as published, `one-hot`, or `discrete` (hidden species are uncovered).",
    )
    lattice: Literal["parameters", "log-symmetric"] = Field(
        "parameters",
        description="`parameters`: logarithms of the lengths and logits of the angles; `log-symmetric`: six numbers "
        "of the symmetric form.",
    )
    coordinates_weight: float = Field(400.0, ge=0, description="Weight of the coordinates in the loss.")
    lengths_weight: float = Field(
        1.0, ge=0, description="Weight of the lengths, or of a log-symmetric lattice, in the loss."
    )
    angles_weight: float = Field(40.0, ge=0, description="Weight of the angles in the loss.")
    species_weight: float = Field(40.0, ge=0, description="Weight of the species in the loss.")
    conditions: ConditionsConfig = Field(default_factory=ConditionsConfig, description="What steers the generation.")
    sampling: FlowMMSampling = Field(default_factory=FlowMMSampling, description="Defaults of sampling.")

    @model_validator(mode="after")
    def _something_counts(self) -> Self:
        if self.coordinates_weight + self.lengths_weight == 0:
            raise ValueError("the weights of coordinates and lengths are not both zero")
        return self
