"""Steps of a pipeline that dock ligands and measure docked poses."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from eqcli.recipe.schema import InputFile, InputSource, Section
from eqcli.recipe.step_fields import Files

Sources = InputSource | tuple[InputSource, ...]


class DockStep(Section):
    """Dock ligands into a receptor, or the pairs of a table; goes on where it was killed."""

    model: InputFile | None = Field(None, description="The docking model; absent means the search alone.")
    receptor: InputFile | None = Field(None, description="Receptor: PDB, mmCIF or PDBQT.")
    ligands: Files | None = Field(None, description="Files of ligands, e.g. `${generate.output}`.")
    table: InputFile | None = Field(None, description="CSV of pairs, in place of receptor and ligands.")
    pocket: str | None = Field(
        None,
        description="Where to look, as `predict --pocket` has it: `x,y,z:radius`, `x,y,z:a,b,c` or residues; by "
        "default pockets are found.",
    )
    reference_ligand: InputFile | None = Field(None, description="A ligand in the pocket, in place of `pocket`.")
    margin: float | None = Field(None, ge=0, description="Å around residues or the reference ligand; 5 by default.")
    template: str | None = Field(None, description="SMILES that gives the bonds of ligands from PDB and PDBQT files.")
    poses: int | None = Field(None, ge=1, description="Poses of each ligand; 9, or 1 of the network alone.")
    network_only: bool = Field(False, description="Whether the network's poses are taken as they are.")
    leave_out: tuple[str, ...] = Field((), description="Groups of the receptor's file to leave out.")
    waters: bool = Field(False, description="Whether waters of the receptor are kept.")
    minimise: Literal["none", "mmff"] | None = Field(None, description="Last motion of all atoms; mmff after a search.")
    rank_by: Literal["score", "confidence", "both"] | None = Field(
        None, description="Order of poses and pairs; the score after a search."
    )
    effort: float = Field(1.0, gt=0, description="Of the search: 2 takes twice as long.")
    seed: int = Field(0, ge=0, description="Seed of conformers and search.")
    pages: bool = Field(True, description="Whether the best pairs get a page in three dimensions.")
    workers: int = Field(1, ge=1, description="Processes that share the pairs.")

    @model_validator(mode="after")
    def _something_to_dock(self) -> Self:
        if (self.table is None) == (self.receptor is None):
            raise ValueError("give either a receptor with ligands, or a table of pairs")
        if (self.receptor is None) != (self.ligands is None):
            raise ValueError("a receptor and ligands belong together, and a table names both")
        if self.pocket is not None and self.reference_ligand is not None:
            raise ValueError("pocket and reference_ligand both say where to look: give one")
        if self.network_only and self.model is None:
            raise ValueError("network_only needs a model")
        return self


class EvaluateDockingStep(Section):
    """Dock complexes whose pose is known, and measure the poses beside baselines."""

    model: InputFile | None = Field(None, description="The docking model; absent means the search alone.")
    complexes: Sources = Field(description="Folders, tables or dataset files of complexes.")
    pocket: Literal["blind", "reference", "both"] = Field("blind", description="What methods know of the pocket.")
    vina: bool = Field(False, description="Whether AutoDock Vina docks too.")
    poses: int = Field(9, ge=1, description="Poses of each method at most, of which the best counts too.")
    effort: float = Field(1.0, gt=0, description="Of the search: 2 takes twice as long.")
    baselines: bool = Field(True, description="Whether baselines are measured too.")
    posebusters: bool = Field(True, description="Whether PoseBusters checks poses.")
    pages: bool = Field(True, description="Whether each complex gets a page in three dimensions.")
    workers: int | None = Field(None, ge=1, description="Processes that measure; by default one per core.")
    timeout: float | None = Field(None, gt=0, description="Seconds that one pose may take; 60 by default.")
    bootstrap: int = Field(1000, ge=0, description="Resamples of the 95 % intervals.")
    seed: int = Field(0, ge=0, description="Seed of conformers, searches and resamples.")
    limit: int | None = Field(None, ge=1, description="Evaluate so many only.")
