"""Every potential on the pretended device: energies, forces, stress, and the gradients that training takes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from eqcli.engine.model_file import make_potential
from eqcli.graph.atom_graph import batch_graphs
from eqcli.models.potentials.base import Potential, Statistics
from eqcli.models.potentials.config import POTENTIALS
from eqcli.models.potentials.derive import evaluate
from tests.contracts.test_potentials import ELEMENTS, VARIANTS, crystal, graph, molecule
from tests.pretended.twice import assert_same_on_device


@pytest.mark.filterwarnings("ignore:backend triton")
@pytest.mark.parametrize("name", VARIANTS)
def test_evaluated_and_trained(name: str) -> None:
    def make() -> Potential:
        torch.manual_seed(0)
        options = VARIANTS[name]
        made = make_potential(POTENTIALS[options["name"]][2].model_validate(options), ELEMENTS)
        made.initialise(Statistics(avg_num_neighbors=9.0, shift=0.3, scale=0.7))
        return made

    def compute(potential: Potential, device: torch.device) -> Sequence[Tensor | None]:
        members = [graph(*molecule(), potential), crystal(potential)]
        batch = batch_graphs(members).to(device)  # type: ignore[arg-type]
        found = evaluate(potential.eval(), batch, stress=True)
        learned = evaluate(potential.train(), batch, training=True)
        loss = learned["forces"].square().sum() + learned["energy"].sum()
        slopes = torch.autograd.grad(loss, list(potential.parameters()), allow_unused=True)
        return [*found.values(), *slopes]

    assert_same_on_device(make, compute)
