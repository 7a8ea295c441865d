"""Writing a model of another program as a model file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.engine.model_file import ModelFile, save_model
from eqcli.engine.provenance import provenance
from eqcli.files import sha256

if TYPE_CHECKING:
    from eqcli.models.potentials.base import Potential


def write_imported(potential: Potential, output: Path, source: Path, program: str, **chosen: Any) -> ModelFile:
    """Writes a potential that was read from the file `source` of `program`; the header says so.

    `chosen` is what the user said of the import.
    """
    imported = {"file": Path(source).name, "sha256": sha256(source), **chosen, "from": program}
    save_model(output, potential, training={"imported": imported}, provenance=provenance())
    return ModelFile(potential, {}, output)
