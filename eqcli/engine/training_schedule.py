"""The learning rate as a function of where training is."""

from __future__ import annotations

import math
from typing import Any


class LearningRate:
    """The schedule of a recipe.

    Warm-up rises linearly over its steps, whatever the schedule. `constant`,
    `cosine` and `exponential` have no state; `plateau` remembers the best
    validation loss and how often it has reduced the rate.

    Parameters
    ----------
    base
        The learning rate of the optimiser section.
    section
        The `schedule` section of a recipe.
    epochs
        Epochs in all, for the cosine; it ends with the time that training may take where that is sooner.
    """

    THRESHOLD = 1e-4
    """Relative improvement of the validation loss that counts on the plateau."""

    def __init__(self, base: float, section: Any, epochs: int) -> None:
        self.base = base
        self.section = section
        self.epochs = epochs
        self.reductions = 0
        self.best = math.inf
        self.waited = 0

    def at(self, step: int, epoch: float, spent: float = 0.0) -> float:
        """The rate for a step (counted from 0), at a point of training measured in epochs.

        `spent` is the share of the time that is used up.
        """
        warmup = min(1.0, (step + 1) / self.section.warmup_steps) if self.section.warmup_steps else 1.0
        return warmup * self._scheduled(epoch, spent)

    def _scheduled(self, epoch: float, spent: float) -> float:
        section, low = self.section, min(self.section.min_lr, self.base)
        if section.name == "cosine":
            done = min(max(epoch / self.epochs, spent), 1.0)
            return float(low + 0.5 * (self.base - low) * (1 + math.cos(math.pi * done)))
        if section.name == "exponential":
            return float(max(low, self.base * section.factor**epoch))
        if section.name == "plateau":
            return float(max(low, self.base * section.factor**self.reductions))
        return self.base

    def after_epoch(self, loss: float) -> None:
        """Takes the validation loss of an epoch in."""
        if loss < self.best * (1 - self.THRESHOLD):
            self.best, self.waited = loss, 0
            return
        self.waited += 1
        if self.waited > self.section.patience:
            self.reductions, self.waited = self.reductions + 1, 0

    def state_dict(self) -> dict[str, float]:
        return {"reductions": self.reductions, "best": self.best, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.reductions, self.best, self.waited = state["reductions"], state["best"], state["waited"]
