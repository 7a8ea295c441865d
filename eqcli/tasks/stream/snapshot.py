"""The state of a chunk under way, in one file that is replaced at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.files import atomic_path

if TYPE_CHECKING:
    from torch import Tensor

Restored = tuple["dict[str, Tensor]", dict[str, Any]]
"""Tensors and facts of a snapshot."""


def write_snapshot(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any], counts: dict[str, int]) -> None:
    """Writes tensors, JSON-able facts, and how many results and frames had been committed."""
    from safetensors.torch import save_file

    about = {"facts": json.dumps(facts), "counts": json.dumps(counts)}
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as temporary:
        save_file(whole, temporary, metadata=about)


def read_snapshot(path: Path) -> tuple[Restored | None, dict[str, int] | None]:
    """What was written, and the counts; None for each where there is no snapshot."""
    from safetensors import safe_open

    if not path.exists():
        return None, None
    with safe_open(path, framework="pt") as file:
        about = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return (tensors, json.loads(about["facts"])), json.loads(about["counts"])
