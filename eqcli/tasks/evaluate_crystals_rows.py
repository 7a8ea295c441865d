"""A row for each generated crystal, and which of them could not be measured."""

from __future__ import annotations

from typing import Any

from eqcli.errors import Failure
from eqcli.io.structure import formula
from eqcli.tasks.evaluate_crystals_input import CrystalInput
from eqcli.tasks.evaluate_crystals_result import CrystalEvaluation
from eqcli.tasks.evaluate_crystals_scores import Sane


def structure_rows(crystals: CrystalInput, sane: Sane) -> list[dict[str, Any]]:
    """What is known of each generated structure in either situation."""
    rows = []
    for k, structure in enumerate(crystals.generated):
        valid, same, traits = sane.validity[k], sane.distinct.rows[k], sane.properties[k].value
        stated = str(structure.info.get("flags") or "").replace(" ", "").split(",")
        rows.append(
            {
                "file": str(structure.where.file or ""),
                "frame": structure.where.frame,
                "sample": structure.info.get("sample"),
                "target": None if crystals.targets is None else structure.info["target"],
                "formula": formula(structure.numbers),
                "atoms": len(structure),
                "valid": valid.valid,
                "valid_structure": valid.structural,
                "valid_composition": valid.composition.valid,
                "reason": valid.reason or "",
                "flags": ",".join(dict.fromkeys([*filter(None, stated), *valid.flags])),
                "matched": None,
                "rmse": None,
                "volume_error": None,
                "near_reference": None,
                "duplicate_of": same.duplicate_of,
                "known_as": same.known_as,
                "space_group": traits.space_group if traits else None,
                "density": traits.density if traits else None,
                "volume_per_atom": traits.volume_per_atom if traits else None,
                "e_hull": None,
                "stable_unique_novel": None,
            }
        )
    return rows


def add_failures(result: CrystalEvaluation, crystals: CrystalInput, sane: Sane) -> None:
    """Failure rows for sane structures that could not be compared; what is no crystal is invalid and no failure."""
    for structure, valid, row in zip(crystals.generated, sane.validity, sane.distinct.rows, strict=True):
        if row.failure and valid.structural:
            result.failures.append(Failure(structure.name, f"not compared: {row.failure}", structure.where))
    if all(v.composition.valid is None for v in sane.validity):
        reason = next(iter(sane.validity), None)
        why = reason.composition.reason if reason else ""
        result.warnings.append(f"compositions were not judged: {why}")
