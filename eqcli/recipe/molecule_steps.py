"""The step of a pipeline that measures generated molecules."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from eqcli.recipe.schema import InputFile, Section
from eqcli.recipe.step_fields import Files


class EvaluateMoleculesStep(Section):
    """Measure generated molecules against a reference, beside baselines that no model made."""

    generated: Files = Field(description="Files of generated molecules.")
    reference: InputFile = Field(description="The molecules to be like.")
    training: InputFile | None = Field(
        None, description="What the generator was trained on, for novelty and baselines; by default the reference."
    )
    valences: Literal["published", "sulphur-246", "charged"] | None = Field(
        None, description="Of stable atoms; see `evaluate --valences`."
    )
    bonds: Literal["rule", "own", "both"] | None = Field(
        None, description="How bonds are taken; by default both ways where the files state bonds."
    )
    baselines: bool = Field(True, description="Whether null baselines are made and measured too.")
    posebusters: bool = Field(True, description="Whether PoseBusters checks molecules.")
    posebusters_limit: int | None = Field(
        None,
        ge=1,
        description="Generated molecules that PoseBusters checks (200), and a quarter as many of other sets.",
    )
    xtb: bool = Field(False, description="Whether strain, gap and dipole are computed by GFN2-xTB too.")
    workers: int | None = Field(None, ge=1, description="Processes that measure; by default one per core.")
    timeout: float = Field(10.0, gt=0, description="Seconds that one molecule may take.")
    bootstrap: int = Field(1000, ge=0, description="Resamples of the 95 % intervals.")
    seed: int = Field(0, ge=0, description="Seed of baselines, samples and resamples.")
    limit: int | None = Field(None, ge=1, description="Evaluate so many only.")
