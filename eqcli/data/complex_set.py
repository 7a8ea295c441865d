"""Complexes that a docking network is trained on, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from eqcli.data.ligand_features import heavy_ligand, receptor_codes
from eqcli.graph.residue_graph import residue_graph

if TYPE_CHECKING:
    from eqcli.graph.complex_batch import Side
    from eqcli.io.structure import Structure

CONTACT = 4.0
"""Å; a ligand atom and a receptor atom that are closer make a point of the pocket."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class ReceptorEntry:
    """One receptor.

    Attributes
    ----------
    name
        As ligands name it.
    protein
        What it is split by.
    graph
        Its residues.
    positions, codes
        Heavy atoms, Å `[M, 3]`, and their categories `[M, G]`.
    """

    name: str
    protein: str
    graph: Side
    positions: Floats
    codes: Integers

    @cached_property
    def tree(self) -> Any:
        """The atoms, ready to be asked for those near a point."""
        from scipy.spatial import cKDTree

        return cKDTree(self.positions)


@dataclass(frozen=True)
class LigandEntry:
    """One ligand, its heavy atoms alone.

    Attributes
    ----------
    name
        For messages.
    receptor
        Number of its receptor in the set.
    codes
        Categories, `[n, F]`.
    bonds
        Two atoms and the kind, `[m, 3]`.
    rigid
        Pairs that keep their distance, `[P, 2]`.
    pose
        The crystal pose, Å, `[n, 3]`.
    conformers
        `[C, n, 3]`, Å.
    rotatable, moved
        As `eqcli.io.ligand_topology`: `[T, 2]`, `[T, n]`.
    contacts, contact_atoms
        Points of the pocket, Å `[k, 3]`, and the ligand atom of each.
    """

    name: str
    receptor: int
    codes: Integers
    bonds: Integers
    rigid: Integers
    pose: Floats
    conformers: Floats
    rotatable: Integers
    moved: NDArray[np.bool_]
    contacts: Floats
    contact_atoms: Integers


@dataclass(frozen=True)
class ComplexSet:
    """Receptors, each once, and the ligands that bind to them."""

    receptors: tuple[ReceptorEntry, ...]
    ligands: tuple[LigandEntry, ...]

    def __len__(self) -> int:
        return len(self.ligands)

    @property
    def counts(self) -> Integers:
        """Atoms of each ligand and residues of its receptor together, `[S]`."""
        return np.array([len(x.pose) + len(self.receptors[x.receptor].graph.codes) for x in self.ligands], np.int64)

    @property
    def edges(self) -> Integers:
        """Edges of each complex, about, `[S]`."""
        return np.array(
            [len(x.pose) * 12 + self.receptors[x.receptor].graph.edges.shape[1] for x in self.ligands], np.int64
        )


def complex_set(structures: Sequence[Structure], *, neighbours: int, reach: float) -> ComplexSet:
    """The complexes of structures as `eqcli.data.complex_structures` makes them: receptors before their ligands."""
    receptors: list[ReceptorEntry] = []
    ligands: list[LigandEntry] = []
    numbers: dict[str, int] = {}
    for structure in structures:
        if structure.info["role"] == "receptor":
            numbers[structure.info["name"]] = len(receptors)
            receptors.append(_receptor(structure, neighbours, reach))
        else:
            number = numbers[structure.info["receptor"]]
            ligands.append(_ligand(structure, number, receptors[number]))
    return ComplexSet(tuple(receptors), tuple(ligands))


def _receptor(structure: Structure, neighbours: int, reach: float) -> ReceptorEntry:
    residues = structure.info["residues"]
    backbone = [torch.tensor(residues[name], dtype=torch.float64).reshape(-1, 3) for name in ("n", "ca", "c")]
    kinds = torch.tensor(residues["amino_acid"], dtype=torch.int64)
    graph = residue_graph(kinds, *backbone, neighbours=neighbours, reach=reach)
    name, protein = structure.info["name"], structure.info["protein"]
    return ReceptorEntry(name, protein, graph, structure.positions, receptor_codes(structure))


def _ligand(structure: Structure, number: int, receptor: ReceptorEntry) -> LigandEntry:
    told = heavy_ligand(structure)
    heavy, place = told.heavy, told.place
    pose = structure.positions[heavy]
    contacts, atoms = contact_points(pose, receptor)
    return LigandEntry(
        structure.info["name"],
        number,
        told.codes,
        told.bonds,
        told.rigid,
        pose,
        np.moveaxis(structure.arrays["conformers"], 1, 0)[:, heavy],
        place[np.array(structure.info["rotatable"], dtype=np.int64).reshape(-1, 2)],
        np.asarray(structure.arrays["moved"], dtype=bool)[heavy].T.reshape(-1, len(heavy)),
        contacts,
        atoms,
    )


def contact_points(pose: Floats, receptor: ReceptorEntry) -> tuple[Floats, Integers]:
    """The middle of each pair of a ligand atom and a receptor atom in contact, Å `[k, 3]`, and the ligand atoms."""
    near = receptor.tree.query_ball_point(pose, CONTACT)
    atoms = np.repeat(np.arange(len(pose)), [len(found) for found in near])
    others = np.concatenate([np.asarray(found, dtype=np.int64) for found in near]) if len(near) else atoms
    return 0.5 * (pose[atoms] + receptor.positions[others]), atoms
