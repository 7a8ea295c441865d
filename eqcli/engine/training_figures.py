"""The error figures of a potential."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from eqcli.engine.training_held_out import HeldOut
from eqcli.engine.training_loss import Loss, Sums
from eqcli.models.potentials.derive import evaluate

if TYPE_CHECKING:
    from eqcli.graph.atom_graph import AtomGraph
    from eqcli.models.potentials.base import Potential
    from eqcli.models.prediction import Prediction


class ErrorFigures:
    """Accumulates errors over batches into MAE and RMSE of the whole set, and its loss.

    Energies are per atom in eV, forces per component in eV/Å, stress per component in eV/Å^3, properties per
    component in their unit.
    """

    def __init__(self, loss: Loss) -> None:
        self.loss = loss
        self.terms: dict[str, Tensor] = {}
        self.losses: Sums = {}

    @torch.no_grad()
    def add(self, prediction: Prediction, graph: AtomGraph) -> None:
        """Takes a batch in."""
        for term in self.loss.weights:
            if term in prediction:
                error, known, _ = self.loss.difference(term, prediction, graph)
                sums = torch.stack([error.abs().sum(), (error**2).sum(), known.sum().double()])
                self.terms[term] = self.terms.get(term, torch.zeros_like(sums)) + sums
        for term, (value, count) in self.loss.sums(prediction, graph).items():
            before = self.losses.get(term, (torch.zeros_like(value), torch.zeros_like(count)))
            self.losses[term] = (before[0] + value, before[1] + count)

    def add_up(self, total: Callable[[Tensor], Tensor], one: Tensor) -> None:
        """Takes in what other processes have, who are waiting for this one in `total` (their sum).

        `one` is a scalar on the device of the figures, which a process without any batch has none of.
        """
        absent = one.new_zeros(3, dtype=torch.float64)
        measured = total(torch.stack([self.terms.get(term, absent) for term in self.loss.weights]))
        self.terms = dict(zip(self.loss.weights, measured, strict=True))
        none = (absent[0], absent[0])
        sums = [torch.stack([x.double() for x in self.losses.get(term, none)]) for term in self.loss.wanted]
        self.losses = {
            term: (value, count)
            for term, (value, count) in zip(self.loss.wanted, total(torch.stack(sums)), strict=True)
        }

    def result(self) -> dict[str, float]:
        """`loss`, and `<term>_mae` and `<term>_rmse` of every term that had labels."""
        figures = {"loss": float(self.loss.total(self.losses))}
        for term, (absolute, square, count) in ((k, v.tolist()) for k, v in self.terms.items()):
            if count:
                figures[f"{term}_mae"] = absolute / count
                figures[f"{term}_rmse"] = (square / count) ** 0.5
        return figures


def measure(
    potential: Potential, batches: Iterable[AtomGraph], loss: Loss, *, stress: bool = False
) -> dict[str, float]:
    """Error figures of a potential over batches; `stress` asks for figures of the stress even without its weight."""
    figures = ErrorFigures(loss)
    device = potential.reference_energies.device
    held_out = HeldOut.of(batches)
    for _, batch in held_out.numbered():
        graph = batch.to(device)
        prediction = evaluate(
            potential, graph, forces=loss.wants("forces") or has_labels(graph, "forces"),
            stress=loss.wants("stress") or stress,
        )  # fmt: skip
        figures.add(prediction, graph)
    if held_out.shared:
        figures.add_up(held_out.total, potential.reference_energies)
    return figures.result()


def has_labels(graph: AtomGraph, term: str) -> bool:
    """Whether any entry of a target is labelled."""
    return bool(torch.isfinite(getattr(graph, term)).any())
