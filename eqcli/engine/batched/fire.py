"""FIRE, the fast inertial relaxation engine, for many structures at once.

Bitzek, Koskinen, Gähler, Moseler and Gumbsch, Phys. Rev. Lett. 97, 170201 (2006), as ASE runs it: masses of one,
velocities advanced before positions, and a step no longer than `MAX_STEP` over all degrees of freedom of a structure.
"""

from __future__ import annotations

import torch
from torch import Tensor

from eqcli.engine.batched.rows import dot, recall, remember, spread
from eqcli.engine.batched.state import BatchState

FIRST_TIME_STEP = 0.1
LONGEST_TIME_STEP = 1.0
GROWTH, CUT = 1.1, 0.5
"""Of the time step, while the path leads downhill and when it leads uphill."""

PATIENCE = 5
"""Steps downhill before the time step grows."""

MIXING, MIXING_DECAY = 0.1, 0.99
"""How far the velocity turns towards the force, and what this is multiplied by as the time step grows."""

MAX_STEP = 0.2
"""Å."""


class Fire:
    """FIRE; each structure has its own velocity, time step, mixing and patience."""

    def begin(self, state: BatchState, forces: Tensor) -> BatchState:
        """The state at rest, `forces` telling which degrees of freedom there are."""
        ones = torch.ones_like(state.energy)
        rest = remember(state, "fire/velocity", torch.zeros_like(forces))
        return rest.with_(
            systems={
                # A structure at rest is halted once more before it moves, which cuts the time step.
                "fire/time_step": ones * (FIRST_TIME_STEP / CUT),
                "fire/mixing": ones * MIXING,
                "fire/downhill": torch.zeros_like(state.step),
            }
        )

    def propose(self, state: BatchState, forces: Tensor) -> tuple[BatchState, Tensor]:
        """The state with its memory advanced, and the step of each row in Å."""
        velocity = recall(state, "fire/velocity")
        time_step, mixing, count = (state.systems[f"fire/{name}"] for name in ("time_step", "mixing", "downhill"))
        downhill = dot(state, forces, velocity) > 0
        speed = torch.sqrt(dot(state, velocity, velocity) / dot(state, forces, forces))
        kept = torch.where(downhill, 1 - mixing, torch.zeros_like(mixing))
        turned = torch.where(downhill, mixing * speed, torch.zeros_like(mixing))

        grows = downhill & (count > PATIENCE)
        time_step = torch.where(downhill, time_step, time_step * CUT)
        time_step = torch.where(grows, (time_step * GROWTH).clamp(max=LONGEST_TIME_STEP), time_step)
        mixing = torch.where(downhill, mixing, torch.full_like(mixing, MIXING))
        mixing = torch.where(grows, mixing * MIXING_DECAY, mixing)
        count = torch.where(downhill, count + 1, torch.zeros_like(count))

        factors = spread(state, torch.stack([kept, turned + time_step, time_step], dim=1), forces)
        velocity = factors[:, :1] * velocity + factors[:, 1:2] * forces
        step = factors[:, 2:] * velocity
        length = torch.sqrt(dot(state, step, step))
        step = step * spread(state, MAX_STEP / length.clamp(min=MAX_STEP), step)[:, None]
        memory = {"fire/time_step": time_step, "fire/mixing": mixing, "fire/downhill": count}
        return remember(state, "fire/velocity", velocity).with_(systems=memory), step

    def learn(self, state: BatchState, step: Tensor, change: Tensor) -> BatchState:
        """The same state: what a step did to the forces is of no use to FIRE."""
        return state
