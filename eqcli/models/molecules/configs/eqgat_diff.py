"""Hyper-parameters of EQGAT-diff."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from eqcli.models.molecules.configs.common import (
    CategoryWeights,
    EQGATConfig,
    FeaturesConfig,
    MoleculeConditionsConfig,
    MoleculeDenoiserConfig,
    MoleculeSection,
)


class EQGATDiffSampling(MoleculeSection):
    """How EQGAT-diff samples unless asked otherwise."""

    steps: int = Field(500, ge=1, description="Steps; fewer than `timesteps` take evenly spaced ones of them.")
    eta: float = Field(1.0, ge=0, le=1, description="Noise of the steps of positions: 1 ancestral, 0 none (DDIM).")
    categories: Literal["posterior", "fresh"] = Field(
        "posterior",
        description="How categories step: by the posterior of their last state, or drawn anew from the prediction and "
        "made noisy, which forgets earlier mistakes.",
    )
    temperature: float = Field(1.0, gt=0, description="Categories: below 1 the likelier ones become likelier still.")


class EQGATDiffConfig(MoleculeSection):
    """EQGAT-diff: diffusion of positions and of categories, with the data predicted (Le et al., ICLR 2024)."""

    name: Literal["eqgat-diff"] = "eqgat-diff"
    denoiser: MoleculeDenoiserConfig = Field(default_factory=EQGATConfig, description="The network.")
    features: FeaturesConfig = Field(
        default_factory=FeaturesConfig, description="What molecules have besides elements and positions."
    )
    bonds: bool = Field(True, description="Whether bonds are made.")
    timesteps: int = Field(500, ge=2, le=10000, description="Steps of the diffusion.")
    positions_exponent: float = Field(
        2.5, gt=0, description="Exponent of the schedule of the positions: above 1 they lose their signal later."
    )
    bonds_exponent: float = Field(1.5, gt=0, description="Exponent of the schedule of the bonds.")
    categories_exponent: float = Field(1.0, gt=0, description="Exponent of the schedules of all else.")
    weight_min: float = Field(0.05, ge=0, description="Least weight of a step in the loss.")
    weight_max: float = Field(1.5, gt=0, description="Largest weight of a step: its ratio of signal to noise, clipped.")
    scaffolds: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of the batches of training in which some atoms of each molecule are given. Scaffolds are "
        "then completed as learned; with 0 they are put in place of what a model without such training predicts.",
    )
    self_conditioning: bool = Field(
        False, description="Whether the network sees its previous prediction, in training half of the time."
    )
    weights: CategoryWeights = Field(default_factory=CategoryWeights, description="Weights of the terms of the loss.")
    conditions: MoleculeConditionsConfig = Field(
        default_factory=MoleculeConditionsConfig, description="What steers the generation."
    )
    sampling: EQGATDiffSampling = Field(default_factory=EQGATDiffSampling, description="Defaults of sampling.")
