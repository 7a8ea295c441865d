"""Properties read from features of atoms: scalars, vectors, dipoles, tensors, charges."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from eqcli.elements import MASSES
from eqcli.geometry.axis_orders import cartesian_basis
from eqcli.geometry.constants import ConstantModule
from eqcli.models.prediction import Quantity
from eqcli.units import label_unit

if TYPE_CHECKING:
    from eqcli.graph.atom_graph import AtomGraph
    from eqcli.models.potentials.configs.common import HeadConfig


@dataclass(frozen=True)
class Widths:
    """Channels of each kind of feature."""

    scalars: int
    vectors: int = 0
    tensors: int = 0


@dataclass
class AtomStates:
    """Features of M atoms.

    Attributes
    ----------
    scalars
        `[M, F]`, invariant.
    vectors
        `[M, 3, V]` in x, y, z, odd under inversion; None where the model has none.
    tensors
        `[M, 3, 3, T]`, symmetric and traceless, even; None where the model has none.
    forces
        `[M, 3]`, forces that the model states itself, in units of its `scale`.
    """

    scalars: Tensor
    vectors: Tensor | None = None
    tensors: Tensor | None = None
    forces: Tensor | None = None

    def first(self, n: int) -> AtomStates:
        """The states of the first n atoms."""
        parts = (self.scalars, self.vectors, self.tensors, self.forces)
        return AtomStates(*(None if part is None else part[:n] for part in parts))  # type: ignore[arg-type]


def spherical_states(features: Tensor) -> AtomStates:
    """Scalars, vectors and tensors of spherical features `[M, (L+1)^2, C]` of natural parity; degrees beyond 2 drop."""
    components = features.shape[1]
    basis = cartesian_basis(2)[4:].to(features)  # [5, 3, 3]
    return AtomStates(
        features[:, 0],
        features[:, 1:4] if components >= 4 else None,
        torch.einsum("nmc,mij->nijc", features[:, 4:9], basis) if components >= 9 else None,
    )


class Heads(nn.Module):
    """All heads of a model by name.

    Parameters
    ----------
    configs
        By name of the property.
    widths
        Of the features that they read.

    Attributes
    ----------
    quantities
        What they give: units and shapes.

    Raises
    ------
    ValueError
        A head needs vectors, and the model has none.
    """

    def __init__(self, configs: Mapping[str, HeadConfig], widths: Widths) -> None:
        super().__init__()
        self.by_name = nn.ModuleDict({name: Head(config, widths) for name, config in configs.items()})
        self.quantities = {name: quantity(config) for name, config in configs.items()}

    def initialise(self, properties: Mapping[str, tuple[float, float]]) -> None:
        """Sets shift and scale of each head that the training data have labels for."""
        for name, (shift, scale) in properties.items():
            head: Head = self.by_name[name]  # type: ignore[assignment]
            head.shift.fill_(shift)
            head.scale.fill_(scale)

    def forward(self, states: AtomStates, graph: AtomGraph) -> dict[str, Tensor]:
        """States of the N atoms of a graph -> each property, float64."""
        return {name: head(states, graph).double() for name, head in self.by_name.items()}


class Head(ConstantModule):
    """One property: a perceptron on the scalars gives weights, which vectors and tensors are added up with."""

    shift: Tensor
    scale: Tensor
    masses: Tensor

    def __init__(self, config: HeadConfig, widths: Widths) -> None:
        super().__init__()
        self.config = config
        if config.kind in ("vector", "atom-vector") and not widths.vectors:
            raise ValueError(f"a head of kind '{config.kind}' needs vectors, and this model has none")
        size = {
            "vector": widths.vectors,
            "atom-vector": widths.vectors,
            "dipole": 1 + widths.vectors,
            "tensor": 1 + (widths.tensors or widths.vectors),
        }.get(config.kind, 1)
        self.network = nn.Sequential(
            nn.Linear(widths.scalars, widths.scalars), nn.SiLU(), nn.Linear(widths.scalars, size)
        )
        self.register_buffer("shift", torch.tensor(0.0, dtype=torch.float64))
        self.register_buffer("scale", torch.tensor(1.0, dtype=torch.float64))
        self.register_constant("masses", torch.tensor(MASSES, dtype=torch.float64))

    def forward(self, states: AtomStates, graph: AtomGraph) -> Tensor:
        """The property of each structure or atom, in float64."""
        read: Callable[[Tensor, AtomStates, AtomGraph], Tensor] = getattr(
            self, f"_{self.config.kind.replace('-', '_')}"
        )
        return read(self.network(states.scalars), states, graph)

    def _scalar(self, weights: Tensor, states: AtomStates, graph: AtomGraph) -> Tensor:
        return self._reduced(self._shifted(weights.squeeze(1)), graph)

    def _atom_scalar(self, weights: Tensor, states: AtomStates, graph: AtomGraph) -> Tensor:
        return self._shifted(weights.squeeze(1))

    def _atom_vector(self, weights: Tensor, states: AtomStates, graph: AtomGraph) -> Tensor:
        assert states.vectors is not None
        return self.scale * (states.vectors * weights.unsqueeze(1)).sum(-1).double()

    def _vector(self, weights: Tensor, states: AtomStates, graph: AtomGraph) -> Tensor:
        return self._reduced(self._atom_vector(weights, states, graph), graph)

    def _charges(self, weights: Tensor, states: AtomStates, graph: AtomGraph) -> Tensor:
        return self._neutralised(self.scale * weights[:, 0].double(), graph)

    def _dipole(self, weights: Tensor, states: AtomStates, graph: AtomGraph) -> Tensor:
        """sum_i q_i (x_i - centre of mass) + sum_i mu_i; NaN where a period leaves it undefined."""
        charges = self._neutralised(self.scale * weights[:, 0].double(), graph)
        dipole = _sum(charges.unsqueeze(1) * self._from_centre(graph), graph)
        if states.vectors is not None:
            dipole = dipole + _sum(self._atom_vector(weights[:, 1:], states, graph), graph)
        return torch.where(graph.pbc.any(1, keepdim=True), torch.full_like(dipole, torch.nan), dipole)

    def _tensor(self, weights: Tensor, states: AtomStates, graph: AtomGraph) -> Tensor:
        """sum_i a_i 1 + sum_i b_i T_i; products of vectors serve a model without tensors."""
        identity = torch.eye(3, dtype=torch.float64, device=weights.device)
        isotropic = self._shifted(weights[:, 0])[:, None, None] * identity
        tensors = states.tensors if states.tensors is not None else _squares(states.vectors)
        if tensors is None:
            return self._reduced(isotropic, graph)
        traceless = (tensors * weights[:, None, None, 1:]).sum(-1)
        return self._reduced(isotropic + self.scale * traceless.double(), graph)

    def _shifted(self, values: Tensor) -> Tensor:
        return self.shift + self.scale * values.double()

    def _reduced(self, values: Tensor, graph: AtomGraph) -> Tensor:
        summed = _sum(values, graph)
        if self.config.reduce == "sum":
            return summed
        return summed / _atoms(graph).clamp(min=1.0).view(-1, *[1] * (summed.dim() - 1))

    def _neutralised(self, charges: Tensor, graph: AtomGraph) -> Tensor:
        """Charges shifted by the same amount in each structure, so that they add up to its total charge."""
        missing = (graph.charge - _sum(charges, graph)) / _atoms(graph).clamp(min=1.0)
        return charges + missing.index_select(0, graph.batch)

    def _from_centre(self, graph: AtomGraph) -> Tensor:
        """Places of atoms about the centre of mass of their structure, `[N, 3]` float64."""
        mass = self.masses.double()[graph.numbers].unsqueeze(1)
        centre = _sum(mass * graph.positions, graph) / _sum(mass, graph)
        return graph.positions - centre.index_select(0, graph.batch)


def quantity(config: HeadConfig) -> Quantity:
    """Unit, shape and law of what a head gives; units of energies, dipoles and polarisabilities are the tool's."""
    shapes = {
        "scalar": ("[B]", "scalar"),
        "vector": ("[B, 3]", "vector"),
        "dipole": ("[B, 3]", "vector"),
        "tensor": ("[B, 3, 3]", "tensor"),
        "charges": ("[N]", "scalar"),
        "atom-scalar": ("[N]", "scalar"),
        "atom-vector": ("[N, 3]", "vector"),
    }
    shape, kind = shapes[config.kind]
    default = {"dipole": "e*Angstrom", "charges": "e"}.get(config.kind, "")
    unit = label_unit(config.unit or default)[0]
    return Quantity(unit, shape, kind, molecular=config.kind == "dipole")  # type: ignore[arg-type]


def _sum(values: Tensor, graph: AtomGraph) -> Tensor:
    """Sum over the atoms of each structure, `[N, ...] -> [B, ...]`."""
    return values.new_zeros(graph.n_structures, *values.shape[1:]).index_add(0, graph.batch, values)


def _atoms(graph: AtomGraph) -> Tensor:
    return graph.atom_counts.double()


def _squares(vectors: Tensor | None) -> Tensor | None:
    """Symmetric traceless squares of vectors, `[M, 3, V] -> [M, 3, 3, V]`."""
    if vectors is None:
        return None
    outer = vectors.unsqueeze(1) * vectors.unsqueeze(2)
    identity = torch.eye(3, dtype=vectors.dtype, device=vectors.device)
    return outer - identity[:, :, None] * (vectors.square().sum(1) / 3.0)[:, None, None]
