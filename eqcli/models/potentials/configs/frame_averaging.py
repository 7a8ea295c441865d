"""Hyper-parameters of the average over frames around any potential."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from eqcli.models.potentials.configs.faenet import FAENetConfig
from eqcli.models.potentials.configs.frames import FramesConfig

if TYPE_CHECKING:
    from eqcli.models.potentials.config import Backbone


def _default() -> Any:
    return FAENetConfig(frames=FramesConfig(mode="none"))


class FrameAveragedConfig(BaseModel):
    """Any potential made symmetric by an average over frames (Puny et al., ICLR 2022)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Literal["frame-averaged"] = "frame-averaged"
    frames: FramesConfig = Field(default_factory=FramesConfig, description="Which frames, and when.")
    backbone: Backbone = Field(
        default_factory=_default, description="The potential that is averaged, with all its own options."
    )

    @property
    def cutoff(self) -> float:
        """That of the potential that is averaged, Å."""
        return self.backbone.cutoff

    @property
    def energy(self) -> bool:
        """Whether it gives an energy."""
        return self.backbone.energy

    @property
    def heads(self) -> Any:
        """Its further properties by name."""
        return self.backbone.heads
