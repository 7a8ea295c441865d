"""Whether a docking model was trained on a protein, which decides what its figures mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from eqcli.io.receptor import Receptor

SAME: Final = 0.9
"""Sequence identity from which a protein counts as trained on."""

SEEN, UNSEEN, UNKNOWN = "seen", "unseen", "unknown"


@dataclass(frozen=True)
class Familiarity:
    """`seen`, `unseen`, or `unknown` where the model does not say what it was trained on.

    Attributes
    ----------
    nearest
        The training protein that is most alike; empty where nothing is known.
    identity
        Sequence identity with it, 0 to 1; None where nothing is known.
    """

    status: str
    nearest: str = ""
    identity: float | None = None


class TrainingProteins:
    """The proteins that a model was trained on, from `header["training"]["proteins"]`: name -> sequence.

    A sequence is text, chains with `/` between, or a mapping from chains to text.
    """

    def __init__(self, proteins: Mapping[str, Any] | None) -> None:
        self._found: dict[tuple[str, ...], tuple[str, float]] = {}
        self.chains = None if proteins is None else {name: chains_of(value) for name, value in proteins.items()}

    @property
    def known(self) -> bool:
        """Whether the model says what it was trained on."""
        return self.chains is not None

    def familiar(self, protein: str, receptor: Receptor) -> Familiarity:
        """Of a receptor. Seen is one whose name, or `SAME` of the sequence of any chain, was trained on."""
        if self.chains is None:
            return Familiarity(UNKNOWN)
        nearest, identity = self._nearest(chains_of(receptor.residues.sequence()))
        if protein in self.chains:
            return Familiarity(SEEN, nearest or protein, identity)
        return Familiarity(SEEN if identity >= SAME else UNSEEN, nearest, identity)

    def _nearest(self, chains: tuple[str, ...]) -> tuple[str, float]:
        if chains not in self._found:
            from eqcli.data.sequence_alignment import identities

            owners = [(name, chain) for name, known in (self.chains or {}).items() for chain in known]
            best = ("", 0.0)
            for mine in chains:
                found = identities(mine, [chain for _, chain in owners])
                k = int(found.argmax()) if len(found) else -1
                if k >= 0 and found[k] > best[1]:
                    best = owners[k][0], float(found[k])
            self._found[chains] = best
        return self._found[chains]


def chains_of(value: Any) -> tuple[str, ...]:
    """The different sequences of a protein's chains; other text than letters separates them."""
    texts = value.values() if isinstance(value, Mapping) else str(value).replace("/", " ").replace(":", " ").split()
    return tuple(dict.fromkeys(text.upper() for text in texts if text))
