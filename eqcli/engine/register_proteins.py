"""Registration of two proteins: residues matched by structure, sequence or number, chains mapped to each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from eqcli.engine.chain_mapping import MappedChains, long_enough, map_chains
from eqcli.engine.protein_chains import ProteinChain, chosen_atoms, protein_chains
from eqcli.engine.registered_structures import MatchRow, RegisteredStructures, moved_structure
from eqcli.engine.residue_pairs import by_number, by_sequence
from eqcli.errors import InputError
from eqcli.geometry.chain_alignment import SMALLEST
from eqcli.geometry.motions import Motion
from eqcli.geometry.superposed import superpositions
from eqcli.geometry.tm_score import moved, tm_scale, tm_terms
from eqcli.io.structure import Structure

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
On = Literal["ca", "backbone", "heavy", "all"]
By = Literal["structure", "sequence", "number"]

SAME_FOLD = 0.5
"""TM-score by the smaller protein from which two have one fold as a rule (Xu and Zhang, Bioinformatics 26, 889)."""

SHORT = 30
"""Residues. Of shorter chains the TM-score says little: unrelated ones reach 0.5 by chance."""

IDENTITY = 0.3
"""Share of identical residues from which pairs by sequence or number are believed whatever the structures."""


def register_proteins(
    source: Structure,
    target: Structure,
    *,
    on: On = "ca",
    by: By = "structure",
    source_chains: Sequence[str] = (),
    target_chains: Sequence[str] = (),
) -> RegisteredStructures:
    """The motion that lays one protein onto another.

    Parameters
    ----------
    on
        The atoms that are fitted: Cα, the backbone (N, CA, C, O), all heavy atoms or all atoms that both have by name.
    by
        How residues are matched: by the structures alone (with the motion of the largest TM-score), by an alignment of
        the sequences, or by chain, number and insertion code (both with the least squares motion).
    source_chains, target_chains
        The chains that take part; all when empty.

    Raises
    ------
    InputError
        There is no protein, a chain is missing, or fewer than three residues can be matched.
    """
    chains = (protein_chains(source, source_chains), protein_chains(target, target_chains))
    first, second = long_enough(chains[0]), long_enough(chains[1])
    sides = (("source", chains[0], first), ("target", chains[1], second))
    notes = [_left_out(side, whole, kept) for side, whole, kept in sides if len(kept) < len(whole)]
    pairing = {"structure": None, "sequence": by_sequence, "number": by_number(first, second)}[by]
    mapped = map_chains(first, second, pairing)
    count = 0 if mapped is None else sum(len(rows) for _, _, rows in mapped.pairs)
    if mapped is None or count < SMALLEST:
        hint = "" if by == "structure" else "Match residues by structure, which needs neither sequence nor numbers."
        raise InputError(f"{count} residues can be matched by {by}, and a motion needs three", source.where, hint)
    matched, labels, weights = _atoms((source, target), first, second, mapped, on, by)
    rotation, shift = _motion(source, target, matched, weights, mapped, on, by)
    return _result((source, target), (first, second), mapped, (matched, labels), (rotation, shift), (on, by), notes)


def _left_out(side: str, chains: list[ProteinChain], kept: list[ProteinChain]) -> str:
    names = ", ".join(f"{c.name or '(without name)'} ({len(c)} residues)" for c in chains if c not in kept)
    return f"short chains of the {side} left out: {names}"


def _atoms(
    structures: tuple[Structure, Structure],
    first: list[ProteinChain],
    second: list[ProteinChain],
    mapped: MappedChains,
    on: On,
    by: By,
) -> tuple[IntArray, list[tuple[str, str]], FloatArray]:
    """Matched atoms `[M, 2]`, their labels, and the weight of each: its residue's in the fit of the Cα."""
    shorter = min(sum(map(len, first)), sum(map(len, second)))
    matched, labels, weights = [], [], []
    for i, j, rows in mapped.pairs:
        a, b = first[i], second[j]
        near = moved(a.ca[rows[:, 0]], mapped.rotation, mapped.translation)
        terms = tm_terms(near, b.ca[rows[:, 1]], tm_scale(shorter)) ** 2
        for (r, s), term in zip(rows.tolist(), terms.tolist(), strict=True):
            one, other = chosen_atoms(a, structures[0], r, on), chosen_atoms(b, structures[1], s, on)
            shared = [name for name in one if name in other]
            matched += [(one[name], other[name]) for name in shared]
            labels += [(a.label(r, name), b.label(s, name)) for name in shared]
            weights += [term if by == "structure" else 1.0] * len(shared)
    return np.array(matched, dtype=np.int64).reshape(-1, 2), labels, np.array(weights)


