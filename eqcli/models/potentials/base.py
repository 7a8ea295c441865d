"""The contract of an interatomic potential."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from eqcli.geometry.tracing import tracing

if TYPE_CHECKING:
    from pydantic import BaseModel

    from eqcli.graph.atom_graph import AtomGraph
    from eqcli.models.potentials.uncertainty import LastLayerUncertainty
    from eqcli.models.prediction import Quantity


@dataclass(frozen=True)
class Capabilities:
    """What an architecture can express, by which theory says which graphs it tells apart.

    Attributes
    ----------
    depth
        Message-passing layers.
    edge_degree
        Largest degree of the tensors made of edge directions.
    message_degree
        Largest degree of the features that one layer passes to the next.
    factors
        Neighbours that meet in one product within a layer: the body order minus one.
    """

    depth: int
    edge_degree: int
    message_degree: int
    factors: int


class Potential(nn.Module, ABC):
    """Maps a graph of atoms to one energy per atom.

    What must hold, in exact arithmetic: energies do not change under rotation,
    reflection, translation of the structure or permutation of its atoms; a batch
    gives what its members give; an atom without neighbours has its reference
    energy alone; the energy and its gradient go to zero smoothly as an atom
    leaves the cutoff. Forces and stress are never the model's own, unless it
    declares them `direct`: they are derived from the energy by :func:`eqcli.models.potentials.derive.evaluate`, except
    where it declares them as `direct`.

    Attributes
    ----------
    config
        Hyper-parameters, one of the classes in `config.py`.
    elements
        Atomic numbers the model knows, ascending, `[n_elements]` int64 buffer.
    reference_energies
        Energy of each isolated atom in eV, `[n_elements]` float64 buffer.
    cutoff
        Neighbour radius in Å.
    accepts_charge
        Whether the energy depends on the total charge; charged structures are refused otherwise.
    outputs
        What the model gives, by name: energy, forces and stress, unless it says otherwise, and its properties.
    direct
        Those of forces and stress that the model states itself. They are not derivatives of the energy.
    quantities
        Unit and shape of each output that is not a quantity of every potential.
    one_by_one
        Whether structures are computed one after the other, so that batches of several gain nothing.
    exact
        Whether symmetries hold to rounding for these weights; false where they hold on average, or not at all.
    reflections
        Whether energies are the same for mirror images; false for a model that respects rotations alone.
    element_scaled
        What the names of those parameters contain that are divided by the root of the number of elements when used.
    uncertainty
        Gives the standard deviation of energies; None where none was fitted.
    depth_key
        Field of `config` that counts the message-passing layers; None when there is none.
    probe_gain
        Factor on fresh matrices in tests of expressivity, where products of fresh features would be lost in rounding.
    least_depth
        Value of that field for which atoms see their neighbours alone: 0 where an embedding sees them already.
    """

    family: ClassVar[str] = "potentials"
    accepts_charge: ClassVar[bool] = False
    one_by_one: ClassVar[bool] = False
    depth_key: ClassVar[str | None] = None
    least_depth: ClassVar[int] = 1
    probe_gain: ClassVar[float] = 1.0
    element_scaled: ClassVar[tuple[str, ...]] = ()

    outputs: tuple[str, ...] = ("energy", "forces", "stress")
    direct: tuple[str, ...] = ()
    quantities: Mapping[str, Quantity] = {}
    exact: bool = True
    reflections: bool = True

    config: BaseModel
    elements: Tensor
    reference_energies: Tensor
    uncertainty: LastLayerUncertainty | None

    def __init__(self, config: BaseModel, elements: list[int]) -> None:
        super().__init__()
        self.config = config
        self.cutoff = float(config.cutoff)  # type: ignore[attr-defined]
        numbers = sorted({int(z) for z in elements})
        self.register_buffer("elements", torch.tensor(numbers, dtype=torch.int64))
        self.register_buffer("reference_energies", torch.zeros(len(numbers), dtype=torch.float64))
        lookup = torch.full((120,), -1, dtype=torch.int64)
        lookup[numbers] = torch.arange(len(numbers))
        self.register_buffer("element_index", lookup, persistent=False)
        self.uncertainty = None

    def _apply(self, fn: Any, recurse: bool = True) -> Potential:
        """Moves and casts as usual, except that reference energies stay in float64."""
        kept = self.reference_energies
        super()._apply(fn, recurse)
        self.reference_energies = kept.to(device=self.reference_energies.device)
        return self

    @abstractmethod
    def interaction_energies(self, graph: AtomGraph, vectors: Tensor) -> Tensor:
        """Energy of each atom without its reference energy, `[N]`, eV, float64.

        `vectors` are the edge vectors r_ij from centre to neighbour, `[E, 3]`
        float64 Å; the model casts them to its own precision.
        """

    @abstractmethod
    def initialise(self, statistics: Statistics) -> None:
        """Sets the data-dependent constants (scale, shift, mean number of neighbours)."""

    def capabilities(self) -> Capabilities | None:
        """What the architecture can express; None when it says nothing about it."""
        return None

    def species(self, graph: AtomGraph) -> Tensor:
        """Index of each atom's element in `elements`, `[N]`. Raises InputError for an element it does not know."""
        index: Tensor = self.element_index[graph.numbers]  # type: ignore[index]
        if not tracing() and index.numel() and bool((index < 0).any()):
            self.require_known(graph.numbers)
        return index

    def require_known(self, numbers: Tensor) -> None:
        """Raises InputError that names the elements among `numbers` (any device) that the model does not know."""
        from eqcli.elements import SYMBOLS
        from eqcli.errors import InputError

        elements = self.elements.tolist()
        unknown = sorted({SYMBOLS[z] for z in numbers.tolist() if z not in elements})
        if unknown:
            raise InputError(
                f"the model does not know {', '.join(unknown)}; it was made for "
                + ", ".join(SYMBOLS[z] for z in elements),
                hint="Use a model trained with these elements, or leave the structure out.",
            )

    def energies(self, graph: AtomGraph, vectors: Tensor) -> Tensor:
        """Energy of each atom, reference energy included, `[N]` float64, eV."""
        return self.interaction_energies(graph, vectors) + self.reference_energies[self.species(graph)]

    def compute(self, graph: AtomGraph, vectors: Tensor) -> dict[str, Tensor]:
        """Everything that the model gives without differentiation.

        `atomic_energies [N]` where it has an energy, and what it declares in `direct` and `quantities`, float64.
        """
        return {"atomic_energies": self.energies(graph, vectors)}

    def last_layer(self, graph: AtomGraph, vectors: Tensor) -> Tensor:
        """Features `[N, F]` float64 that the energy of an atom is linear in, up to a constant of its own.

        Raises InputError for a model that has none.
        """
        from eqcli.errors import InputError

        raise InputError(f"{type(self).__name__} has no last layer that its energy is linear in")

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the parameters."""
        return next(self.parameters()).dtype


@dataclass
class Statistics:
    """What a model may want to know of its training data.

    Attributes
    ----------
    avg_num_neighbors
        Mean number of neighbours per atom.
    shift
        Mean interaction energy per atom in eV; it must not reach an atom without neighbours.
    scale
        Root mean square of the force components, eV/Å (standard deviation of the energy per atom without forces).
    properties
        Shift and scale of each head, in the unit of its predictions: mean and standard deviation of a scalar (per
        atom where atoms are summed), zero and root mean square of the components of vectors and tensors.
    """

    avg_num_neighbors: float
    shift: float
    scale: float
    properties: Mapping[str, tuple[float, float]] = field(default_factory=dict)
