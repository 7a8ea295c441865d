"""Hyper-parameters that potentials with convolutions in the frames of edges share."""

from __future__ import annotations

from typing import Literal

from pydantic import AliasChoices, Field, model_validator

from eqcli.models.potentials.configs.common import FeatureConfig


class FrameConfig(FeatureConfig):
    """Fields of eSCN and EquiformerV2."""

    lmax: int = Field(2, ge=0, le=8, description="Largest degree of the features.")
    mmax: int = Field(
        2,
        ge=0,
        le=8,
        description="Largest order kept in the frame of an edge; at most `lmax`.",
    )
    num_layers: int = Field(
        2, ge=1, le=24, description="Message-passing layers.", validation_alias=AliasChoices("num_layers", "layers")
    )
    edge_channels: int = Field(
        64, ge=1, le=1024, description="Width of the radial networks, and of the vectors of elements that they read."
    )
    num_radial_basis: int = Field(16, ge=1, le=1024, description="Radial basis functions.")
    radial_type: Literal["bessel", "gaussian", "expnormal", "bernstein"] = Field(
        "gaussian", description="Radial basis."
    )
    num_cutoff_basis: int = Field(5, ge=2, le=12, description="Order p of the polynomial cutoff envelope.")
    activation: Literal["gate", "s2-grid"] = Field(
        "gate",
        description="Nonlinearity of features: `gate` is exactly equivariant; `s2-grid`, the published one, takes "
        "them as functions at points of the sphere and breaks symmetry by an error that falls with "
        "`grid_resolution`.",
    )
    grid_resolution: int | None = Field(
        None,
        ge=2,
        le=200,
        description="Points of the grid in the polar angle, and one more than twice as many about the axis; "
        "2 (lmax + 2) when absent.",
    )
    forces: Literal["gradient", "direct"] = Field(
        "gradient",
        description="`gradient`: forces are the derivative of the energy; `direct`, published: the model states "
        "them itself, which is quicker, does not conserve energy and gives no stress.",
    )
    parity: bool = Field(
        True,
        description="Real weights in the frame, with which energies do not change under reflection; false: complex "
        "ones, as published, with which a molecule and its mirror image may differ.",
    )

    @property
    def resolution(self) -> int:
        """Points of the grid in the polar angle."""
        return self.grid_resolution or 2 * (self.lmax + 2)

    @property
    def lmax_last(self) -> int:
        """Highest degree that the last layer must give: with gates, what a scalar is read from is scalar."""
        scalars = self.activation == "gate" and self.forces == "gradient" and not self.heads
        return 0 if scalars else self.lmax

    @model_validator(mode="after")
    def _check(self) -> FrameConfig:
        if self.mmax > self.lmax:
            raise ValueError(f"mmax is {self.mmax}, above lmax = {self.lmax}: a degree l has no orders beyond l")
        if self.forces == "direct" and self.lmax == 0:
            raise ValueError("direct forces need vectors: lmax must be at least 1")
        if self.forces == "direct" and not self.energy:
            raise ValueError("direct forces are stated beside an energy: energy must not be false")
        return self
