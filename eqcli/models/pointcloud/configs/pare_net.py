"""Hyper-parameters of PARE-Net."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator


class PointCloudSection(BaseModel):
    """A part of the hyper-parameters: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class PareWeights(PointCloudSection):
    """Weights of the terms of the loss."""

    coarse: float = Field(1.0, ge=0, description="Circle loss of superpoints, weighted by the overlap of patches.")
    fine: float = Field(1.0, ge=0, description="Likelihood of the true matches of points within patches.")
    points: float = Field(
        0.0,
        ge=0,
        description="Contrast of the features of true matches over the whole cloud. Not in the published loss, which "
        "tells points apart within a patch alone.",
    )
    rotation: float = Field(1.0, ge=0, description="Contrast of vector features that the true rotation has turned.")
    hypothesis: float = Field(
        0.0,
        ge=0,
        description="Distance of the rotation that each true match gives from the true one. Not in the published loss, "
        "whose vectors may all lie along the normal.",
    )


class TransformerConfig(PointCloudSection):
    """Geometric attention among superpoints, and between those of the two clouds."""

    channels: int = Field(192, ge=4, le=2048, description="Channels of the features of superpoints.")
    heads: int = Field(4, ge=1, le=64, description="Heads of attention; they divide the channels.")
    blocks: int = Field(3, ge=0, le=32, description="Pairs of self- and cross-attention.")
    distance: float = Field(8.0, gt=0, description="Voxels; a distance of this is one unit of its embedding.")
    angle: float = Field(15.0, gt=0, le=180, description="Degrees; an angle of this is one unit of its embedding.")
    triplets: int = Field(3, ge=1, le=16, description="Nearest superpoints that angles are taken with.")

    @model_validator(mode="after")
    def _divided(self) -> Self:
        if self.channels % (2 * self.heads):
            raise ValueError(f"channels ({self.channels}) must be a multiple of twice the heads ({self.heads})")
        return self


class PareNetConfig(PointCloudSection):
    """PARE-Net (Yao et al., ECCV 2024): position-aware rotation-equivariant convolutions on vector features.

    Every length is in voxels of the finest level: the network knows no metres.
    """

    name: Literal["pare-net"] = "pare-net"
    channels: tuple[int, ...] = Field(
        (32, 64, 128, 256),
        min_length=2,
        max_length=8,
        description="Vector channels of each level, finest first; a level has voxels twice as wide as the one before.",
        validation_alias=AliasChoices("channels", "widths"),
    )
    fine_level: int = Field(1, ge=0, description="Level whose points are matched; the last level has superpoints.")
    neighbours: int = Field(35, ge=4, le=256, description="Points that a convolution looks at.")
    kernels: int = Field(4, ge=1, le=64, description="Kernels that positions choose among.")
    position_channels: int = Field(16, ge=1, le=512, description="Channels of the network that chooses kernels.")
    blocks: tuple[int, ...] = Field(
        (2, 2, 2, 2),
        description="Convolutions of each level, at least one. The finest may have none: its vectors of shape are then "
        "all that the next level hears of it, and most of the time is saved.",
    )
    slope: float = Field(0.2, ge=0, lt=1, description="What the activation leaves of a vector's cut part.")
    features: int = Field(64, ge=4, le=1024, description="Invariant features of points that are matched.")
    vectors: int = Field(32, ge=3, le=1024, description="Vector features that a match takes its rotation from.")
    histogram_radius: float | None = Field(
        None,
        gt=0,
        description="Voxels; points bring fast point feature histograms of this radius into the network. Absent: as "
        "published, nothing but positions. With few training pairs they are worth much.",
    )
    transformer: TransformerConfig = Field(
        default_factory=TransformerConfig, description="Attention among superpoints."
    )
    hypothesis_features: Literal["encoder", "decoder"] = Field(
        "encoder",
        description="Whose vector features give each match its rotation when clouds are registered. Both are trained.",
    )
    superpoint_matches: int = Field(256, ge=1, le=8192, description="Pairs of superpoints whose patches are matched.")
    patch: int = Field(64, ge=1, le=1024, description="Points of a patch at most: those nearest to its superpoint.")
    matching: Literal["patches", "clouds", "both"] = Field(
        "patches",
        description="Which points are compared when clouds are registered: those of the likeliest pairs of patches, as "
        "published; all of one cloud with all of the other; or all, more trusted where their patches are alike.",
    )
    confidence: float = Field(0.05, ge=0, lt=1, description="Matches within patches less likely than this are dropped.")
    candidates: int = Field(3, ge=1, le=16, description="Matches of a point, in a pair of patches or in all, at most.")
    most_matches: int = Field(2000, ge=3, description="Matches of two clouds at most, the most trusted ones.")
    match_radius: float = Field(2.0, gt=0, description="Voxels; points nearer than this in the true pose match.")
    apart_radius: float = Field(8.0, gt=0, description="Voxels; points farther than this in the true pose do not.")
    inlier_radius: float = Field(4.0, gt=0, description="Voxels; a motion explains matches that it brings this near.")
    weights: PareWeights = Field(default_factory=PareWeights, description="Weights of the terms of the loss.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.fine_level >= len(self.channels) - 1:
            raise ValueError(f"fine_level ({self.fine_level}) must be below the last level ({len(self.channels) - 1})")
        if len(self.blocks) != len(self.channels) or min(self.blocks[1:]) < 1 or self.blocks[0] < 0:
            raise ValueError(
                f"blocks must have a number for each of the {len(self.channels)} levels, 1 or more; 0 for the finest"
            )
        if self.match_radius > self.apart_radius:
            raise ValueError("match_radius must not exceed apart_radius")
        return self
