"""MACE: higher-order equivariant message passing (Batatia et al., NeurIPS 2022, arXiv:2206.07697)."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from eqcli.geometry.spherical_harmonics import SphericalHarmonics
from eqcli.graph.layout import Layout, make_layout
from eqcli.models.potentials.base import Capabilities, Potential, Statistics
from eqcli.models.potentials.heads import AtomStates, Heads, Widths, spherical_states
from eqcli.nn.convolution import Convolution
from eqcli.nn.element_linear import DegreeLinear, ElementLinear
from eqcli.nn.radial import (
    RADIAL_BASES,
    AgnesiTransform,
    RadialNetwork,
    SoftTransform,
    polynomial_cutoff,
    scaled_silu,
)
from eqcli.nn.radial_tables import RadialTables
from eqcli.nn.symmetric_contraction import SymmetricContraction
from eqcli.nn.zbl import ZBL

if TYPE_CHECKING:
    from eqcli.graph.atom_graph import AtomGraph
    from eqcli.models.potentials.config import MACEConfig

TRANSFORMS = {"agnesi": AgnesiTransform, "soft": SoftTransform}


class MACE(Potential):
    """Energies from atomic cluster expansion features passed between neighbours.

    Per layer: neighbour features are convolved with spherical harmonics (eq. 8),
    raised to products of up to `correlation` factors (eqs. 10, 11), mixed and added
    to an element-dependent map of the old features (eq. 12); every layer reads out
    a part of the atomic energy (eq. 13). The mean interaction energy of the training
    data enters as a shift that fades with the last neighbour, so that an isolated
    atom keeps its reference energy exactly.
    """

    depth_key: ClassVar[str | None] = "num_interactions"
    element_scaled: ClassVar[tuple[str, ...]] = ("embedding", "skip")
    decayed_parameters: ClassVar[tuple[str, ...]] = ("linear", "mixing", "skip", "product")

    config: MACEConfig
    layers: Any  # ModuleLists of Layer and of the readouts: torch types no elements
    readouts: Any
    scale: Tensor
    shift: Tensor
    avg_num_neighbors: Tensor

    def __init__(self, config: MACEConfig, elements: list[int]) -> None:
        super().__init__(config, elements)
        n_elements = len(self.elements)
        self.embedding = nn.Parameter(torch.randn(n_elements, config.channels))
        self.harmonics = SphericalHarmonics(config.max_ell)
        self.basis = RADIAL_BASES[config.radial_type](config.cutoff, config.num_radial_basis)
        self.transform = TRANSFORMS[config.distance_transform]() if config.distance_transform != "none" else None
        self.layers = nn.ModuleList()
        for t in range(config.num_interactions):
            l_in = 0 if t == 0 else config.max_L
            l_out = 0 if t == config.num_interactions - 1 else config.max_L
            kind = config.interaction_first if t == 0 else config.interaction
            self.layers.append(Layer(config, n_elements, l_in, l_out, kind))
        hidden = int(config.MLP_irreps.removesuffix("x0e"))
        self.readouts = nn.ModuleList(LinearReadout(config.channels) for _ in range(config.num_interactions - 1))
        self.readouts.append(NonLinearReadout(config.channels, hidden))
        lower = config.num_interactions - 1
        degrees = config.max_L if lower else 0
        self.heads = Heads(
            config.heads,
            Widths(
                scalars=config.channels * config.num_interactions,
                vectors=config.channels * lower if degrees >= 1 else 0,
                tensors=config.channels * lower if degrees >= 2 else 0,
            ),
        )
        self.quantities = self.heads.quantities
        self.outputs = (*(("energy", "forces", "stress") if config.energy else ()), *self.quantities)
        self.zbl = ZBL(config.zbl.num_cutoff_basis) if config.zbl else None
        self.tables: RadialTables | None = None
        self.register_buffer("scale", torch.tensor(1.0, dtype=torch.float64))
        self.register_buffer("shift", torch.tensor(0.0, dtype=torch.float64))
        self.register_buffer("avg_num_neighbors", torch.tensor(config.avg_num_neighbors or 1.0, dtype=torch.float64))

    def capabilities(self) -> Capabilities:
        c = self.config
        return Capabilities(c.num_interactions, c.max_ell, c.max_L, c.correlation)

    def initialise(self, statistics: Statistics) -> None:
        self.scale.fill_(statistics.scale)
        self.shift.fill_(statistics.shift)
        if self.config.avg_num_neighbors is None:
            # Isolated atoms alone have no neighbours; any divisor is right for them.
            self.avg_num_neighbors.fill_(statistics.avg_num_neighbors or 1.0)
        self.heads.initialise(statistics.properties)

    def interaction_energies(self, graph: AtomGraph, vectors: Tensor) -> Tensor:
        return self._run(graph, vectors)[0]

    def compute(self, graph: AtomGraph, vectors: Tensor) -> dict[str, Tensor]:
        energies, features = self._run(graph, vectors)
        result: dict[str, Tensor] = {}
        if self.config.energy:
            result["atomic_energies"] = energies + self.reference_energies[self.species(graph)]
        if self.uncertainty is not None:
            result["energy_std"] = self.uncertainty(self._last_layer(graph, features), graph)
        if self.quantities:
            result |= self.heads(self._states(features), graph)
        return result

    def last_layer(self, graph: AtomGraph, vectors: Tensor) -> Tensor:
        return self._last_layer(graph, self._run(graph, vectors)[1])

    def _last_layer(self, graph: AtomGraph, features: list[Tensor]) -> Tensor:
        species = self.species(graph)
        each = [readout.activations(h[:, 0]) for readout, h in zip(self.readouts, features, strict=True)]
        alone = [readout.activations(h) for readout, h in zip(self.readouts, self._isolated_features(), strict=True)]
        return (torch.cat(each, dim=1) - torch.cat(alone, dim=1).index_select(0, species)).double()

    def tabulate(self) -> bool:
        """Reads radial weights from tables from now on; False, and nothing changes, where they cannot be.

        For inference: later changes of the weights are not seen. Forces are the gradient of what the tables give; for
        their error and the distances that they cover see :mod:`eqcli.nn.radial_tables`.
        """
        known = self.transform is None and all(layer.density is None for layer in self.layers)
        self.tables = RadialTables.of([self._radial_weights(layer) for layer in self.layers], self.cutoff, self.dtype,
                                      self.embedding.device) if known else None  # fmt: skip
        return self.tables is not None

    def _radial_weights(self, layer: Layer) -> Callable[[Tensor], Tensor]:
        """The weights of a layer by the distance, `[E] -> [E, P C]`, in float64."""
        basis, network = deepcopy(self.basis).double(), deepcopy(layer.radial).double()
        matrix = layer.convolution.scaled_weight().detach().double()
        n = self.config.num_cutoff_basis

        def weights(r: Tensor) -> Tensor:
            found: Tensor = network(basis(r) * polynomial_cutoff(r / self.cutoff, n).unsqueeze(1)) @ matrix
            return found

        return weights

    def _run(self, graph: AtomGraph, vectors: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Interaction energies `[N]` and the features `[N, (L+1)^2, C]` of each layer."""
        species = self.species(graph)
        layout = make_layout(species, graph.edge_index)
        if layout.order is not None and layout.edge_order is not None:
            vectors, species = vectors.index_select(0, layout.edge_order), species.index_select(0, layout.order)
        vectors = vectors.to(self.dtype)
        r = vectors.norm(dim=1)  # [E]
        numbers = self.elements[species]
        harmonics = self.harmonics(vectors / r.unsqueeze(1))
        envelope = polynomial_cutoff(r / self.cutoff, self.config.num_cutoff_basis)
        tables = self.tables if self.tables is not None and self.tables.hold(r) else None
        radial = self._radial_features(r, numbers, layout) * envelope.unsqueeze(1) if tables is None else None
        h = (self.embedding * len(self.elements) ** -0.5).index_select(0, species).unsqueeze(1)  # [N, 1, C]
        learned = h.new_zeros(len(species))
        features = []
        for number, (layer, readout) in enumerate(zip(self.layers, self.readouts, strict=True)):
            weights = None if tables is None else tables(number, r)
            h = layer(h, radial, harmonics, layout, self.avg_num_neighbors, weights)
            features.append(h)
            learned = learned + readout(h.narrow(1, 0, 1).squeeze(1))
        learned = learned - self.isolated_energies().index_select(0, species)
        bonded = torch.tanh(learned.new_zeros(len(species)).index_add(0, layout.receiver, envelope))
        energy = self.scale.double() * learned.double() + self.shift.double() * bonded.double()
        if self.zbl is not None:
            pairs = self.zbl(r, numbers[layout.receiver], numbers[layout.sender])
            energy = energy.index_add(0, layout.receiver, pairs.double())
        if layout.inverse is None:
            return energy, features
        inverse = layout.inverse
        return energy.index_select(0, inverse), [h.index_select(0, inverse) for h in features]

    def _states(self, features: list[Tensor]) -> AtomStates:
        """Scalars of every layer; vectors and tensors of all but the last, which has none."""
        states = spherical_states(torch.cat(features[:-1], dim=2) if features[:-1] else features[-1])
        return AtomStates(torch.cat([h[:, 0] for h in features], dim=1), states.vectors, states.tensors)

    def isolated_energies(self) -> Tensor:
        """What the readouts give an atom of each element that has no neighbours, `[n_elements]`.

        Skip connections carry features of the element itself past empty messages; without
        taking their energy away an isolated atom would not have its reference energy.
        """
        features = self._isolated_features()
        return torch.stack([readout(h) for readout, h in zip(self.readouts, features, strict=True)]).sum(0)

    def _isolated_features(self) -> list[Tensor]:
        """Scalars of an atom without neighbours after each layer, `[n_elements, C]` each."""
        h = self.embedding * len(self.elements) ** -0.5
        features = []
        for layer in self.layers:
            h = torch.zeros_like(h) if layer.skip is None else layer.skip.each_element(h)
            features.append(h)
        return features

    def _radial_features(self, r: Tensor, numbers: Tensor, layout: Layout) -> Tensor:
        """Radial basis of the transformed distances, `[E, num_radial_basis]`."""
        if self.transform is not None:
            r = self.transform(r, numbers[layout.receiver], numbers[layout.sender])
        basis: Tensor = self.basis(r)
        return basis


