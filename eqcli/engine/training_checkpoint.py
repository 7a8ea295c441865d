"""Checkpoints: one safetensors file each, its structure as JSON in the header, no pickle.

A checkpoint is a tree of dictionaries, lists, tuples, tensors, numbers, strings
and None. Tensors go into the file under their path in the tree; everything else
goes into the header. Reading makes exactly that tree again and can run no code.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import CheckpointIO
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from eqcli.errors import InputError, Where
from eqcli.files import atomic_path

FORMAT = "eqcli-checkpoint"
VERSION = 1
NAME = re.compile(r"^step-(\d+)\.safetensors$")
KEPT = 2
"""How many checkpoints stay: the newest and the one before it."""


class SafeCheckpointIO(CheckpointIO):
    """Lets Lightning write and read checkpoints without pickle."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Writes `path` and, once it is complete, removes all but the newest two beside it."""
        write_checkpoint(Path(path), checkpoint)
        for old in list_checkpoints(Path(path).parent)[KEPT:]:
            self.remove_checkpoint(old)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Reads a checkpoint on the CPU; Lightning moves what has to move."""
        return read_checkpoint(Path(path))

    def remove_checkpoint(self, path: str | Path) -> None:
        Path(path).unlink(missing_ok=True)


def write_checkpoint(path: Path, tree: dict[str, Any]) -> None:
    """Writes a tree to a temporary name, makes sure that it is on the disk, then renames it."""
    tensors: dict[str, Tensor] = {}
    encoded = encode(tree, tensors)
    header = {"version": VERSION, "tree": encoded, "hash": content_hash(tensors)}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={FORMAT: json.dumps(header)})
        with temporary.open("rb") as file:
            os.fsync(file.fileno())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The tree in a checkpoint. Raises InputError for any other file and for a damaged one."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError) as error:
        raise InputError(f"this checkpoint is damaged or no checkpoint: {error}", Where(path)) from error
    if FORMAT not in metadata:
        raise InputError("this safetensors file is not a checkpoint of eqcli", Where(path))
    header = json.loads(metadata[FORMAT])
    if header["version"] > VERSION:
        raise InputError(
            f"this checkpoint has format version {header['version']}; this eqcli reads up to {VERSION}",
            Where(path),
            "Update eqcli.",
        )
    if header.get("hash", content_hash(tensors)) != content_hash(tensors):
        raise InputError("this checkpoint is damaged: its numbers are not those that were written", Where(path))
    tree: dict[str, Any] = decode(header["tree"], tensors)
    return tree


def content_hash(tensors: dict[str, Tensor]) -> str:
    """SHA-256 of tensors and their names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def list_checkpoints(folder: Path) -> list[Path]:
    """Complete checkpoints of a folder, newest first by the step in their name (times of files mean nothing)."""
    if not folder.is_dir():
        return []
    found = [(int(match[1]), path) for path in folder.iterdir() if (match := NAME.match(path.name))]
    return [path for _, path in sorted(found, reverse=True)]


def checkpoint_path(folder: Path, step: int) -> Path:
    """Name of the checkpoint written after `step` steps."""
    return folder / f"step-{step:09d}.safetensors"


def encode(value: Any, tensors: dict[str, Tensor], path: str = "") -> Any:
    """`value` as JSON-able nodes; its tensors are put into `tensors` under their path."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Tensor):
        while path in tensors:  # keys 0 and "0" have the same path
            path += "'"
        # Members may be views of one storage, which the format refuses.
        tensors[path] = value.detach().to("cpu", copy=True).contiguous()
        return {"tensor": path}
    if isinstance(value, dict):
        items = [[encode(k, tensors, f"{path}/key"), encode(v, tensors, f"{path}/{k}")] for k, v in value.items()]
        return {"dict": items}
    if isinstance(value, list | tuple):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [encode(v, tensors, f"{path}/{i}") for i, v in enumerate(value)]}
    raise TypeError(f"a checkpoint cannot hold a {type(value).__name__} (at {path or 'its root'})")


def decode(node: Any, tensors: dict[str, Tensor]) -> Any:
    """The value that `encode` was given."""
    if not isinstance(node, dict):
        return node
    ((kind, content),) = node.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {decode(k, tensors): decode(v, tensors) for k, v in content}
    values = [decode(v, tensors) for v in content]
    return tuple(values) if kind == "tuple" else values


def random_state(device: torch.device) -> dict[str, Any]:
    """State of torch's random generators on the CPU and on `device` (the order of the data needs none)."""
    state: dict[str, Any] = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = [torch.cuda.get_rng_state(device)]
    return state


def restore_random_state(state: dict[str, Any], device: torch.device) -> None:
    """Sets torch's random generators; those of devices that are not here are left alone."""
    torch.set_rng_state(state["cpu"])
    found = state.get("cuda", [])
    if device.type == "cuda" and len(found) == 1:
        torch.cuda.set_rng_state(found[0], device)
    elif device.type == "cuda" and torch.cuda.device_count() == len(found):
        torch.cuda.set_rng_state_all(found)  # runs of earlier versions keep those of every GPU
