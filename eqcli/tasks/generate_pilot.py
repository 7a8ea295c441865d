"""How much work structures are for a generator, measured on a few of them before the others are begun."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eqcli.errors import EqcliError
from eqcli.tasks.pilot import MeasuredPace
from eqcli.tasks.stream.division import PROCESS_BYTES
from eqcli.tasks.stream.threads import threads_of_this_process

if TYPE_CHECKING:
    from eqcli.tasks.generate_request import Generation

FEW = 4
"""Structures that are made together, for which a batch costs about what larger ones do."""

STEPS = 2
"""Of the sampling, where all are many."""


@dataclass(frozen=True)
class GenerationPilot:
    """Makes the first structures of a generation in few steps."""

    generation: Generation

    def __call__(self, structures: Sequence[Any]) -> MeasuredPace | None:
        """The pace for each structure of the generation; None where the first cannot be made."""
        full = self.generation.sampler
        sampler = full.with_steps(min(STEPS, full.steps))
        wishes = self.generation.wishes.of(range(min(FEW, len(self.generation.wishes))))
        kind, taken = full.device.type, []
        # Processor time does not depend on what else the machine does.
        clock = time.perf_counter if kind == "cuda" else time.process_time
        try:
            with threads_of_this_process(1):
                for _ in range(2):  # the first time prepares things
                    begin = clock()
                    list(sampler.sample(wishes, lambda *_: None))
                    taken.append(clock() - begin)
        except (EqcliError, RuntimeError, MemoryError):  # those who do the work will see it and say so
            return None
        seconds = min(taken) * full.steps / sampler.steps / len(wishes)
        weights = sum(weight.numel() * weight.element_size() for weight in full.model.parameters())
        batch = 0 if kind == "cuda" else full.batch_bytes
        return MeasuredPace(seconds, 0.0, PROCESS_BYTES.get(kind, PROCESS_BYTES["cpu"]) + 2 * weights + batch)
