"""The steps of a pipeline that choose among generated molecules: sanitise, relax, rank."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from eqcli.engine.guest_name import is_guest
from eqcli.recipe.schema import Section
from eqcli.recipe.step_fields import FILE_FORM, FILE_NAME, Files, IsModel


class SanitiseStep(Section):
    """Drop generated molecules that are no chemistry, repeated or known, each with its reason."""

    inputs: Files = Field(description="Files of generated molecules.")
    output: str = Field(
        "sanitised.h5", pattern=FILE_NAME, description="Name of the output.", json_schema_extra={**FILE_FORM}
    )
    known: Files | None = Field(None, description="Files of molecules that are not asked for again.")
    n: int | None = Field(None, ge=1, description="Most molecules to keep; the first ones are.")
    perceive: bool = Field(False, description="Whether molecules without bonds get those that fit their positions.")
    charged: bool = Field(False, description="Whether ions are kept.")
    duplicates: bool = Field(False, description="Whether molecules that repeat an earlier one are kept.")
    stereo: bool = Field(False, description="Whether stereoisomers are different molecules.")
    min_contact: float = Field(
        0.6, ge=0, description="Atoms nearer than this share of the sum of their covalent radii overlap."
    )


class RelaxMoleculesStep(Section):
    """Relax many molecules in several processes, each with what its relaxation released."""

    inputs: Files = Field(description="Files of molecules, e.g. `${sanitise.output}`.")
    output: str = Field(
        "relaxed.h5",
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*\.h5$",
        description="Name of the output, an `.h5` file.",
        json_schema_extra={"form": "the name of an .h5 file without folders"},
    )
    relaxer: Annotated[str, IsModel()] = Field(
        description="What relaxes: a model file, or a calculator of another package as `ase:module:Class`."
    )
    relaxer_arguments: dict[str, bool | int | float | str | None] = Field(
        default_factory=dict, description="Arguments of a calculator that is named as `ase:module:Class`."
    )
    fmax: float = Field(0.05, gt=0, description="Largest force at the end in eV/Å.")
    steps: int = Field(300, ge=1, description="Largest number of steps.")
    optimizer: Literal["fire", "lbfgs"] = Field("lbfgs", description="The optimiser.")
    workers: int | None = Field(
        None,
        ge=1,
        description="Processes of a calculator, by default one per core; a model file takes all together.",
    )
    timeout: float = Field(300.0, gt=0, description="Seconds that a calculator may take for one molecule.")

    @model_validator(mode="after")
    def _of_a_calculator(self) -> RelaxMoleculesStep:
        if self.relaxer_arguments and not is_guest(self.relaxer):
            raise ValueError("relaxer_arguments are those of a calculator (ase:module:Class), not of a file")
        return self


class RankMoleculesStep(Section):
    """Check relaxed molecules, compute their properties, and write the best first: an SD file, tables and a page."""

    inputs: Files = Field(description="Files of relaxed molecules, e.g. `${relax.output}`.")
    by: str = Field(
        "qed", description="Property or figure that molecules are ranked by, e.g. `qed`, `log_p`, `strain`."
    )
    best: Literal["highest", "lowest", "nearest"] = Field(
        "highest", description="Which value is the best; `nearest` to `target`."
    )
    target: float | None = Field(None, description="The value that is wanted, with `best: nearest`.")
    n: int | None = Field(None, ge=1, description="Most molecules to rank.")
    max_strain: float | None = Field(
        5.0, gt=0, description="eV. Most energy that the relaxation of a ranked molecule released; null for any."
    )
    posebusters: bool = Field(
        True, description="Whether a ranked molecule passes the checks of PoseBusters, where that is installed."
    )
    xtb: bool = Field(False, description="Whether gap and dipole are computed by GFN2-xTB.")
    earlier: Files | None = Field(
        None, description="Tables of what earlier steps dropped, for the page, e.g. `${sanitise.dropped}`."
    )

    @model_validator(mode="after")
    def _nearest_to_a_target(self) -> RankMoleculesStep:
        if (self.best == "nearest") != (self.target is not None):
            raise ValueError("`best: nearest` and `target` go together: give both or neither")
        return self
