"""Distances between neighbours, for checks."""

from __future__ import annotations

from dataclasses import dataclass

from eqcli.elements import COVALENT_RADII, SYMBOLS
from eqcli.graph.atom_graph import AtomGraph


@dataclass(frozen=True)
class Contact:
    """The pair of atoms that stand closest, measured by the sum of their covalent radii.

    Attributes
    ----------
    atoms
        The two atoms, 0-based; the same twice for an atom and its own image.
    symbols
        Their elements.
    distance
        Å.
    ratio
        Distance over the sum of the covalent radii.
    """

    atoms: tuple[int, int]
    symbols: tuple[str, str]
    distance: float
    ratio: float

    def __str__(self) -> str:
        (i, j), (a, b) = self.atoms, self.symbols
        return f"atoms {i} ({a}) and {j} ({b}) are {self.distance:.3g} Å apart"


def closest_contact(graph: AtomGraph) -> Contact | None:
    """The closest contact of one structure; None when no two atoms are neighbours."""
    if graph.edge_index.shape[1] == 0:
        return None
    sender, receiver = graph.edge_index
    vectors = graph.positions[sender] - graph.positions[receiver] + graph.edge_shift @ graph.cell[0]
    distance = vectors.norm(dim=1)
    radii = graph.positions.new_tensor(COVALENT_RADII)[graph.numbers]
    ratio = distance / (radii[sender] + radii[receiver])
    k = int(ratio.argmin())
    i, j = sorted((int(sender[k]), int(receiver[k])))
    symbols = SYMBOLS[int(graph.numbers[i])], SYMBOLS[int(graph.numbers[j])]
    return Contact((i, j), symbols, float(distance[k]), float(ratio[k]))
