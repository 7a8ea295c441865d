"""Hyper-parameters of EquiBind."""

from __future__ import annotations

from typing import Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field


class DockingSection(BaseModel):
    """A part of the hyper-parameters: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class DockingWeights(DockingSection):
    """Weights of the terms of the loss."""

    positions: float = Field(1.0, ge=0, description="Mean square distance of the ligand's atoms from the true pose.")
    shape: float = Field(1.0, ge=0, description="The same after the best superposition: the shape alone.")
    transport: float = Field(1.0, ge=0, description="Optimal transport between key points and points of the pocket.")
    intersection: float = Field(1.0, ge=0, description="Overlap of the ligand and the receptor's residues.")
    confidence: float = Field(1.0, ge=0, description="Telling near-native poses from displaced ones.")


class ConfidenceConfig(DockingSection):
    """The network that tells near-native poses from displaced ones by the contacts of their atoms."""

    channels: int = Field(48, ge=1, le=1024, description="Channels of the features.")
    num_layers: int = Field(2, ge=1, le=16, description="Exchanges along the ligand's bonds.")
    reach: float = Field(6.0, gt=0, le=12, description="Å; receptor atoms within this of a ligand atom are seen.")
    radial: int = Field(16, ge=2, le=128, description="Radial basis functions of distances.")
    near: float = Field(2.0, gt=0, description="Å; poses with a smaller RMSD are near-native.")
    decoys: int = Field(3, ge=1, le=64, description="Displaced poses of each complex in a step of training.")


class EquiBindConfig(DockingSection):
    """EquiBind (Stärk et al., ICML 2022): one pass from a receptor and a conformer to the bound pose.

    Independent E(3)-equivariant graph matching, key points by attention, and their superposition.
    """

    name: Literal["equibind"] = "equibind"
    channels: int = Field(64, ge=1, le=2048, description="Channels of features and messages.")
    num_layers: int = Field(
        8, ge=1, le=64, description="Layers.", validation_alias=AliasChoices("num_layers", "num_interactions")
    )
    shared_layers: bool = Field(False, description="Whether the layers after the first share their weights.")
    key_points: int = Field(30, ge=3, le=512, description="Key points, as many heads of attention.")
    neighbours: int = Field(10, ge=1, le=64, description="Residues that each residue listens to.")
    reach: float = Field(30.0, gt=0, description="Å; the largest distance of two residues that are joined.")
    receptor_scale: float = Field(10.0, gt=0, description="Squared distances of residues are divided by this.")
    keep_features: float = Field(0.5, ge=0, lt=1, description="Share of a layer's input in its output.")
    keep_positions: float = Field(0.25, ge=0, lt=1, description="Share of the first positions in those of each layer.")
    farthest: float = Field(5.0, gt=0, description="Å; a node moves along each of its edges by less, a layer.")
    projection_steps: int = Field(1, ge=0, le=64, description="Steps towards the conformer's rigid distances, a layer.")
    projection_rate: float = Field(1e-3, gt=0, le=0.1, description="Size of such a step, Å^-2.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Share of the features hidden in training.")
    sigma: float = Field(8.0, gt=0, description="Å²; width of the surfaces of the intersection loss.")
    gamma: float = Field(1.0, description="Level of the surfaces of the intersection loss.")
    weights: DockingWeights = Field(default_factory=DockingWeights, description="Weights of the terms of the loss.")
    confidence: ConfidenceConfig | None = Field(
        default_factory=ConfidenceConfig, description="The network that judges poses; absent means none."
    )
