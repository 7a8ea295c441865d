"""The steps of a pipeline that generate crystals and choose among them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from eqcli.recipe.schema import InputFile, Section
from eqcli.recipe.step_fields import FILE_FORM, FILE_NAME, WORKERS, Files, IsModel, WorkerCount


class GenerateStep(Section):
    """Generate crystals or molecules."""

    model: InputFile = Field(description="The model file of a generator.")
    output: str = Field(
        "generated.h5", pattern=FILE_NAME, description="Name of the output.", json_schema_extra={**FILE_FORM}
    )
    n: int = Field(1, ge=1, description="Structures in all; with compositions, structures of each.")
    formula: str | tuple[str, ...] | None = Field(
        None, description="Compositions of the cell; absent means that species are drawn."
    )
    formula_units: int = Field(1, ge=1, description="How often a cell holds each formula.")
    composition_of: InputFile | None = Field(None, description="File of structures whose compositions are taken.")
    atoms: int | None = Field(
        None, ge=1, description="Atoms of each structure, where they are drawn; by default as often as in training."
    )
    system: str | None = Field(
        None, description="Elements that may occur, where species are drawn.", examples=["Li-Fe-O"]
    )
    value: float | None = Field(None, description="The property that structures are to have.")
    guidance: float = Field(1.0, ge=0, description="How strongly conditions act: 1 as learned, 0 not at all.")
    refine: InputFile | None = Field(None, description="File of structures to refine in place of noise.")
    strength: float = Field(0.3, gt=0, le=1, description="How far towards noise refined structures are taken back.")
    scaffold: InputFile | None = Field(None, description="File of molecules to complete, `n` of each.")
    condition: dict[str, float] | None = Field(
        None, description="Properties that structures are to have, by name.", examples=[{"gap": 7.5}]
    )
    seed: int = Field(0, ge=0, description="Seed of everything random.")
    steps: int | None = Field(None, ge=1, description="Steps of the sampler; by default those of the model.")
    sampling: dict[str, Any] = Field(default_factory=dict, description="Other settings of the sampling by name.")
    limit: int | None = Field(None, ge=1, description="Take only so many structures of `composition_of` or `refine`.")
    workers: WorkerCount = Field("auto", description=WORKERS)


class ScreenStep(Section):
    """Drop generated structures that are not worth relaxing, each with its reason."""

    inputs: Files = Field(description="Files of generated structures.")
    output: str = Field(
        "screened.h5", pattern=FILE_NAME, description="Name of the output.", json_schema_extra={**FILE_FORM}
    )
    known: Files | None = Field(None, description="Files of crystals that are not asked for again.")
    n: int | None = Field(None, ge=1, description="Most structures to keep; the first ones are.")
    duplicates: bool = Field(False, description="Whether structures that repeat an earlier one are kept.")
    min_contact: float = Field(
        0.5, ge=0, description="Atoms nearer than this share of the sum of their covalent radii overlap."
    )


class EvaluateCrystalsStep(Section):
    """Measure generated crystals against a reference, and, with a relaxer and a hull, how stable they are."""

    generated: Files = Field(description="Files of generated structures.")
    reference: InputFile = Field(description="The crystals to find, or to be like.")
    training: InputFile | None = Field(None, description="What the generator was trained on, for novelty.")
    tolerances: Literal["published", "strict"] = Field(
        "published", description="Of matches in structure prediction; see `evaluate --tolerances`."
    )
    ks: tuple[int, ...] = Field((1, 20), description="Numbers of predictions of which the best counts.")
    baselines: bool = Field(True, description="Whether null baselines are made and measured too.")
    fingerprint: Literal["fast", "crystalnn"] = Field("fast", description="Fingerprint of coverage.")
    bootstrap: int = Field(1000, ge=0, description="Resamples of the 95 % intervals.")
    seed: int = Field(0, ge=0, description="Seed of baselines and resamples.")
    limit: int | None = Field(None, ge=1, description="Evaluate so many only.")
    relaxer: Annotated[str | None, IsModel()] = Field(
        None, description="What relaxes: a model file, or a calculator of another package as `ase:module:Class`."
    )
    hull: Files | None = Field(None, description="Files of crystals with energies of the relaxer.")
    hull_threshold: float = Field(0.1, description="eV per atom above the hull up to which a crystal is stable.")

    @model_validator(mode="after")
    def _relaxer_with_hull(self) -> EvaluateCrystalsStep:
        if (self.relaxer is None) != (not self.hull):
            raise ValueError("relaxer and hull go together: give both or neither")
        return self


class RankStep(Section):
    """Write the stablest crystals first: single CIFs, an archive, a table and a page."""

    inputs: Files = Field(description="Files of relaxed crystals, e.g. `${evaluate.relaxed}`.")
    n: int | None = Field(None, ge=1, description="Most crystals to rank.")
    require: tuple[Literal["certified", "stable", "unique", "novel"], ...] = Field(
        ("certified", "unique", "novel"), description="What a ranked crystal has to be."
    )
