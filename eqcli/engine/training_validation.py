"""Error figures on held-out parts, in batches that fit into memory, each process with a share of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from eqcli.data.batch_shares import Parts
from eqcli.data.batches import BatchPlan, Budget
from eqcli.engine.device import out_of_memory
from eqcli.engine.training_held_out import HeldOut, dealt
from eqcli.errors import InputError

if TYPE_CHECKING:
    from torch import nn

    from eqcli.engine.training_objective import Trainable
    from eqcli.engine.training_processes import Processes
    from eqcli.progress import Reporter


class Validation:
    """Measures a model on the held-out parts of a training.

    Batches are those of the recipe; where steps are done in smaller parts for want of memory, they are as small.

    Parameters
    ----------
    section
        The `training` section of a recipe.
    """

    def __init__(self, section: Any, trainable: Trainable, processes: Processes, report: Reporter) -> None:
        self.trainable = trainable
        self.processes = processes
        self.report = report
        self.workers = section.workers
        self._batch = section.valid_batch or section.batch
        self._follows = section.valid_batch is None
        self._kept: dict[str, tuple[int, HeldOut]] = {}
        self._largest: int | None = None

    def figures(self, model: nn.Module, part: str, size: Any = None) -> dict[str, float]:
        """Error figures on a part.

        Parameters
        ----------
        size
            A `batch` section: the size of the parts that steps are done in, None where they are done as a whole.

        Raises
        ------
        InputError
            A single structure does not fit into memory.
        """
        while True:
            batches = self._batches(part, size)
            try:
                return self.trainable.objective.measure(model, batches)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
            self._make_smaller(part)

    def _batches(self, part: str, size: Any) -> HeldOut:
        """This process's share of the batches, which is kept as long as their size stays the same."""
        section = size if size is not None and self._follows else self._batch
        budget, sizes = self.trainable.budget(part, section)
        limit = min(budget.limit, self._largest or budget.limit)
        if part not in self._kept or self._kept[part][0] != limit:
            plan = BatchPlan(sizes, Budget(budget.unit, limit), seed=None, lengths=self.trainable.lengths(part))
            every = [plan.batch(0, index) for index in range(plan.count(0))]
            numbers, firsts = dealt(every, self.processes.rank, self.processes.size)
            own = Parts(0, [every[number] for number in numbers])
            loaded = self.trainable.batches(part, own, self.workers)
            self._kept[part] = limit, HeldOut(loaded, firsts, self.processes)
        return self._kept[part][1]

    def _make_smaller(self, part: str) -> None:
        """Halves the batches. Raises InputError where they cannot be: the other processes are waiting for figures."""
        limit, held_out = self._kept.pop(part)
        if limit < 2 or held_out.shared:
            raise InputError(
                "a batch of the validation does not fit into memory",
                hint="Lower training.valid_batch, or leave out the largest structures.",
            )
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self._largest = limit // 2
        self.report.warning(f"a batch of the validation does not fit into memory: they are halved to {self._largest}")
