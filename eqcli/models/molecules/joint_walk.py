"""The way from noise to molecules of a model of positions and categories."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from eqcli.diffusion.dense_noise import DenseNoise
from eqcli.graph.molecule_batch import MoleculeBatch
from eqcli.models.molecules.base import Sampled
from eqcli.models.molecules.joint_states import BONDS, FIELDS, Clean, State, renumbered
from eqcli.models.molecules.scaffold import Scaffold

if TYPE_CHECKING:
    from eqcli.models.molecules.joint import JointGenerator

UNDECIDED = 0.5
"""Until this time, atoms of a scaffold are dealt out anew."""


UNLIKE = 2.0
"""Å^2 that a unit of the logarithm of a probability weighs, where atoms are dealt out."""


class Walk:
    """One sampling.

    Parameters
    ----------
    model
        Of positions and categories.
    request, noise, settings, guidance, on_step
        As for `sample`.
    """

    def __init__(
        self,
        model: JointGenerator,
        request: MoleculeBatch,
        noise: DenseNoise,
        settings: Any,
        guidance: float,
        on_step: Callable[[int], None] | None,
    ) -> None:
        self.model = model
        self.request = request
        self.noise = noise
        self.settings = settings
        self.on_step = on_step
        self.looks = model.shown(request, guidance)
        self.steps = list(pairwise(model.times(settings)))

    def made(self) -> Sampled:
        """Molecules, held to what the request gives, if anything."""
        scaffold = Scaffold(self.request) if self.request.known is not None else None
        state, seen = self._start(), None
        for number, (now, later) in enumerate(self.steps):
            seen = self._look(state, now, seen)
            if scaffold is not None:
                if now < UNDECIDED:
                    state, seen = self._dealt(state, seen, scaffold)
                seen = self._given(seen, scaffold)
            state = self._step(state, seen, (now, later), number)
        made = self._read(state)
        return self._sampled(made if scaffold is None else scaffold.placed(made))

    def completed(self) -> Sampled:
        """Molecules around given atoms, by a model that was trained to make them."""
        model, request = self.model, self.request
        clean = {name: model.kind(name).index(getattr(request, FIELDS[name])) for name in model.kinds}
        given = State(model.framed(request), clean)
        state, seen = model.held(request, self._start(), given), None
        for number, (now, later) in enumerate(self.steps):
            seen = self._look(state, now, seen)
            state = model.held(request, self._step(state, seen, (now, later), number), given)
        # The frame is that of the scaffold: a shift takes it back, where turns would be free about one or two atoms.
        made = self._read(state)
        positions = (made.positions + model.centre(request)) * request.mask.unsqueeze(-1)
        return self._sampled(Scaffold(request).restored(made.with_molecules(positions=positions)))

    def _sampled(self, molecules: MoleculeBatch) -> Sampled:
        return Sampled(molecules, len(self.steps) * len(self.looks))

    def _start(self) -> State:
        model, noise = self.model, self.noise
        positions = model.spread * model.base(self.request, noise)
        return State(positions, {name: model.kind(name).drawn(model.uniform(name, noise, 2)) for name in model.kinds})

    def _look(self, state: State, time: float, seen: Clean | None) -> Clean:
        """The weighted mean of what the network says with and without its conditions."""
        request, model = self.request, self.model
        times = torch.full((len(request),), time, dtype=model.dtype, device=request.counts.device)
        found = [(weight, model.look(request, state, times, hidden, seen)) for weight, hidden in self.looks]
        if len(found) == 1:
            return found[0][1]
        positions = torch.stack([weight * clean.positions for weight, clean in found]).sum(dim=0)
        logits = {
            name: torch.stack([weight * clean.logits[name].log_softmax(dim=-1) for weight, clean in found]).sum(dim=0)
            for name in model.kinds
        }
        return Clean(positions, logits)

    def _step(self, state: State, seen: Clean, span: tuple[float, float], number: int) -> State:
        positions = self.model.stepped_positions(
            state.positions, seen.positions, self.request, span, self.noise, self.settings
        )
        after = State(positions, self._stepped(state, seen, span))
        if self.on_step is not None:
            self.on_step(number + 1)
        return after

    def _stepped(self, state: State, seen: Clean, span: tuple[float, float]) -> dict[str, Tensor]:
        found, model, noise = {}, self.model, self.noise
        for name, states in state.categories.items():
            now, later = (model.signal_at(name, t) for t in span)
            logits = seen.logits[name] / self.settings.temperature
            if self.settings.categories == "fresh":
                found[name] = model.kind(name).drawn_anew(logits, later, model.uniform(name, noise, 3))
            else:
                uniform = model.uniform(name, noise, 1).squeeze(-1)
                found[name] = model.kind(name).stepped(states, logits, now, later, uniform)
        return found

    def _dealt(self, state: State, seen: Clean, scaffold: Scaffold) -> tuple[State, Clean]:
        """The same with atoms renumbered, so that those of the scaffold are what looks most like them."""
        elements = self.model.kind("elements").index(scaffold.request.numbers)
        logits = seen.logits["elements"].log_softmax(dim=-1)
        unlikely = -logits.gather(2, elements.unsqueeze(1).expand(-1, logits.shape[1], -1)).transpose(1, 2)
        order, mirrored = scaffold.dealt(seen.positions, UNLIKE * unlikely)
        # Mirror images are equally likely, and so are their predictions.
        sign = torch.where(mirrored, -1.0, 1.0).to(self.model.dtype)[:, None, None]
        categories = {name: renumbered(states, order, name == BONDS) for name, states in state.categories.items()}
        said = {name: renumbered(values, order, name == BONDS) for name, values in seen.logits.items()}
        return (
            State(sign * renumbered(state.positions, order, False), categories),
            Clean(sign * renumbered(seen.positions, order, False), said),
        )

    def _given(self, seen: Clean, scaffold: Scaffold) -> Clean:
        """The prediction with what is given in place of what is predicted of it."""
        logits = {
            name: scaffold.certain(name, FIELDS[name], self.model.kind(name), values)
            for name, values in seen.logits.items()
        }
        return Clean(scaffold.fitted(seen.positions), logits)

    def _read(self, state: State) -> MoleculeBatch:
        """The molecules that a final state stands for."""
        request = self.request
        codes = {
            FIELDS[name]: self.model.kind(name).code(states) * (request.pairs if name == BONDS else request.mask)
            for name, states in state.categories.items()
        }
        return request.with_molecules(positions=state.positions, **codes)
