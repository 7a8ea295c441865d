"""The loss of a potential."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from eqcli.data.graphs import TARGET

if TYPE_CHECKING:
    from eqcli.graph.atom_graph import AtomGraph
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

    @property
    def wanted(self) -> tuple[str, ...]:
        """The terms with a weight."""
        return tuple(term for term in self.weights if self.wants(term))

    def counts(self, graph: AtomGraph) -> Tensor:
        """Labelled entries of each term with a weight, `[terms]` float64."""
        return torch.stack([self.labelled(term, graph).sum() for term in self.wanted]).double()

    def labelled(self, term: str, graph: AtomGraph) -> Tensor:
        """Which entries of a term have a label, in the shape of the target."""
        if term in self.properties:
            return torch.isfinite(graph[TARGET + term])
        known = torch.isfinite(getattr(graph, term))
        return known & _periodic(graph)[:, None, None] if term == "stress" else known

    def __call__(self, prediction: Prediction, graph: AtomGraph, counts: Tensor | None = None) -> Tensor:
        """The loss of a batch, a float64 scalar; of a part of one where `counts` are those of the whole batch.

        Energies and properties are always part of its graph, whatever their weight, so that
        every parameter has a gradient (distributed training waits for all of them).
        """
        sums = self.sums(prediction, graph)
        if counts is not None:
            sums = {term: (value, count) for (term, (value, _)), count in zip(sums.items(), counts, strict=True)}
        total = self.total(sums)
        for name in ("energy", *self.properties):
            if name in prediction and not self.wants(name):
                total = total + 0.0 * prediction[name].nan_to_num().sum()
        return total

    def sums(self, prediction: Prediction, graph: AtomGraph) -> Sums:
        """Sum and number of the entries of each term with a weight."""
        result = {}
        for term in self.wanted:
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
        known = self.labelled(term, graph)
        if term in self.properties:
            return _property_difference(self.properties[term], prediction, graph, known)
        return _difference(term, prediction, graph, known)

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


def _property_difference(
    wanted: Property, prediction: Prediction, graph: AtomGraph, known: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    value, target = prediction[wanted.name], graph[TARGET + wanted.name]
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


def _difference(term: str, prediction: Prediction, graph: AtomGraph, known: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    target, weight = getattr(graph, term), _weights(graph)
    value = _stress(prediction, graph) if term == "stress" else prediction[term]
    error = _masked(value, target, known)
    if term == "energy":
        return error / _atoms(graph), known, weight
    if term == "forces":
        return error, known, weight[graph.batch].unsqueeze(1)
    return error, known, weight[:, None, None]


def _periodic(graph: AtomGraph) -> Tensor:
    """Which structures have a stress, `[B]`."""
    return graph.pbc.all(dim=1)


def _stress(prediction: Prediction, graph: AtomGraph) -> Tensor:
    """The stress; of structures that have none some number.

    It is formed from the virial: the predicted stress is NaN for structures
    without a volume, and so would be the gradient of anything computed from it.
    """
    volume = torch.where(_periodic(graph), torch.linalg.det(graph.cell).abs(), torch.ones_like(graph.energy))
    return -prediction["virial"] / volume[:, None, None]
