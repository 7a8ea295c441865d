"""The audit of a model of motion: does the result follow every motion of what it is given?"""

from __future__ import annotations

import copy
import time
from typing import TYPE_CHECKING

import numpy as np

from eqcli.audit.compare import worst
from eqcli.audit.equivariance import audit_map
from eqcli.audit.laws import Kind, Law
from eqcli.audit.result import AuditReport, Check
from eqcli.data.particle_batches import ParticleLoader

if TYPE_CHECKING:
    from torch import Tensor

    from eqcli.data.particles import ParticleSet
    from eqcli.models.dynamics.base import DynamicsModel

SPACE = 3
"""Dimensions of the motions that are tried; points of fewer dimensions lie in a plane or on a line of space."""

POINT, VECTOR = Law(Kind.point, per_atom=True), Law(Kind.vector, per_atom=True)
SCALAR = Law(Kind.scalar, per_atom=True)
LIMIT = 1e-10
"""Relative error in float64."""


def audit_motion(model: DynamicsModel, systems: ParticleSet, *, count: int, seed: int, precision: str) -> AuditReport:
    """Rotations, reflections, translations and permutations of some systems, and a batch against its members.

    The model is copied and made float64, where only rounding may remain. Systems of
    more than three dimensions are not audited.
    """
    import torch

    begun = time.monotonic()
    names = [f"system {row}" for row in range(len(systems))][:count]
    audit = AuditReport([], names, seed, precision, groups=["equivariance"])
    if systems.positions.shape[2] > SPACE:
        audit.skipped["rotation"] = f"audits know {SPACE} dimensions, these systems have {systems.positions.shape[2]}"
        return audit
    exact = copy.deepcopy(model).double().cpu().eval()
    chosen = in_space(systems.take(np.arange(len(names))))
    with torch.no_grad():
        found = [_check_system(exact, chosen, row, seed) for row in range(len(names))]
        audit.checks = [_together(list(checks)) for checks in zip(*found, strict=True)]
        audit.checks.append(_check_batch(exact, chosen))
    audit.seconds = time.monotonic() - begun
    return audit


def in_space(systems: ParticleSet) -> ParticleSet:
    """The systems with zeros for the coordinates that they lack."""
    missing = SPACE - systems.positions.shape[2]

    def widened(array: np.ndarray) -> np.ndarray:
        return np.pad(array, [(0, 0), (0, 0), (0, missing)])

    return type(systems)(
        widened(systems.positions),
        widened(systems.velocities),
        widened(systems.target),
        systems.charges,
        systems.features,
    )


def _check_system(model: DynamicsModel, systems: ParticleSet, row: int, seed: int) -> list[Check]:
    """All motions of one system."""
    import torch

    system = systems.take(np.array([row]))
    charged = system.charges is not None
    charges = system.charges if system.charges is not None else np.zeros(system.positions.shape[:2])

    def predict(x: Tensor, v: Tensor, q: Tensor, features: Tensor) -> Tensor:
        arrays = (a.numpy()[None] for a in (x, v, x, q, features))
        positions, velocities, target, products, invariants = arrays
        moved = type(system)(positions, velocities, target, products if charged else None, invariants)
        predicted: Tensor = model(ParticleLoader(moved, (), torch.float64).batch(torch.tensor([0])))
        return predicted

    inputs = [(system.positions, POINT), (system.velocities, VECTOR), (charges, SCALAR), (system.features, SCALAR)]
    tensors = [(torch.from_numpy(np.ascontiguousarray(array[0])), law) for array, law in inputs]
    return audit_map(predict, tensors, [POINT], seed=seed + row, limit=LIMIT)


def _together(checks: list[Check]) -> Check:
    """The same check of several systems as one: the worst of them counts."""
    values = [value for check in checks for value in check.distribution]
    largest = max(checks, key=lambda check: np.nan_to_num(check.value, nan=np.inf))
    key = largest.key
    found = f"{len(values)} {key}s of {len(checks)} systems"
    return Check(key, worst(values), found, distribution=values, limit=LIMIT, figures=largest.figures)


def _check_batch(model: DynamicsModel, systems: ParticleSet) -> Check:
    """All systems at once against one at a time."""
    import torch

    loader = ParticleLoader(systems, (), torch.float64)
    together = model(loader.batch(torch.arange(len(systems))))
    alone = torch.cat([model(loader.batch(torch.tensor([row]))) for row in range(len(systems))])
    error = float((together - alone).abs().max() / alone.square().mean().sqrt())
    return Check("batch", error, f"{len(systems)} systems", distribution=[error], limit=LIMIT)
