"""Hyper-parameters of the average over frames, of every potential that takes its symmetry from one."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class FramesConfig(BaseModel):
    """Symmetry by an average over frames of the structure (Puny et al., ICLR 2022)."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    mode: Literal["full", "stochastic", "none"] = Field(
        "full",
        description="`full`: the average over all frames, always; `stochastic`: one frame at random for each structure "
        "in training (FAENet); `none`: the structure as it lies, without symmetry.",
    )
    inference: Literal["all", "one"] = Field(
        "all",
        description="What `stochastic` does outside training: the average over all frames, which is exactly symmetric, "
        "or one frame, as published, always the same for the same input: quicker, symmetric on average only.",
    )
    group: Literal["O(3)", "SO(3)", "O(2)", "SO(2)"] = Field(
        "O(3)",
        description="Symmetries averaged over: rotations and reflections, rotations alone (tells mirror images apart), "
        "and the same about z, for slabs.",
    )
    source: Literal["edges", "positions"] = Field(
        "edges",
        alias="from",
        description="What the principal axes are taken of: `edges`, the vectors between neighbours, faded at the "
        "cutoff, which know no cell or origin; or `positions`, as published, for molecules alone.",
    )
    resolution: int = Field(
        8,
        ge=0,
        le=24,
        multiple_of=4,
        description="Turns in the average over rotations that equal moments leave open, as in symmetric molecules and "
        "cubic crystals; 0 takes principal axes as they come, which jump there.",
    )

    @property
    def exact(self) -> bool:
        """Whether predictions respect all rotations, but for the quadrature over open ones."""
        always = self.mode == "full" or (self.mode == "stochastic" and self.inference == "all")
        return always and self.group in ("O(3)", "SO(3)")

    @property
    def reflections(self) -> bool:
        """Whether mirror images have the same energy."""
        return self.exact and self.group == "O(3)"
