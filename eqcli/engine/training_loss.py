"""The loss and the error figures of a potential."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from eqcli.data.graphs import TARGET
from eqcli.models.potentials.derive import evaluate

if TYPE_CHECKING:
    from eqcli.graph.atom_graph import AtomGraph
    from eqcli.models.potentials.base import Potential
    from eqcli.models.potentials.properties import Property
    from eqcli.models.prediction import Prediction

TERMS = ("energy", "forces", "stress")

Sums = dict[str, tuple[Tensor, Tensor]]
"""Sum and number of the entries of each term."""


class Loss:
    """A weighted sum over energy per atom, force components, stress components and properties.

    Each term is a mean over the labelled entries of a batch; entries whose
    target is NaN do not count. Errors of properties are taken per atom where they
    grow with the number of atoms, and in units of their scale in the training
    data, so that properties of any unit stand side by side.

    Parameters
    ----------
    section
        The `loss` section of a recipe.
    properties
        What the model gives beside energy, forces and stress.
    scales
        Scale of each property, in the unit of its predictions; 1 where it is absent.
    energy
        Whether the model gives an energy, hence forces and stress.
    """

    def __init__(
        self,
        section: Any,
        properties: Sequence[Property] = (),
        scales: Mapping[str, float] | None = None,
        *,
        energy: bool = True,
    ) -> None:
        self.kind: str = section.kind
        self.delta: float = section.huber_delta
        self.properties = {wanted.name: wanted for wanted in properties}
        self.scales = dict(scales or {})
        self.weights: dict[str, float] = {term: getattr(section, term) if energy else 0.0 for term in TERMS}
        self.weights |= {name: section.properties.get(name, 1.0) for name in self.properties}

    def wants(self, term: str) -> bool:
        """Whether the term has any weight."""
        return self.weights[term] > 0

    def __call__(self, prediction: Prediction, graph: AtomGraph) -> Tensor:
        """The loss of a batch, a float64 scalar.

        Energies and properties are always part of its graph, whatever their weight, so that
        every parameter has a gradient (distributed training waits for all of them).
        """
        total = self.total(self.sums(prediction, graph))
        for name in ("energy", *self.properties):
            if name in prediction and not self.wants(name):
                total = total + 0.0 * prediction[name].nan_to_num().sum()
        return total

    def sums(self, prediction: Prediction, graph: AtomGraph) -> Sums:
        """Sum and number of the entries of each term with a weight."""
        result = {}
        for term in self.weights:
            if self.wants(term):
                difference, known, weight = self.difference(term, prediction, graph)
                if (wanted := self.properties.get(term)) is not None:
                    difference = _scaled(difference, wanted, graph, self.scales.get(term, 1.0))
                values = torch.where(known, self._shape(difference) * weight, torch.zeros_like(difference))
                result[term] = (values.sum(), known.sum())
        return result

    def difference(self, term: str, prediction: Prediction, graph: AtomGraph) -> tuple[Tensor, Tensor, Tensor]:
        """Error of each entry (zero where there is no label), which are labelled, and their weights (broadcastable).

        Of energies per atom; of properties in their unit.
        """
        if term in self.properties:
            return _property_difference(self.properties[term], prediction, graph)
        return _difference(term, prediction, graph)

    def total(self, sums: Sums) -> Tensor:
        """The loss that belongs to these sums."""
        parts = [self.weights[term] * value / count.clamp(min=1) for term, (value, count) in sums.items()]
        return torch.stack(parts).sum()

    def _shape(self, difference: Tensor) -> Tensor:
        if self.kind == "mse":
            return difference**2
        if self.kind == "mae":
            return difference.abs()
        return torch.nn.functional.huber_loss(
            difference, torch.zeros_like(difference), reduction="none", delta=self.delta
        )


def _property_difference(wanted: Property, prediction: Prediction, graph: AtomGraph) -> tuple[Tensor, Tensor, Tensor]:
    value, target = prediction[wanted.name], graph[TARGET + wanted.name]
    known = torch.isfinite(target)
    weight = _weights(graph)
    weight = weight[graph.batch] if wanted.per_atom else weight
    return _masked(value, target, known), known, weight.view(-1, *[1] * (target.dim() - 1))


def _scaled(error: Tensor, wanted: Property, graph: AtomGraph, scale: float) -> Tensor:
    if wanted.extensive:
        error = error / _atoms(graph).view(-1, *[1] * (error.dim() - 1))
    return error / scale


def _weights(graph: AtomGraph) -> Tensor:
    weight: Tensor | None = getattr(graph, "weight", None)
    return torch.ones_like(graph.energy) if weight is None else weight


def _atoms(graph: AtomGraph) -> Tensor:
    return graph.atom_counts.clamp(min=1)


def _masked(value: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """The difference of known entries, zero elsewhere.

    Entries are masked before they are subtracted: NaN times zero is NaN in the gradient.
    """
    return torch.where(known, value, torch.zeros_like(value)) - torch.where(known, target, torch.zeros_like(target))


def _difference(term: str, prediction: Prediction, graph: AtomGraph) -> tuple[Tensor, Tensor, Tensor]:
    target, weight = getattr(graph, term), _weights(graph)
    known = torch.isfinite(target)
    if term == "stress":
        value, periodic = _stress(prediction, graph)
        known = known & periodic[:, None, None]
    else:
        value = prediction[term]
    error = _masked(value, target, known)
    if term == "energy":
        return error / _atoms(graph), known, weight
    if term == "forces":
        return error, known, weight[graph.batch].unsqueeze(1)
    return error, known, weight[:, None, None]


def _stress(prediction: Prediction, graph: AtomGraph) -> tuple[Tensor, Tensor]:
    """The stress, and which structures have one.

    It is formed from the virial: the predicted stress is NaN for structures
    without a volume, and so would be the gradient of anything computed from it.
    """
    periodic = graph.pbc.all(dim=1)
    volume = torch.where(periodic, torch.linalg.det(graph.cell).abs(), torch.ones_like(graph.energy))
    return -prediction["virial"] / volume[:, None, None], periodic


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
    for batch in batches:
        graph = batch.to(device)
        prediction = evaluate(
            potential, graph, forces=loss.wants("forces") or has_labels(graph, "forces"),
            stress=loss.wants("stress") or stress,
        )  # fmt: skip
        figures.add(prediction, graph)
    return figures.result()


def has_labels(graph: AtomGraph, term: str) -> bool:
    """Whether any entry of a target is labelled."""
    return bool(torch.isfinite(getattr(graph, term)).any())
