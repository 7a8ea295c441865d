"""What an evaluation of generated molecules found, and the form of its `report.json`.

`MoleculeEvaluation.as_dict` gives, and `report.molecules.molecules_page` takes::

    {
      "output", "report_html", "report_json", "molecules": paths as text; "gallery": path as text, or null,
      "counts": {"generated": n, "judged": n, "reference": n, "training": n},
      "bonds": ["rule", "own"],        # how bonds were taken, in the order of columns; one or both
      "main": "own",                   # the bonds with which geometry, strain, checks and properties are measured
      "sets": {                        # in this order; without baselines only the first and the last
        "generated": SET, "resampled training": SET, "embedded SMILES": SET, "reference": SET
      },
      "reasons": {"rule": {reason: count}, "own": {reason: count}},    # of invalid generated molecules, most first
      "geometry_types": {"lengths": {"C-C": {"js", "generated": n, "reference": n}}, "angles": .., "torsions": ..},
      "settings": {...},               # tables, limits, seeds, versions: everything that figures depend on
      "warnings": [text], "failures": [Failure.as_dict()], "seconds", "exit_code"
    }
    SET = {
      "molecules": n,                  # how many were judged
      "rule": FIGURES or null, "own": FIGURES or null,       # stability, validity, uniqueness, novelty
      "geometry": FIGURES or null,     # js_<kind>: Jensen-Shannon to the reference
      "strain": {"mmff": FIGURES, "xtb": FIGURES},           # empty where not measured
      "checks": FIGURES or null,       # `passes`, then the share that passes each check of PoseBusters
      "properties": FIGURES or null    # distance_<name> to the reference; mean_<name>; mae_<name> of wanted ones
    }
    FIGURES = {name: {"value", "low", "high", "n"}}   # `n` is how many molecules it is of; bounds may be null

The row of a generated molecule in `molecules.csv` has `file`, `frame`, `sample`, `seed`, `model`, `formula`, `atoms`,
for each way of taking bonds (`rule_`, `own_`) `smiles`, `stable_atoms`, `stable`, `valid`, `connected`, `fragments`,
`charge`, `valence_errors`, `reason`, and then `unique`, `novel`, `duplicate_of`, `strain_mmff`, `strain_mmff_per_atom`,
`strain_rmsd`, `strain_xtb`, `strain_xtb_per_atom`, `posebusters`, `posebusters_failed`, one column per property,
`wanted_<name>`, and `failure`: what could not be measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eqcli.errors import Failure
from eqcli.tasks.evaluated import Evaluated

GENERATED, RESAMPLED, EMBEDDED, REFERENCE = "generated", "resampled training", "embedded SMILES", "reference"
"""Names of the sets: the generated molecules, the null baselines, and what bounds every figure."""

BY_RULE, OWN = "rule", "own"

MAIN = ("atom_stability", "molecule_stability", "valid", "valid_and_connected", "unique", "novel")
"""Figures that the terminal shows, for each way of taking bonds."""
WORDS = {BY_RULE: "the rule's bonds", OWN: "own bonds"}


@dataclass(frozen=True)
class Figure:
    """A value with the bounds of its 95 % interval and the number of molecules that it is of; None: there is none."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None

    def as_dict(self) -> dict[str, Any]:
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}


Figures = dict[str, Figure]


@dataclass
class MoleculeSet:
    """The figures of one set of molecules; see the head of this module."""

    molecules: int
    rule: Figures | None = None
    own: Figures | None = None
    geometry: Figures | None = None
    strain: dict[str, Figures] = field(default_factory=dict)
    checks: Figures | None = None
    properties: Figures | None = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "molecules": self.molecules,
            "rule": _plain(self.rule),
            "own": _plain(self.own),
            "geometry": _plain(self.geometry),
            "strain": {method: _plain(figures) for method, figures in self.strain.items()},
            "checks": _plain(self.checks),
            "properties": _plain(self.properties),
        }


@dataclass
class MoleculeEvaluation(Evaluated):
    """What an evaluation of generated molecules found.

    Attributes
    ----------
    bonds
        `rule`, `own` or both: how bonds were taken.
    main
        The bonds with which geometry, strain, checks and properties are measured.
    sets
        Figures by set; see the head of this module.
    molecules
        A row for each generated molecule.
    curves
        Samples that the plots are drawn from: name -> {set: values}.
    """

    output: Path
    report_html: Path
    report_json: Path
    table: Path
    counts: dict[str, int]
    bonds: tuple[str, ...]
    main: str
    gallery: Path | None = None
    sets: dict[str, MoleculeSet] = field(default_factory=dict)
    reasons: dict[str, dict[str, int]] = field(default_factory=dict)
    geometry_types: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    molecules: list[dict[str, Any]] = field(default_factory=list)
    curves: dict[str, Any] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One row per set and way of taking bonds, for the table on the terminal."""
        from eqcli.report.numbers import show

        rows = []
        for way in self.bonds:
            for name, found in self.sets.items():
                figures = (found.rule if way == BY_RULE else found.own) or {}
                told = {key: show(figures[key].value) if key in figures else "–" for key in MAIN}
                rows.append({"set": name, "bonds": way, "n": found.molecules} | told)
        return rows

    def as_dict(self) -> dict[str, Any]:
        """The result as plain data; the rows of single molecules are in `molecules.csv`."""
        return self.plain(
            {
                "report_json": str(self.report_json),
                "molecules": str(self.table),
                "gallery": str(self.gallery) if self.gallery else None,
                "counts": self.counts,
                "bonds": list(self.bonds),
                "main": self.main,
                "sets": {name: found.as_dict() for name, found in self.sets.items()},
                "reasons": self.reasons,
                "geometry_types": self.geometry_types,
                "settings": self.settings,
            }
        )

    def summary(self) -> list[tuple[str, str]]:
        """The figures that matter, as text."""
        found = self.sets[GENERATED]
        lines = [("molecules", f"{self.counts['judged']:,}, {self.counts['reference']:,} in the reference")]
        lines += [
            (f"valid and connected, {WORDS[way]}", self._beside(way, "valid_and_connected")) for way in self.bonds
        ]
        for key in ("js_lengths", "js_angles", "js_torsions"):
            if key in (found.geometry or {}):
                lines.append((key.replace("js_", "JS of "), self._beside("geometry", key)))
        if found.checks:
            lines.append(("passes PoseBusters", self._beside("checks", "passes")))
        return [*lines, *self.told(), ("molecules", str(self.table))]

    def _beside(self, part: str, key: str) -> str:
        """A figure of the generated molecules with its interval, beside that of the reference."""
        from eqcli.report.numbers import show

        figures = [(getattr(found, part) or {}).get(key) for found in (self.sets[GENERATED], self.sets[REFERENCE])]
        made, known = figures
        if made is None:
            return "–"
        text = show(made.value) if made.low is None else f"{show(made.value)} ({show(made.low)} to {show(made.high)})"
        return text if known is None or known.value is None else f"{text}; reference {show(known.value)}"


def _plain(figures: Figures | None) -> dict[str, Any] | None:
    return None if figures is None else {name: figure.as_dict() for name, figure in figures.items()}
