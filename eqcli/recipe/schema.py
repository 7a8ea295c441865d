"""The recipe language: what a YAML recipe may say, its defaults and their meaning.

The description of each field is its documentation: the JSON Schema, the
reference page, the template and the error messages are made from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from eqcli.elements import SYMBOLS
from eqcli.io.conventions import LabelConvention
from eqcli.models.potentials.config import PotentialConfig
from eqcli.names import did_you_mean


@dataclass(frozen=True)
class IsFile:
    """Marks text that names an existing file: relative names are those of the recipe file that states them.

    Attributes
    ----------
    folder
        Whether it may be a folder too.
    """

    folder: bool = False


InputFile = Annotated[str, IsFile()]
InputSource = Annotated[str, IsFile(folder=True)]

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
NAME_FORM = {"form": "letters, digits, dots, hyphens and underscores"}
"""The pattern of names in plain words, for messages."""


class Section(BaseModel):
    """A part of a recipe: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SplitSection(Section):
    """How the training file is divided when no separate files are given. Drawn once and stored with the run."""

    valid: float = Field(0.1, ge=0, description="Validation share: a fraction below 1, or a number of structures.")
    test: float = Field(0.0, ge=0, description="Test share: a fraction below 1, or a number of structures.")
    seed: int | None = Field(None, ge=0, description="Seed of the draw; by default the recipe's seed.")
    train_indices: InputFile | None = Field(
        None,
        description="File of the rows of `data.train`, from 0, that are trained on (csv, txt, npy or npz); parts that "
        "are drawn come from these.",
    )
    valid_indices: InputFile | None = Field(None, description="File of the rows for validation, instead of a draw.")
    test_indices: InputFile | None = Field(None, description="File of the rows for the test, instead of a draw.")

    @property
    def index_files(self) -> dict[str, str]:
        """The files of row numbers, by the part that they are for."""
        named = {"train": self.train_indices, "valid": self.valid_indices, "test": self.test_indices}
        return {part: file for part, file in named.items() if file is not None}


class DataSection(Section):
    """Where the data are and what their columns mean."""

    train: InputFile | tuple[InputFile, ...] = Field(
        description="Training structures: one file or several, of any known format.", examples=["train.extxyz"]
    )
    valid: InputFile | tuple[InputFile, ...] | None = Field(
        None, description="Validation structures; drawn from `train` if absent."
    )
    test: InputFile | tuple[InputFile, ...] | None = Field(
        None, description="Test structures; drawn from `train` if `split.test`."
    )
    max_train: int | None = Field(None, ge=1, description="Use at most this many training structures, drawn at random.")
    split: SplitSection = Field(default_factory=SplitSection, description="The draw of validation and test structures.")
    labels: LabelConvention = Field(
        default_factory=LabelConvention, description="Names, units and signs of the labels."
    )
    reference_energies: Literal["auto", "isolated", "lstsq", "zero"] | dict[str, float] = Field(
        "auto",
        description="Energies of the isolated atoms: explicit in eV per element, `isolated` from single-atom "
        "structures, `lstsq` fitted to the training energies, `zero`; `auto` takes isolated atoms where there are "
        "some, else fits.",
    )

    @model_validator(mode="after")
    def _each_part_once(self) -> DataSection:
        for part in self.split.index_files:
            if part != "train" and getattr(self, part) is not None:
                raise ValueError(f"the {part} structures are named twice: by {part} and by split.{part}_indices")
        return self

    @field_validator("reference_energies")
    @classmethod
    def _known_elements(cls, value: str | dict[str, float]) -> str | dict[str, float]:
        for symbol in value if isinstance(value, dict) else ():
            if symbol not in SYMBOLS[1:]:
                raise ValueError(f"'{symbol}' is not a chemical element. {did_you_mean(symbol, SYMBOLS[1:])}")
        return value


class LossSection(Section):
    """What is minimised: a weighted sum of the terms."""

    kind: Literal["mse", "mae", "huber"] = Field("mse", description="Shape of each term.")
    huber_delta: float = Field(
        0.01,
        gt=0,
        description="Where the Huber loss turns linear, in the unit of the target; of properties in units of their "
        "spread.",
    )
    energy: float = Field(1.0, ge=0, description="Weight of the energy per atom.")
    forces: float = Field(100.0, ge=0, description="Weight of the force components.")
    stress: float = Field(0.0, ge=0, description="Weight of the stress components.")
    properties: dict[str, Annotated[float, Field(ge=0)]] = Field(
        default_factory=dict,
        description="Weight of each head of the model by its name; 1 when not named. Their errors are in units of the "
        "spread of their labels in the training data, so that a weight of 1 means the same for every unit.",
    )
    config_weights: dict[str, float] = Field(
        default_factory=dict, description="Factor on the loss of structures by their `config_type`; 1 when not named."
    )

    @model_validator(mode="after")
    def _something_to_fit(self) -> LossSection:
        if not any((self.energy, self.forces, self.stress, *self.properties.values())):
            raise ValueError("at least one of energy, forces, stress and properties needs a positive weight")
        return self


