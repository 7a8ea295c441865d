"""Measuring one tensor product at one size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from eqcli.engine.device import out_of_memory
from eqcli.engine.memory_limit import memory_limit
from eqcli.errors import Failure
from eqcli.geometry.products.family import PRODUCTS
from eqcli.metrics.cost import Action, median_seconds, peak_bytes, seconds_once
from eqcli.tasks.tensor_product_peers import Peer, e3nn_peer
from eqcli.tasks.tensor_product_result import PASSES, Measurement

if TYPE_CHECKING:
    from eqcli.geometry.irreps import Irreps
    from eqcli.geometry.products.base import Product

MEMORY_SHARE = 0.3
"""Of the memory of the machine or device, what one pass may be expected to take."""

REPEATING = 0.06
"""Of the time budget of a call, what repeating it may take; three repeats are made in any case."""


@dataclass(frozen=True)
class Settings:
    """How to measure: budget of one call in seconds, device, precision, and whether e3nn is measured too."""

    budget_s: float
    device: torch.device
    dtype: torch.dtype
    peer: bool


class OverBudget(Exception):
    """A call takes more time or memory than it may."""


@dataclass
class Series:
    """One product with one number of channels and rows, measured at growing degrees.

    What has run over its budget at one degree is left out at the higher ones.
    """

    product: str
    channels: int
    rows: int
    settings: Settings
    failures: list[Failure]
    _dropped: set[tuple[str, str]] = field(default_factory=set)
    _before: dict[tuple[str, str], tuple[float, int, int]] = field(default_factory=dict)

    def measure(self, lmax: int) -> list[Measurement]:
        """All passes at one degree."""
        ours = self._made("eqcli", lmax, lambda: PRODUCTS[self.product].build(lmax, self.channels))
        if ours is None:
            return []
        product: Product = ours.to(device=self.settings.device, dtype=self.settings.dtype)
        told = product.explain()
        calls = {"eqcli": self._actions(product, product)}
        peer = self._made("e3nn", lmax, lambda: e3nn_peer(self.product, product)) if self.settings.peer else None
        if peer is not None:
            module = peer.module.to(device=self.settings.device, dtype=self.settings.dtype)
            calls["e3nn"] = self._actions(peer, module)
        found = []
        for step in PASSES:
            ready = {
                who: actions[step]
                for who, actions in calls.items()
                if self._may_run(who, step, lmax, actions[step], told.multiply_adds, told.bytes)
            }
            if "eqcli" in ready:
                times, bytes_ = self._timed(ready, step, told.multiply_adds)
                found.append(self._measurement(lmax, step, times, bytes_, told.multiply_adds, told.weights, peer))
        return found

    def _made(self, who: str, lmax: int, make: Callable[[], Any]) -> Any:
        if all((who, step) in self._dropped for step in PASSES):
            return None
        try:
            return make()
        except Exception as error:
            self._drop(who, PASSES[0], lmax, error)
            return None

    def _actions(self, shapes: Product | Peer, call: Callable[..., Any]) -> dict[str, Action]:
        generator = torch.Generator().manual_seed(0)

        def normal(*shape: int) -> Tensor:
            drawn = torch.randn(*shape, generator=generator, dtype=torch.float64)
            return drawn.to(device=self.settings.device, dtype=self.settings.dtype)

        y = normal(self.rows, shapes.irreps_in2.dim)
        if is_direction(shapes.irreps_in2):
            y = torch.nn.functional.normalize(y, dim=1)
        weights = [normal(shapes.weight_numel)] if shapes.weight_numel else []
        direction = normal(self.rows, shapes.irreps_out.dim)
        return passes(call, [normal(self.rows, shapes.irreps_in1.dim), y, *weights], direction)

    def _may_run(self, who: str, step: str, lmax: int, action: Action, multiply_adds: int, row_bytes: int) -> bool:
        """Whether a pass stays within its budgets: it runs once, unless a lower degree shows that it should not."""
        if (who, step) in self._dropped:
            return False
        try:
            self._expect(who, step, multiply_adds, row_bytes)
            taken = seconds_once(action, self.settings.device)
            if taken > self.settings.budget_s:
                # A first call may have had to load or compile something.
                taken = seconds_once(action, self.settings.device)
            if taken > self.settings.budget_s:
                raise OverBudget(f"one call took {taken:.2g} s, more than the budget of {self.settings.budget_s:g} s")
        except Exception as error:
            self._drop(who, step, lmax, error)
            return False
        return True

    def _expect(self, who: str, step: str, multiply_adds: int, row_bytes: int) -> None:
        """Raises OverBudget when a pass would surely take too long, or more memory than the machine should give."""
        seconds, memory, work = self._before.get((who, step), (0.0, self.rows * row_bytes, multiply_adds))
        growth = multiply_adds / work
        if seconds * growth > 3 * self.settings.budget_s:
            raise OverBudget(f"one call would take about {seconds * growth:.2g} s")
        if memory * growth > MEMORY_SHARE * memory_limit(self.settings.device).bytes:
            raise OverBudget(f"it would take about {memory * growth / 1e9:.2g} GB of memory")

    def _drop(self, who: str, step: str, lmax: int, error: Exception) -> None:
        """Leaves a pass, and those that hold it, out from here on."""
        item = f"{self.product}, {who}, L = {lmax}, {self.channels} channels, {self.rows} rows, {step}"
        if isinstance(error, OverBudget):
            reason = f"{error}; it and higher degrees are left out"
        else:
            reason = "out of memory" if out_of_memory(error) else Failure.of(item, error).reason
        self.failures.append(Failure(item, reason))
        self._dropped |= {(who, later) for later in PASSES[PASSES.index(step) :]}

    def _timed(
        self, ready: dict[str, Action], step: str, multiply_adds: int
    ) -> tuple[dict[str, float], dict[str, int]]:
        device = self.settings.device
        medians = median_seconds(list(ready.values()), device, budget_s=REPEATING * self.settings.budget_s)
        times = dict(zip(ready, medians, strict=True))
        memory = {who: peak_bytes(action, device) for who, action in ready.items()}
        self._before |= {(who, step): (times[who], memory[who], multiply_adds) for who in ready}
        return times, memory

    def _measurement(
        self, lmax: int, step: str, times: dict[str, float], memory: dict[str, int], work: int, weights: int, peer: Any
    ) -> Measurement:
        return Measurement(
            product=self.product,
            lmax=lmax,
            channels=self.channels,
            rows=self.rows,
            step=step,
            seconds=times["eqcli"],
            peak_bytes=memory["eqcli"],
            multiply_adds=work,
            weights=weights,
            gflops=2e-9 * work * self.rows / times["eqcli"] if step == PASSES[0] else None,
            peer=peer.title if "e3nn" in times else None,
            same_function=bool(peer and peer.same),
            peer_seconds=times.get("e3nn"),
            peer_peak_bytes=memory.get("e3nn"),
        )


def is_direction(irreps: Irreps) -> bool:
    """Whether the second factor is a unit vector, in whose frame the product works."""
    return str(irreps) == "1x1o"


def passes(call: Callable[..., Any], inputs: list[Tensor], direction: Tensor) -> dict[str, Action]:
    """What is measured of `call(*inputs)`: itself, its gradient along `direction`, and a gradient of a gradient."""
    leaves = [tensor.requires_grad_() for tensor in inputs]

    def forward() -> None:
        with torch.no_grad():
            call(*leaves)

    def gradient() -> None:
        torch.autograd.grad(call(*leaves), leaves, direction)

    def double_gradient() -> None:
        first = torch.autograd.grad(call(*leaves), leaves[:2], direction, create_graph=True)
        torch.autograd.grad(torch.stack([part.square().sum() for part in first]).sum(), leaves)

    return dict(zip(PASSES, (forward, gradient, double_gradient), strict=True))
