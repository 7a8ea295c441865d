"""Any potential with an average over frames around it (Puny et al., ICLR 2022, arXiv:2110.03336)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from eqcli.models.potentials.averaging import FrameAverage
from eqcli.models.potentials.base import Potential, Statistics
from eqcli.models.potentials.build import make_potential

if TYPE_CHECKING:
    from eqcli.graph.atom_graph import AtomGraph
    from eqcli.models.potentials.configs.frame_averaging import FrameAveragedConfig


class FrameAveraged(Potential):
    """A potential whose symmetry comes from frames, whatever that of the potential inside.

    Atomic energies, direct forces and properties are averaged each by its law. Reference energies stand here;
    those of the potential inside stay zero.
    """

    config: FrameAveragedConfig

    def __init__(self, config: FrameAveragedConfig, elements: list[int]) -> None:
        super().__init__(config, elements)
        self.backbone: Potential = make_potential(config.backbone, elements)
        self.average = FrameAverage(config.frames, self.cutoff)
        self.outputs, self.direct = self.backbone.outputs, self.backbone.direct
        self.quantities = self.backbone.quantities
        self.exact = config.frames.exact or self.backbone.exact
        self.reflections = config.frames.reflections or (self.backbone.exact and self.backbone.reflections)
        self.element_scaled = self.backbone.element_scaled  # type: ignore[misc]
        # What stands in this module once is not written to model files twice.
        self.backbone._non_persistent_buffers_set |= {"elements", "reference_energies"}
        # An attribute of the object shadows the class's: the wrapper takes what its backbone takes.
        self.accepts_charge = self.backbone.accepts_charge  # type: ignore[misc]

    def initialise(self, statistics: Statistics) -> None:
        self.backbone.initialise(statistics)

    def interaction_energies(self, graph: AtomGraph, vectors: Tensor) -> Tensor:
        def energies(graph: AtomGraph, vectors: Tensor) -> dict[str, Tensor]:
            return {"atomic_energies": self.backbone.interaction_energies(graph, vectors)}

        return self.average(energies, graph, vectors, {}, training=self.training)["atomic_energies"]

    def compute(self, graph: AtomGraph, vectors: Tensor) -> dict[str, Tensor]:
        result = self.average(self.backbone.compute, graph, vectors, self.quantities, training=self.training)
        if "atomic_energies" in result:
            result["atomic_energies"] = result["atomic_energies"] + self.reference_energies[self.species(graph)]
        return result

    def last_layer(self, graph: AtomGraph, vectors: Tensor) -> Tensor:
        def features(graph: AtomGraph, vectors: Tensor) -> dict[str, Tensor]:
            return {"atomic_energies": self.backbone.last_layer(graph, vectors)}

        return self.average(features, graph, vectors, {}, training=self.training)["atomic_energies"]
