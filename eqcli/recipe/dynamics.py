"""The recipe of a model of motion."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from eqcli.models.dynamics.config import DynamicsConfig
from eqcli.recipe.schema import NAME, NAME_FORM, InputFile, Section, TrainingSection

Count = Annotated[int, Field(ge=1)]


class ParticleSplitSection(Section):
    """How the training file is divided when no separate files are given. Drawn once and stored with the run."""

    valid: float = Field(0.1, ge=0, description="Validation share: a fraction below 1, or a number of systems.")
    test: float = Field(0.0, ge=0, description="Test share: a fraction below 1, or a number of systems.")
    seed: int | None = Field(None, ge=0, description="Seed of the draw; by default the recipe's seed.")


class ParticleDataSection(Section):
    """Systems of particles, simulated or from files, and the two times that matter."""

    system: Literal["charged-particles"] | None = Field(
        None, description="What is simulated; absent where the data are files of trajectories."
    )
    particles: int = Field(5, ge=2, le=100, description="Particles of a simulated system.")
    train: Count | InputFile = Field(
        description="Training systems: how many to simulate, or a file of trajectories (HDF5 or npz).",
        examples=["trajectories.h5"],
    )
    valid: Count | InputFile | None = Field(
        None, description="Validation systems: how many to simulate, or a file; drawn from the file `train` if absent."
    )
    test: Count | InputFile | None = Field(
        None, description="Test systems: how many to simulate, or a file; drawn from the file `train` if `split.test`."
    )
    split: ParticleSplitSection = Field(
        default_factory=ParticleSplitSection, description="The draw of validation and test systems from a file."
    )
    seed: int | None = Field(None, ge=0, description="Seed of the simulations; by default the recipe's seed.")
    from_frame: int = Field(0, ge=0, description="Frame that the model is given, counted from 0.")
    to_frame: int = Field(1, ge=1, description="Frame whose positions it is to give, counted from 0.")

    @model_validator(mode="after")
    def _one_source(self) -> ParticleDataSection:
        parts = {"train": self.train, "valid": self.valid, "test": self.test}
        if self.to_frame <= self.from_frame:
            raise ValueError("to_frame must come after from_frame")
        for name, value in parts.items():
            if self.system is not None and isinstance(value, str):
                raise ValueError(f"{name} is a number of systems where `system` says what is simulated")
            if self.system is None and isinstance(value, int):
                raise ValueError(f"{name} is a file; a number needs `system: charged-particles`")
        if self.system is not None and self.valid is None:
            raise ValueError("valid is required: how many systems to simulate for validation")
        return self


class DynamicsRecipe(Section):
    """Train one model of motion."""

    eqcli: Literal[1] = Field(1, description="Version of the recipe language.")
    task: Literal["train"] = Field("train", description="What the recipe does.")
    family: Literal["dynamics"] = Field(description="The family of the model.", examples=["dynamics"])
    name: str = Field(
        description="Name of the run.", pattern=NAME, examples=["my-model"], json_schema_extra={**NAME_FORM}
    )
    seed: int = Field(0, ge=0, description="Seed of everything random: weights, simulations, split, order of the data.")
    data: ParticleDataSection = Field(description="The data.")
    model: DynamicsConfig = Field(description="The model and its hyper-parameters.")
    training: TrainingSection = Field(
        default_factory=TrainingSection,
        description="The optimisation. The loss is the mean square of the errors of the coordinates; `structures`, "
        "`atoms` and `edges` of a batch are systems, particles and ordered pairs.",
    )
