"""Making a generator of molecules from its hyper-parameters."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import torch

from eqcli.models.molecules.config import MOLECULE_GENERATORS

if TYPE_CHECKING:
    from eqcli.models.molecules.base import MoleculeGenerator
    from eqcli.models.molecules.vocabulary import Vocabulary


def make_molecule_generator(config: Any, *, vocabulary: Vocabulary, sizes: Sequence[int]) -> MoleculeGenerator:
    """A generator of the class that `config` belongs to, with fresh weights, in float64.

    The weights are drawn in torch's default precision, whatever the model is trained in.
    """
    module, name, _ = MOLECULE_GENERATORS[config.name]
    model: MoleculeGenerator = getattr(import_module(module), name)(config, vocabulary=vocabulary, sizes=sizes)
    return model.to(torch.float64)
