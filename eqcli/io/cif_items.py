"""What a structure carries beside its atoms, as items `_eqcli_...` of a CIF block, and back.

Numbers stand as they are, words in quotes, true and false as such and nothing as `.`, each under the name of its entry;
what has no such form (lists, long or foreign text, names that no tag can have) shares the JSON of `_eqcli_json`.
Other programs pass over these items. `_eqcli_energy` is the total energy of the block in eV.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from eqcli.errors import InputError, Where
from eqcli.io.frame import plain
from eqcli.io.structure import Structure

PREFIX = "_eqcli_"
JSON = "json"
RESERVED = frozenset({"energy", "forces", "stress", "virial", "charge", "total_charge"})
"""Names that are read as labels; entries of the user get `original_` in front, as in extended XYZ."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,60}", re.ASCII)
_QUOTABLE = re.compile(r"[ -&(-~]{0,200}")
_INTEGER = re.compile(r"[+-]?\d{1,400}", re.ASCII)
_WORDS = {"true": True, "false": False, ".": None}


def item_lines(structure: Structure, block_name: str) -> list[str]:
    """The lines of the items; `name` is left to the block where this has it."""
    entries: dict[str, Any] = {}
    if structure.energy is not None:
        entries["energy"] = float(structure.energy)
    if structure.charge is not None:
        entries["charge"] = float(structure.charge)
    for key, value in structure.info.items():
        name = str(key)
        if name != "name" or value != block_name:
            entries[f"original_{name}" if name in RESERVED else name] = plain(value)
    return list(_lines(entries))


def _lines(entries: Mapping[str, Any]) -> Iterator[str]:
    taken = {JSON}
    others: dict[str, Any] = {}
    for name, value in entries.items():
        text = _text(value)
        # Tags do not tell capitals from small letters.
        if text is None or not _NAME.fullmatch(name) or name.lower() in taken:
            others[name] = value
        else:
            taken.add(name.lower())
            yield f"{PREFIX}{name} {text}"
    if others:
        yield from (f"{PREFIX}{JSON}", f";{json.dumps(others)}", ";")


def _text(value: Any) -> str | None:
    """A value as CIF has it; None where JSON must do."""
    if isinstance(value, str):
        return f"'{value}'" if _QUOTABLE.fullmatch(value) else None
    if value is None or isinstance(value, bool):
        return next(word for word, meaning in _WORDS.items() if meaning is value)
    return repr(value) if isinstance(value, int | float) else None


def entries_of(block: Any, where: Where) -> dict[str, Any]:
    """The entries that the items of a gemmi block hold. Raises InputError where their JSON is damaged."""
    found: dict[str, Any] = {}
    for item in block:
        if item.pair is None or not item.pair[0].lower().startswith(PREFIX):
            continue
        name, raw = item.pair[0][len(PREFIX) :], item.pair[1]
        if name == JSON:
            found |= _others(raw, where)
        elif raw != "?":
            found[name] = _value(raw)
    return found


def _others(raw: str, where: Where) -> dict[str, Any]:
    from gemmi import cif

    try:
        found = json.loads(cif.as_string(raw))
    except (ValueError, RecursionError) as error:
        raise InputError(f"the item {PREFIX}{JSON} is not valid JSON: {error}", where) from error
    if not isinstance(found, dict):
        raise InputError(f"the item {PREFIX}{JSON} holds no JSON object", where)
    return found


def _value(raw: str) -> Any:
    from gemmi import cif

    if raw[:1] in ("'", '"', ";"):
        return cif.as_string(raw)
    if raw in _WORDS:
        return _WORDS[raw]
    if _INTEGER.fullmatch(raw):
        return int(raw)
    try:
        return float(raw)
    except ValueError:
        return raw