class BatchSection(Section):
    """How much goes into one optimisation step: exactly one of the three."""

    structures: int | None = Field(None, ge=1, description="Number of structures.")
    atoms: int | None = Field(None, ge=1, description="Largest number of atoms.")
    edges: int | None = Field(None, ge=1, description="Largest number of directed neighbour pairs.")

    @model_validator(mode="after")
    def _one_budget(self) -> BatchSection:
        given = [v for v in (self.structures, self.atoms, self.edges) if v is not None]
        if len(given) != 1:
            raise ValueError("give exactly one of structures, atoms and edges")
        return self


class OptimizerSection(Section):
    """The optimiser."""

    name: Literal["adam", "adamw"] = Field("adam", description="`adam` or `adamw`.")
    lr: float = Field(0.01, gt=0, description="Learning rate.")
    weight_decay: float = Field(
        5e-7, ge=0, description="Weight decay, on the weights of linear maps and products only."
    )
    amsgrad: bool = Field(True, description="Whether to use the AMSGrad variant.")


class ScheduleSection(Section):
    """How the learning rate changes."""

    name: Literal["constant", "cosine", "exponential", "plateau"] = Field(
        "plateau", description="`plateau` follows the validation loss; the others follow the steps."
    )
    warmup_steps: int = Field(0, ge=0, description="Steps over which the learning rate rises linearly from zero.")
    factor: float = Field(0.8, gt=0, lt=1, description="Plateau: factor on the learning rate. Exponential: per epoch.")
    patience: int = Field(50, ge=0, description="Plateau: epochs without improvement before the rate falls.")
    min_lr: float = Field(0.0, ge=0, description="Smallest learning rate.")


class EarlyStoppingSection(Section):
    """When to stop before `max_epochs`."""

    patience: int = Field(2048, ge=1, description="Epochs without improvement of the validation loss before stopping.")
    min_delta: float = Field(0.0, ge=0, description="Improvements smaller than this do not count.")


class CheckpointSection(Section):
    """How often the state of the training is saved."""

    every_minutes: float = Field(
        10.0,
        gt=0,
        description="Time between checkpoints within an epoch; one is written at the end of each epoch at most this "
        "often, and one at the end.",
    )


class TrainingSection(Section):
    """The optimisation."""

    max_epochs: int = Field(200, ge=1, description="Passes over the training data.")
    max_minutes: float | None = Field(
        None,
        gt=0,
        description="Minutes of training in all, resumed ones included; one last validation then chooses the model, "
        "and the cosine schedule ends with them. How far training gets then depends on the machine.",
    )
    batch: BatchSection = Field(default_factory=lambda: BatchSection(structures=10), description="Size of a step.")
    micro_batch: BatchSection | None = Field(
        None,
        description="How much of a batch is computed at once on each device; the gradient of the whole batch is added "
        "up from the parts and is the same up to rounding. By default as much as fits into memory.",
    )
    valid_batch: BatchSection | None = Field(None, description="Size of a validation batch; by default that of a step.")
    optimizer: OptimizerSection = Field(default_factory=OptimizerSection, description="The optimiser.")
    schedule: ScheduleSection = Field(default_factory=ScheduleSection, description="The learning-rate schedule.")
    ema: float | None = Field(0.99, gt=0, lt=1, description="Decay of the exponential moving average of the weights.")
    gradient_clip: float | None = Field(10.0, gt=0, description="Largest norm of the gradient.")
    early_stopping: EarlyStoppingSection | None = Field(None, description="When to stop early; absent means never.")
    precision: Literal["float32", "float64"] = Field("float32", description="Precision of the model's arithmetic.")
    workers: int = Field(0, ge=0, description="Processes that load data; 0 loads in the main process.")
    checkpoint: CheckpointSection = Field(default_factory=CheckpointSection, description="Saving of the state.")
    loggers: tuple[Literal["csv", "tensorboard"], ...] = Field(("csv",), description="Where figures are written.")


