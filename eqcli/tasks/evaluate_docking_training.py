"""Whether a docking model was trained on a protein, which decides what its figures mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    """The proteins that a model was trained on, from `header["docking"]["proteins"]`: name -> sequence.

    A sequence is text, chains with `/` between, or a mapping from chains to text.
    """

    def __init__(self, proteins: Mapping[str, Any] | None) -> None:
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
            return Familiarity(SEEN, protein, max(identity, 1.0 if nearest == protein else identity))
        return Familiarity(SEEN if identity >= SAME else UNSEEN, nearest, identity)

    def _nearest(self, chains: Sequence[str]) -> tuple[str, float]:
        best = ("", 0.0)
        for name, known in (self.chains or {}).items():
            for mine in chains:
                for other in known:
                    identity = identity_of(mine, other, best[1])
                    if identity > best[1]:
                        best = (name, identity)
        return best


def chains_of(value: Any) -> tuple[str, ...]:
    """The different sequences of a protein's chains; other text than letters separates them."""
    texts = value.values() if isinstance(value, Mapping) else str(value).replace("/", " ").replace(":", " ").split()
    return tuple(dict.fromkeys(text.upper() for text in texts if text))
