"""The recipe of a generator of crystals."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from eqcli.models.generators.config import GeneratorConfig
from eqcli.recipe.schema import NAME, NAME_FORM, InputFile, Section, TrainingSection

Files = InputFile | tuple[InputFile, ...]


class SplitSection(Section):
    """How the training files are divided when no separate files are given. Drawn once and stored with the run."""

    valid: float = Field(0.1, ge=0, description="Validation share: a fraction below 1, or a number of structures.")
    test: float = Field(0.0, ge=0, description="Test share: a fraction below 1, or a number of structures.")
    seed: int | None = Field(None, ge=0, description="Seed of the draw; by default the recipe's seed.")


class CrystalDataSection(Section):
    """The crystals, and how their cells are chosen."""

    train: Files = Field(
        description="Training structures: one file or several, of any known format.", examples=["train.csv"]
    )
    valid: Files | None = Field(None, description="Validation structures; drawn from `train` if absent.")
    test: Files | None = Field(None, description="Test structures; drawn from `train` if `split.test`.")
    max_train: int | None = Field(None, ge=1, description="Use at most this many training structures, drawn at random.")
    split: SplitSection = Field(default_factory=SplitSection, description="The draw of validation and test structures.")
    niggli: bool = Field(True, description="Whether cells are brought to Niggli's reduced form.")
    primitive: bool = Field(False, description="Whether cells are brought to the smallest that repeats.")
    max_atoms: int | None = Field(None, ge=1, description="Leave out structures with more atoms in their cell.")


class GeneratorRecipe(Section):
    """Train one generator of crystals."""

    eqcli: Literal[1] = Field(1, description="Version of the recipe language.")
    task: Literal["train"] = Field("train", description="What the recipe does.")
    family: Literal["generators"] = Field(description="The family of the model.", examples=["generators"])
    name: str = Field(
        description="Name of the run.", pattern=NAME, examples=["my-model"], json_schema_extra={**NAME_FORM}
    )
    seed: int = Field(0, ge=0, description="Seed of everything random: weights, noise, split, order of the data.")
    data: CrystalDataSection = Field(description="The data.")
    model: GeneratorConfig = Field(description="The model and its hyper-parameters.")
    training: TrainingSection = Field(
        default_factory=TrainingSection,
        description="The optimisation. The loss is that of the model, whose weights are among its hyper-parameters; "
        "`edges` of a batch are ordered pairs of the atoms of a cell.",
    )
