"""Hyper-parameters of flow matching of molecules."""

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


class FlowSampling(MoleculeSection):
    """How the flow samples unless asked otherwise."""

    steps: int = Field(100, ge=1, description="Steps of the integration, one network call each.")
    spacing: Literal["uniform", "late"] = Field(
        "late", description="Where steps lie: evenly, or the closer the nearer the data (1 - (1 - t)^2)."
    )
    categories: Literal["posterior", "fresh"] = Field(
        "fresh",
        description="How categories step: by the posterior of their last state, or drawn anew from the prediction and "
        "made noisy, which forgets earlier mistakes.",
    )
    temperature: float = Field(1.0, gt=0, description="Categories: below 1 the likelier ones become likelier still.")
    jitter: float = Field(
        1.0, ge=0, description="Noise put back into the positions at every step, as a share of what is left of it."
    )


class FlowMatchingConfig(MoleculeSection):
    """Flow matching of positions and discrete flows of elements, bonds and charges, with the data predicted.

    Positions as in equivariant flow matching (Song et al., NeurIPS 2023) and SemlaFlow (Irwin et al., 2024), categories
    as discrete flows (Campbell et al., ICML 2024).
    """

    name: Literal["flow-matching"] = "flow-matching"
    denoiser: MoleculeDenoiserConfig = Field(default_factory=EQGATConfig, description="The network.")
    features: FeaturesConfig = Field(
        default_factory=FeaturesConfig, description="What molecules have besides elements and positions."
    )
    bonds: bool = Field(True, description="Whether bonds are made.")
    transport: bool = Field(
        True,
        description="Whether the noise of each molecule is permuted and turned to lie nearest to it (Hungarian and "
        "Kabsch algorithms).",
    )
    time_exponent: float = Field(
        2.0, gt=0, description="Training times are Beta(a, 1): above 1 the later ones are more frequent."
    )
    latest: float = Field(
        0.6,
        ge=0,
        lt=1,
        description="Errors of positions are divided by the square of the time left, up to this time; 0 means no.",
    )
    scaffolds: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of the batches of training in which some atoms of each molecule are given. Scaffolds are "
        "then completed as learned; with 0 they are put in place of what a model without such training predicts.",
    )
    self_conditioning: bool = Field(
        True, description="Whether the network sees its previous prediction, in training half of the time."
    )
    weights: CategoryWeights = Field(
        default_factory=lambda: CategoryWeights(positions=1.0), description="Weights of the terms of the loss."
    )
    conditions: MoleculeConditionsConfig = Field(
        default_factory=MoleculeConditionsConfig, description="What steers the generation."
    )
    sampling: FlowSampling = Field(default_factory=FlowSampling, description="Defaults of sampling.")
