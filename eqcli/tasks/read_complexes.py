"""Complexes from files, as the structures that a training stores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from eqcli.data.complex_reading import ComplexReader as FileReader
from eqcli.errors import Failure, InputError
from eqcli.progress import Reporter

if TYPE_CHECKING:
    from eqcli.data.complex_files import ComplexFiles
    from eqcli.io.receptor import Receptor
    from eqcli.io.structure import Structure


@dataclass
class Complexes:
    """Receptors by name, the ligands bound to them, and what could not be used."""

    receptors: dict[str, Structure] = field(default_factory=dict)
    ligands: list[Structure] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def of(self, ligands: list[Structure]) -> list[Structure]:
        """Receptors of some of the ligands, each once and before all of them, and these ligands."""
        names = dict.fromkeys(str(ligand.info["receptor"]) for ligand in ligands)
        return [*(self.receptors[name] for name in names), *ligands]

    def protein(self, ligand: Structure) -> str:
        """What the protein of a ligand is called."""
        return str(self.receptors[str(ligand.info["receptor"])].info["protein"])


@dataclass(frozen=True)
class Limits:
    """What is taken of the complexes: see the `data` section of a docking recipe."""

    conformers: int
    seed: int
    max_residues: int | None = None
    max_atoms: int | None = None


class ComplexReader:
    """Reads complexes from several sources, each receptor and each file of ligands once."""

    def __init__(self, limits: Limits, report: Reporter) -> None:
        self.limits = limits
        self.report = report
        self.found = Complexes()
        self._files = FileReader()
        self._refused: dict[Path, InputError] = {}

    def read(self, source: str) -> list[Structure]:
        """The ligands of one source; the failures are those of `found`."""
        from eqcli.data.complexes import DATASETS, find_complexes

        if source.lower().endswith(DATASETS):
            return self._stored(source)
        start = len(self.found.ligands)
        for item in find_complexes(source):
            self.report.advance(1)
            if isinstance(item, Failure):
                self.found.failures.append(item)
                continue
            try:
                self.found.ligands.append(self._complex(item))
            except InputError as error:
                self.found.failures.append(Failure.of(item.name, error))
        return self.found.ligands[start:]

    def _complex(self, files: ComplexFiles) -> Structure:
        from eqcli.data.complex_structures import ligand_structure

        if (refused := self._refused.get(files.receptor)) is not None:
            raise refused
        read = self._files.read(files)
        heavy = int((read.ligand.structure.numbers > 1).sum())
        limits = self.limits
        if limits.max_atoms is not None and heavy > limits.max_atoms:
            raise InputError(f"{heavy} heavy atoms are more than data.max_atoms", read.ligand.structure.where)
        receptor = self._receptor(files, read.receptor)
        return ligand_structure(read.ligand, receptor, name=files.name, conformers=limits.conformers, seed=limits.seed)

    def _receptor(self, files: ComplexFiles, read: Receptor) -> Structure:
        """The receptor as it is stored: once for all ligands, unless a ligand lies where the file has a group."""
        from eqcli.data.complex_structures import receptor_structure

        name = str(files.receptor)
        known = self.found.receptors.get(name)
        if known is not None and len(known) != int(read.heavy.sum()):
            name = f"{name}#{files.name}"
            known = None
        if known is None:
            try:
                known = receptor_structure(read, name=name, protein=files.protein)
                count = len(known.info["residues"]["amino_acid"])
                if self.limits.max_residues is not None and count > self.limits.max_residues:
                    raise InputError(f"{count} residues are more than data.max_residues", known.where)
            except InputError as error:
                self._refused[files.receptor] = error
                raise
            if files.year is not None:
                known.info["year"] = files.year
            self.found.receptors[name] = known
        return known

    def _stored(self, source: str) -> list[Structure]:
        from eqcli.io import read_structures

        start = len(self.found.ligands)
        for structure in read_structures(source):
            self.report.advance(1)
            role = structure.info.get("role")
            if role == "receptor":
                self.found.receptors[str(structure.info["name"])] = structure
            elif role == "ligand" and str(structure.info.get("receptor")) in self.found.receptors:
                self.found.ligands.append(structure)
            else:
                self.found.failures.append(Failure(structure.name, "no complex of a docking run"))
        return self.found.ligands[start:]


def named(sources: str | tuple[str, ...] | None) -> Iterator[str]:
    """The sources of a part, however many."""
    if sources is not None:
        yield from [sources] if isinstance(sources, str) else sources
