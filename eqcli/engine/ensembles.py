"""Several model files as one ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from eqcli.elements import SYMBOLS
from eqcli.engine.model_file import load_model, save_model
from eqcli.engine.provenance import provenance
from eqcli.errors import InputError, Where
from eqcli.files import refuse_existing, sha256
from eqcli.models.potentials.ensemble import Ensemble


def join_models(paths: Sequence[Path], output: Path, *, overwrite: bool = False) -> None:
    """Writes one model file whose predictions are the mean of others, with their spread.

    Raises
    ------
    InputError
        Fewer than two models, models of different elements or precisions, the same weights twice, or an ensemble
        among them.
    """
    refuse_existing(output, overwrite)
    if len(paths) < 2:
        raise InputError("an ensemble needs two models or more", Where(paths[0] if paths else None))
    models = [load_model(path) for path in paths]
    first = models[0].potential
    seen: dict[str, Path] = {}
    for path, model in zip(paths, models, strict=True):
        potential = model.potential
        if isinstance(potential, Ensemble):
            raise InputError("this model is an ensemble itself", Where(path), "Name its members' files instead.")
        if not torch.equal(potential.elements, first.elements):
            raise InputError(
                f"this model knows {_names(potential.elements)}, and {paths[0]} {_names(first.elements)}",
                Where(path),
                "Members are trained on the same data, with different seeds.",
            )
        if potential.dtype != first.dtype:
            raise InputError(f"this model is in another precision than {paths[0]}", Where(path))
        content = sha256(path)
        if content in seen:
            raise InputError(f"this is the same model as {seen[content]}", Where(path), "Train with another --seed.")
        seen[content] = path
    members = [{"path": str(path), "sha256": content} for content, path in seen.items()]
    training = {"recipe": {"name": output.stem}, "members": members}
    save_model(output, Ensemble.of([m.potential for m in models]), training=training, provenance=provenance())


def _names(elements: torch.Tensor) -> str:
    return ", ".join(SYMBOLS[z] for z in elements.tolist())
