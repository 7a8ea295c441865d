"""What flow matching and diffusion of positions and categories share: the states, the network, the loss, the loop."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from eqcli.diffusion.dense_noise import DenseNoise
from eqcli.geometry.centred import centred
from eqcli.graph.molecule_batch import MoleculeBatch
from eqcli.models.molecules.base import CONTEXT, MoleculeGenerator, Sampled
from eqcli.models.molecules.categories import Categories
from eqcli.models.molecules.denoiser import DenoiserInput, DenoiserSizes, make_denoiser
from eqcli.models.molecules.scaffold import Scaffold, drawn_scaffolds
from eqcli.models.molecules.vocabulary import MoleculeStatistics, Vocabulary

BONDS = "bonds"
FIELDS = {"elements": "numbers", "charges": "charges", "hybridisations": "hybridisations", BONDS: "bonds"}
"""Where a batch holds the codes of each kind of category."""


UNDECIDED = 0.5
"""Until this time, atoms of a scaffold are dealt out anew."""


UNLIKE = 2.0
"""Å^2 that a unit of the logarithm of a probability weighs, where atoms are dealt out."""


@dataclass(frozen=True)
class State:
    """Molecules on the way: positions `[B, N, 3]` without drift, and the states of each kind of category."""

    positions: Tensor
    categories: dict[str, Tensor]


@dataclass(frozen=True)
class Clean:
    """The data as predicted: positions without drift, and logits of each kind of category, `[B, ..., K]`."""

    positions: Tensor
    logits: dict[str, Tensor]


class JointGenerator(MoleculeGenerator):
    """Positions and categories lose their signal together; the network predicts the data.

    Time runs from 0, all noise, to 1, the data.

    Parameters
    ----------
    config, vocabulary, sizes
        As every generator.
    """

    def __init__(self, config: Any, *, vocabulary: Vocabulary, sizes: Sequence[int]) -> None:
        super().__init__(config, vocabulary=vocabulary, sizes=sizes)
        prior = config.features.prior
        kinds = {"elements": vocabulary.elements}
        if config.features.charges:
            kinds["charges"] = vocabulary.charges
        if config.features.hybridisations:
            kinds["hybridisations"] = vocabulary.hybridisations
        if config.bonds:
            kinds[BONDS] = vocabulary.bonds
        self.kinds = nn.ModuleDict({name: Categories(codes, prior) for name, codes in kinds.items()})
        again = config.self_conditioning
        atoms = [self.kind(name) for name in self.atom_kinds]
        bonds = [self.kind(BONDS)] if config.bonds else []
        states, counts = sum(k.states for k in atoms), sum(k.count for k in atoms)
        self.denoiser = make_denoiser(
            config.denoiser,
            DenoiserSizes(
                atoms=states + (counts if again else 0) + (config.scaffolds > 0),
                pairs=sum(k.states + (k.count if again else 0) for k in bonds) + (2 if again else 0),
                context=CONTEXT,
                atoms_out=counts,
                pairs_out=sum(k.count for k in bonds),
                vectors=1 if again else 0,
            ),
        )

    @abstractmethod
    def signal(self, name: str, time: Tensor) -> Tensor:
        """Share of the category `name` (or `positions`) that is signal at times `[B]`, `[B]`."""

    @abstractmethod
    def times(self, settings: Any) -> list[float]:
        """The times of a sampling, from 0 to 1."""

    @abstractmethod
    def draw_times(self, uniform: Tensor) -> Tensor:
        """Training times from numbers `[B]` of (0, 1)."""

    @abstractmethod
    def noised_positions(self, clean: Tensor, batch: MoleculeBatch, time: Tensor, noise: DenseNoise) -> Tensor:
        """Positions at times `[B]`."""

    @abstractmethod
    def stepped_positions(
        self,
        now: Tensor,
        clean: Tensor,
        batch: MoleculeBatch,
        span: tuple[float, float],
        noise: DenseNoise,
        settings: Any,
    ) -> Tensor:
        """Positions at the later time, by what the network predicts."""

    @abstractmethod
    def step_weights(self, time: Tensor) -> Tensor:
        """Weight of each molecule in the loss by its time, `[B]`."""

    def position_weights(self, time: Tensor) -> Tensor:
        """Weight of the positions of each molecule by its time, `[B]`."""
        return self.step_weights(time)

    @property
    def makes_bonds(self) -> bool:
        return BONDS in self.kinds

    @property
    def atom_kinds(self) -> list[str]:
        """Names of the kinds of categories that atoms have."""
        return [name for name in self.kinds if name != BONDS]

    def kind(self, name: str) -> Categories:
        """The categories of a kind."""
        found = self.kinds[name]
        assert isinstance(found, Categories)
        return found

    def fit(self, statistics: MoleculeStatistics) -> None:
        super().fit(statistics)
        for name in self.kinds:
            self.kind(name).fit(statistics.frequencies[name])

    def losses(self, batch: MoleculeBatch, noise: DenseNoise, withheld: Tensor | None = None) -> dict[str, Tensor]:
        withheld = self.withheld(batch, noise) if withheld is None else withheld
        if self.config.scaffolds > 0 and float(noise.uniform_molecules(1)[0, 0]) < self.config.scaffolds:
            batch = replace(batch, known=drawn_scaffolds(batch, noise))
        time = self.draw_times(noise.uniform_molecules(1).squeeze(1))
        clean = {name: self.kind(name).index(getattr(batch, FIELDS[name])) for name in self.kinds}
        data = self._framed(batch)
        state = State(self.noised_positions(data, batch, time, noise), self._noised(clean, time, noise))
        state = self._held(batch, state, State(data, clean))
        seen = self._seen_before(batch, state, time, withheld, noise)
        found = self.look(batch, state, time, withheld, seen)
        weights = self.step_weights(time)
        errors = self._position_error(found.positions, data, batch)
        terms = {"positions": (self.position_weights(time) * errors).mean()}
        for name in self.kinds:
            where = batch.unknown_pairs if name == BONDS else batch.unknown
            each = self.kind(name).loss(found.logits[name], clean[name], where.to(self.dtype))
            terms[name] = (weights * each).mean()
        loss = torch.stack([getattr(self.config.weights, name) * term for name, term in terms.items()]).sum()
        return {"loss": loss, **terms}

    def look(
        self, batch: MoleculeBatch, state: State, time: Tensor, withheld: Tensor | None, seen: Clean | None
    ) -> Clean:
        """One call of the network; `seen` is what it said before, where the model looks at that."""
        out = self.denoiser(self._shown(batch, state, self.context(batch, time, withheld), seen))
        sizes = [self.kind(name).count for name in self.atom_kinds]
        logits = dict(zip(self.atom_kinds, out.atoms.split(sizes, dim=-1), strict=True))
        if out.pairs is not None:
            logits[BONDS] = out.pairs
        moved = state.positions + out.vectors * batch.unknown.unsqueeze(-1)
        return Clean(moved if self.holds(batch) else centred(state.positions + out.vectors, batch.mask), logits)

    def sample(
        self,
        request: MoleculeBatch,
        noise: DenseNoise,
        settings: Any,
        *,
        guidance: float = 1.0,
        on_step: Callable[[int], None] | None = None,
    ) -> Sampled:
        if self.holds(request):
            return self._completed(request, noise, settings, guidance, on_step)
        scaffold = Scaffold(request) if request.known is not None else None
        state = State(self.spread * self.base(request, noise), self._drawn(noise))
        seen: Clean | None = None
        times, looks = self.times(settings), self.shown(request, guidance)
        way = list(pairwise(times))
        again = [] if scaffold is None else [step for step in way if step[0] >= settings.scaffold_from]
        for number, (now, later) in enumerate(way + settings.scaffold_rounds * again):
            if number >= len(way) and now == again[0][0]:
                state = self._back(request, state, now, noise)
            seen = self._guided(request, state, now, looks, seen)
            if scaffold is not None:
                if now < UNDECIDED:
                    state, seen = self._dealt(state, seen, scaffold)
                seen = self._given(seen, scaffold)
            positions = self.stepped_positions(state.positions, seen.positions, request, (now, later), noise, settings)
            state = State(positions, self._stepped(state, seen, (now, later), noise, settings))
            if on_step is not None:
                on_step(number + 1)
        assert seen is not None
        made = self._made(request, state)
        calls = (len(way) + settings.scaffold_rounds * len(again)) * len(looks)
        return Sampled(made if scaffold is None else scaffold.placed(made), calls)

    def holds(self, batch: MoleculeBatch) -> bool:
        return self.config.scaffolds > 0 and batch.known is not None

    def _completed(
        self,
        request: MoleculeBatch,
        noise: DenseNoise,
        settings: Any,
        guidance: float,
        on_step: Callable[[int], None] | None,
    ) -> Sampled:
        """Molecules around given atoms, by a model that was trained to make them."""
        given = State(
            self._framed(request),
            {name: self.kind(name).index(getattr(request, FIELDS[name])) for name in self.kinds},
        )
        state = self._held(request, State(self.spread * self.base(request, noise), self._drawn(noise)), given)
        seen: Clean | None = None
        times, looks = self.times(settings), self.shown(request, guidance)
        for number, (now, later) in enumerate(pairwise(times)):
            seen = self._guided(request, state, now, looks, seen)
            positions = self.stepped_positions(state.positions, seen.positions, request, (now, later), noise, settings)
            categories = self._stepped(state, seen, (now, later), noise, settings)
            state = self._held(request, State(positions, categories), given)
            if on_step is not None:
                on_step(number + 1)
        # The frame is that of the scaffold: a shift takes it back, where turns would be free about one or two atoms.
        made = self._made(request, state)
        made = made.with_molecules(positions=(made.positions + self._centre(request)) * request.mask.unsqueeze(-1))
        return Sampled(Scaffold(request).restored(made), (len(times) - 1) * len(looks))

    def _framed(self, batch: MoleculeBatch) -> Tensor:
        """Positions about the centre of the molecule, or about that of what is given and stays."""
        if not self.holds(batch):
            return centred(batch.positions, batch.mask)
        return (batch.positions - self._centre(batch)) * batch.mask.unsqueeze(-1)

    def _centre(self, batch: MoleculeBatch) -> Tensor:
        """The centre of what is given, `[B, 1, 3]`."""
        assert batch.known is not None
        given = batch.known.unsqueeze(-1).to(batch.positions.dtype)
        return (batch.positions * given).sum(dim=1, keepdim=True) / given.sum(dim=1, keepdim=True).clamp(min=1.0)

    def _held(self, batch: MoleculeBatch, state: State, given: State) -> State:
        """The state with given atoms, and bonds between them, as they are."""
        if not self.holds(batch):
            return state
        assert batch.known is not None
        assert batch.known_pairs is not None
        categories = {
            name: torch.where(self._told(name, batch), given.categories[name], states)
            for name, states in state.categories.items()
        }
        return State(torch.where(batch.known.unsqueeze(-1), given.positions, state.positions), categories)

    def _told(self, name: str, batch: MoleculeBatch) -> Tensor:
        """Where a kind of category is given; hybridisations follow from what is still to be made."""
        assert batch.known is not None
        assert batch.known_pairs is not None
        if name == BONDS:
            return batch.known_pairs
        return batch.known if name != "hybridisations" else torch.zeros_like(batch.known)

    def _back(self, request: MoleculeBatch, state: State, time: float, noise: DenseNoise) -> State:
        """A finished molecule made noisy again as at a time."""
        times = torch.full((len(request),), time, dtype=torch.float64, device=request.counts.device)
        positions = self.noised_positions(state.positions, request, times.to(self.dtype), noise)
        return State(positions, self._noised(state.categories, times, noise))

    def _seen_before(
        self, batch: MoleculeBatch, state: State, time: Tensor, withheld: Tensor | None, noise: DenseNoise
    ) -> Clean | None:
        """What the network says at first, in half of the batches; not differentiated (Chen et al., ICLR 2023)."""
        if not self.config.self_conditioning or float(noise.uniform_molecules(1)[0, 0]) < 0.5:
            return None
        with torch.no_grad():
            return self.look(batch, state, time, withheld, None)

    def _position_error(self, found: Tensor, data: Tensor, batch: MoleculeBatch) -> Tensor:
        """Mean square error of a coordinate in each molecule, Å^2, `[B]`."""
        unknown = batch.unknown.to(found.dtype)
        each = ((found - data).square().sum(dim=2) * unknown).sum(dim=1)
        return each / (3 * unknown.sum(dim=1)).clamp(min=1.0)

    def _shown(self, batch: MoleculeBatch, state: State, context: Tensor, seen: Clean | None) -> DenoiserInput:
        atoms = [self.kind(name).features(state.categories[name], self.dtype) for name in self.atom_kinds]
        pairs = [self.kind(BONDS).features(state.categories[BONDS], self.dtype)] if self.makes_bonds else []
        if self.config.scaffolds > 0:
            known = torch.zeros_like(batch.mask) if batch.known is None else batch.known
            atoms.append(known.unsqueeze(-1).to(self.dtype))
        vectors = None
        if self.config.self_conditioning:
            atoms += list(self._said(seen, state, self.atom_kinds))
            pairs += [*self._said(seen, state, [BONDS] if self.makes_bonds else []), self._said_distances(seen, batch)]
            moved = torch.zeros_like(state.positions) if seen is None else seen.positions - state.positions
            vectors = moved.unsqueeze(-1)
        return DenoiserInput(
            state.positions,
            torch.cat(atoms, dim=-1),
            torch.cat(pairs, dim=-1) if pairs else None,
            context,
            batch.mask,
            batch.pairs,
            vectors,
        )

    def _said(self, seen: Clean | None, state: State, names: list[str]) -> Iterator[Tensor]:
        """Probabilities that were predicted before; zeros where nothing was."""
        for name in names:
            if seen is None:
                shape = (*state.categories[name].shape, self.kind(name).count)
                yield state.positions.new_zeros(shape)
            else:
                yield seen.logits[name].softmax(dim=-1)

    def _said_distances(self, seen: Clean | None, batch: MoleculeBatch) -> Tensor:
        """Distances that were predicted before, in two forms, `[B, N, N, 2]`."""
        if seen is None:
            return torch.zeros(*batch.pairs.shape, 2, dtype=self.dtype, device=batch.pairs.device)
        x = seen.positions
        squared = (x.unsqueeze(2) - x.unsqueeze(1)).square().sum(dim=-1)
        distance = (squared + 1e-8).sqrt()
        return torch.stack([1.0 / (1.0 + distance), torch.exp(-squared / 4.0)], dim=-1) * batch.pairs.unsqueeze(-1)

    def _uniform(self, name: str, noise: DenseNoise, width: int) -> Tensor:
        return noise.uniform_pairs(width) if name == BONDS else noise.uniform_atoms(width)

    def _noised(self, clean: dict[str, Tensor], time: Tensor, noise: DenseNoise) -> dict[str, Tensor]:
        return {
            name: self.kind(name).noised(states, self.signal(name, time), self._uniform(name, noise, 2))
            for name, states in clean.items()
        }

    def _drawn(self, noise: DenseNoise) -> dict[str, Tensor]:
        return {name: self.kind(name).drawn(self._uniform(name, noise, 2)) for name in self.kinds}

    def _stepped(
        self, state: State, seen: Clean, span: tuple[float, float], noise: DenseNoise, settings: Any
    ) -> dict[str, Tensor]:
        found = {}
        for name, states in state.categories.items():
            now, later = (self._signal_at(name, t) for t in span)
            logits = seen.logits[name] / settings.temperature
            if settings.categories == "fresh":
                found[name] = self.kind(name).drawn_anew(logits, later, self._uniform(name, noise, 3))
            else:
                uniform = self._uniform(name, noise, 1).squeeze(-1)
                found[name] = self.kind(name).stepped(states, logits, now, later, uniform)
        return found

    def _signal_at(self, name: str, time: float) -> float:
        return float(self.signal(name, torch.tensor([time], dtype=torch.float64)))

    def _guided(
        self,
        request: MoleculeBatch,
        state: State,
        time: float,
        looks: list[tuple[float, Tensor | None]],
        seen: Clean | None,
    ) -> Clean:
        """The weighted mean of what the network says with and without its conditions."""
        times = torch.full((len(request),), time, dtype=self.dtype, device=request.counts.device)
        found = [(weight, self.look(request, state, times, hidden, seen)) for weight, hidden in looks]
        if len(found) == 1:
            return found[0][1]
        positions = torch.stack([weight * clean.positions for weight, clean in found]).sum(dim=0)
        logits = {
            name: torch.stack([weight * clean.logits[name].log_softmax(dim=-1) for weight, clean in found]).sum(dim=0)
            for name in self.kinds
        }
        return Clean(positions, logits)

    def _dealt(self, state: State, seen: Clean, scaffold: Scaffold) -> tuple[State, Clean]:
        """The same with atoms renumbered, so that those of the scaffold are what looks most like them."""
        elements = self.kind("elements").index(scaffold.request.numbers)
        logits = seen.logits["elements"].log_softmax(dim=-1)
        unlikely = -logits.gather(2, elements.unsqueeze(1).expand(-1, logits.shape[1], -1)).transpose(1, 2)
        order, mirrored = scaffold.dealt(seen.positions, UNLIKE * unlikely)
        # Mirror images are equally likely, and so are their predictions.
        sign = torch.where(mirrored, -1.0, 1.0).to(self.dtype)[:, None, None]
        categories = {name: renumbered(states, order, name == BONDS) for name, states in state.categories.items()}
        said = {name: renumbered(values, order, name == BONDS) for name, values in seen.logits.items()}
        return (
            State(sign * renumbered(state.positions, order, False), categories),
            Clean(sign * renumbered(seen.positions, order, False), said),
        )

    def _given(self, seen: Clean, scaffold: Scaffold) -> Clean:
        """The prediction with what is given in place of what is predicted of it."""
        logits = {
            name: scaffold.certain(name, FIELDS[name], self.kind(name), values) for name, values in seen.logits.items()
        }
        return Clean(scaffold.fitted(seen.positions), logits)

    def _made(self, request: MoleculeBatch, state: State) -> MoleculeBatch:
        codes = {
            FIELDS[name]: self.kind(name).code(states) * (request.pairs if name == BONDS else request.mask)
            for name, states in state.categories.items()
        }
        return request.with_molecules(positions=state.positions, **codes)


def renumbered(values: Tensor, order: Tensor, pairs: bool) -> Tensor:
    """Rows of `[B, N, ...]` in an order `[B, N]`; rows and columns of `[B, N, N, ...]` for pairs."""
    molecule = torch.arange(len(order), device=order.device)
    if pairs:
        return values[molecule[:, None, None], order.unsqueeze(2), order.unsqueeze(1)]
    return values[molecule.unsqueeze(1), order]
