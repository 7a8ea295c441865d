"""The recipe of a generator of molecules."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from eqcli.models.molecules.config import MoleculeConfig
from eqcli.recipe.generators import Files, SplitSection
from eqcli.recipe.schema import NAME, NAME_FORM, Section, TrainingSection


class MoleculeDataSection(Section):
    """The molecules, and what is taken from them."""

    train: Files = Field(
        description="Training molecules: one file or several, of any known format. Where a file states no bonds, they "
        "are found from the positions.",
        examples=["train.sdf"],
    )
    valid: Files | None = Field(None, description="Validation molecules; drawn from `train` if absent.")
    test: Files | None = Field(None, description="Test molecules; drawn from `train` if `split.test`.")
    max_train: int | None = Field(None, ge=1, description="Use at most this many training molecules, drawn at random.")
    split: SplitSection = Field(default_factory=SplitSection, description="The draw of validation and test molecules.")
    aromatic: bool = Field(
        False,
        description="Whether aromatic bonds are bonds of their own; if not, single and double ones stand for them.",
    )
    max_atoms: int | None = Field(None, ge=1, description="Leave out molecules with more atoms.")


class MoleculesRecipe(Section):
    """Train one generator of molecules."""

    eqcli: Literal[1] = Field(1, description="Version of the recipe language.")
    task: Literal["train"] = Field("train", description="What the recipe does.")
    family: Literal["molecules"] = Field(description="The family of the model.", examples=["molecules"])
    name: str = Field(
        description="Name of the run.", pattern=NAME, examples=["my-model"], json_schema_extra={**NAME_FORM}
    )
    seed: int = Field(0, ge=0, description="Seed of everything random: weights, noise, split, order of the data.")
    data: MoleculeDataSection = Field(description="The data.")
    model: MoleculeConfig = Field(description="The model and its hyper-parameters.")
    training: TrainingSection = Field(
        default_factory=TrainingSection,
        description="The optimisation. The loss is that of the model, whose weights are among its hyper-parameters; "
        "`edges` of a batch are ordered pairs of the atoms of a molecule. Batches hold molecules of like size.",
    )