def _motion(
    source: Structure,
    target: Structure,
    matched: IntArray,
    weights: FloatArray,
    mapped: MappedChains,
    on: On,
    by: By,
) -> tuple[FloatArray, FloatArray]:
    if on == "ca" and by == "structure":
        return mapped.rotation, mapped.translation
    return superpositions(source.positions[matched[:, 0]], target.positions[matched[:, 1]], weights)


def _result(
    structures: tuple[Structure, Structure],
    chains: tuple[list[ProteinChain], list[ProteinChain]],
    mapped: MappedChains,
    atoms: tuple[IntArray, list[tuple[str, str]]],
    motion: tuple[FloatArray, FloatArray],
    how: tuple[On, By],
    notes: list[str],
) -> RegisteredStructures:
    matched, labels = atoms
    one, other = structures[0].positions[matched[:, 0]], structures[1].positions[matched[:, 1]]
    distances = np.linalg.norm(moved(one, *motion) - other, axis=1)
    fitted = moved(one, *superpositions(one, other))
    facts = _facts(chains, mapped, how)
    facts["rmsd_fitted"] = float(np.sqrt(((fitted - other) ** 2).sum(axis=1).mean()))
    smaller = min(sum(map(len, side)) for side in chains)
    reasons = _reasons(mapped, facts, how[1], smaller)
    if smaller < SHORT:
        notes = [*notes, f"the smaller protein has {smaller} residues: TM-scores of fewer than {SHORT} say little"]
    return RegisteredStructures(
        kind="proteins",
        motion=Motion(torch.from_numpy(motion[0].copy()), torch.from_numpy(motion[1].copy())),
        rmsd=float(np.sqrt((distances**2).mean())),
        matched=matched,
        mapping=tuple(MatchRow(a, b, d) for (a, b), d in zip(labels, distances.tolist(), strict=True)),
        moved=moved_structure(structures[0], *motion),
        score={"tm_source": mapped.tm_source, "tm_target": mapped.tm_target},
        reliable=not reasons,
        reasons=tuple(reasons),
        notes=tuple(notes),
        facts=facts,
    )


def _facts(
    chains: tuple[list[ProteinChain], list[ProteinChain]], mapped: MappedChains, how: tuple[On, By]
) -> dict[str, Any]:
    first, second = chains
    same = [first[i].letters[r] == second[j].letters[s] for i, j, rows in mapped.pairs for r, s in rows.tolist()]
    return {
        "on": how[0],
        "by": how[1],
        "residues_source": sum(map(len, first)),
        "residues_target": sum(map(len, second)),
        "aligned_residues": len(same),
        "identity": float(np.mean(same)),
        "chains": [
            {"source": first[i].name, "target": second[j].name, "residues": len(rows)} for i, j, rows in mapped.pairs
        ],
    }


def _reasons(mapped: MappedChains, facts: dict[str, Any], by: By, smaller: int) -> list[str]:
    """Why the motion is not believed."""
    tm = max(mapped.tm_source, mapped.tm_target)
    if tm >= SAME_FOLD:
        return []
    if by != "structure" and facts["identity"] >= IDENTITY and facts["aligned_residues"] >= min(SHORT, smaller / 2):
        return []
    return [f"the TM-score by the smaller protein is {tm:.2f}, and one fold begins at {SAME_FOLD:g}"]
