"""What a family of models brings to training: the model, what is minimised, and the data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from eqcli.data.batches import Budget


class Objective(Protocol):
    """What is minimised, and the figures that a model is judged by.

    A loss is made of means, over labelled entries, atoms or structures. The mean of a batch is not the mean of those
    of its parts where these differ in size; so a part is told over how many entries the whole batch takes each mean.

    Attributes
    ----------
    means
        Over how many different numbers of entries the loss takes means.
    """

    means: int

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        """The loss of a batch, a scalar with a gradient for every parameter."""
        ...

    def counts(self, batch: Any) -> Tensor:
        """The numbers of entries of a batch, `[means]` float64, known before the model is called."""
        ...

    def share(self, model: nn.Module, batch: Any, counts: Tensor) -> Tensor:
        """What a part adds to the loss of a batch that has `counts` entries in all.

        The shares of the parts of a batch add up to its loss, up to rounding and to what the model draws at random.
        """
        ...

    def measure(self, model: nn.Module, batches: Iterable[Any]) -> dict[str, float]:
        """Error figures over all batches; `loss` among them chooses the model.

        Where `batches` is a :class:`~eqcli.engine.training_held_out.HeldOut`, other processes may have a part of them.
        """
        ...


class Trainable(Protocol):
    """One training as its family knows it; :class:`eqcli.engine.training_session.Session` does all the rest.

    A batch is anything with a method `to(device)`.

    Attributes
    ----------
    objective
        What is minimised.
    held_out
        Names of the parts that figures are wanted of, `valid` first.
    notes
        What a person should know of the model that was made.
    """

    objective: Objective
    held_out: tuple[str, ...]
    notes: list[str]

    def new_model(self) -> nn.Module:
        """The model with weights drawn from the recipe's seed, in the precision of training.

        The global random state is left as it was.
        """
        ...

    def budget(self, part: str, section: Any) -> tuple[Budget, NDArray[np.int64]]:
        """The size of a batch by a `batch` section of the recipe, and what each item of a part takes of it."""
        ...

    def lengths(self, part: str) -> NDArray[np.int64] | None:
        """A number of each item of a part by which items of a batch are to be alike; None where it does not matter."""
        ...

    def batches(self, part: str, indices: Iterable[list[int]], workers: int) -> Iterable[Any]:
        """The batches of a part with these items each, as often as they are iterated over."""
        ...

    def largest_batch_edges(self) -> int:
        """Edges of the largest batch of training, which tell how many threads are useful."""
        ...

    def part_that_fits(self, device: torch.device, machines: int) -> float:
        """Share of the largest batch that the memory of each of the machines holds by estimate; 1 where not known."""
        ...

    def facts(self) -> dict[str, Any]:
        """What the header of the model file says about the data; `units` among it are those of the error figures."""
        ...

    def finish(self, model: nn.Module) -> dict[str, Any]:
        """What a trained model is given at the end; returns what the header of the model file says about it."""
        ...

    def describe(self, batch: Any) -> str:
        """The size of a batch in words, for messages."""
        ...
