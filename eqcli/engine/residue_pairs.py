"""Residues of two chains that belong together by their sequences or their numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from eqcli.engine.protein_chains import ProteinChain

IntArray = NDArray[np.int64]

Pairing = Callable[[ProteinChain, ProteinChain], IntArray]
"""Residues of two chains that belong together, known beforehand."""


def by_sequence(source: ProteinChain, target: ProteinChain) -> IntArray:
    """Pairs `[k, 2]` of the best global alignment with BLOSUM62; residues of unknown kind pair too."""
    import gemmi

    scoring = gemmi.AlignmentScoring("b")
    names = [gemmi.expand_one_letter_sequence(chain.letters, gemmi.ResidueKind.AA) for chain in (source, target)]
    aligned = gemmi.align_string_sequences(names[0], names[1], [], scoring)
    i = j = 0
    pairs: list[tuple[int, int]] = []
    number = ""
    for letter in aligned.cigar_str():
        if letter.isdigit():
            number += letter
            continue
        count, number = int(number), ""
        if letter == "M":
            pairs += [(i + k, j + k) for k in range(count)]
        i += count if letter in "MI" else 0
        j += count if letter in "MD" else 0
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def by_number(source: list[ProteinChain], target: list[ProteinChain]) -> Pairing:
    """Pairs of equal number and insertion code in chains of one name, or in the only chain of both."""
    alone = len(source) == len(target) == 1

    def pairs(first: ProteinChain, second: ProteinChain) -> IntArray:
        if first.name != second.name and not alone:
            return np.zeros((0, 2), dtype=np.int64)
        place = {number: k for k, number in enumerate(second.numbers)}
        rows = [(k, place[number]) for k, number in enumerate(first.numbers) if number in place]
        return np.array(rows, dtype=np.int64).reshape(-1, 2)

    return pairs
