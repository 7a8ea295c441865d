"""How much work a search for poses does, and how it moves."""

from __future__ import annotations

from dataclasses import dataclass

MOST_STARTS = 16384


@dataclass(frozen=True)
class SearchSettings:
    """Settings of `eqcli.models.docking.search.search`; the numbers of chains and steps grow with the torsions.

    Attributes
    ----------
    effort
        Factor on the number of starts and of steps; 1 is meant for a known pocket.
    temperature
        Of the Metropolis test, kcal/mol.
    shift
        Longest random translation of one step, Å.
    evaluations
        Calls of the score in the local search of one step.
    polish
        Calls of the score in the last local search of the best poses.
    exact
        Calls of the exact score after that, where the search went by maps.
    poses
        Poses handed back, at most.
    apart
        Poses nearer than this root mean square distance in Å count as one.
    window
        Poses worse than the best by more than this many kcal/mol are left out.
    """

    effort: float = 1.0
    temperature: float = 1.2
    shift: float = 2.0
    evaluations: int = 20
    polish: int = 24
    exact: int = 8
    poses: int = 20
    apart: float = 1.0
    window: float = 6.0

    def chains(self, torsions: int) -> int:
        """Poses that are moved at once."""
        return min(64 + 32 * torsions, 384)

    def steps(self, torsions: int, atoms: int) -> int:
        """Random steps of each chain, for a ligand of so many heavy atoms."""
        return max(1, round(self.effort * (2 + torsions**2 * atoms / 64)))

    def starts(self, torsions: int, atoms: int) -> int:
        """Random poses that are scored before the chains begin, for a ligand of so many heavy atoms."""
        wanted = min(256 + 32 * torsions * atoms, MOST_STARTS)
        return max(self.chains(torsions), round(self.effort * wanted))
