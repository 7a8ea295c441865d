"""The amino acids of a receptor with their backbones: what networks on residues see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eqcli.io.receptor_groups import Group, Kind
from eqcli.io.receptor_placing import attached
from eqcli.io.receptor_residues import ONE_LETTER, amino_acid
from eqcli.io.structure import FloatArray

N_CA, CA_C = 1.458, 1.525
"""Å. Bonds of the backbone."""

BACKBONE_ANGLE = 111.0
"""Degrees. N, CA, C."""


@dataclass(frozen=True)
class Residues:
    """Amino acids that have a Cα, in the file's order.

    Attributes
    ----------
    names, chains, numbers
        Three-letter names, chains and numbers with insertion codes, `[R]`.
    amino_acid
        0 to 19 in alphabetical order of the three-letter codes, 20 for other amino acids, `[R]`. Modified ones
        count as the amino acid that they come from.
    n, ca, c
        Positions of the backbone, `[R, 3]`, Å. Where the file lacks N or C they are built.
    index
        The residue's index in the array `residue` of the receptor's structure, `[R]`.
    built
        Whether N or C was built, `[R]`.
    """

    names: list[str]
    chains: list[str]
    numbers: list[str]
    amino_acid: NDArray[np.int64]
    n: FloatArray
    ca: FloatArray
    c: FloatArray
    index: NDArray[np.int64]
    built: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.names)

    def sequence(self) -> dict[str, str]:
        """One-letter text of each chain; X for other amino acids, and nothing for gaps."""
        chains: dict[str, str] = {}
        for chain, code in zip(self.chains, self.amino_acid.tolist(), strict=True):
            chains[chain] = chains.get(chain, "") + ONE_LETTER[code]
        return chains


def residues_of(groups: list[Group]) -> Residues:
    """The amino acids among the residues."""
    rows = [(i, g) for i, g in enumerate(groups) if g.kind is Kind.AMINO_ACID and _place(g, "CA") is not None]
    frames = [_frame(groups, i) for i, _ in rows]
    backbone = np.array([positions for positions, _ in frames], dtype=np.float64).reshape(-1, 3, 3)
    return Residues(
        names=[g.name for _, g in rows],
        chains=[g.chain for _, g in rows],
        numbers=[g.number for _, g in rows],
        amino_acid=np.array([amino_acid(g.name) for _, g in rows], dtype=np.int64),
        n=backbone[:, 0],
        ca=backbone[:, 1],
        c=backbone[:, 2],
        index=np.array([i for i, _ in rows], dtype=np.int64),
        built=np.array([built for _, built in frames], dtype=bool),
    )


def _place(group: Group, name: str) -> FloatArray | None:
    atom = group.named(name)
    return None if atom is None else np.array(atom.position)


def _frame(groups: list[Group], i: int) -> tuple[list[FloatArray], bool]:
    """N, CA and C of a residue, and whether any was built."""
    group = groups[i]
    n, ca, c = (_place(group, name) for name in ("N", "CA", "C"))
    assert ca is not None
    if n is not None and c is not None:
        return [n, ca, c], False
    if c is None:
        c = _carbon(group, n, ca, _place(groups[i + 1], "CA") if i + 1 < len(groups) else None)
    if n is None:
        n = _nitrogen(group, ca, c)
    return [n, ca, c], True


def _carbon(group: Group, n: FloatArray | None, ca: FloatArray, following: FloatArray | None) -> FloatArray:
    """By N and CB of an L-amino acid; or else towards the next Cα, or along the first axis."""
    beta = _place(group, "CB")
    if n is not None:
        third, turn = (beta, 122.5) if beta is not None else (n + np.array([0.3, 0.5, 0.7]), 180.0)
        return _attached(third, n, ca, CA_C, turn, around=beta is not None)
    direction = np.array([1.0, 0.0, 0.0]) if following is None else following - ca
    length = float(np.linalg.norm(direction))
    carbon: FloatArray = ca + CA_C * direction / (length if length > 0.1 else 1.0)
    return carbon


def _nitrogen(group: Group, ca: FloatArray, c: FloatArray) -> FloatArray:
    """By C and CB of an L-amino acid; or else by C and O."""
    beta, oxygen = _place(group, "CB"), _place(group, "O")
    if beta is not None:
        return _attached(beta, c, ca, N_CA, -122.5, around=True)
    third, turn = (oxygen, -40.0) if oxygen is not None else (c + np.array([0.3, 0.5, 0.7]), 180.0)
    return _attached(third, c, ca, N_CA, turn, around=False)


def _attached(
    third: FloatArray, second: FloatArray, first: FloatArray, length: float, turn: float, *, around: bool
) -> FloatArray:
    """An atom on `first`, turned about its bond with `second` from `third`, which sits on `first` too with `around`."""
    reference = third - first + second if around else third
    placed: FloatArray = attached(reference, second, first, length, BACKBONE_ANGLE, np.array([turn]))[0]
    return placed
