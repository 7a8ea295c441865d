"""The steps of pipelines that register clouds and structures, and make pairs of clouds."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from eqcli.recipe.pointcloud import Range, Sources, ViewKinds, Weights
from eqcli.recipe.schema import InputFile, InputSource, Section
from eqcli.recipe.step_fields import FILE_FORM, FILE_NAME


class RegisterStep(Section):
    """Lay one cloud or structure onto another, or the pairs of a table; pairs go on where they were killed."""

    source: InputFile | None = Field(None, description="What is moved.")
    target: InputFile | None = Field(None, description="What stays.")
    pairs: InputSource | None = Field(
        None, description="CSV of pairs or a folder of 3DMatch or KITTI, in place of source and target."
    )
    output: str = Field(
        "aligned.ply",
        pattern=FILE_NAME,
        description="Name of the moved source; its ending is its format, for structures one of theirs.",
        json_schema_extra={**FILE_FORM},
    )
    kind: Literal["clouds", "molecules", "proteins", "crystals"] | None = Field(
        None, description="What the files are taken for; by default what they hold."
    )
    method: Literal["auto", "fpfh", "pare-net", "ume", "icp"] = Field("auto", description="Where matches come from.")
    model: InputFile | None = Field(None, description="Trained model, for `auto` and `pare-net`.")
    solver: Literal["procrustes", "one-match", "ransac", "clique", "spectral", "kiss"] | None = Field(
        None, description="What makes a motion of matches; absent means the usual one."
    )
    refine: Literal["none", "point-to-point", "point-to-plane", "gicp"] | None = Field(
        None, description="What improves the motion at the end; absent means `gicp`."
    )
    voxel: float | None = Field(None, gt=0, description="Edge of the grid in the unit of the target; absent: chosen.")
    start: InputFile | None = Field(None, description="File of a 4 x 4 matrix to begin from, in place of a search.")
    seed: int = Field(0, ge=0, description="Seed of everything that is drawn.")
    source_units: str | None = Field(None, description="Unit of the source, or `same`.")
    target_units: str | None = Field(None, description="Unit of the target, or `same`.")
    samples: int = Field(50_000, ge=4, description="Points that meshes are sampled with.")
    permute: bool = Field(False, description="Molecules: match atoms by the structure.")
    heavy: bool = Field(False, description="Molecules: leave hydrogens out.")
    reflect: bool = Field(False, description="Molecules: use the mirror image where that fits better.")
    on: Literal["ca", "backbone", "heavy", "all"] | None = Field(None, description="Proteins: atoms that are fitted.")
    by: Literal["structure", "sequence", "number"] | None = Field(
        None, description="Proteins: how residues are matched."
    )
    source_chains: tuple[str, ...] = Field((), description="Proteins: chains to move; absent means all.")
    target_chains: tuple[str, ...] = Field((), description="Proteins: chains to fit; absent means all.")
    ltol: float | None = Field(None, ge=0, description="Crystals: tolerance of lattice lengths, as a fraction.")
    stol: float | None = Field(None, ge=0, description="Crystals: tolerance of sites.")
    angle_tol: float | None = Field(None, ge=0, description="Crystals: tolerance of lattice angles, degrees.")
    primitive: bool | None = Field(None, description="Crystals: whether primitive cells are compared.")
    scale: bool | None = Field(None, description="Crystals: whether volumes may differ.")
    pose_graph: bool = Field(False, description="Whether all clouds of the pairs are brought into one frame.")
    reference: str | None = Field(None, description="Cloud whose frame that is; absent: the most connected one.")
    merged: str | None = Field(
        None,
        pattern=FILE_NAME,
        description="Name of a file for all clouds of that frame as one.",
        json_schema_extra={**FILE_FORM},
    )
    workers: int | None = Field(None, ge=1, description="Processes for pairs; by default one for each core.")

    @model_validator(mode="after")
    def _something_to_register(self) -> Self:
        if (self.pairs is None) == (self.source is None):
            raise ValueError("give either a source and a target, or pairs")
        if (self.source is None) != (self.target is None):
            raise ValueError("a source and a target belong together")
        if self.pose_graph and self.pairs is None:
            raise ValueError("pose_graph needs pairs")
        if (self.reference or self.merged) and not self.pose_graph:
            raise ValueError("reference and merged are for clouds in one frame: set pose_graph")
        if self.method == "pare-net" and self.model is None:
            raise ValueError("pare-net needs a model")
        return self


def register_outputs(step: RegisterStep) -> dict[str, str]:
    """What the step makes, by the name that references use."""
    if step.pairs is None:
        return {"output": step.output, "transform": "transform.txt", "result": "result.json"}
    made = {"table": "results.csv", "output": "."}
    if step.pose_graph:
        made["poses"] = "poses.json"
    return made | ({"merged": step.merged} if step.merged else {})


class MadeKinds(Weights):
    """Weights of what the complete shapes are."""

    object: float = Field(0.7, ge=0, description="Objects: solids, tubes, bodies, blobs.")
    scene: float = Field(0.2, ge=0, description="Rooms with furniture.")
    outdoor: float = Field(0.1, ge=0, description="Streets and yards as a turning sensor sees them.")


class GeneratePairsStep(Section):
    """Make pairs of partial clouds with known motions, from files or from shapes that the program makes."""

    n: int = Field(20, ge=1, description="Pairs.")
    shapes: Sources = Field(
        (), description="Clouds and meshes, or folders of them; without any, shapes that the program makes."
    )
    overlap: Range = Field((0.1, 0.3), description="Least and largest overlap; evenly between them.")
    kinds: MadeKinds | None = Field(None, description="What the program makes; not with `shapes`.")
    views: ViewKinds = Field(default_factory=ViewKinds, description="How parts are taken.")
    noise: Range = Field((0.1, 0.3), description="Voxels; standard deviation of each coordinate.")
    density: Range = Field((1.5, 5.0), description="Points per square voxel of surface, of either cloud by itself.")
    outliers: float = Field(0.05, ge=0, lt=1, description="Largest share of points that are anywhere.")
    rotation: float = Field(180.0, ge=0, le=180, description="Largest angle of the motion in degrees.")
    voxels: tuple[int, int] = Field((2500, 5000), description="Voxels that a complete object fills, least and most.")
    voxel: float | None = Field(
        None,
        gt=0,
        description="Edge of the voxel; 0.025 if absent. Not with `shapes`: pairs keep the unit of files.",
    )
    ending: Literal[".ply", ".npy", ".pcd", ".xyz"] = Field(".ply", description="Format of the clouds.")
    seed: int = Field(0, ge=0, description="Seed: the same gives the same pairs.")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        for name, least in (("overlap", 0.0), ("noise", 0.0), ("density", 1e-3), ("voxels", 100)):
            low, high = getattr(self, name)
            if not least <= low <= high:
                raise ValueError(f"{name}: the first number is the least, of {least:g} or more, the second the largest")
        if not 0 < self.overlap[0] < self.overlap[1] < 1:
            raise ValueError("overlap: two numbers that rise between 0 and 1")
        if self.shapes and (self.kinds is not None or self.voxel is not None):
            raise ValueError("kinds and voxel are for made shapes, and shapes names files")
        return self
