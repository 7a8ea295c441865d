"""The folder beside an output that is not complete."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import eqcli
from eqcli.errors import InputError, Where
from eqcli.files import PROBE, write_json
from eqcli.locks import LOCK_FILE
from eqcli.tasks.stream.chunk_file import ChunkFiles
from eqcli.tasks.stream.division import Division
from eqcli.tasks.stream.heartbeat import FOLDER
from eqcli.tasks.stream.request import StreamRequest, changes

REQUEST, BUDGET, SPOOL, PLACES = "request.json", "budget.json", "input.h5", "input.places.npz"
DIVISION, LOGS = "division.json", "logs"


class WorkFolder:
    """Names and small files of a work folder. It counts as one when `request.json` is there."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, output: Path) -> WorkFolder:
        """The work folder of an output."""
        return cls(output.with_name(f"{output.name}.work"))

    @property
    def exists(self) -> bool:
        """Whether there is work to go on with."""
        return (self.path / REQUEST).is_file()

    def create(self, request: StreamRequest, provenance: dict[str, Any]) -> None:
        """Writes down what is asked for."""
        facts = request.facts()
        content = {"eqcli": eqcli.__version__, "facts": facts, "request": request.as_dict(), "provenance": provenance}
        write_json(self.path / REQUEST, content)

    def request(self) -> StreamRequest:
        """What is asked for."""
        return StreamRequest.from_dict(self._content()["request"])

    def provenance(self) -> dict[str, Any]:
        """Of the call that began the work."""
        return dict(self._content()["provenance"])

    @property
    def version(self) -> str:
        """Of the eqcli that began the work."""
        return str(self._content().get("eqcli"))

    def begun(self, request: StreamRequest) -> StreamRequest:
        """The request in the chunks that it was begun in, whatever would suit this machine.

        Raises InputError that lists what is not as in the call that began the work.
        """
        before = self.request()
        request = replace(request, max_items=before.max_items, max_atoms=before.max_atoms)
        self._require_same(request)
        return request

    def _require_same(self, request: StreamRequest) -> None:
        if changed := changes(self._content()["facts"], request.facts()):
            raise InputError(
                f"the work that stopped here was asked for with another {', '.join(changed)}",
                Where(self.path / REQUEST),
                "Give the options and files that it was begun with, or --overwrite to begin anew.",
            )

    def is_done(self, number: int) -> bool:
        """Whether all items of a chunk are done."""
        return ChunkFiles(self.path, number).done.is_file()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was committed that would be worth going on with."""
        from eqcli.io.store import DatasetFile

        if any(self.path.glob("chunk-*.done")) or any(self.path.glob("chunk-*.state.safetensors")):
            return False
        return not any(len(DatasetFile(path)) for path in self.path.glob("chunk-*.h5"))

    def ended(self, number: int) -> dict[str, Any]:
        """`figures`, `items` and `failed` of a chunk that is done."""
        return dict(json.loads(ChunkFiles(self.path, number).done.read_text(encoding="utf-8")))

    def budget(self, device: str) -> Any:
        """What a batch may hold on a kind of device, as the first process measured it; None before."""
        path = self.path / BUDGET
        return json.loads(path.read_text(encoding="utf-8")).get(device) if path.is_file() else None

    def keep_budget(self, device: str, facts: Any) -> None:
        """Writes down what a batch may hold on a kind of device."""
        path = self.path / BUDGET
        known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        write_json(path, {**known, device: facts})

    def division(self) -> Division | None:
        """How the work was divided the last time; None where nobody has said."""
        try:
            return Division(**json.loads((self.path / DIVISION).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def keep_division(self, division: Division) -> None:
        """Writes down how the work is divided, for who goes on with it."""
        write_json(self.path / DIVISION, division.as_dict())

    def clear(self) -> None:
        """Removes what is in the folder except the lock; `request.json` first, without which it counts for nothing."""
        (self.path / REQUEST).unlink(missing_ok=True)
        for entry in self.path.iterdir() if self.path.is_dir() else ():
            if entry.name == LOCK_FILE:
                continue
            if not _ours(entry.name):
                raise InputError(
                    "there is something in this folder that is not part of unfinished work",
                    Where(entry),
                    "Move it elsewhere, or choose another output with -o.",
                )
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink(missing_ok=True)

    def remove_empty(self) -> None:
        """Removes the folder itself, after `clear` and when the lock is released."""
        if self.path.is_dir() and not any(self.path.iterdir()):
            self.path.rmdir()

    def _content(self) -> dict[str, Any]:
        try:
            return dict(json.loads((self.path / REQUEST).read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise InputError(
                "this does not tell what was asked for", Where(self.path / REQUEST), "Add --overwrite to begin anew."
            ) from error


def _ours(name: str) -> bool:
    known = (REQUEST, BUDGET, SPOOL, PLACES, DIVISION, FOLDER, LOGS)
    parts = "chunk-", "merged", ".chunk-", ".request", ".budget", ".division", ".input", ".merged", PROBE
    return name in known or name.startswith(parts)
