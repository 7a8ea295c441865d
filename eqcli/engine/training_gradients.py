"""The gradient of a whole batch, however many processes and micro-batches it is divided into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from eqcli.engine.device import out_of_memory
from eqcli.errors import InputError

if TYPE_CHECKING:
    from eqcli.data.batch_shares import Division
    from eqcli.engine.training_objective import Trainable
    from eqcli.engine.training_processes import Processes
    from eqcli.engine.training_steps import Reloader, StepBatch
    from eqcli.progress import Reporter

Wish = Callable[[], float]
"""A number that processes compare after each step; the largest one counts for all."""


HINT = "Lower training.micro_batch or model.channels, or leave out the largest structures."


class Spread(Protocol):
    """Where the weights are: each process has all of them, or a part."""

    in_step: bool

    def share(self, batch: Any, counts: Tensor) -> Tensor:
        """As :meth:`~eqcli.engine.training_objective.Objective.share`, such that `backward` can be called on it."""
        ...

    def add_up(self, present: list[bool]) -> None:
        """Makes the gradients of parameters that are `present` anywhere those of all processes together."""
        ...

    def whole(self) -> nn.Module:
        """The model with all weights as they are; every process has to ask for it."""
        ...


class Gradients:
    """Leaves the gradient of the loss of each batch in the parameters.

    Every mean of the loss is taken over the entries of the whole batch, counted before the model is called, so that
    micro-batches and processes change the gradient by rounding alone. A step that does not fit into the memory of a
    device is done again in micro-batches half as large; so are all later ones.

    Parameters
    ----------
    again
        Loads a step once more as the division is by then.
    automatic
        Whether the recipe leaves the size of micro-batches open.
    unit
        Of the sizes of micro-batches.
    section
        Makes a `batch` section of a recipe.
    """

    def __init__(
        self,
        model: nn.Module,
        trainable: Trainable,
        processes: Processes,
        division: Division,
        again: Reloader,
        spread: Spread,
        *,
        automatic: bool,
        unit: str,
        section: Callable[..., Any],
        device: torch.device,
        report: Reporter,
    ) -> None:
        self.model = model
        self.trainable = trainable
        self.objective = trainable.objective
        self.processes = processes
        self.division = division
        self.again = again
        self.spread = spread
        self.automatic = automatic
        self.unit = unit
        self.section = section
        self.device = device
        self.report = report
        self.wishes: dict[str, Wish] = {}
        self.agreed: dict[str, float] = {}

    @property
    def size(self) -> Any:
        """The size of micro-batches as a `batch` section of a recipe; None where steps are done as a whole."""
        return None if self.division.limit is None else self.section(**{self.unit: self.division.limit})

    def resume(self, limit: int | None) -> None:
        """Goes on with the size of micro-batches that an interrupted run had come to, so as to round as it did."""
        own = self.division.limit
        self.division.limit = limit if self.automatic or own is None else min(own, limit or own)

    def take(self, batch: StepBatch) -> Tensor:
        """The loss of the batch, with its gradient in the parameters of the model.

        Raises InputError where a single structure does not fit into memory.
        """
        while True:
            loss, unfit = self._attempt(batch)
            if not self._agree(unfit):
                break
            self._make_smaller(unfit, batch)
            batch = self.again(batch.step)
        self.spread.add_up([present > 0 for present in self._present])
        return self.processes.total(loss)

    def _attempt(self, batch: StepBatch) -> tuple[Tensor, int | None]:
        """The loss of the parts of this process, and the first of them that did not fit into memory."""
        objective, parts = self.objective, batch.batches
        whole = self.processes.size == 1 and len(parts) == 1
        counts = None if whole else self._counts(parts[: batch.step.real])
        loss = torch.zeros((), dtype=torch.float64, device=self.device)
        for number, part in enumerate(parts):
            try:
                moved = part.to(self.device)
                one = objective.loss(self.model, moved) if counts is None else self.spread.share(moved, counts)
                if number >= batch.step.real:
                    one = one * 0.0
                one.backward()
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                if self.spread.in_step:
                    raise self._unfit(part, " with sharded weights") from error  # the others wait in mid-step
                return loss, number
            loss = one.detach() if whole else loss + one.detach()
        return loss, None

    def _counts(self, parts: Sequence[Any]) -> Tensor:
        """The numbers of entries of the whole batch."""
        counts = torch.zeros(self.objective.means, dtype=torch.float64)
        for part in parts:
            counts += self.objective.counts(part)
        return self.processes.total(counts).clamp(min=1.0)

    def _agree(self, unfit: int | None) -> bool:
        """Whether the step is to be done again; what the processes wish, and which parameters have a gradient."""
        names, grown = list(self.wishes), [p for p in self.model.parameters() if p.requires_grad]
        present = [float(p.grad is not None) for p in grown] if self.processes.size > 1 else []
        votes = [float(unfit is not None), *(self.wishes[name]() for name in names), *present]
        failed, *rest = self.processes.largest(votes)
        self.agreed, self._present = dict(zip(names, rest, strict=False)), rest[len(names) :]
        return failed > 0

    def _make_smaller(self, unfit: int | None, batch: StepBatch) -> None:
        """Lowers the size of micro-batches for all processes. Raises InputError where it cannot be lowered."""
        for parameter in self.model.parameters():
            parameter.grad = None
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        limit, text = float("inf"), ""
        if unfit is not None:
            part = batch.step.parts[unfit]
            lower = self.division.lower(part)
            limit = 0.0 if lower is None else lower
            text = self._unfit(batch.batches[unfit]).message
        limit = -self.processes.largest([-limit])[0]
        text = next(said for said in self.processes.gathered(text) if said)
        if not limit:
            error = InputError(f"{text}, and it cannot be divided", hint=HINT)
            raise self.processes.common(error)
        self.division.limit = int(limit)
        self.report.warning(f"{text}; from now on each step is done in micro-batches of at most {limit:g} {self.unit}")

    def _unfit(self, part: Any, why: str = "") -> InputError:
        size = self.trainable.describe(part)
        divided = f", and it cannot be divided{why}" if why else ""
        return InputError(f"a batch of {size} does not fit into the memory of {self.device}{divided}", hint=HINT)


class Whole:
    """Every process has all weights, and gradients are added up at the end of a step.

    Not before: what was exchanged already could not be undone when a later part does not fit into memory.
    """

    in_step = False

    def __init__(self, model: nn.Module, trainable: Trainable, processes: Processes) -> None:
        self.model = model
        self.objective = trainable.objective
        self.processes = processes

    def share(self, batch: Any, counts: Tensor) -> Tensor:
        return self.objective.share(self.model, batch, counts)

    def whole(self) -> nn.Module:
        return self.model

    def add_up(self, present: list[bool]) -> None:
        if self.processes.size == 1:
            return
        grown = [p for p in self.model.parameters() if p.requires_grad]
        chosen = [p for p, wanted in zip(grown, present, strict=True) if wanted]
        for parameter in chosen:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        for dtype in sorted({p.dtype for p in chosen}, key=str):
            gradients = [p.grad for p in chosen if p.dtype == dtype and p.grad is not None]
            flat = self.processes.total(torch.cat([g.reshape(-1) for g in gradients]))
            pieces = flat.split([g.numel() for g in gradients])
            torch._foreach_copy_(gradients, [piece.view_as(g) for piece, g in zip(pieces, gradients, strict=True)])
