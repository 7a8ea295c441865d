"""The contract of a generator of crystals, and what its systems share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from eqcli.diffusion.masking import hidden
from eqcli.diffusion.noise import Noise
from eqcli.graph.crystal_batch import CrystalBatch
from eqcli.models.generators.charts import CHARTS
from eqcli.models.generators.conditions import Conditions
from eqcli.models.generators.denoiser import DenoiserInput, DenoiserOutput, DenoiserSizes, make_denoiser
from eqcli.models.generators.species import CodedSpecies, GivenSpecies, HiddenSpecies, make_species
from eqcli.nn.fourier_features import TimeEmbedding

CONTEXT = 256
"""Features of time and conditions (Jiao et al., 2023)."""


@dataclass(frozen=True)
class Start:
    """Structures to start from in place of noise, and how much of the way is left: 1 is all of it, 0 nothing.

    Their species are those of the request, for models that draw species too.
    """

    fractional: Tensor
    cell: Tensor
    strength: float


@dataclass(frozen=True)
class Sampled:
    """What a generator made, and the network calls it took for each structure."""

    crystals: CrystalBatch
    calls: int


class CrystalGenerator(nn.Module, ABC):
    """Makes crystals: for a composition, or with species of its own.

    What must hold, in exact arithmetic, of the distribution that it draws from:
    rotated cells, coordinates shifted together and permuted atoms of one species
    are equally likely; the structures of a batch do not depend on each other.

    Parameters
    ----------
    config
        Hyper-parameters, one of the classes in `configs/`.
    elements
        Atomic numbers that the model is to know.
    sizes
        How many training crystals have 0, 1, 2 ... atoms.
    """

    family: ClassVar[str] = "generators"

    elements: Tensor
    sizes: Tensor

    def __init__(self, config: Any, *, elements: Sequence[int], sizes: Sequence[int]) -> None:
        super().__init__()
        self.config = config
        known = torch.tensor(sorted(set(elements)), dtype=torch.int64)
        self.register_buffer("elements", known, False)
        self.register_buffer("sizes", torch.tensor(list(sizes), dtype=torch.int64), False)
        width = _channels(config.denoiser)
        self.chart = CHARTS[config.lattice]()
        self.species = make_species(config.species, known, width)
        self.time = TimeEmbedding(CONTEXT)
        self.conditions = Conditions(config.conditions, known, CONTEXT) if config.conditions.any else None
        self.denoiser = make_denoiser(
            config.denoiser,
            DenoiserSizes(width, self.chart.invariants_size, CONTEXT, self.chart.output_size, self.species.output_size),
        )

    @abstractmethod
    def losses(self, batch: CrystalBatch, noise: Noise, withheld: Tensor | None = None) -> dict[str, Tensor]:
        """Terms of the loss by name, means over the batch; `loss` is what is minimised.

        `withheld` `[B, 2]` hides conditions; drawn from `noise` with the rate of the recipe where None.
        """

    @abstractmethod
    def term_weights(self, names: Iterable[str]) -> dict[str, float]:
        """Weight of each of these terms in the loss, which is their weighted sum."""

    @abstractmethod
    def sample(
        self,
        request: CrystalBatch,
        noise: Noise,
        settings: Any,
        *,
        guidance: float = 1.0,
        start: Start | None = None,
        on_step: Callable[[], None] | None = None,
    ) -> Sampled:
        """Draws a structure for each crystal of `request`.

        Parameters
        ----------
        request
            Numbers of atoms, conditions, and species where the composition is given; coordinates and cells are
            not looked at.
        noise
            Where random numbers come from.
        settings
            As `config.sampling`.
        guidance
            Weight of the conditions: 0 leaves them out, 1 takes them as learned, more exaggerates them.
        start
            Structures to refine.
        on_step
            Called after each step.
        """

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the parameters."""
        return next(self.parameters()).dtype

    @property
    def gives_species(self) -> bool:
        """Whether species are drawn too, not given."""
        return not isinstance(self.species, GivenSpecies)

    def fit(self, cells: Tensor, values: Tensor | None) -> None:
        """Takes statistics of the training crystals: cells `[B, 3, 3]` and the property `[B]`."""
        self.chart.fit(cells)
        if self.conditions is not None and values is not None:
            self.conditions.fit(values)

    def withheld(self, batch: CrystalBatch, noise: Noise) -> Tensor:
        """Which conditions of which crystals training hides, `[B, 2]` bool."""
        if self.conditions is None:
            return torch.ones(len(batch), 2, dtype=torch.bool, device=batch.counts.device)
        return noise.uniform_crystals(2) < self.config.conditions.dropout

    def look(
        self, batch: CrystalBatch, species: Tensor, fractional: Tensor, lattice: Tensor, time: Tensor, withheld: Tensor
    ) -> DenoiserOutput:
        """One call of the network on states; `time` is in steps, `[B]`. The lattice comes as a direction of states."""
        context = self.time(time)
        if self.conditions is not None:
            context = context + self.conditions(batch, withheld)
        out = self.denoiser(
            DenoiserInput(
                self.species.features(species),
                fractional,
                self.chart.invariants(lattice),
                context,
                batch.counts,
                batch.batch,
            )
        )
        return DenoiserOutput(out.coordinates, self.chart.output(out.lattice, lattice), out.species)

    def guided(
        self, batch: CrystalBatch, guidance: float
    ) -> tuple[Callable[[Tensor, Tensor, Tensor, float], DenoiserOutput], int]:
        """The network with its conditions at a weight, as a function of states and one time; and its calls.

        Classifier-free guidance, Ho and Salimans (2022): weights other than 0 and 1 need two calls.
        """
        hidden = torch.ones(len(batch), 2, dtype=torch.bool, device=batch.counts.device)
        shown = hidden if self.conditions is None or guidance == 0 else ~hidden
        ones = torch.ones(len(batch), device=batch.counts.device, dtype=self.dtype)

        def once(species: Tensor, fractional: Tensor, lattice: Tensor, time: float) -> DenoiserOutput:
            return self.look(batch, species, fractional, lattice, time * ones, shown)

        def twice(species: Tensor, fractional: Tensor, lattice: Tensor, time: float) -> DenoiserOutput:
            told = self.look(batch, species, fractional, lattice, time * ones, shown)
            untold = self.look(batch, species, fractional, lattice, time * ones, hidden)
            return DenoiserOutput(
                *(
                    b + guidance * (a - b)
                    for a, b in (
                        (told.coordinates, untold.coordinates),
                        (told.lattice, untold.lattice),
                        (told.species, untold.species),
                    )
                )
            )

        return (once, 1) if self.conditions is None or guidance in (0, 1) else (twice, 2)

    def decoded_species(self, request: CrystalBatch, state: Tensor) -> Tensor:
        """Atomic numbers of a final state, `[N]`, within the elements that each crystal may have."""
        system = None if request.system is None else request.system[request.batch]
        if isinstance(self.species, CodedSpecies):
            return self.species.decode(state, system)
        assert isinstance(self.species, GivenSpecies | HiddenSpecies)
        return self.elements[state]

    def hidden_species(self, request: CrystalBatch, share: float, noise: Noise) -> Tensor:
        """The species of a request with this share of the atoms hidden, and all that an atom may not have, `[N]`."""
        assert isinstance(self.species, HiddenSpecies)
        mask, known = self.species.mask, self.species.index(request.numbers)
        tokens = hidden(known, torch.full_like(known, share, dtype=self.dtype), noise.uniform_atoms(1)[:, 0], mask)
        allowed = self.allowed(request)
        return tokens if allowed is None else tokens.masked_fill(~allowed.gather(1, known[:, None])[:, 0], mask)

    def allowed(self, request: CrystalBatch) -> Tensor | None:
        """Which known elements each atom may have, `[N, M]`; None where all."""
        return None if request.system is None else self.species.allowed(request.system[request.batch])


def _channels(config: Any) -> int:
    return int(config.channels)
