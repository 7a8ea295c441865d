"""A model inside a running LAMMPS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from eqcli.elements import SYMBOLS
from eqcli.engine.hosted import HostedModel
from eqcli.errors import InputError
from eqcli.graph.atom_graph import build_graph

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eqcli.engine.model_file import ModelFile
    from eqcli.nn.backend import Backend


class LammpsModel(HostedModel):
    """Energy, forces and virial for LAMMPS, which calls it in every step through its `fix external`.

    `fix external` is in every build of LAMMPS, so no package of it is needed and no file is converted. Neighbours
    are found here, by the model's own cutoff; LAMMPS integrates, holds temperature and pressure and writes.

    Parameters
    ----------
    model
        The loaded model.
    backend
        Kernels for messages between atoms.
    """

    def __init__(self, model: ModelFile, *, backend: str | Backend = "auto") -> None:
        super().__init__(model, backend)
        self._lmp: Any = None
        self._fix = ""
        self._charge = 0.0
        self._number_of_type = np.zeros(0, dtype=np.int64)

    def attach(self, lmp: Any, elements: Sequence[str], *, charge: float = 0.0, fix: str = "eqcli") -> None:
        """Makes a LAMMPS that has a box and atoms take energy, forces and virial from the model.

        Parameters
        ----------
        lmp
            A `lammps.lammps`, with `units metal`, on one process.
        elements
            The element of each atom type, in the order of the types.
        charge
            Total charge in e.
        fix
            Name of the fix that is made.

        Raises
        ------
        InputError
            Other units, several processes, more or fewer elements than atom types, an element or a charge
            that the model does not know.
        """
        if lmp.extract_global("units") != "metal":
            raise InputError(
                f"LAMMPS counts in units '{lmp.extract_global('units')}'", hint="Begin with `units metal`."
            )
        if lmp.extract_setting("world_size") != 1:
            raise InputError("the model works in LAMMPS on one process; threads and a GPU are used within it")
        types = lmp.extract_setting("ntypes")
        if len(elements) != types:
            raise InputError(f"LAMMPS has {types} atom types, and {len(elements)} elements were named")
        unknown = [symbol for symbol in elements if symbol not in SYMBOLS[1:]]
        if unknown:
            raise InputError(f"there are no elements called {', '.join(unknown)}")
        numbers = np.array([0, *(SYMBOLS.index(symbol) for symbol in elements)], dtype=np.int64)
        self.potential.require_known(torch.as_tensor(numbers[1:]))
        self.require_charge(charge)
        self._lmp, self._fix, self._number_of_type, self._charge = lmp, fix, numbers, charge
        lmp.command(f"fix {fix} all external pf/callback 1 1")
        lmp.command(f"fix_modify {fix} energy yes virial yes")
        lmp.set_fix_external_callback(fix, _step, self)

    def step(self, positions: NDArray[np.float64], forces: NDArray[np.float64]) -> None:
        """Fills `forces [N, 3]` (eV/Å) for `positions [N, 3]` (Å) and tells LAMMPS energy and virial."""
        types = self._lmp.numpy.extract_atom("type")[: len(positions)]
        cell, pbc, origin = _box(self._lmp)
        charge = self._charge
        graph = build_graph(
            self._number_of_type[types], positions - origin, cell, pbc, self.potential.cutoff, charge=charge
        )
        found = self.evaluate(graph, stress=True)
        forces[:] = found["forces"].cpu().numpy()
        virial = found["virial"][0].tolist()
        self._lmp.fix_external_set_energy_global(self._fix, float(found["energy"][0]))
        self._lmp.fix_external_set_virial_global(self._fix, [virial[i][j] for i, j in VIRIAL_ORDER])


VIRIAL_ORDER = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
"""Components of the virial in the order of LAMMPS."""


def _step(model: LammpsModel, step: int, n: int, tags: Any, positions: Any, forces: Any) -> None:
    model.step(positions, forces)


def _box(lmp: Any) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """Cell vectors as rows, periodicity and origin of the box."""
    low, high, xy, yz, xz, periodic, _ = lmp.extract_box()
    lx, ly, lz = np.subtract(high, low)
    cell = np.array([[lx, 0.0, 0.0], [xy, ly, 0.0], [xz, yz, lz]])
    return cell, np.array(periodic, dtype=bool), np.array(low)
