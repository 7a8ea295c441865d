"""Layers of graph matching against the same sums by loops, and their symmetries."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from eqcli.graph.complex_batch import Side, joined_sides
from eqcli.graph.ligand_graph import EDGE_FEATURES as LIGAND_EDGES
from eqcli.graph.ligand_graph import ligand_graph
from eqcli.graph.residue_graph import EDGE_FEATURES as RESIDUE_EDGES
from eqcli.graph.residue_graph import RADIAL, residue_graph
from eqcli.models.docking.configs.equibind import EquiBindConfig
from eqcli.models.docking.graph_matching import GraphMatchingLayer, Known, Padding, SideLayer, attended
from tests.contracts.docking_complexes import chain, zigzag
from tests.rotations import random_rotation

CHANNELS, FIRST = 8, 11
CONFIG = EquiBindConfig(channels=CHANNELS, num_layers=1)


def a_layer() -> GraphMatchingLayer:
    torch.manual_seed(0)
    layer = GraphMatchingLayer(
        SideLayer(CONFIG, edge_features=LIGAND_EDGES, first=FIRST, scale=1.0),
        SideLayer(CONFIG, edge_features=RESIDUE_EDGES, first=FIRST, scale=10.0),
    ).double()
    with torch.no_grad():
        for side in (layer.ligand, layer.receptor):
            side.step.fill_(0.7)
            for name, parameter in side.named_parameters():
                if name.endswith("bias") or "0.weight" in name:
                    parameter.add_(0.2 * torch.randn_like(parameter))
    return layer


def known(side: Side, seed: int) -> Known:
    features = torch.randn(len(side.positions), FIRST, generator=torch.Generator().manual_seed(seed)).double()
    return Known(side, Padding.of(side), features, side.positions)


def two_sides() -> tuple[Known, Known]:
    ligands = joined_sides([ligand_graph(*zigzag(n, n)) for n in (5, 1, 8)])
    receptors = joined_sides([residue_graph(*chain(n, n), neighbours=4) for n in (9, 14, 6)])
    return known(ligands, 0), known(receptors, 1)


def states(sides: tuple[Known, Known]) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(5)
    sizes = [len(side.positions) for side in sides]
    h = tuple(torch.randn(n, CHANNELS, generator=generator, dtype=torch.float64) for n in sizes)
    x = tuple(s.positions + 0.3 * torch.randn(len(s.positions), 3, generator=generator).double() for s in sides)
    return h, x  # type: ignore[return-value]


def slow_side(layer: SideLayer, known: Known, h: Tensor, x: Tensor, heard: Tensor) -> tuple[Tensor, Tensor]:
    """Messages, positions and features node by node, as in the papers."""
    side = known.side
    new_x, new_h = [], []
    for i in range(len(x)):
        messages, shifts = [], []
        for e, (s, r) in enumerate(side.edges.T.tolist()):
            if r != i:
                continue
            difference = x[i] - x[s]
            square = difference @ difference
            near = torch.stack([torch.exp(-square / (layer.scale * 1.5**k)) for k in range(RADIAL)])
            m = layer.message(
                layer.sender(h[s]) + layer.receiver(h[i]) + layer.edge(torch.cat([side.edge_features[e], near]))
            )
            messages.append(m)
            along = layer.farthest * torch.tanh(layer.step * layer.shift(m) / layer.farthest)
            shifts.append(difference / torch.sqrt(square + 1e-6) * along)
        zero = torch.zeros(1, dtype=torch.float64)
        m_mean = torch.stack(messages).mean(0) if messages else zero.expand(CHANNELS)
        shift = torch.stack(shifts).mean(0) if shifts else zero.expand(3)
        new_x.append(layer.keep_positions * known.positions[i] + (1 - layer.keep_positions) * x[i] + shift)
        update = layer.update(torch.cat([h[i], m_mean, heard[i], known.features[i]]))
        new_h.append((1 - layer.keep_features) * update + layer.keep_features * h[i])
    return torch.stack(new_x), torch.stack(new_h)


def slow_attention(query: Tensor, key: Tensor, value: Tensor, here: Side, there: Side) -> Tensor:
    rows = []
    for i, member in enumerate(here.batch.tolist()):
        others = [j for j, own in enumerate(there.batch.tolist()) if own == member]
        weights = torch.stack([query[i] @ key[j] / CHANNELS**0.5 for j in others]).softmax(0)
        rows.append(sum(w * value[j] for w, j in zip(weights, others, strict=True)))
    return torch.stack(rows)  # type: ignore[arg-type]


def test_a_layer_is_the_sums_by_loops() -> None:
    layer, sides = a_layer(), two_sides()
    h, x = states(sides)
    (h0, h1), (x0, x1) = layer(sides, h, x)
    a, b = layer.ligand, layer.receptor
    to_ligand = slow_attention(a.query(h[0]), b.key(h[1]), b.value(h[1]), sides[0].side, sides[1].side)
    to_receptor = slow_attention(b.query(h[1]), a.key(h[0]), a.value(h[0]), sides[1].side, sides[0].side)
    for found, expected in zip(((x0, h0), (x1, h1)), (
        slow_side(a, sides[0], h[0], x[0], to_ligand),
        slow_side(b, sides[1], h[1], x[1], to_receptor),
    ), strict=True):  # fmt: skip
        assert torch.allclose(found[0], expected[0], atol=1e-12)
        assert torch.allclose(found[1], expected[1], atol=1e-12)
    assert (x0 - x[0]).abs().max() > 0.05


@pytest.mark.parametrize("mirror", [1.0, -1.0])
def test_each_side_may_turn_by_itself(mirror: float) -> None:
    layer, sides = a_layer(), two_sides()
    h, x = states(sides)
    turns = [mirror * random_rotation(1), mirror * random_rotation(2)]
    moved = [
        Known(k.side, k.padding, k.features, k.positions @ turn.T + 7.0) for k, turn in zip(sides, turns, strict=True)
    ]
    there = tuple(p @ turn.T + 7.0 for p, turn in zip(x, turns, strict=True))
    here_h, here_x = layer(sides, h, x)
    there_h, there_x = layer(tuple(moved), h, there)
    for k in range(2):
        assert torch.allclose(there_h[k], here_h[k], atol=1e-10)
        assert torch.allclose(there_x[k], here_x[k] @ turns[k].T + 7.0, atol=1e-9)


def test_members_do_not_hear_each_other() -> None:
    sides = two_sides()
    h, _ = states(sides)
    before = attended(h[0], h[1], h[1], *sides)
    changed = h[1].clone()
    own = sides[1].side.batch == 1
    changed[own] += 3.0
    after = attended(h[0], changed, changed, *sides)
    mine = sides[0].side.batch == 1
    assert torch.equal(after[~mine], before[~mine])
    assert (after[mine] - before[mine]).abs().min() > 0.1


def test_padding_and_back() -> None:
    side = two_sides()[1].side
    padding = Padding.of(side)
    values = torch.arange(len(side.positions), dtype=torch.float64).unsqueeze(1) + 1
    padded = padding.padded(values)
    assert padded.shape == (3, 14, 1)
    assert padding.mask.sum(1).tolist() == [9, 14, 6]
    assert (padded[~padding.mask] == 0).all()
    assert torch.equal(padding.nodes(padded), values)


def test_dropout_is_for_training_alone() -> None:
    config = EquiBindConfig(channels=CHANNELS, dropout=0.5)
    torch.manual_seed(0)
    layer = SideLayer(config, edge_features=LIGAND_EDGES, first=FIRST, scale=1.0).double()
    side = two_sides()[0]
    h = torch.randn(len(side.positions), CHANNELS, dtype=torch.float64)
    calls = [layer(side, h, side.positions, h)[1] for _ in range(2)]
    assert not torch.equal(*calls)
    layer.eval()
    assert torch.equal(*[layer(side, h, side.positions, h)[1] for _ in range(2)])
    assert any(isinstance(part, nn.Dropout) for part in layer.modules())
