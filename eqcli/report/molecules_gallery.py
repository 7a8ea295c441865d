"""The gallery of molecules: drawn flat in the table, in three dimensions in the viewer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from eqcli.errors import InputError
from eqcli.io.structure import Structure, formula
from eqcli.report import gallery_atoms
from eqcli.report.depictions import depiction
from eqcli.report.gallery import SHOWN, gallery_page
from eqcli.report.gallery_rows import Column, Kind, Row, is_number
from eqcli.report.html import Markup, card
from eqcli.report.molecules_words import PROPERTIES
from eqcli.report.numbers import count, show

if TYPE_CHECKING:
    from eqcli.metrics.molecules.judge import Judgement

STRAINS: Final = ("strain_xtb", "strain_mmff", "strain")
"""Keys of strain energies in eV, the best first."""

_SHARED: Final = {
    "sample": "sample",
    "formula": "formula",
    "atoms": "n_atoms",
    "strain_mmff": "strain_mmff",
    "strain_xtb": "strain_xtb",
    "posebusters": "posebusters",
    "novel": "novel",
}
"""Columns of `molecules.csv` that a gallery shows, whatever the bonds; properties stand behind them."""

_JUDGED: Final = ("smiles", "valid", "connected", "stable")
_BACKSTAGE: Final = (
    "file",
    "frame",
    "seed",
    "model",
    "unique",
    "duplicate_of",
    "strain_mmff_per_atom",
    "strain_rmsd",
    "strain_xtb_per_atom",
    "strain_xtb_rmsd",
    "posebusters_failed",
    "failure",
)


def molecules_gallery(
    structures: Sequence[Structure],
    rows: Sequence[Mapping[str, Any]],
    path: str | Path,
    *,
    title: str,
    provenance: Mapping[str, Any] | None = None,
    shown: int = SHOWN,
) -> int:
    """Writes the page, as `gallery.gallery_page` does, and returns its size in bytes.

    Rows may have `smiles`, `valid`, `connected`, `stable`, `posebusters`, `novel` (truths), `strain_mmff` and
    `strain_xtb` in eV, `flags` in words, and any other numbers and words, such as properties. What they lack of
    SMILES, validity and flags is judged here, by the bonds that a structure states or else by the bond rule.
    """
    return gallery_page(structures, rows, path, title=title, kind=MOLECULES, provenance=provenance, shown=shown)


def rows_of_evaluation(rows: Sequence[Mapping[str, Any]], main: str) -> list[dict[str, Any]]:
    """Rows of `molecules.csv` as rows of a gallery, judged by the bonds `main`, `rule` or `own`."""
    return [_row_of_evaluation(row, main) for row in rows]


def _row_of_evaluation(row: Mapping[str, Any], main: str) -> dict[str, Any]:
    judged = {key: row.get(f"{main}_{key}") for key in _JUDGED}
    shared = {name: row[key] for key, name in _SHARED.items() if key in row}
    rest = {
        key: value
        for key, value in row.items()
        if key not in _SHARED and key not in _BACKSTAGE and not key.startswith(("rule_", "own_"))
    }
    reasons = [row.get(f"{main}_reason"), row.get("posebusters_failed"), row.get("failure")]
    electrons = row.get(f"{main}_radicals")
    reasons += [count(electrons, "unpaired electron")] if electrons else []
    reasons += ["repeats an earlier one"] if row.get("unique") is False else []
    flags = "; ".join(str(words) for words in reasons if words)
    return judged | shared | rest | {"flags": flags}


def _found(structures: Sequence[Structure], rows: Sequence[Row]) -> list[dict[str, Any]]:
    known = rows or [{}] * len(structures)
    return [_of_structure(structure, row) for structure, row in zip(structures, known, strict=True)]


def _of_structure(structure: Structure, row: Row) -> dict[str, Any]:
    sane = bool((structure.numbers > 0).all())
    found: dict[str, Any] = {"formula": formula(structure.numbers) if sane else None, "n_atoms": len(structure)}
    if structure.energy is not None:
        found["energy"] = structure.energy
    wanted = {key: value for key, value in structure.info.items() if key.startswith("wanted_") and is_number(value)}
    found |= wanted | ({"sample": structure.info["sample"]} if is_number(structure.info.get("sample")) else {})
    if "smiles" in row and "valid" in row:
        return found
    return found | _judged(structure)


def _judged(structure: Structure) -> dict[str, Any]:
    from eqcli.metrics.molecules.judge import Judging, judge

    stated = structure.info.get("bonds") is not None or len(structure) == 1
    try:
        verdict = judge(structure, Judging("own", "charged") if stated else Judging())
    except InputError as error:
        return {"valid": False, "flags": error.message}
    return {
        "smiles": verdict.whole_smiles,
        "valid": verdict.valid,
        "connected": verdict.connected,
        "stable": verdict.stable,
        "flags": "; ".join([*_flags(verdict), *([] if stated else ["bonds by the bond rule"])]),
    }


def _flags(verdict: Judgement) -> Iterator[str]:
    if verdict.reason:
        yield verdict.reason
    if verdict.fragments > 1:
        yield count(verdict.fragments, "piece")
    if verdict.charge:
        yield f"charge {verdict.charge:+d}"
    if verdict.radicals:
        yield count(verdict.radicals, "unpaired electron")


def _cards(rows: Sequence[Row]) -> Iterator[Markup]:
    different = len({row["smiles"] for row in rows if row.get("smiles")})
    yield card("Molecules", f"{len(rows):,}", sub=f"{different:,} different")
    judged = [row for row in rows if row.get("valid") is not None]
    if judged:
        valid = sum(bool(row["valid"]) for row in judged)
        whole = sum(bool(row["valid"] and row.get("connected")) for row in judged)
        yield card("Valid", f"{valid:,}", sub=f"of {len(judged):,}; {whole:,} valid and connected")
    for key in STRAINS:
        strains = [row[key] for row in rows if is_number(row.get(key))]
        if strains:
            yield card("Median strain", show(float(np.median(strains))), "eV", f"of {count(len(strains), 'molecule')}")
            break
    yield card(
        "With flags", f"{sum(bool(row.get('flags')) for row in rows):,}", sub="broken, in pieces, repeated and the like"
    )


def _picture(structure: Structure) -> Markup:
    return Markup(depiction(structure, width=150, height=96))


def _drawn(structure: Structure) -> dict[str, Any]:
    """The atoms, with bonds as in the picture beside the row: those of a Kekulé form, or of the bond rule."""
    from eqcli.io.rdkit_build import molecule_of
    from eqcli.io.rdkit_molecule import sanitised, structure_of
    from eqcli.metrics.molecules.bond_rule import bonds_by_rule

    bonds: Any = structure.info.get("bonds")
    if bonds is None:
        bonds = bonds_by_rule(structure.numbers, structure.positions)
    elif any(order not in (1, 2, 3) for *_, order in bonds):
        # A broken molecule is shown with the bonds that it has.
        with suppress(InputError):
            bonds = structure_of(sanitised(molecule_of(structure))).info["bonds"]
    return gallery_atoms.molecule(replace(structure, info={"bonds": bonds}))


MOLECULES: Final = Kind(
    name="molecules",
    extra="molecules",
    known=(
        Column("rank", "No.", digits=6),
        Column("smiles", "SMILES"),
        Column("formula", "Formula"),
        Column("n_atoms", "Atoms", digits=6),
        Column("valid", "Valid"),
        Column("connected", "Connected"),
        Column("stable", "Stable"),
        Column("novel", "Novel"),
        Column("posebusters", "Passes PoseBusters"),
        Column("strain", "Strain", "eV", 3),
        Column("strain_mmff", "Strain, MMFF", "eV", 3),
        Column("strain_xtb", "Strain, GFN2-xTB", "eV", 3),
        Column("energy", "Energy", "eV", 6),
        *(
            Column(key, words[:1].upper() + words[1:] if words == words.lower() else words, unit, 4)
            for key, (words, unit) in PROPERTIES.items()
        ),
        Column("flags", "Flags"),
    ),
    names={},
    found=_found,
    cards=_cards,
    explained="the menus of the map choose other figures, those of the molecule other styles. Molecules are turned so "
    "that their widest plane is seen, which no other file is.",
    note="Pictures leave out hydrogens where the rules of valence tell of them. What RDKit refuses is drawn with the "
    "bonds that it has, and its faulty atoms are ringed.",
    drawn=_drawn,
    horizontal=("n_atoms",),
    vertical=(*STRAINS, "energy", "qed"),
    colour=("gap", "qed", "log_p", *STRAINS),
    cell=False,
    picture=_picture,
)
