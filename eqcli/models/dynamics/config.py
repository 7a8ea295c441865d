"""Every model of motion: its name, its code and its hyper-parameters."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field


class EGNNDynamicsConfig(BaseModel):
    """EGNN with velocities: E(n)-equivariant graph network (Satorras, Hoogeboom and Welling, ICML 2021)."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    name: Literal["egnn"] = "egnn"
    channels: int = Field(64, ge=1, le=1024, description="Channels of features and messages.")
    num_layers: int = Field(
        4,
        ge=1,
        le=16,
        description="Message-passing layers.",
        validation_alias=AliasChoices("num_layers", "num_interactions"),
    )
    velocity: bool = Field(True, description="Whether each layer moves a point along its velocity too.")
    attention: bool = Field(False, description="Whether messages pass a learned gate.")
    residual: bool = Field(True, description="Whether features are added to their update.")
    mean: bool = Field(True, description="Whether points move by the mean over their neighbours, not by the sum.")
    tanh: bool = Field(False, description="Whether the factors that move points are bounded.")


DynamicsConfig = Annotated[EGNNDynamicsConfig, Field(discriminator="name")]
"""Every model of motion, told apart by its `name`; `A | B` when there are several."""

DYNAMICS: dict[str, tuple[str, str, type[BaseModel]]] = {
    "egnn": ("eqcli.models.dynamics.egnn", "EGNNDynamics", EGNNDynamicsConfig),
}
"""Name -> (module, class, configuration): the one table that ties a name to its code."""
