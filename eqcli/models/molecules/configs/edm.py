"""Hyper-parameters of EDM."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from eqcli.models.molecules.configs.common import (
    EGNNDenoiserConfig,
    MoleculeConditionsConfig,
    MoleculeDenoiserConfig,
    MoleculeSection,
)


class EDMSampling(MoleculeSection):
    """How EDM samples unless asked otherwise."""

    steps: int = Field(1000, ge=1, description="Steps; fewer than `timesteps` take some of them.")
    method: Literal["ancestral", "ddim", "heun"] = Field(
        "ancestral",
        description="`ancestral`: draws from the posterior, as published; `ddim`: with noise `eta` (0 none); `heun`: "
        "the probability-flow ODE in second order, two network calls a step.",
    )
    eta: float = Field(0.0, ge=0, le=1, description="Noise of the steps of `ddim`.")
    spacing: Literal["uniform", "signal"] = Field(
        "uniform", description="Where fewer steps lie: evenly in time, or in the logarithm of signal to noise."
    )


class EDMConfig(MoleculeSection):
    """EDM: diffusion of positions and features without drift (Hoogeboom et al., ICML 2022)."""

    name: Literal["edm"] = "edm"
    denoiser: MoleculeDenoiserConfig = Field(default_factory=EGNNDenoiserConfig, description="The network.")
    timesteps: int = Field(1000, ge=2, le=10000, description="Steps of the diffusion.")
    schedule: Literal["polynomial", "cosine", "learned"] = Field(
        "polynomial", description="The noise at each step: as published, squared cosine, or learned with `loss: bound`."
    )
    schedule_power: int = Field(2, ge=1, le=6, description="Power of the polynomial schedule.")
    precision: float = Field(1e-5, gt=0, lt=0.1, description="Share of noise that is left at step 0.")
    loss: Literal["simple", "bound"] = Field(
        "simple", description="`simple`: mean square error of the noise, as published; `bound`: the variational bound."
    )
    element_scale: float = Field(4.0, gt=0, description="One-hot elements are divided by this.")
    atomic_number: bool = Field(True, description="Whether the atomic number is a feature of its own.")
    atomic_number_scale: float = Field(10.0, gt=0, description="Atomic numbers are divided by this.")
    conditions: MoleculeConditionsConfig = Field(
        default_factory=MoleculeConditionsConfig, description="What steers the generation."
    )
    sampling: EDMSampling = Field(default_factory=EDMSampling, description="Defaults of sampling.")

    @model_validator(mode="after")
    def _learned_by_bound(self) -> Self:
        if self.schedule == "learned" and self.loss != "bound":
            raise ValueError("a learned schedule needs `loss: bound`: the simple loss does not depend on it rightly")
        return self
