"""The figures of a set of molecules from their judgements, each with its bootstrap interval."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from eqcli.metrics.molecules.distinct import KnownMolecules, distinct_molecules, known_molecules, shares
from eqcli.metrics.molecules.judge import Judgement
from eqcli.metrics.statistics import Interval, mean_interval, mean_of_known_interval, ratio_interval

MEANINGS: Final[dict[str, str]] = {
    "atom_stability": "share of all atoms whose bonds suit their element",
    "molecule_stability": "share of molecules whose atoms are all stable",
    "valid": "share of molecules that RDKit sanitises, in however many pieces",
    "valid_and_connected": "share of molecules that are valid and in one piece",
    "connected": "share of molecules in one piece, valid or not",
    "closed_shell": "share of molecules that are valid and lack no bond or hydrogen (no radicals)",
    "unique": "distinct SMILES of largest fragments, of the valid molecules",
    "unique_of_all": "distinct SMILES of largest fragments, of all molecules",
    "unique_published": "as unique, of the SMILES that EDM compares: with every hydrogen, without stereochemistry",
    "valid_unique_published": "distinct SMILES that EDM compares, of all molecules",
    "novel": "share of the distinct SMILES that the reference does not have",
    "valid_connected_unique_novel": "distinct and novel SMILES of valid molecules in one piece, of all molecules",
    "neutral": "share of molecules whose formal charges, where they state any, sum to zero",
    "mean_charge_abs": "mean of the absolute total charge, e",
    "valence_errors": "atoms for each molecule whose valence RDKit refuses",
}
"""What each figure is. Shares of all molecules count those that could not be judged as failed."""


def figures(
    judgements: Sequence[Judgement | None],
    reference_smiles: Iterable[str] | KnownMolecules | None = None,
    *,
    stereo: bool = False,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Interval]:
    """The figures of `MEANINGS` that apply.

    Parameters
    ----------
    judgements
        One for each molecule; None for one that could not be judged. It counts as neither stable, valid nor
        connected; its atoms, charge and valences are unknown and left out.
    reference_smiles
        Known molecules, against which novelty is judged. Without them there are no figures of novelty.
    stereo
        Whether molecules that differ in stereochemistry alone are different; a prepared reference says so itself.

    Returns
    -------
    dict
        Those of the published SMILES only where the bonds are the rule's. A figure of nothing (uniqueness where no
        molecule is valid) is NaN. Uniqueness is resampled with the number of copies that the whole set has.
    """
    known = reference_smiles
    if known is not None and not isinstance(known, KnownMolecules):
        known = known_molecules(known, stereo=stereo)
    draw = _Bootstrap(level, resamples, seed)
    found = {
        "atom_stability": draw.ratio(
            [j.n_stable if j else 0 for j in judgements], [j.n_atoms if j else 0 for j in judgements]
        ),
        "molecule_stability": draw.mean([bool(j and j.stable) for j in judgements]),
        "valid": draw.mean([bool(j and j.valid) for j in judgements]),
        "valid_and_connected": draw.mean([bool(j and j.valid_and_connected) for j in judgements]),
        "connected": draw.mean([bool(j and j.connected) for j in judgements]),
        "closed_shell": draw.mean([bool(j and j.valid and not j.radicals) for j in judgements]),
        "neutral": draw.mean_of_known([float(j.charge == 0) if j else np.nan for j in judgements]),
        "mean_charge_abs": draw.mean_of_known([abs(j.charge) if j else np.nan for j in judgements]),
        "valence_errors": draw.mean_of_known([j.valence_errors if j else np.nan for j in judgements]),
    }
    found |= _distinct_figures(judgements, known, known.stereo if known else stereo, draw)
    return {name: found[name] for name in MEANINGS if name in found}


@dataclass(frozen=True)
class _Bootstrap:
    """The intervals of `eqcli.metrics.statistics` with the options of one table."""

    level: float
    resamples: int
    seed: int

    def mean(self, values: ArrayLike) -> Interval:
        return mean_interval(values, level=self.level, resamples=self.resamples, seed=self.seed)

    def mean_of_known(self, values: ArrayLike) -> Interval:
        return mean_of_known_interval(values, level=self.level, resamples=self.resamples, seed=self.seed)

    def ratio(self, above: ArrayLike, below: ArrayLike) -> Interval:
        return ratio_interval(above, below, level=self.level, resamples=self.resamples, seed=self.seed)


def _distinct_figures(
    judgements: Sequence[Judgement | None], known: KnownMolecules | None, stereo: bool, draw: _Bootstrap
) -> dict[str, Interval]:
    everyone = np.ones(len(judgements))
    valid = np.array([bool(j and j.valid) for j in judgements], dtype=np.float64)
    rows = distinct_molecules([j.smiles if j else "" for j in judgements], known, stereo=stereo)
    share = np.array(shares([row.smiles for row in rows]))
    found = {"unique": draw.ratio(share, valid), "unique_of_all": draw.ratio(share, everyone)}
    published = [j.published_smiles if j else "" for j in judgements]
    if any(published):
        of_published = np.array(shares(published))
        found["unique_published"] = draw.ratio(of_published, valid)
        found["valid_unique_published"] = draw.ratio(of_published, everyone)
    if known is not None:
        novel = np.array([row.novel for row in rows], dtype=np.float64)
        whole = [r.smiles if j and j.valid_and_connected else "" for r, j in zip(rows, judgements, strict=True)]
        found["novel"] = draw.ratio(share * novel, share)
        found["valid_connected_unique_novel"] = draw.ratio(np.array(shares(whole)) * novel, everyone)
    return found
