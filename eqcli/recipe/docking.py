"""The recipe of a docking network."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from eqcli.models.docking.config import DockingConfig
from eqcli.recipe.schema import NAME, NAME_FORM, InputSource, Section, TrainingSection

Sources = InputSource | tuple[InputSource, ...]


class DockingSplitSection(Section):
    """How complexes are divided when no separate files are given. Drawn once and stored with the run.

    A network remembers pockets: figures of ligands whose proteins were trained on say nothing about new proteins.
    """

    by: Literal["cluster", "protein", "year", "random"] = Field(
        "cluster",
        description="What parts have apart: clusters of proteins of like sequence, proteins by name, or years, the "
        "latest for the test. `random` lets every protein into every part; it needs `allow_leak`.",
    )
    identity: float = Field(
        0.3, gt=0, le=1, description="Clusters: proteins with a larger share of equal residues belong together."
    )
    valid: float = Field(0.1, ge=0, description="Validation share: a fraction below 1, or a number of complexes.")
    test: float = Field(0.1, ge=0, description="Test share: a fraction below 1, or a number of complexes.")
    seen: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of the training complexes that are held out as new ligands of trained proteins. Their "
        "figures stand under `seen`, never among the others.",
    )
    valid_seen: bool = Field(
        False,
        description="Whether validation complexes, which choose the model, are new ligands of trained proteins too.",
    )
    allow_leak: bool = Field(
        False, description="Allow a random split. The same as --allow-leak; figures then report remembered pockets."
    )
    seed: int | None = Field(None, ge=0, description="Seed of the draw; by default the recipe's seed.")

    @model_validator(mode="after")
    def _honest(self) -> Self:
        if self.by == "random" and not self.allow_leak:
            raise ValueError(
                "a random split reports remembered pockets: ligands of one protein would be trained on and tested "
                "with. Split by cluster, protein or year, or say --allow-leak (split.allow_leak=true)"
            )
        return self


class DockingAugmentation(Section):
    """What differs each time that a complex is shown in training; turning and shifting would change nothing."""

    crop: float = Field(
        0.3, ge=0, le=1, description="Share of complexes whose receptor is cut down to the neighbourhood of the ligand."
    )
    radius: float = Field(20.0, gt=0, description="Å; residues within this of the ligand's centre stay in a crop.")
    jitter: float = Field(4.0, ge=0, description="Å; random shift of the centre of a crop.")
    noise: float = Field(0.0, ge=0, description="Å; random shifts of residues, standard deviation.")
    hidden: float = Field(0.0, ge=0, lt=1, description="Share of residues whose kind is not told.")


class GeneratedSection(Section):
    """Training complexes made of proteins alone: pieces that are cut out of them and docked back."""

    proteins: Sources = Field(description="Protein files, or folders of them.", examples=["proteins"])
    per_protein: int = Field(10, ge=1, description="Pieces of each protein.")
    pieces: Literal["residue", "segment", "both"] = Field(
        "both", description="A residue, a segment of three to five residues, or either."
    )


class DockingDataSection(Section):
    """The complexes, and what is taken from them."""

    train: Sources = Field(
        description="Training complexes: folders (PDBBind's layout, or `protein.pdb` with `ligands.sdf`), CSV tables, "
        "or dataset files of another run.",
        examples=["complexes"],
    )
    valid: Sources | None = Field(None, description="Validation complexes; drawn from `train` if absent.")
    test: Sources | None = Field(None, description="Test complexes; drawn from `train` if `split.test`.")
    max_train: int | None = Field(None, ge=1, description="Use at most this many training complexes, drawn at random.")
    split: DockingSplitSection = Field(
        default_factory=DockingSplitSection, description="The draw of validation and test complexes."
    )
    conformers: int = Field(5, ge=1, le=100, description="Conformers of each ligand; training takes one at random.")
    max_residues: int | None = Field(None, ge=1, description="Leave out receptors with more residues.")
    max_atoms: int | None = Field(None, ge=1, description="Leave out ligands with more heavy atoms.")
    generated: GeneratedSection | None = Field(None, description="Generated complexes that training gets besides.")
    augmentation: DockingAugmentation = Field(
        default_factory=DockingAugmentation, description="What differs each time that a complex is shown."
    )


class DockingRecipe(Section):
    """Train one docking network."""

    eqcli: Literal[1] = Field(1, description="Version of the recipe language.")
    task: Literal["train"] = Field("train", description="What the recipe does.")
    family: Literal["docking"] = Field(description="The family of the model.", examples=["docking"])
    name: str = Field(
        description="Name of the run.", pattern=NAME, examples=["my-model"], json_schema_extra={**NAME_FORM}
    )
    seed: int = Field(0, ge=0, description="Seed of everything random: weights, split, conformers, order of the data.")
    data: DockingDataSection = Field(description="The data.")
    model: DockingConfig = Field(description="The model and its hyper-parameters.")
    training: TrainingSection = Field(
        default_factory=TrainingSection,
        description="The optimisation. The loss is that of the model, whose weights are among its hyper-parameters; "
        "`atoms` of a batch are heavy atoms of ligands and residues of receptors together.",
    )
