"""What is asked for, in a form that workers on other machines read and a later call is compared with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.engine.guest_name import GuestName, is_guest, version_facts
from eqcli.files import sha256

if TYPE_CHECKING:
    from eqcli.io.conventions import LabelConvention


@dataclass(frozen=True)
class StreamRequest:
    """A task and the structures, or numbers, that it is done with.

    Attributes
    ----------
    task
        A name in `processor.PROCESSORS`.
    inputs
        Files of any format that io reads, in this order; with `count` what else the results depend on.
    settings
        Everything else that the results depend on, as JSON-able values.
    model
        A model file, or a calculator as `ase:module:Class`; `settings["model_arguments"]` are its arguments.
    device
        Where; results do not depend on it beyond rounding, hence it may change on resuming.
    labels
        How labels of the inputs are named; the defaults when None.
    fits
        The output, whose format each structure has to fit; None for any.
    count
        Items, where these are no structures of the inputs but numbers from 0, of which something is made each.
    max_items, max_atoms
        A chunk ends before it holds more; one that exceeds the atoms alone is a chunk of its own.
    """

    task: str
    inputs: tuple[Path, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    model: str | None = None
    device: str = "auto"
    labels: LabelConvention | None = None
    fits: Path | None = None
    count: int | None = None
    max_items: int = 1024
    max_atoms: int = 50_000

    def facts(self) -> dict[str, Any]:
        """What a call that goes on with this one must have in common with it."""
        found = {
            "task": self.task,
            "model": _model_facts(self.model),
            "inputs": [_file_facts(path) for path in self.inputs],
            "labels": None if self.labels is None else self.labels.model_dump(),
            "output": None if self.fits is None else Path(self.fits).name,
            "settings": dict(self.settings),
            "chunks": {"items": self.max_items, "atoms": self.max_atoms},
        }
        return dict(json.loads(json.dumps(found)))

    def as_dict(self) -> dict[str, Any]:
        """What `from_dict` needs, as plain data."""
        return {
            "task": self.task,
            "inputs": [str(path) for path in self.inputs],
            "settings": dict(self.settings),
            "model": self.model,
            "device": self.device,
            "labels": None if self.labels is None else self.labels.model_dump(),
            "fits": None if self.fits is None else str(self.fits),
            "count": self.count,
            "max_items": self.max_items,
            "max_atoms": self.max_atoms,
            "folder": str(Path.cwd()),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> StreamRequest:
        """The request again, in any process and working directory."""
        from eqcli.io.conventions import LabelConvention

        given = dict(content)
        home = given.pop("folder")
        given["inputs"] = tuple(_from(home, path) for path in given["inputs"])
        if given["model"] is not None and not is_guest(given["model"]):
            given["model"] = str(_from(home, given["model"]))
        if given["fits"] is not None:
            given["fits"] = Path(given["fits"])
        if given["labels"] is not None:
            given["labels"] = LabelConvention(**given["labels"])
        return cls(**given)


def _from(home: str, path: str) -> Path:
    """The path as it was given where that leads to it, else in full."""
    return Path(path) if home == str(Path.cwd()) else Path(home) / path


def _model_facts(model: str | None) -> dict[str, Any] | None:
    if model is None:
        return None
    if is_guest(model):
        return {"calculator": model, **version_facts(GuestName.parse(model))}
    return {"sha256": sha256(model)}


def _file_facts(path: Path) -> dict[str, Any]:
    """Size and time tell whether a file is the same one; reading a large one through would take minutes."""
    state = path.stat()
    return {"name": path.name, "size": state.st_size, "changed": state.st_mtime_ns}


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between the facts of two requests, in words."""
    found = []
    for key in now:
        if key == "settings":
            old, new = before.get("settings") or {}, now["settings"]
            found += [name for name in {**old, **new} if old.get(name) != new.get(name)]
        elif key == "inputs":
            if before.get("inputs") != now["inputs"]:
                found.append("inputs")
        elif now[key] != before.get(key):
            found.append(key)
    return found
