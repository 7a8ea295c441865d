"""A row for each generated molecule, and which of them could not be judged."""

from __future__ import annotations

from collections import Counter
from typing import Any

from eqcli.errors import Failure
from eqcli.io.structure import formula
from eqcli.metrics.molecules import DistinctMolecule, Judgement, KnownMolecules, distinct_molecules
from eqcli.metrics.molecules.property_distances import WANTED
from eqcli.tasks.evaluate_molecules_result import MoleculeEvaluation
from eqcli.tasks.evaluate_molecules_sets import JudgedSet
from eqcli.tasks.evaluate_molecules_shape import Measured


def molecule_rows(found: JudgedSet, main: str, known: KnownMolecules) -> list[dict[str, Any]]:
    """What is known of each generated molecule from its judgements; `main` bonds say what it repeats."""
    names = [verdict.smiles if verdict else "" for verdict in found.verdicts[main]]
    rows = []
    for index, (structure, same) in enumerate(zip(found.structures, distinct_molecules(names, known), strict=True)):
        row: dict[str, Any] = {
            "file": str(structure.where.file or ""),
            "frame": structure.where.frame,
            "sample": structure.info.get("sample"),
            "seed": structure.info.get("seed"),
            "model": structure.info.get("model"),
            "formula": formula(structure.numbers),
            "atoms": len(structure),
        }
        for way, verdicts in found.verdicts.items():
            row |= {f"{way}_{key}": value for key, value in _verdict(verdicts[index]).items()}
            if (reason := found.reasons[way].get(index)) is not None:
                row[f"{way}_reason"] = reason
        row |= _same(same)
        row |= {key: value for key, value in structure.info.items() if key.startswith(WANTED)}
        rows.append(row | {"failure": _failure(found, index)})
    return rows


def _verdict(verdict: Judgement | None) -> dict[str, Any]:
    """The columns of a judgement; a molecule that could not be judged is not valid, and the rest is empty."""
    if verdict is None:
        empty = ("smiles", "stable_atoms", "stable", "valid", "connected", "fragments", "charge", "radicals")
        return dict.fromkeys(empty) | {"valid": False, "valence_errors": None, "reason": ""}
    return {
        "smiles": verdict.whole_smiles,
        "stable_atoms": verdict.n_stable,
        "stable": verdict.stable,
        "valid": verdict.valid,
        "connected": verdict.connected,
        "fragments": verdict.fragments,
        "charge": verdict.charge,
        "radicals": verdict.radicals,
        "valence_errors": verdict.valence_errors,
        "reason": verdict.reason,
    }


def _same(found: DistinctMolecule) -> dict[str, Any]:
    if not found.smiles:
        return {"unique": None, "novel": None, "duplicate_of": None}
    return {"unique": found.unique, "novel": found.novel, "duplicate_of": found.duplicate_of}


def _failure(found: JudgedSet, index: int) -> str:
    reasons = {way: of_way[index] for way, of_way in found.reasons.items() if index in of_way}
    return "; ".join(f"not judged by {way}: {reason}" for way, reason in reasons.items())


def fill_rows(rows: list[dict[str, Any]], found: Measured) -> None:
    """Adds the columns of what was measured, the same to every row, and why a molecule lacks some of it."""
    names = dict.fromkeys(name for columns in found.columns.values() for name in columns)
    why: dict[int, list[str]] = {}
    for index, reason in found.failures:
        why.setdefault(index, []).append(reason)
    wanted = dict.fromkeys(key for row in rows for key in row if key.startswith(WANTED))
    for index, row in enumerate(rows):
        earlier = row.pop("failure")
        row |= {key: row.pop(key, None) for key in wanted}
        row |= {name: found.columns.get(index, {}).get(name) for name in names}
        row["failure"] = "; ".join(filter(None, [earlier, *why.get(index, ())]))


def add_failures(result: MoleculeEvaluation, found: JudgedSet) -> None:
    """Failure rows for molecules that could not be judged, and how many were invalid for which reason."""
    for way, reasons in found.reasons.items():
        for index, reason in reasons.items():
            structure = found.structures[index]
            result.failures.append(Failure(structure.name, f"not judged by {way} bonds: {reason}", structure.where))
    for way, verdicts in found.verdicts.items():
        why = Counter(_kind(verdict.reason) for verdict in verdicts if verdict is not None and not verdict.valid)
        result.reasons[way] = dict(why.most_common())


def _kind(reason: str) -> str:
    """The reason without the numbers of atoms, so that alike ones are counted together."""
    import re

    return re.sub(r"\batom \d+ \((\w+)\)", r"an atom \1", re.sub(r"\batoms [\d, and]+\d", "atoms", reason))
