"""What flow matching and diffusion of positions and categories share: the network and the loss."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from eqcli.diffusion.dense_noise import DenseNoise
from eqcli.geometry.centred import centred
from eqcli.graph.molecule_batch import MoleculeBatch
from eqcli.models.molecules.base import CONTEXT, MoleculeGenerator, Sampled
from eqcli.models.molecules.categories import Categories
from eqcli.models.molecules.denoiser import DenoiserInput, DenoiserSizes, make_denoiser
from eqcli.models.molecules.joint_states import BONDS, FIELDS, Clean, State
from eqcli.models.molecules.scaffold import drawn_scaffolds
from eqcli.models.molecules.vocabulary import MoleculeStatistics, Vocabulary


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
        data = self.framed(batch)
        state = State(self.noised_positions(data, batch, time, noise), self.noised(clean, time, noise))
        state = self.held(batch, state, State(data, clean))
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
        from eqcli.models.molecules.joint_walk import Walk

        walk = Walk(self, request, noise, settings, guidance, on_step)
        return walk.completed() if self.holds(request) else walk.made()

    def holds(self, batch: MoleculeBatch) -> bool:
        return self.config.scaffolds > 0 and batch.known is not None

    def framed(self, batch: MoleculeBatch) -> Tensor:
        """Positions about the centre of the molecule, or about that of what is given and stays."""
        if not self.holds(batch):
            return centred(batch.positions, batch.mask)
        return (batch.positions - self.centre(batch)) * batch.mask.unsqueeze(-1)

    def centre(self, batch: MoleculeBatch) -> Tensor:
        """The centre of what is given, `[B, 1, 3]`."""
        assert batch.known is not None
        given = batch.known.unsqueeze(-1).to(batch.positions.dtype)
        return (batch.positions * given).sum(dim=1, keepdim=True) / given.sum(dim=1, keepdim=True).clamp(min=1.0)

    def held(self, batch: MoleculeBatch, state: State, given: State) -> State:
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

    def uniform(self, name: str, noise: DenseNoise, width: int) -> Tensor:
        return noise.uniform_pairs(width) if name == BONDS else noise.uniform_atoms(width)

    def noised(self, clean: dict[str, Tensor], time: Tensor, noise: DenseNoise) -> dict[str, Tensor]:
        return {
            name: self.kind(name).noised(states, self.signal(name, time), self.uniform(name, noise, 2))
            for name, states in clean.items()
        }

    def signal_at(self, name: str, time: float) -> float:
        return float(self.signal(name, torch.tensor([time], dtype=torch.float64)))
