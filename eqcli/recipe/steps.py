"""What each step of a pipeline takes and what it makes.

The fields are the arguments of the subcommand with the same meaning and
defaults. Text marked as a file may be `${step.output}` instead: what an earlier
step made.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from eqcli.engine.guest_name import is_guest
from eqcli.io.conventions import LabelConvention
from eqcli.recipe.cluster import ClusterRecipe
from eqcli.recipe.crystal_steps import EvaluateCrystalsStep, GenerateStep, RankStep, ScreenStep
from eqcli.recipe.docking_steps import DockStep, EvaluateDockingStep
from eqcli.recipe.molecule_design_steps import RankMoleculesStep, RelaxMoleculesStep, SanitiseStep
from eqcli.recipe.molecule_steps import EvaluateMoleculesStep
from eqcli.recipe.registration_steps import GeneratePairsStep, RegisterStep, register_outputs
from eqcli.recipe.schema import InputFile, PipelineRecipe, Section
from eqcli.recipe.step_fields import FILE_FORM, FILE_NAME, WORKERS, Files, IsModel, Precision, WorkerCount
from eqcli.recipe.training import TrainingRecipe, training_recipe
from eqcli.tasks.pipeline_state import REFERENCE


class TrainStep(Section):
    """Train a model."""

    recipe: InputFile | dict[str, Any] = Field(description="The training recipe: a file, or the recipe itself.")
    changes: dict[str, Any] = Field(
        default_factory=dict, description="Sections of a recipe that are laid over those of the file."
    )
    overrides: tuple[str, ...] = Field((), description="`key=value` changes of the recipe, made last.")


class ModelStep(Section):
    """What applies a model."""

    model: Annotated[str, IsModel()] = Field(
        description="The model file, or the calculator of another package as `ase:module:Class`."
    )
    model_arguments: dict[str, bool | int | float | str | None] = Field(
        default_factory=dict, description="Arguments of a calculator that is named as `ase:module:Class`."
    )

    @model_validator(mode="after")
    def _of_a_calculator(self) -> ModelStep:
        if self.model_arguments and not is_guest(self.model):
            raise ValueError("model_arguments are those of a calculator (ase:module:Class), and the model is a file")
        return self


class PredictStep(ModelStep):
    """Energies, forces and stress of structures."""

    inputs: Files = Field(description="Structure files.")
    output: str = Field(
        "predictions.extxyz", pattern=FILE_NAME, description="Name of the output.", json_schema_extra={**FILE_FORM}
    )
    precision: Precision | None = Field(None, description="Precision; by default that of the model.")
    stress: bool | None = Field(None, description="Whether to compute the stress; by default where there is a cell.")
    labels: LabelConvention = Field(default_factory=LabelConvention, description="Labels of the inputs.")
    batch_atoms: int | None = Field(None, ge=1, description="Largest number of atoms computed at once.")
    workers: WorkerCount = Field("auto", description=WORKERS)


class RelaxStep(ModelStep):
    """Relax structures."""

    inputs: Files = Field(description="Structure files.")
    output: str = Field(
        "relaxed.extxyz", pattern=FILE_NAME, description="Name of the output.", json_schema_extra={**FILE_FORM}
    )
    fmax: float = Field(0.01, gt=0, description="Largest force at the end in eV/Å.")
    smax: float = Field(1e-4, gt=0, description="Largest stress component at the end in eV/Å^3, with a free cell.")
    steps: int = Field(500, ge=1, description="Largest number of steps; with `md` their number where no time is given.")
    cell: Literal["none", "isotropic", "full"] = Field("none", description="Which changes of the cell are allowed.")
    pressure: float = Field(0.0, description="External pressure in GPa.")
    optimizer: Literal["fire", "lbfgs"] = Field("fire", description="The optimiser.")
    keep_symmetry: bool = Field(False, description="Whether the space group is kept.")
    symprec: float = Field(1e-3, gt=0, description="Tolerance in Å with which the symmetry is found.")
    one_by_one: bool = Field(False, description="Whether ASE relaxes one structure after the other, for comparison.")
    md: Literal["nve", "nvt", "npt"] | None = Field(
        None, description="Dynamics in place of a relaxation: what is kept beside the number of atoms."
    )
    temperature: float = Field(300.0, ge=0, description="Temperature of dynamics in K, of the first velocities too.")
    time: str | None = Field(None, description="How long dynamics last, with a unit, e.g. `10ps`.")
    time_step: str = Field("1fs", description="Time step of dynamics; where hydrogen moves, no more than `0.5fs`.")
    every: int = Field(100, ge=1, description="Steps of dynamics between two frames of the trajectory.")
    thermostat: Literal["langevin", "nose-hoover"] | None = Field(
        None, description="What keeps the temperature; `langevin` by default."
    )
    friction: float | None = Field(None, gt=0, description="Of `langevin` in 1/fs, 0.01 by default.")
    seed: int = Field(0, ge=0, description="Seed of dynamics.")
    trajectory: str | None = Field(
        None, pattern=FILE_NAME, description="Name of the trajectory.", json_schema_extra={**FILE_FORM}
    )
    precision: Precision = Field("float64", description="Precision.")
    batch_atoms: int | None = Field(None, ge=1, description="Largest number of atoms computed at once.")
    workers: WorkerCount = Field("auto", description=WORKERS)

    @model_validator(mode="after")
    def _either_relaxed_or_moved(self) -> RelaxStep:
        # A resolved recipe states the defaults too.
        changed = {name for name, kind in type(self).model_fields.items() if getattr(self, name) != kind.default}
        relaxing, moving = changed & RELAXATION, changed & MOTION
        if self.md is None and moving:
            raise ValueError(f"{sorted(moving)[0]} belongs to dynamics: add md, or leave it out")
        if self.md is not None and relaxing:
            raise ValueError(f"{sorted(relaxing)[0]} belongs to relaxations, and md asks for dynamics")
        return self


RELAXATION = {"fmax", "smax", "optimizer", "keep_symmetry", "symprec", "one_by_one"}
MOTION = {"temperature", "time", "time_step", "every", "thermostat", "friction", "seed"}
"""Fields of the step `relax` that mean something in relaxations and in dynamics alone."""

AuditGroup = Literal["all", "equivariance", "conservation", "smoothness", "extensivity", "expressivity"]


class EvaluateStep(ModelStep):
    """Accuracy and audit of a model."""

    data: Files = Field(description="Labelled structures.")
    precision: Precision | None = Field(None, description="Precision; by default that of the model.")
    labels: LabelConvention = Field(default_factory=LabelConvention, description="Labels of the data.")
    dataset: str | None = Field(None, description="Name of the data in comparisons, e.g. `rmd17-ethanol`.")
    audit: bool | tuple[AuditGroup, ...] = Field(
        True, description="Groups of checks by name; `true` makes those that are made unasked, `false` none."
    )
    audit_structures: int = Field(8, ge=1, description="Structures that the audit looks at.")
    seed: int = Field(0, ge=0, description="Seed of the audit's random rotations and of its choice.")
    batch_atoms: int | None = Field(None, ge=1, description="Largest number of atoms computed at once.")


class ConvertStep(Section):
    """Convert structure and dataset files."""

    inputs: Files = Field(description="Files to convert.")
    output: str = Field(
        pattern=FILE_NAME, description="Name of the output; its ending is its format.", json_schema_extra={**FILE_FORM}
    )
    labels: LabelConvention = Field(default_factory=LabelConvention, description="Labels of the inputs.")


class CompareStep(Section):
    """Compare models by their evaluations."""

    evaluations: tuple[InputFile, ...] = Field(
        min_length=1, description="`report.json` of each evaluation, e.g. `${evaluate-a.figures}`."
    )
    measure: bool = Field(True, description="Whether to time the models, on the first structures of the data.")


ARGUMENTS: dict[str, type[Section]] = {
    "train": TrainStep,
    "predict": PredictStep,
    "relax": RelaxStep,
    "evaluate": EvaluateStep,
    "convert": ConvertStep,
    "compare": CompareStep,
    "generate": GenerateStep,
    "screen": ScreenStep,
    "evaluate-crystals": EvaluateCrystalsStep,
    "evaluate-molecules": EvaluateMoleculesStep,
    "rank": RankStep,
    "sanitise": SanitiseStep,
    "relax-molecules": RelaxMoleculesStep,
    "rank-molecules": RankMoleculesStep,
    "dock": DockStep,
    "evaluate-docking": EvaluateDockingStep,
    "register": RegisterStep,
    "generate-pairs": GeneratePairsStep,
}
"""The arguments of each step by its task."""

MODEL_FILE = "model.safetensors"
REPORT_FILES = {"report": "index.html", "figures": "report.json"}


def outputs(task: str, arguments: Section) -> dict[str, str]:
    """What a step makes: the name that references use, and the path inside the step's folder (`.` is the folder)."""
    if task == "train":
        return {"model": MODEL_FILE, "run": "."}
    if task in ("evaluate", "compare"):
        return {**REPORT_FILES, "output": "."}
    if task == "evaluate-crystals":
        relaxed = {"relaxed": "stability/relaxed.h5"} if getattr(arguments, "relaxer", None) else {}
        return {**REPORT_FILES, "table": "structures.csv", **relaxed, "output": "."}
    if task == "evaluate-molecules":
        return {**REPORT_FILES, "table": "molecules.csv", "output": "."}
    if task == "dock":
        return {"table": "results.csv", "ranked": "ranked.csv", "report": REPORT_FILES["report"], "output": "."}
    if task == "evaluate-docking":
        figures = {"report": REPORT_FILES["report"], "figures": "metrics.json"}
        return {**figures, "table": "complexes.csv", "output": "."}
    if isinstance(arguments, RegisterStep):
        return register_outputs(arguments)
    if task == "generate-pairs":
        return {"table": "pairs.csv", "output": "."}
    if task == "rank":
        return {"report": REPORT_FILES["report"], "table": "ranked.csv", "output": "."}
    if task == "rank-molecules":
        files = {"molecules": "ranked.sdf", "table": "ranked.csv", "dropped": "dropped.csv"}
        return {"report": REPORT_FILES["report"], **files, "output": "."}
    made = {"output": str(getattr(arguments, "output", ""))}
    if trajectory := getattr(arguments, "trajectory", None):
        made["trajectory"] = trajectory
    if task in ("screen", "sanitise", "relax-molecules"):
        made["dropped"] = "dropped.csv"
    return made


def train_recipes(recipe: TrainingRecipe | PipelineRecipe | ClusterRecipe) -> dict[str, TrainingRecipe]:
    """The training recipes in a loaded recipe, by name of run or step, without those that need another step's files."""
    if isinstance(recipe, TrainingRecipe):
        return {recipe.name: recipe}
    if isinstance(recipe, ClusterRecipe):
        return {}
    found = {}
    for step in recipe.steps:
        if step.task == "train":
            part = training_recipe(step.with_["recipe"])
            if not REFERENCE.search(part.data.model_dump_json()):
                found[step.id] = part
    return found
