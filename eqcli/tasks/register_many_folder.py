"""The folder of a registration of many pairs: made ready, and refused where it holds the results of something else."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.errors import InputError, Where
from eqcli.files import write_json
from eqcli.tasks.register_many_request import PairsRequest
from eqcli.tasks.register_poses import POSES, POSES_TEXT
from eqcli.tasks.register_rows import RESULTS, TABLE, TRANSFORMS

if TYPE_CHECKING:
    from eqcli.data.cloud_pairs import CloudPair

FACTS = "register.json"
"""What the results were made from."""


def prepare(
    request: PairsRequest, pairs: Sequence[CloudPair], folder: Path, overwrite: bool, resume: bool
) -> dict[str, Any]:
    """Makes the folder ready and returns the provenance. Raises InputError where it holds results of something else."""
    from eqcli.engine.provenance import provenance

    facts, known = _facts(request, pairs), folder / FACTS
    if known.exists() and not (resume or overwrite):
        raise InputError(
            "there are results of pairs in this folder",
            Where(known),
            "Go on with them by --resume, replace them by --overwrite, or choose another folder with -o.",
        )
    if known.exists() and resume:
        before = json.loads(known.read_text(encoding="utf-8"))
        if changed := [key for key in facts if facts[key] != before.get("request", {}).get(key)]:
            raise InputError(
                f"the results in this folder were made with another {', '.join(changed)}",
                Where(known),
                "Give the options that they were made with, or --overwrite to begin anew.",
            )
        for left in chain(folder.glob(".*.tmp*"), folder.glob("*/.*.tmp*")):
            left.unlink(missing_ok=True)
        return dict(before["provenance"])
    _clear(folder, ours=known.exists())
    made = provenance()
    write_json(known, {"request": facts, "provenance": made})
    return made


def _clear(folder: Path, *, ours: bool) -> None:
    """Removes the results of an earlier run. Raises InputError where something else has their names."""
    for name in (RESULTS, TRANSFORMS):
        if (folder / name).exists() and not ours:
            hint = "Choose another folder with -o."
            raise InputError("this is in the way: no results of pairs stand beside it", Where(folder / name), hint)
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in (TABLE, POSES, POSES_TEXT):
        (folder / name).unlink(missing_ok=True)


def _facts(request: PairsRequest, pairs: Sequence[CloudPair]) -> dict[str, Any]:
    """What results depend on, as plain data; clouds are known by their files' names, which is quick."""
    told = [
        [pair.name, str(pair.source), str(pair.target), _plain(pair.truth), _plain(pair.symmetries)] for pair in pairs
    ]
    digest = hashlib.sha256(json.dumps(told).encode()).hexdigest()
    return json.loads(json.dumps(request.options.facts() | {"pairs": digest}))


def _plain(matrix: Any) -> Any:
    return None if matrix is None else matrix.tolist()
