"""The recipe of a network of registration."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from eqcli.models.pointcloud.config import PointCloudConfig
from eqcli.recipe.schema import NAME, NAME_FORM, InputSource, Section, TrainingSection

Sources = InputSource | tuple[InputSource, ...]
Range = tuple[float, float]


class Weights(Section):
    """Weights of kinds, at least one of them above 0."""

    @model_validator(mode="after")
    def _some_weight(self) -> Self:
        if not sum(self.model_dump().values()) > 0:
            raise ValueError(f"one of {', '.join(type(self).model_fields)} must be above 0")
        return self


class ShapeKinds(Weights):
    """Weights of what the complete shapes are."""

    object: float = Field(0.7, ge=0, description="Objects that the program makes: solids, tubes, bodies, blobs.")
    scene: float = Field(0.2, ge=0, description="Rooms with furniture that the program makes.")
    outdoor: float = Field(0.1, ge=0, description="Streets and yards as a turning sensor sees them.")
    file: float = Field(0.0, ge=0, description="The clouds and meshes of `files`.")


class ViewKinds(Weights):
    """Weights of how a part is taken of a complete shape."""

    crop: float = Field(0.5, ge=0, description="A half-space, or a ball around a point of the surface.")
    sight: float = Field(0.5, ge=0, description="What is seen from one side.")


class GeneratedPairs(Section):
    """Pairs that are made while training goes on: two views of one shape, sampled anew, noisy and turned at random."""

    pairs: int = Field(500, ge=1, description="Pairs of an epoch; every epoch has others.")
    valid: int = Field(64, ge=0, description="Pairs of the validation, from shapes of their own; always the same.")
    kinds: ShapeKinds = Field(default_factory=ShapeKinds, description="What the complete shapes are.")
    files: Sources = Field((), description="Clouds and meshes to take views of.", examples=["scans"])
    valid_files: Sources = Field((), description="The same for the validation; never those of `files`.")
    views: ViewKinds = Field(default_factory=ViewKinds, description="How parts are taken.")
    overlap: Range = Field((0.1, 0.8), description="Least and largest overlap; evenly between them.")
    valid_overlap: Range = Field((0.1, 0.3), description="The same for the validation.")
    voxels: tuple[int, int] = Field((1500, 4000), description="Voxels that a complete shape fills, least and most.")
    density: Range = Field((1.5, 5.0), description="Points for each voxel of surface, of either cloud by itself.")
    noise: Range = Field((0.1, 0.3), description="Voxels; standard deviation of each coordinate.")
    outliers: float = Field(0.05, ge=0, lt=1, description="Largest share of points that are anywhere.")
    pool: int = Field(48, ge=1, description="Complete shapes kept at a time.")
    uses: int = Field(16, ge=1, description="Pairs of each shape, on average.")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        for name in ("overlap", "valid_overlap", "voxels", "density", "noise"):
            low, high = getattr(self, name)
            if low > high or low < 0:
                raise ValueError(f"{name}: the first number is the least and the second the largest")
        for name in ("overlap", "valid_overlap"):
            low, high = getattr(self, name)
            if not 0 < low < high < 1:
                raise ValueError(f"{name}: two numbers that rise between 0 and 1")
        if self.kinds.file > 0 and not self.files:
            raise ValueError("kinds.file is above 0, and `files` names none")
        if self.files and not self.kinds.file:
            raise ValueError("`files` are named, and kinds.file is 0: say how often they are used")
        if self.valid and not self.valid_files and not any((self.kinds.object, self.kinds.scene, self.kinds.outdoor)):
            raise ValueError("all shapes are from `files`: name `valid_files`, or set `valid` to 0")
        return self


class PairsSection(Section):
    """The pairs of clouds, with known motions."""

    train: Sources | None = Field(
        None,
        description="Training pairs: CSV tables, folders in the layouts of 3DMatch and KITTI, or folders that "
        "`eqcli generate` wrote.",
        examples=["pairs.csv"],
    )
    valid: Sources | None = Field(None, description="Validation pairs; generated ones if absent.")
    test: Sources | None = Field(None, description="Test pairs.")
    voxel: float | None = Field(
        None,
        gt=0,
        description="Edge of the finest voxels, in the unit of the clouds; by default what "
        "the list of pairs states, or else from their spacing.",
    )
    max_points: int = Field(30000, ge=100, description="Voxels of a cloud at most; larger clouds are cut down.")
    generated: GeneratedPairs | None = Field(None, description="Pairs that are made while training goes on.")

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.train is None and self.generated is None:
            raise ValueError("give `train`, or `generated`, or both")
        if self.valid is None and (self.generated is None or not self.generated.valid):
            raise ValueError("there are no validation pairs: give `valid`, or `generated.valid` above 0")
        return self


class PointCloudRecipe(Section):
    """Train one network of registration."""

    eqcli: Literal[1] = Field(1, description="Version of the recipe language.")
    task: Literal["train"] = Field("train", description="What the recipe does.")
    family: Literal["pointcloud"] = Field(description="The family of the model.", examples=["pointcloud"])
    name: str = Field(
        description="Name of the run.", pattern=NAME, examples=["my-model"], json_schema_extra={**NAME_FORM}
    )
    seed: int = Field(0, ge=0, description="Seed of everything random: weights, pairs, order of the data.")
    data: PairsSection = Field(description="The data.")
    model: PointCloudConfig = Field(description="The model and its hyper-parameters.")
    training: TrainingSection = Field(
        default_factory=TrainingSection,
        description="The optimisation. The loss is that of the model, whose weights are among its hyper-parameters; "
        "`structures` of a batch are pairs.",
    )