class FineTuneSection(Section):
    """Training that starts from a trained model."""

    model: InputFile = Field(
        description="The model file. Its hyper-parameters stand wherever `model` states none; heads may be added, and "
        "elements of the data that it does not know get weights of their own."
    )
    freeze: tuple[str, ...] = Field(
        (),
        description="Parts that keep their weights: names of parameters or of what they belong to, with `*` for any "
        "text, e.g. `embedding` or `layers.0`.",
        examples=[("layers.0",)],
    )
    reference_energies: Literal["auto", "keep", "refit", "data"] = Field(
        "auto",
        description="`keep`: those of the model. `refit`: shifted so that the model as it is fits the new energies "
        "best, for labels of another method. `data`: as `data.reference_energies` says. `auto`: `data` where the data "
        "have isolated atoms or the recipe gives energies, else `refit`.",
    )


class TrainRecipe(Section):
    """Train one model."""

    eqcli: Literal[1] = Field(1, description="Version of the recipe language.")
    task: Literal["train"] = Field("train", description="What the recipe does.")
    family: Literal["potentials"] = Field("potentials", description="The family of the model.")
    name: str = Field(
        description="Name of the run.", pattern=NAME, examples=["my-model"], json_schema_extra={**NAME_FORM}
    )
    seed: int = Field(0, ge=0, description="Seed of everything random: weights, split, order of the data.")
    data: DataSection = Field(description="The data.")
    model: PotentialConfig = Field(description="The model and its hyper-parameters.")
    fine_tune: FineTuneSection | None = Field(None, description="The trained model to start from; absent means none.")
    loss: LossSection = Field(default_factory=LossSection, description="The loss.")
    uncertainty: Literal["none", "last-layer"] = Field(
        "none",
        description="`last-layer`: predictions of the energy come with a standard deviation, from the Laplace "
        "approximation of the last layer, calibrated on the validation structures.",
    )
    training: TrainingSection = Field(default_factory=TrainingSection, description="The optimisation.")

    @field_validator("loss")
    @classmethod
    def _known_heads(cls, loss: LossSection, info: ValidationInfo) -> LossSection:
        model = info.data.get("model")
        heads = getattr(model, "heads", {})
        for name in loss.properties if model is not None else ():
            if name not in heads:
                hint = did_you_mean(name, heads, "heads") or "Properties are given by model.heads."
                raise ValueError(f"the model has no head '{name}', which properties gives a weight. {hint}")
        if heads and not getattr(model, "energy", True) and not any(loss.properties.get(n, 1.0) for n in heads):
            raise ValueError("the model gives no energy, and every head has the weight zero in properties")
        return loss


class Step(Section):
    """One step of a pipeline: a task and its arguments."""

    id: str = Field(
        pattern=r"^[a-z][a-z0-9-]*$",
        description="Name of the step; its files go into a folder of this name.",
        json_schema_extra={"form": "small letters, digits and hyphens, a letter first"},
    )
    task: Literal[
        "train",
        "predict",
        "relax",
        "evaluate",
        "convert",
        "compare",
        "generate",
        "screen",
        "evaluate-crystals",
        "evaluate-molecules",
        "rank",
        "sanitise",
        "relax-molecules",
        "rank-molecules",
        "dock",
        "evaluate-docking",
        "register",
        "generate-pairs",
    ] = Field(
        description="The subcommand to run; `compare` is the suite `comparison` of `evaluate`, `evaluate-crystals` "
        "and `evaluate-molecules` are `evaluate --reference`, `dock` and `evaluate-docking` are `predict` and "
        "`evaluate` with a docking model, `generate-pairs` is `generate pairs`; the steps that choose among crystals "
        "(`screen`, `rank`) and molecules (`sanitise`, `relax-molecules`, `rank-molecules`) are found in pipelines "
        "alone."
    )
    with_: dict[str, Any] = Field(
        default_factory=dict,
        alias="with",
        description="Arguments of the subcommand. `${other.model}` stands for what the step `other` made.",
    )


class PipelineRecipe(Section):
    """Steps that use each other's results; a second run redoes only what changed."""

    eqcli: Literal[1] = Field(1, description="Version of the recipe language.")
    task: Literal["pipeline"] = Field(description="What the recipe does.")
    name: str = Field(
        description="Name of the pipeline.", pattern=NAME, examples=["my-pipeline"], json_schema_extra={**NAME_FORM}
    )
    vars: dict[str, Any] = Field(
        default_factory=dict,
        description="Values that the steps use as `${vars.name}`: numbers, texts, files or whole sections.",
    )
    steps: tuple[Step, ...] = Field(min_length=1, description="The steps, in order.")
