"""The comment line of extended XYZ: `key=value` entries, both ways.

Read as ASE reads it: quotes, brackets and braces delimit values, numbers and T/F
(alone or several) become numbers and booleans, `_JSON` begins a JSON value, a key
alone is true. Values that this would change on the way back are written as JSON.
"""

from __future__ import annotations

import json
import re
from typing import Any

from eqcli.errors import InputError

_KEY = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|\'([^\']*)\'|([^\s="\']+))')
_EQUALS = re.compile(r"\s*=\s*")
_VALUE = re.compile(r'"((?:[^"\\]|\\.)*)"|\'([^\']*)\'|\{([^}]*)\}|([^\s"\'{\[]\S*)')
_INTEGER = re.compile(r"[+-]?\d+\Z")
_SEPARATOR = re.compile(r"[\s,]+")
_ESCAPED = re.compile(r"\\(.)")
_JSON = "_JSON "
DEEPEST = 100
"""Brackets within brackets that are read; how many the JSON parser bears depends on the version of Python."""
TRUTH = {"T": True, "F": False, "true": True, "false": False, "True": True, "False": False}
TRUTH |= {"TRUE": True, "FALSE": False}


def parse_header(line: str) -> dict[str, Any]:
    """The entries of a comment line; `{"comment": line}` where it has none.

    Raises ValueError, with a sentence for the user, when the line is not `key=value` entries.
    """
    if "=" not in line:
        return {"comment": line.strip()} if line.strip() else {}
    entries: dict[str, Any] = {}
    position, end = 0, len(line.rstrip())
    while position < end:
        match = _KEY.match(line, position)
        if match is None:
            raise ValueError(f"cannot read the comment line at '{line[position : position + 30].strip()}'")
        key = _text(match.group(1), match.group(2), (match.group(3) or "").strip(",;"))
        position = match.end()
        equals = _EQUALS.match(line, position)
        if equals is None:
            entries[key] = True
        else:
            entries[key], position = _value(key, line, equals.end())
    entries.pop("", None)
    return entries


def _value(key: str, line: str, start: int) -> tuple[Any, int]:
    if line.startswith("[", start):
        return _bracketed(key, line, start)
    match = _VALUE.match(line, start)
    if match is None:
        if start < len(line.rstrip()):
            raise ValueError(f"the value of '{key}' has an opening quote or bracket and no closing one")
        return "", start
    quoted, single, braced, bare = match.groups()
    if key in ("Properties", "properties"):
        return _text(quoted, single, braced if braced is not None else bare), match.end()
    text = _text(quoted, single, braced if braced is not None else (bare or "").rstrip(",;"))
    return parse_value(text), match.end()


def _text(quoted: str | None, single: str | None, other: str | None) -> str:
    if quoted is not None:
        return _ESCAPED.sub(r"\1", quoted)
    return single if single is not None else other or ""


def _bracketed(key: str, line: str, start: int) -> tuple[Any, int]:
    depth = 0
    for i in range(start, len(line)):
        depth += (line[i] == "[") - (line[i] == "]")
        if depth > DEEPEST:
            raise ValueError(f"the value of '{key}' is nested too deeply")
        if depth == 0:
            text = line[start : i + 1]
            try:
                return json.loads(text), i + 1
            except ValueError:
                return parse_value(text.replace("[", " ").replace("]", " ").strip()), i + 1
    raise ValueError(f"the value of '{key}' has an opening bracket and no closing one")


def parse_value(text: str) -> Any:
    """A value as number, boolean, list of either, JSON or string.

    Raises ValueError where `_JSON` is not followed by JSON.
    """
    if text.startswith(_JSON):
        try:
            return json.loads(text[len(_JSON) :])
        except RecursionError as error:
            raise ValueError("the JSON value is nested too deeply") from error
    if not text or text[0] not in "0123456789+-.TFtfnNiI":
        return text
    words = [w for w in _SEPARATOR.split(text) if w]
    values = _numbers(words)
    if values is None:
        truths = [TRUTH.get(w) for w in words]
        values = None if None in truths else truths
    if not values:
        return text
    return values[0] if len(values) == 1 else values


def _numbers(words: list[str]) -> list[Any] | None:
    if all(map(_INTEGER.match, words)):
        # Python refuses to read integers of thousands of digits.
        return [int(w) for w in words] if all(len(w) < 4000 for w in words) else None
    if any("_" in w for w in words):
        return None
    try:
        return [float(w) for w in words]
    except ValueError:
        return None


def format_entry(key: str, value: Any) -> str:
    """`key=value` such that `parse_header` gives the same key and value. Raises InputError for impossible keys."""
    if not key or not key.isprintable():
        raise InputError(f"the name {key!r} cannot stand in an extended XYZ file", hint="Rename this entry.")
    name = key if re.fullmatch(r"[^\s=\"'{}\[\],;\\]+", key) else _quote(key)
    return f"{name}={_format_value(value)}"


def _format_value(value: Any) -> str:
    text = _plain_text(value)
    if text is None or not _identical(parse_value(text), value):
        text = _JSON + json.dumps(value)
    return text if re.fullmatch(r"[^\s\"'{}\[\],;=\\]+", text) else _quote(text)


def _plain_text(value: Any) -> str | None:
    """The value without JSON, where it can be so written."""
    if isinstance(value, bool):
        return "T" if value else "F"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str) and value and value.isprintable() and value == value.strip():
        return value
    if isinstance(value, list) and len(value) > 1 and all(isinstance(v, bool | int | float) for v in value):
        return " ".join(str(_plain_text(v)) for v in value)
    return None


def _identical(a: Any, b: Any) -> bool:
    """Equality that tells 1 from 1.0 and True, and takes NaN for itself."""
    if type(a) is not type(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(map(_identical, a, b))
    return bool(a == b) or (a != a and b != b)


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
