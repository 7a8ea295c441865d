"""A small evaluation of molecules in the form that its page takes."""

from __future__ import annotations

from typing import Any

from eqcli.io.structure import Structure, formula
from eqcli.report.molecules_words import SETS
from tests.report.molecules_case import embedded, with_orders


def figure(value: float | None, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "n": 2}


def molecule_set(valid: float) -> dict[str, Any]:
    judged = {"atom_stability": figure(0.9, 0.8, 0.95), "valid": figure(valid, valid - 0.1, min(1.0, valid + 0.1))}
    return {
        "molecules": 2,
        "rule": judged | {"unique_published": figure(1.0)},
        "own": judged,
        "geometry": {"js_lengths": figure(0.125, 0.1, 0.2)},
        "strain": {"mmff": {"median": figure(0.375), "graph_kept": figure(1.0)}},
        "checks": {"passes": figure(0.5, 0.1, 0.9), "bond_lengths": figure(1.0)},
        "properties": {"distance_tpsa": figure(0.0625), "mean_tpsa": figure(12.5)},
    }


def result() -> dict[str, Any]:
    return {
        "counts": {"generated": 3, "judged": 3, "reference": 9, "training": 9},
        "bonds": ["rule", "own"],
        "main": "own",
        "gallery": "anywhere/gallery.html",
        "sets": {name: molecule_set(0.5 + 0.1 * k) for k, name in enumerate(SETS)},
        "reasons": {"rule": {"an atom <C> has the valence 5": 2}, "own": {"another": 1}},
        "geometry_types": {"lengths": {"C=O": {"js": 0.25, "floor": 0.01, "generated": 40, "reference": 80}}},
        "settings": {"versions": {"rdkit": "2026.9.1", "posebusters": None}, "seed": 0},
        "warnings": ["use `--training`"],
        "failures": [{"item": "frame 13", "reason": "<bad>"}],
        "seconds": 3.0,
    }


def structures() -> list[Structure]:
    return [embedded("CO"), with_orders(embedded("CC(=O)N"), [(0, 3)]), embedded("CCO")]


def row(number: int, structure: Structure, **changes: Any) -> dict[str, Any]:
    """The row of a molecule without fault."""
    judged = {"smiles": "", "stable_atoms": len(structure), "stable": True, "valid": True, "connected": True}
    judged |= {"fragments": 1, "charge": 0, "valence_errors": 0, "reason": "", "radicals": 0}
    found: dict[str, Any] = {"sample": number, "formula": formula(structure.numbers), "atoms": len(structure)}
    found |= {f"{way}_{key}": value for way in ("rule", "own") for key, value in judged.items()}
    return found | {"strain_mmff": 0.5, "strain_mmff_per_atom": 0.05, "posebusters": True} | changes


def rows() -> list[dict[str, Any]]:
    broken = {"own_valid": False, "own_valence_errors": 2, "strain_mmff": None, "strain_mmff_per_atom": None}
    changes = [{"own_smiles": "CO"}, broken, {"own_smiles": "CCO", "strain_mmff_per_atom": 0.01}]
    return [row(k, one, **changes[k]) for k, one in enumerate(structures())]


def curves() -> dict[str, Any]:
    pair = ("generated", "reference")
    return {
        "lengths": {"C=O": {key: [1.2, 1.21, 1.22] for key in pair}, "C-O": {key: [1.4, 1.41] for key in pair}},
        "angles": {"C-C-O": {key: [109.0, 110.0] for key in pair}},
        "torsions": {"C-C": {"generated": [-60.0, 60.0], "reference": [60.0, 180.0]}},
        "n_atoms": {key: [6, 9, 9] for key in pair},
        "elements": {"generated": ["C", "O"], "reference": {"C": 5, "N": 5}},
        "bond_orders": {key: {"-": 3, "=": 1} for key in pair},
        "strain_mmff": {key: [0.1, float("nan"), 0.3] for key in pair},
        "properties": {"qed": {key: [0.4, 0.5] for key in pair}, "rings": {key: [0.0, 1.0] for key in pair}},
    }
