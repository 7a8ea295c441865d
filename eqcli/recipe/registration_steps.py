"""The step of a pipeline that registers clouds and structures."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

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
