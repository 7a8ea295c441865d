"""FlowMM: Riemannian flow matching for crystals (Miller et al., ICML 2024)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from eqcli.diffusion.integrate import Method, anti_annealed, integrate
from eqcli.diffusion.likelihood import Divergence
from eqcli.diffusion.masking import drawn, hidden, uncovered
from eqcli.diffusion.noise import Noise
from eqcli.geometry.torus import torus_exp, torus_log, without_drift
from eqcli.graph.crystal_batch import CrystalBatch
from eqcli.models.generators.base import CrystalGenerator, Sampled, Start
from eqcli.models.generators.configs.flowmm import FlowMMConfig
from eqcli.models.generators.denoiser import DenoiserOutput
from eqcli.models.generators.species import CodedSpecies, HiddenSpecies

STEPS = 1000.0
"""What the network is told at the end of the flow: the time embedding is made for steps of a diffusion."""

State = tuple[Tensor, ...]


class FlowMM(CrystalGenerator):
    """A flow from uniform coordinates and a simple distribution of lattices to crystals.

    On the way from a draw x0 to a crystal x1, coordinates follow the geodesic of
    the torus and lattices a straight line of their chart; the network learns the
    velocity, that of coordinates without their common drift (section 4 of the paper).

    Parameters
    ----------
    config, elements, sizes
        As every generator.
    """

    config: FlowMMConfig

    def __init__(self, config: FlowMMConfig, *, elements: Sequence[int], sizes: Sequence[int]) -> None:
        super().__init__(config, elements=elements, sizes=sizes)

    def losses(self, batch: CrystalBatch, noise: Noise, withheld: Tensor | None = None) -> dict[str, Tensor]:
        withheld = self.withheld(batch, noise) if withheld is None else withheld
        time = noise.uniform_crystals(1)
        of_atoms = time[batch.batch]
        lattice0, lattice1 = self.chart.base(noise), self.chart.encode(batch.cell)
        start = noise.uniform_atoms(3)
        path = torus_log(start, batch.fractional)
        species, target = self._species_on_path(batch, of_atoms, noise)
        out = self.look(
            batch,
            species,
            torus_exp(start, of_atoms * path),
            torch.lerp(lattice0, lattice1, time),
            STEPS * time.squeeze(1),
            withheld,
        )
        drift_free = without_drift(path, batch.batch, len(batch))
        found = without_drift(out.coordinates, batch.batch, len(batch))
        terms = {"coordinates": (found - drift_free).square().mean()}
        errors = (out.lattice - (lattice1 - lattice0)).square()
        terms |= self._lattice_terms(errors)
        if target is not None:
            terms["species"] = self.species.loss(out.species, species, target)
        return self._weighted(terms)

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
        look, calls_each = self.guided(request, guidance)
        flow = _Flow(self, request, noise, look, settings, on_step)
        begin = 0.0 if start is None else 1.0 - start.strength
        state, calls = integrate(
            flow.velocity,
            flow.begin(start),
            move=flow.move,
            start=begin,
            end=1.0,
            steps=max(1, round(settings.steps * (1.0 - begin))),
            method=settings.method,
            tolerance=settings.tolerance,
            on_step=flow.after_step,
        )
        numbers = request.numbers if not self.gives_species else self.decoded_species(request, flow.species(state))
        crystals = request.with_structure(numbers, state[0], self.chart.decode(state[1]))
        return Sampled(crystals, calls * calls_each)

    def log_likelihood(
        self,
        batch: CrystalBatch,
        noise: Noise | None = None,
        *,
        steps: int = 100,
        method: Method = "adaptive",
        tolerance: float = 0.01,
        divergence: Divergence = "hutchinson",
        guidance: float = 1.0,
        slope: float = 0.0,
    ) -> Tensor:
        """log p(coordinates, lattice | species, number of atoms) of each crystal, in nats, `[B]` float64.

        See :func:`eqcli.models.generators.likelihood.flow_log_likelihood`.
        """
        from eqcli.models.generators.likelihood import flow_log_likelihood

        return flow_log_likelihood(
            self,
            batch,
            noise,
            steps=steps,
            method=method,
            tolerance=tolerance,
            divergence=divergence,
            guidance=guidance,
            slope=slope,
        )

    def velocity(self, batch: CrystalBatch, out: DenoiserOutput) -> State:
        """The velocity of coordinates, lattice and, where they flow, species, of what the network said."""
        coordinates = without_drift(out.coordinates, batch.batch, len(batch))
        flowing = isinstance(self.species, CodedSpecies)
        return (coordinates, out.lattice, out.species) if flowing else (coordinates, out.lattice)

    def _species_on_path(self, batch: CrystalBatch, time: Tensor, noise: Noise) -> tuple[Tensor, Tensor | None]:
        """State of the species at a time `[N, 1]`, and what is to be learned of them."""
        if isinstance(self.species, CodedSpecies):
            code = self.species.encode(batch.numbers)
            base = noise.normal_atoms(code.shape[1])
            return torch.lerp(base, code, time), code - base
        tokens = self.species.index(batch.numbers)
        if isinstance(self.species, HiddenSpecies):
            share = 1.0 - time.squeeze(1)
            return hidden(tokens, share, noise.uniform_atoms(1).squeeze(1), self.species.mask), tokens
        return tokens, None

    def _lattice_terms(self, errors: Tensor) -> dict[str, Tensor]:
        if self.config.lattice == "log-symmetric":
            return {"lattice": errors.mean()}
        return {"lengths": errors[:, :3].mean(), "angles": errors[:, 3:].mean()}

    def term_weights(self, names: Iterable[str]) -> dict[str, float]:
        config = self.config
        weights = {
            "coordinates": config.coordinates_weight,
            "lengths": config.lengths_weight,
            "lattice": config.lengths_weight,
            "angles": config.angles_weight,
            "species": config.species_weight,
        }
        names = list(names)
        total = sum(weights[name] for name in names)
        return {name: weights[name] / total for name in names}

    def _weighted(self, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        """The terms and their weighted mean."""
        weights = self.term_weights(terms)
        return {"loss": torch.stack([weights[name] * term for name, term in terms.items()]).sum(), **terms}


class _Flow:
    """One integration: the velocity field, and species that are uncovered between its steps."""

    def __init__(
        self,
        model: FlowMM,
        request: CrystalBatch,
        noise: Noise,
        look: Callable[[Tensor, Tensor, Tensor, float], DenoiserOutput],
        settings: Any,
        on_step: Callable[[], None] | None,
    ) -> None:
        self.model = model
        self.request = request
        self.noise = noise
        self.look = look
        self.settings = settings
        self.on_step = on_step
        self.reached = 0.0
        self.tokens: Tensor | None = None
        self.logits: Tensor | None = None
        self.allowed = model.allowed(request)

    def begin(self, start: Start | None) -> State:
        """The state that the integration starts from: noise, or a structure that is partly noise."""
        model, noise = self.model, self.noise
        fractional, lattice = noise.uniform_atoms(3), model.chart.base(noise)
        if start is not None:
            share = self.reached = 1.0 - start.strength
            fractional = torus_exp(fractional, share * torus_log(fractional, start.fractional))
            lattice = torch.lerp(lattice, model.chart.encode(start.cell), share)
        if isinstance(model.species, CodedSpecies):
            codes = noise.normal_atoms(model.species.output_size)
            if start is not None:
                codes = torch.lerp(codes, model.species.encode(self.request.numbers), self.reached)
            return fractional, lattice, codes
        if isinstance(model.species, HiddenSpecies):
            self.tokens = torch.full_like(self.request.numbers, model.species.mask)
            if start is not None:
                self.tokens = model.hidden_species(self.request, start.strength, noise)
        else:
            self.tokens = model.species.index(self.request.numbers)
        return fractional, lattice

    def species(self, state: State) -> Tensor:
        """The state of the species."""
        return state[2] if self.tokens is None else self.tokens

    def velocity(self, state: State, time: float) -> State:
        out = self.look(self.species(state), state[0], state[1], STEPS * time)
        self.logits = out.species
        coordinates, *others = self.model.velocity(self.request, out)
        return (anti_annealed(coordinates, time, self.settings.slope, self.settings.slope_start), *others)

    def move(self, state: State, tangent: State) -> State:
        """Coordinates stay on the torus, everything else is flat."""
        moved = (x + v for x, v in zip(state[1:], tangent[1:], strict=True))
        return (torus_exp(state[0], tangent[0]), *moved)

    def after_step(self, state: State, end: float) -> None:
        """Uncovers species by what the network said of them last."""
        begin, self.reached = self.reached, end
        if isinstance(self.model.species, HiddenSpecies) and self.tokens is not None and self.logits is not None:
            uniform, mask = self.noise.uniform_atoms(2), self.model.species.mask
            now, later = 1.0 - begin, max(0.0, 1.0 - end)
            if later < 1e-9:
                rest = drawn(self.logits, uniform[:, 1], self.allowed)
                self.tokens = torch.where(self.tokens == mask, rest, self.tokens)
            else:
                self.tokens = uncovered(self.tokens, self.logits, now, later, uniform, mask, self.allowed)
        if self.on_step is not None:
            self.on_step()
