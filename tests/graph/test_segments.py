from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from eqcli.graph.segments import segment_max, segment_mean, segment_softmax, segment_sum, smooth_softmax, spread

RECEIVER = torch.tensor([0, 0, 0, 2, 3, 3])
N = 5
ENVELOPE = torch.tensor([0.9, 0.4, 0.2, 0.7, 1.0, 0.01], dtype=torch.float64)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def edges_of(atom: int) -> list[int]:
    return [e for e, receiver in enumerate(RECEIVER.tolist()) if receiver == atom]


@pytest.mark.parametrize("shape", [(6,), (6, 3), (6, 3, 2)])
def test_sums_means_and_maxima_are_those_of_loops(shape: tuple[int, ...]) -> None:
    x = numbers(*shape)
    for atom in range(N):
        own = x[edges_of(atom)]
        expected = (own.sum(0), own.mean(0), own.amax(0)) if len(own) else (torch.zeros(shape[1:]).double(),) * 3
        found = [operation(x, RECEIVER, N)[atom] for operation in (segment_sum, segment_mean, segment_max)]
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-15)


def test_softmax_is_that_of_loops_and_stands_large_logits() -> None:
    x = numbers(6, 2) * 300.0
    found = segment_softmax(x, RECEIVER, N)
    for atom in (0, 2, 3):
        torch.testing.assert_close(found[edges_of(atom)], x[edges_of(atom)].softmax(0), rtol=1e-12, atol=0)


def test_smooth_softmax_is_that_of_loops() -> None:
    x = numbers(6, 2)
    found = smooth_softmax(x, ENVELOPE, RECEIVER, N)
    for atom in (0, 2, 3):
        rows = edges_of(atom)
        each = ENVELOPE[rows, None] * x[rows].exp()
        torch.testing.assert_close(found[rows], each / (1.0 + each.sum(0)), rtol=1e-13, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_smooth_softmax_stands_large_logits_even_of_edges_at_the_cutoff(dtype: torch.dtype) -> None:
    logits = torch.tensor([1e4, 3.0, -1e4, 2e4, 50.0, 1e4], dtype=dtype, requires_grad=True)
    envelope = torch.tensor([0.0, 0.5, 0.5, 1.0, 1.0, 1e-30], dtype=dtype, requires_grad=True)
    weights = smooth_softmax(logits, envelope, RECEIVER, N)
    half = 0.5 * math.e**3
    expected = torch.tensor([0.0, half / (1.0 + half), 0.0, 1.0, 0.0, 1.0], dtype=dtype)
    torch.testing.assert_close(weights, expected)
    gradients = torch.autograd.grad(weights.sum(), (logits, envelope))
    assert all(bool(g.isfinite().all()) for g in gradients)


def test_an_edge_at_the_cutoff_leaves_the_others_what_they_have_without_it() -> None:
    x, envelope = numbers(6, 2), ENVELOPE.clone()
    envelope[1] = 0.0
    kept = [0, 2, 3, 4, 5]
    found = smooth_softmax(x, envelope, RECEIVER, N)
    expected = smooth_softmax(x[kept], envelope[kept], RECEIVER[kept], N)
    torch.testing.assert_close(found[kept], expected, rtol=0, atol=1e-15)
    assert not bool(found[1].any())


@pytest.mark.parametrize("operation", [segment_sum, segment_mean, segment_max, segment_softmax])
def test_gradients_to_second_order(operation) -> None:  # type: ignore[no-untyped-def]
    x = numbers(6, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda t: operation(t, RECEIVER, N), x)
    assert torch.autograd.gradgradcheck(lambda t: operation(t, RECEIVER, N), x)


def test_gradients_of_spreading_and_of_the_smooth_softmax() -> None:
    x, logits = numbers(N, 2).requires_grad_(), numbers(6, 2).requires_grad_()
    envelope = ENVELOPE.clone().requires_grad_()
    for check in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert check(lambda t: spread(t, RECEIVER), x)
        assert check(lambda a, f: smooth_softmax(a, f, RECEIVER, N), (logits, envelope))


def test_ties_share_the_gradient_of_the_maximum() -> None:
    x = torch.tensor([2.0, 2.0, 1.0, 0.0, 5.0, 4.0], requires_grad=True)
    segment_max(x, RECEIVER, N).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.5, 0.5, 0.0, 1.0, 1.0, 0.0]


@pytest.mark.parametrize("operation", [segment_sum, segment_mean, segment_max, segment_softmax])
def test_no_edges(operation) -> None:  # type: ignore[no-untyped-def]
    found = operation(torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64), N)
    assert found.shape == ((0, 2) if operation is segment_softmax else (N, 2))
    assert not bool(found.any())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_sums_on_cuda_give_the_same_bits_every_time() -> None:
    generator = torch.Generator().manual_seed(0)
    receiver = torch.randint(0, 50, (20_000,), generator=generator).sort().values.cuda()
    x = torch.randn(20_000, 16, generator=generator).cuda().requires_grad_()
    y = torch.randn(50, 16, generator=generator).cuda().requires_grad_()
    first = segment_sum(x, receiver, 51)
    gradient = torch.autograd.grad(spread(y, receiver).square().sum(), y)[0]
    torch.testing.assert_close(first.cpu(), segment_sum(x.cpu(), receiver.cpu(), 51), rtol=1e-4, atol=1e-3)
    for _ in range(5):
        assert torch.equal(segment_sum(x, receiver, 51), first)
        assert torch.equal(torch.autograd.grad(spread(y, receiver).square().sum(), y)[0], gradient)