class Layer(nn.Module):
    """One interaction and product: features `[N, (l_in+1)^2, C]` to `[N, (l_out+1)^2, C]`."""

    def __init__(self, config: MACEConfig, n_elements: int, l_in: int, l_out: int, kind: str) -> None:
        super().__init__()
        c = config.channels
        self.linear_up = DegreeLinear(c, c, l_in)
        self.radial = RadialNetwork(config.num_radial_basis, config.radial_MLP)
        self.convolution = Convolution(c, l_in, config.max_ell, config.max_ell, config.radial_MLP[-1])
        self.product = SymmetricContraction(c, n_elements, config.max_ell, l_out, config.correlation)
        self.linear = DegreeLinear(c, c, l_out)
        residual = kind in ("residual", "residual-density")
        # Without features of higher degree to carry on, the skip connection reaches only the degrees there are.
        self.skip = ElementLinear(n_elements, c, c, min(l_in, l_out)) if residual else None
        self.message_skip = None if residual else ElementLinear(n_elements, c, c, config.max_ell)
        self.density = Density(config.num_radial_basis) if "density" in kind else None

    def forward(
        self,
        h: Tensor,
        radial: Tensor | None,
        harmonics: Tensor,
        layout: Layout,
        neighbors: Tensor,
        weights: Tensor | None = None,
    ) -> Tensor:
        """`radial` are the features of the edges, or `weights` what would be made of them."""
        up = self.linear_up(h)
        if weights is None:
            message = self.convolution(up, self.radial(radial), harmonics, layout)
        else:
            message = self.convolution.with_weights(up, weights, harmonics, layout)
        divisor = self.density(radial, layout, len(h)) if self.density is not None else neighbors.to(h.dtype)
        message = message / divisor
        if self.message_skip is not None:
            message = self.message_skip(message, layout)
        out: Tensor = self.linear(self.product(message, layout))
        if self.skip is None:
            return out
        skip = self.skip(h, layout)
        missing = out.shape[1] - skip.shape[1]
        return out + (nn.functional.pad(skip, (0, 0, 0, missing)) if missing else skip)


