"""Whether a composition can be neutral, through smact."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, Final

from eqcli.elements import SYMBOLS
from eqcli.metrics.crystals.convert import HINT, Composition

TABLES: Final = ("smact14", "icsd16", "icsd24", "pymatgen_sp", "icsd24-filtered")
"""Sets of oxidation states in smact; the last one is what smact takes where none is named."""
DEFAULT_TABLE: Final = "smact14"
"""The oxidation states of the releases of smact that the papers since CDVAE used."""


@dataclass(frozen=True)
class Verdict:
    """Whether something holds; `valid` is None where nobody can tell, and `reason` says why it is not True."""

    valid: bool | None
    reason: str | None = None


@lru_cache(maxsize=100_000)
def composition_validity(composition: Composition, table: str = DEFAULT_TABLE) -> Verdict:
    """Whether oxidation states exist that are neutral together and ordered as the electronegativities are.

    A single element is valid, and so is an alloy (all elements metals).

    Parameters
    ----------
    composition
        `convert.composition_of`.
    table
        Which oxidation states are known: one of `TABLES`. Figures of different tables cannot be compared.
    """
    if table not in TABLES:
        raise ValueError(f"unknown table of oxidation states '{table}'; known: {', '.join(TABLES)}")
    if find_spec("smact") is None:
        return Verdict(None, f"smact is not installed ({HINT})")
    if any(not 0 < number < len(SYMBOLS) for number, _ in composition):
        return Verdict(False, "it has atoms of no element")
    if not composition:
        return Verdict(False, "it has no atoms")
    counts = {SYMBOLS[number]: count for number, count in composition}
    try:
        if _smact(counts, table):
            return Verdict(True)
    except Exception as error:
        # smact has no data for some elements, and its own code does not expect it.
        return Verdict(None, f"smact cannot judge it: {type(error).__name__}: {error}")
    bare = [symbol for symbol in counts if not _has_states(symbol, table)]
    if bare:
        return Verdict(False, f"no oxidation state of {', '.join(bare)} is known")
    return Verdict(False, "its oxidation states cannot be neutral and in the order of the electronegativities")


def _smact(counts: dict[str, int], table: str) -> bool:
    from pymatgen.core.composition import Composition as Formula
    from smact.screening import smact_validity

    name = None if table == "icsd24-filtered" else table
    return bool(smact_validity(Formula(counts), oxidation_states_set=name))


@lru_cache
def _has_states(symbol: str, table: str) -> bool:
    """Whether a compound of the element alone with everything could be neutral at all."""
    import smact

    attribute = {
        "smact14": "oxidation_states_smact14",
        "icsd16": "oxidation_states_icsd16",
        "icsd24": "oxidation_states_icsd24",
        "pymatgen_sp": "oxidation_states_sp",
    }.get(table)
    element: Any = smact.Element(symbol)
    return attribute is None or bool(getattr(element, attribute, True))
