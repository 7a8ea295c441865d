"""The symmetry of any function whose inputs and outputs have declared transformation laws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eqcli.audit.character import characterise
from eqcli.audit.compare import rms, worst
from eqcli.audit.effort import Effort
from eqcli.audit.laws import Kind, Law, Motion
from eqcli.audit.result import Check
from eqcli.audit.tolerances import ROUNDING
from eqcli.audit.transforms import axis_rotation, random_direction, random_rotation
from eqcli.io.structure import FloatArray

if TYPE_CHECKING:
    from torch import Tensor

AXES = np.concatenate([np.eye(3), -np.eye(3)])
"""Directions that a layer may treat apart: those of the coordinates."""


def audit_map(
    function: Callable[..., Any],
    inputs: Sequence[tuple[Tensor, Law]],
    outputs: Sequence[Law],
    *,
    seed: int = 0,
    effort: Effort | None = None,
    proper: bool = False,
    limit: float | None = None,
) -> list[Check]:
    """Whether `function(g x) = g function(x)` for random motions g, one check for each kind of motion.

    Every check says by its figure `character` whether the symmetry is exact, approximate or
    holds in expectation.

    Parameters
    ----------
    function
        Takes the input tensors in order and gives a tensor, or a sequence of them.
    inputs
        Tensors with their laws. Rotations are tried always; translations where an input is a point,
        permutations where one counts atoms.
    outputs
        The law of each output.
    proper
        Leaves reflections out, for what claims SO(3) alone.
    limit
        Largest relative error that is rounding; by default that of the precision of the inputs.

    Raises
    ------
    ValueError
        The function gives another number of outputs than laws are declared.
    """
    effort = effort or Effort()
    subject = _Map(function, inputs, outputs)
    allowed = ROUNDING[subject.precision] if limit is None else limit
    checks = []
    for kind, motions in _motions(inputs, effort, np.random.default_rng([seed, 501]), proper).items():
        errors = [subject.error(motion) for motion in motions]
        values = [worst(list(error)) for error in errors]
        at = int(np.nanargmax(values)) if np.isfinite(values).any() else 0
        character = characterise(worst(values), allowed, subject.random, lambda m=motions[at]: subject.deviation(m))  # type: ignore[misc]
        checks.append(
            Check(
                kind,
                worst(values),
                f"{len(motions)} {kind}s; {character}",
                subject.precision,
                limit=allowed,
                figures={
                    "character": character.kind,
                    "expectation": character.as_dict(),
                    "median": float(np.median(values)),
                    "outputs": {f"{k}: {law}": worst([e[k] for e in errors]) for k, law in enumerate(outputs)},
                    "worst_motion": {"matrix": motions[at].matrix.tolist(), "shift": motions[at].shift.tolist()},
                },
                distribution=values,
            )
        )
    return checks


class _Map:
    """The function with its arguments, seen through numpy in float64."""

    def __init__(
        self, function: Callable[..., Any], inputs: Sequence[tuple[Tensor, Law]], outputs: Sequence[Law]
    ) -> None:
        self.function = function
        self.laws = [law for _, law in inputs]
        self.outputs = outputs
        self._tensors = [value for value, _ in inputs]
        self._values = [value.detach().cpu().double().numpy() for value in self._tensors]
        self.precision = str(self._tensors[0].dtype).removeprefix("torch.")
        self.plain = self._call(Motion())
        self.scales = [rms(value) or 1.0 for value in self.plain]
        again = self._call(Motion())
        self.random = any(not np.array_equal(a, b) for a, b in zip(self.plain, again, strict=True))

    def _call(self, motion: Motion) -> list[FloatArray]:
        import torch

        arguments = [
            torch.from_numpy(np.ascontiguousarray(law.act(motion, value))).to(like)
            for law, value, like in zip(self.laws, self._values, self._tensors, strict=True)
        ]
        given = self.function(*arguments)
        found = [given] if isinstance(given, torch.Tensor) else list(given)
        if len(found) != len(self.outputs):
            raise ValueError(f"{len(found)} outputs, and laws for {len(self.outputs)}")
        return [value.detach().cpu().double().numpy() for value in found]

    def _differences(self, plain: list[FloatArray], motion: Motion) -> list[FloatArray]:
        moved = self._call(motion)
        return [
            (found - law.act(motion, value)) / scale
            for found, value, law, scale in zip(moved, plain, self.outputs, self.scales, strict=True)
        ]

    def error(self, motion: Motion) -> list[float]:
        """Largest error of each output relative to its root mean square."""
        return [float(np.abs(d).max(initial=0.0)) for d in self._differences(self.plain, motion)]

    def deviation(self, motion: Motion) -> FloatArray:
        """Relative errors of all outputs from two fresh calls, `[numbers]`."""
        plain = self._call(Motion())
        return np.concatenate([d.ravel() for d in self._differences(plain, motion)])


def _motions(
    inputs: Sequence[tuple[Tensor, Law]], effort: Effort, rng: np.random.Generator, proper: bool
) -> dict[str, list[Motion]]:
    """Random motions of every kind that the inputs can follow, and quarter and half turns about the axes."""
    turns = [Motion(random_rotation(rng)) for _ in range(effort.rotations)]
    turns += [Motion(axis_rotation(axis, angle)) for axis in AXES[:3] for angle in (np.pi / 2, np.pi)]
    found = {"rotation": turns}
    if not proper:
        mirrors = [Motion(-np.eye(3)), *(Motion(-random_rotation(rng)) for _ in range(effort.others - 1))]
        found["reflection"] = mirrors
    if any(law.kind is Kind.point for _, law in inputs):
        found["translation"] = [Motion(shift=10 * random_direction(rng)) for _ in range(effort.others)]
    atoms = {len(value) for value, law in inputs if law.per_atom}
    if len(atoms) > 1:
        raise ValueError(f"inputs per atom of different lengths: {sorted(atoms)}")
    if atoms:
        found["permutation"] = [Motion(order=rng.permutation(next(iter(atoms)))) for _ in range(effort.others)]
    return found
