"""What the fields of several steps of a pipeline share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from eqcli.recipe.schema import InputFile, IsFile


@dataclass(frozen=True)
class IsModel(IsFile):
    """Marks text that names a model: a file, or the calculator of another package as `ase:module:Class`."""


FILE_FORM = {"form": "the name of a file without folders"}
FILE_NAME = r"^[A-Za-z0-9_][A-Za-z0-9._-]*$"

Precision = Literal["float32", "float64"]
Files = InputFile | tuple[InputFile, ...]

WorkerCount = Annotated[int, Field(ge=1)] | Literal["auto"]
WORKERS = "Processes that share the work; `auto`: one for each core, where it pays."