class Density(nn.Module):
    """1 + sum_j tanh(f(r_ij)^2): a smooth count of neighbours that replaces their mean number, `[N, 1, 1]`."""

    def __init__(self, num_radial_basis: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_radial_basis))

    def forward(self, radial: Tensor, layout: Layout, n_atoms: int) -> Tensor:
        each = torch.tanh((radial @ (self.weight * len(self.weight) ** -0.5)) ** 2)
        return (1.0 + each.new_zeros(n_atoms).index_add(0, layout.receiver, each)).view(-1, 1, 1)


class LinearReadout(nn.Module):
    """Energy linear in the scalar features, `[N, C] -> [N]`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels))

    def activations(self, scalars: Tensor) -> Tensor:
        """The scalars themselves: the energy is linear in them."""
        return scalars

    def forward(self, scalars: Tensor) -> Tensor:
        return scalars @ (self.weight * len(self.weight) ** -0.5)


class NonLinearReadout(nn.Module):
    """Energy from a bias-free perceptron with one hidden layer, `[N, C] -> [N]`."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.hidden = nn.Parameter(torch.randn(channels, hidden))
        self.weight = nn.Parameter(torch.randn(hidden))

    def activations(self, scalars: Tensor) -> Tensor:
        """The last layer, `[N, C] -> [N, hidden]`."""
        return scaled_silu(scalars @ (self.hidden * self.hidden.shape[0] ** -0.5))

    def forward(self, scalars: Tensor) -> Tensor:
        return self.activations(scalars) @ (self.weight * len(self.weight) ** -0.5)
