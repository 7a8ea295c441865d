"""Layers, products and models of motion on the pretended device, with gradients."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from eqcli.engine.model_families import make_dynamics
from eqcli.geometry.products.base import Product
from eqcli.models.dynamics.base import DynamicsModel
from eqcli.models.dynamics.config import DYNAMICS
from tests.contracts import test_dynamics as dynamics
from tests.contracts import test_layers as layers
from tests.contracts import test_products as products
from tests.pretended.twice import assert_same_on_device, gradients


@pytest.mark.parametrize("name", layers.NAMES)
def test_layers(name: str) -> None:
    def compute(layer: nn.Module, device: torch.device) -> Sequence[Tensor | None]:
        x = layers.features(layer).to(device).requires_grad_()
        out = layer(x)
        out.square().sum().backward()
        return [out, x.grad, *gradients(layer)]

    assert_same_on_device(lambda: layers.make(name), compute)


@pytest.mark.parametrize("name", products.NAMES)
def test_products(name: str) -> None:
    def compute(product: Product, device: torch.device) -> Sequence[Tensor | None]:
        x, y, weight = (t.to(device).requires_grad_(t.numel() > 0) for t in products.arguments(product))
        out = products.apply(product, x, y, weight)
        (slope,) = torch.autograd.grad(out.square().sum(), x, create_graph=True)
        slope.square().sum().backward()
        return [out, slope, x.grad, y.grad]

    assert_same_on_device(lambda: products.make(name, 2, 2), compute)


@pytest.mark.parametrize("name", dynamics.VARIANTS)
def test_models_of_motion(name: str) -> None:
    options = dynamics.VARIANTS[name]

    def make() -> DynamicsModel:
        torch.manual_seed(0)
        return make_dynamics(DYNAMICS[options["name"]][2].model_validate(options), node_features=2, edge_features=1)

    def compute(model: DynamicsModel, device: torch.device) -> Sequence[Tensor | None]:
        batch = dynamics.graph(dynamics.systems()).to(device)
        out = model(batch)
        ((out - batch.target) ** 2).mean().backward()
        return [out, *gradients(model)]

    assert_same_on_device(make, compute)
