"""Hyper-parameters of MACE."""

from __future__ import annotations

from typing import Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from eqcli.models.potentials.configs.common import FeatureConfig


class ZBLConfig(BaseModel):
    """Ziegler-Biersack-Littmark screened nuclear repulsion, added to the learned energy."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_cutoff_basis: int = Field(
        6,
        ge=3,
        le=12,
        description="Order p of the polynomial that switches the repulsion off at the covalent distance.",
    )


class MACEConfig(FeatureConfig):
    """MACE: higher-order equivariant message passing (Batatia et al., NeurIPS 2022)."""

    name: Literal["mace"] = "mace"
    channels: int = Field(
        64,
        ge=1,
        le=1024,
        description="Copies of every irrep in the hidden features.",
        validation_alias=AliasChoices("channels", "num_channels"),
    )
    max_L: int = Field(1, ge=0, le=4, description="Largest degree of the hidden features: 1 means Cx0e + Cx1o.")
    max_ell: int = Field(3, ge=0, le=6, description="Largest degree of the spherical harmonics on edges.")
    correlation: int = Field(3, ge=1, le=3, description="Body order of the product basis minus one.")
    num_interactions: int = Field(2, ge=1, le=6, description="Message-passing layers.")
    num_radial_basis: int = Field(8, ge=1, le=64, description="Radial basis functions.")
    num_cutoff_basis: int = Field(5, ge=2, le=12, description="Order p of the polynomial cutoff envelope.")
    radial_type: Literal["bessel", "gaussian"] = Field("bessel", description="Radial basis.")
    distance_transform: Literal["none", "agnesi", "soft"] = Field(
        "none", description="Transform of the distance before the radial basis, by the covalent radii of the pair."
    )
    radial_MLP: tuple[int, ...] = Field((64, 64, 64), description="Hidden widths of the radial network.")
    MLP_irreps: str = Field("16x0e", pattern=r"^[1-9]\d*x0e$", description="Hidden layer of the last readout.")
    interaction_first: Literal["residual", "agnostic", "density", "residual-density"] = Field(
        "residual", description="First interaction block: `residual` adds an element-dependent skip connection."
    )
    interaction: Literal["residual", "residual-density"] = Field("residual", description="Later interaction blocks.")
    zbl: ZBLConfig | None = Field(None, description="Short-range nuclear repulsion; absent means none.")
