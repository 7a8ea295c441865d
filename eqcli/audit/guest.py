"""Audits of models of other packages: what can be measured of a model that only gives numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from eqcli.audit.laws import OUTPUTS
from eqcli.audit.subject import Subject
from eqcli.elements import SYMBOLS
from eqcli.errors import InputError
from eqcli.io.structure import Structure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from eqcli.graph.atom_graph import AtomGraph
    from eqcli.models.potentials.base import Potential

SLACK = 1e-4
"""Relative errors that count as arithmetic: calculators iterate to a convergence of their own, or compute in
single precision. A law that is broken shows errors a hundred times as large."""

DIMERS_UP_TO = 6.0
"""Å to which two atoms are pulled apart, in place of the cutoff."""

PRECISION = "its own precision"

SKIPPED = {
    "cutoff_energy": "a calculator does not tell its cutoff, and may have none",
    "isolated": "how far a calculator reaches is not known, nor is its zero of the energy",
    "batch": "structures are computed one at a time",
}
"""First check of each stage that says nothing about a guest, and why."""


def guest_subject(potential: Potential, structures: Sequence[Structure]) -> Subject:
    """A guest as a subject for audits on these structures.

    It knows the elements of the structures alone, and their reference energies are what the calculator gives for
    lone atoms; zero, as the note says, where it fails for one.
    """
    from eqcli.models.potentials.derive import evaluate

    def predict(graph: AtomGraph, *, forces: bool, stress: bool) -> Mapping[str, Tensor]:
        return evaluate(potential, graph, forces=forces, stress=stress)

    elements = sorted({int(z) for structure in structures for z in structure.numbers})
    alone = {z: _lone_energy(potential, z) for z in elements}
    subject = Subject(
        predict,
        cutoff=DIMERS_UP_TO,
        reference_energies={z: energy or 0.0 for z, energy in alone.items()},
        precision=PRECISION,
        outputs={name: OUTPUTS[name] for name in potential.outputs},
    )
    subject.skips, subject.reach, subject.slack = dict(SKIPPED), None, SLACK
    if not any(structure.pbc.any() for structure in structures):
        subject.skips["extensivity"] = "how far apart two molecules must be is not known"
    failed = ", ".join(SYMBOLS[z] for z, energy in alone.items() if energy is None)
    subject.note = f"energies are relative to those of lone atoms, and it gives none for {failed}" if failed else ""
    return subject


def _lone_energy(potential: Potential, number: int) -> float | None:
    """Energy of an isolated atom in eV, None where the calculator gives none."""
    from eqcli.graph.atom_graph import build_graph
    from eqcli.models.potentials.derive import evaluate

    try:
        graph = build_graph(np.array([number]), np.zeros((1, 3)), np.zeros((3, 3)), np.zeros(3, bool), 1.0)
        energy = float(evaluate(potential, graph, forces=False)["energy"][0])
    except InputError:
        return None
    return energy if np.isfinite(energy) else None
