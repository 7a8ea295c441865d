"""Structures that relax under a pair potential, one by one through ASE and in a batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from ase.build import bulk, fcc110

from eqcli.engine.ase_calculator import PotentialCalculator
from eqcli.engine.batched.field import Field
from eqcli.engine.batched.relaxing import Relaxing, make_relaxing
from eqcli.engine.batched.state import BatchState, from_structure, join, to_structure
from eqcli.engine.model_file import ModelFile
from eqcli.engine.relaxation import Relaxation, RelaxSettings
from eqcli.io.structure import Structure
from tests.toy import ToyPotential
from tests.toy_model import toy_model

ENDLESS = {"fmax": 1e-9, "smax": 1e-11}
"""Criteria that are met only where nothing is left to be done, so that paths do not end early."""


def morse() -> ModelFile:
    """Morse pairs narrow enough for close-packed crystals to have a minimum at a ~ 2.2 Å."""
    model = toy_model()
    assert isinstance(model.potential, ToyPotential)
    model.potential.width.fill_(4.0)
    return model


def crystal(a: float = 2.35, repeat: tuple[int, int, int] = (1, 1, 1), cubic: bool = False) -> Structure:
    """A perfect fcc crystal."""
    atoms = bulk("C", "fcc", a=a, cubic=cubic) * repeat
    return Structure(atoms.numbers, atoms.positions, atoms.cell.array, True)


def distorted(seed: int, repeat: tuple[int, int, int] = (2, 1, 1), size: float = 0.03) -> Structure:
    """A strained crystal of two elements without symmetry, in a sheared and, for odd seeds, left-handed cell."""
    rng = np.random.default_rng(seed)
    atoms = bulk("C", "fcc", a=2.3, cubic=True) * repeat
    cell = atoms.cell.array @ (np.eye(3) + size * rng.normal(size=(3, 3)))
    scaled = atoms.get_scaled_positions() + 0.4 * size * rng.normal(size=(len(atoms), 3))
    order = [1, 0, 2] if seed % 2 else [0, 1, 2]
    return Structure(rng.choice([6, 8], len(atoms)), scaled @ cell, cell[order], True)


def cluster(seed: int, n: int) -> Structure:
    """A distorted piece of a crystal in the open."""
    rng = np.random.default_rng(seed)
    atoms = bulk("C", "fcc", a=2.25, cubic=True) * (2, 2, 1)
    return Structure(rng.choice([1, 6, 8], n), atoms.positions[:n] + 0.06 * rng.normal(size=(n, 3)))


def slab(seed: int = 0) -> Structure:
    """A rattled surface whose lower atoms are fixed; one atom more is held along z alone."""
    atoms = fcc110("C", (2, 1, 4), a=2.25, vacuum=5.0)
    atoms.pbc = [True, True, False]
    fixed = atoms.positions[:, 2] < atoms.positions[:, 2].mean()
    rng = np.random.default_rng(seed)
    move_mask = np.ones((len(atoms), 3), dtype=bool)
    move_mask[int(np.flatnonzero(~fixed)[0]), 2] = False
    return Structure(
        atoms.numbers,
        atoms.positions + 0.05 * rng.normal(size=(len(atoms), 3)),
        atoms.cell.array,
        atoms.pbc,
        fixed=fixed,
        arrays={"move_mask": move_mask},
    )


def begun(
    structures: Sequence[Structure], model: ModelFile, settings: RelaxSettings
) -> tuple[BatchState, Relaxing, Field]:
    """A batch at its start, as those who drive a stepper make it."""
    field = Field(model.potential, stress=True)
    stepper = make_relaxing(settings)
    state = join([from_structure(structure, item) for item, structure in enumerate(structures)])
    return field.evaluate(stepper.begin(field.evaluate(state))), stepper, field


def batched_path(structures: Sequence[Structure], model: ModelFile, settings: RelaxSettings) -> list[list[Structure]]:
    """The structures after each step of the batch, the start included."""
    state, stepper, field = begun(structures, model, settings)
    frames = []
    for n in range(settings.steps + 1):
        state = stepper.step(state, field) if n else state
        frames.append([to_structure(state, k, structure) for k, structure in enumerate(structures)])
    return frames


def single_path(structure: Structure, model: ModelFile, settings: RelaxSettings) -> list[Structure]:
    """The structure after each step on the path through ASE, the start included."""
    return list(Relaxation(structure, PotentialCalculator(model), settings).run())


def deviation(a: Structure, b: Structure) -> tuple[float, float]:
    """Largest difference in energy (eV) and in positions and lattice vectors (Å)."""
    moved = max(np.abs(a.positions - b.positions).max(), np.abs(a.cell - b.cell).max())
    return abs((a.energy or 0.0) - (b.energy or 0.0)), float(moved)


def same_tensors(a: BatchState, b: BatchState) -> bool:
    """Whether two states agree in every bit, NaN being equal to itself."""
    one, other = a.tensors(), b.tensors()
    return one.keys() == other.keys() and all(
        torch.equal(torch.nan_to_num(one[name].double(), 7e77), torch.nan_to_num(other[name].double(), 7e77))
        for name in one
    )
