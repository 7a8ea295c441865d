"""Exponential moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from eqcli.engine.training_sharding import divided


class WeightAverage:
    """A moving average of the parameters of a module, for validation and for the saved model.

    The decay rises with the number of updates, `min(decay, (1 + n) / (10 + n))`, so
    that the average forgets the initial weights. Without a decay it is the weights themselves.
    """

    def __init__(self, module: nn.Module, decay: float | None) -> None:
        self.decay = decay
        self.updates = 0
        self._live = dict(module.named_parameters())
        self._mean = {} if decay is None else {name: p.detach().clone() for name, p in self._live.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Takes the present weights in."""
        if self.decay is None:
            return
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(list(self._mean.values()), [p.detach() for p in self._live.values()], 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The module has the averaged weights within the block, and exactly its own after it."""
        if self.decay is None:
            yield
            return
        with torch.no_grad():
            kept = {name: p.detach().clone() for name, p in self._live.items()}
            for name, p in self._live.items():
                p.copy_(self._mean[name])
        try:
            yield
        finally:
            with torch.no_grad():
                for name, p in self._live.items():
                    p.copy_(kept[name])

    def to(self, device: torch.device) -> None:
        """Moves the average."""
        self._mean = {name: mean.to(device) for name, mean in self._mean.items()}

    def state_dict(self) -> dict[str, int | dict[str, Tensor]]:
        return {"updates": self.updates, "mean": self._mean}

    def load_state_dict(self, state: dict[str, object]) -> None:
        self.updates = state["updates"]  # type: ignore[assignment]
        for name, mean in state["mean"].items():  # type: ignore[attr-defined]
            self._mean[name].copy_(divided(mean, self._mean[name]))
