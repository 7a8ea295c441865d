"""What a docking network is to the code that docks with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from eqcli.errors import InputError, Where

if TYPE_CHECKING:
    from eqcli.engine.docking_box import Box
    from eqcli.engine.docking_receptor import PreparedReceptor
    from eqcli.engine.model_file import ModelFile
    from eqcli.io.ligand import Ligand
    from eqcli.io.receptor import Receptor

FloatArray = NDArray[np.float64]

FLEXIBLE, RIGID, UNCORRECTED = "equibind", "equibind-rigid", "equibind-uncorrected"
"""Names of a network's outputs: the conformer with fitted torsions, the conformer as it is, the cloud of atoms."""

REFINED, PHYSICS = "refined", "physics"
"""Names of what a search found, with the network's poses among its starts and without."""


@runtime_checkable
class PoseNetwork(Protocol):
    """Places ligands in a receptor in one pass, and says how far its poses are to be trusted."""

    def encode(self, receptor: Receptor) -> Any:
        """What the network needs to know of a receptor; made once, and found again as `PreparedReceptor.encoded`."""

    def poses(
        self, prepared: PreparedReceptor, ligands: Sequence[tuple[Ligand, FloatArray]], site: Box | None
    ) -> Sequence[dict[str, FloatArray]]:
        """Positions `[N, 3]` in Å by output (`FLEXIBLE`, ...) for each ligand with its conformer `[N, 3]`."""

    def confidences(self, prepared: PreparedReceptor, ligand: Ligand, positions: FloatArray) -> FloatArray | None:
        """A number from 0 to 1 for each pose `[P, N, 3]`, higher for better; None where none was learned."""


def network_of(loaded: ModelFile) -> PoseNetwork:
    """The network of a model file. Raises InputError for a model of another kind."""
    if loaded.header.get("family") != "docking":
        raise InputError(
            f"this model is of the family '{loaded.header.get('family')}' and places no ligands",
            Where(loaded.path),
            "Give the model of a docking recipe, or the word `physics` to search without a network.",
        )
    from eqcli.engine.docking_network import NetworkPoses

    return NetworkPoses(loaded.model)  # type: ignore[arg-type]
