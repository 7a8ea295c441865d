"""What is in a file: a model, a dataset, structures or a report, and where it comes from."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.errors import Failure, InputError, Where
from eqcli.files import require_file
from eqcli.progress import Reporter, Silent

if TYPE_CHECKING:
    from eqcli.io import Structure

FRAMES = 10_000
"""Structures looked at; the rest of a larger file is not read."""
FORMULAS = 10
"""Formulas listed, the most frequent ones."""
MODEL_ENDING = ".safetensors"
LARGEST_REPORT = 1 << 28
"""Bytes of a JSON file that is looked into for provenance."""


def info(path: str | Path, *, report: Reporter | None = None) -> dict[str, Any]:
    """Facts about a file as plain data; its `kind` is `model`, `dataset`, `structures` or `report`.

    Where it comes from is its `provenance`, empty where the file has no place for it.

    Raises InputError for a file that is none of these, and where none of its structures can be read.
    """
    source = require_file(path)
    if source.suffix == MODEL_ENDING:
        return _model(source)
    if (told := _report(source)) is not None:
        return told
    from eqcli.io.formats import Format, readable_format

    found = readable_format(source)
    facts: dict[str, Any] = {"kind": "structures", "format": str(found)}
    if found is Format.DATASET:
        facts["kind"] = "dataset"
    return facts | _origin(source) | _structures(source, report or Silent()) | _labels(source)


def _model(path: Path) -> dict[str, Any]:
    """The header of a model file, and its size."""
    from eqcli.engine.model_file import read_header

    header = read_header(path)
    config = dict(header["config"])
    return {
        "kind": "model",
        "family": header["family"],
        "name": config.pop("name", None),
        "elements": header.get("elements"),
        "inputs": header.get("inputs"),
        "parameters": header.get("parameters"),
        "precision": header["precision"],
        "size": _size(path),
        "units": header.get("units"),
        "properties": _properties(config),
        "hyperparameters": config,
        "reference_energies": header.get("reference_energies"),
        "training": header.get("training") or {},
        "provenance": header.get("provenance") or {},
        "format_version": header.get("version"),
    }


def _properties(config: dict[str, Any]) -> dict[str, str]:
    """What a model gives beside energy, forces and stress: name -> kind, unit and labels; they leave the config."""
    from eqcli.models.potentials.configs.common import HeadConfig
    from eqcli.models.potentials.properties import Property

    heads = config.pop("heads", None) or {}
    return {name: str(Property(name, HeadConfig.model_validate(head))) for name, head in heads.items()}


def _origin(path: Path) -> dict[str, Any]:
    from eqcli.io.origin import read_origin

    return {"provenance": read_origin(path)}


def _report(path: Path) -> dict[str, Any] | None:
    """What a report or the result of a task says of where it comes from; None for a file that is neither."""
    if path.suffix.lower() != ".json" or path.stat().st_size > LARGEST_REPORT:
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or not isinstance(content.get("provenance"), dict):
        return None
    return {"kind": "report", "entries": sorted(content), "size": _size(path), "provenance": content["provenance"]}


def _structures(path: Path, report: Reporter) -> dict[str, Any]:
    from eqcli.elements import SYMBOLS
    from eqcli.io import read_structures
    from eqcli.io.structure import formula

    failures: list[Failure] = []
    formulas: Counter[str] = Counter()
    periods: Counter[str] = Counter()
    numbers: set[int] = set()
    atoms: list[int] = []
    last: Structure | None = None
    frames = read_structures(path, on_failure=failures.append)
    report.start("reading", None, "frames")
    for structure in islice(frames, FRAMES):
        formulas[formula(structure.numbers)] += 1
        periods["".join("xyz"[i] for i in range(3) if structure.pbc[i]) or "none"] += 1
        numbers.update(structure.numbers.tolist())
        atoms.append(len(structure))
        last = structure
        report.advance()
    report.finish()
    if last is None:
        reason = failures[0].reason if failures else "there is no structure in this file"
        raise InputError(reason, failures[0].where if failures else Where(path))
    return {
        "frames": len(atoms),
        "complete": next(frames, None) is None,
        "malformed": len(failures),
        "size": _size(path),
        "atoms": {"least": min(atoms), "most": max(atoms), "total": sum(atoms)},
        "elements": [SYMBOLS[z] for z in sorted(numbers)],
        "formulas": dict(formulas.most_common(FORMULAS)),
        "different_formulas": len(formulas),
        "periodic_directions": dict(periods),
        "cell": _cell(last) if len(atoms) == 1 else None,
        "failures": [failure.as_dict() for failure in failures],
    }


def _cell(structure: Structure) -> dict[str, float] | None:
    """Lengths in Å, angles in degrees and volume in Å^3 of a cell."""
    import numpy as np

    if not structure.volume:
        return None
    lengths = np.linalg.norm(structure.cell, axis=1)
    unit = structure.cell / lengths[:, None]
    cosines = [unit[1] @ unit[2], unit[0] @ unit[2], unit[0] @ unit[1]]
    angles = np.degrees(np.arccos(np.clip(cosines, -1, 1)))
    values = [*lengths, *angles, structure.volume]
    return dict(zip(("a", "b", "c", "alpha", "beta", "gamma", "volume"), map(float, values), strict=True))


def _labels(path: Path) -> dict[str, Any]:
    """What the columns of a file are taken for."""
    from eqcli.io.label_summary import label_report

    report = label_report(path)
    return {"labels": report.lines()[1:], "label_figures": report.as_dict()}


def _size(path: Path) -> str:
    size = float(path.stat().st_size)
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}" if unit != "bytes" else f"{size:.0f} bytes"
        size /= 1000
    return f"{size:.3g} GB"
