from __future__ import annotations

import math

import pytest
import torch

from eqcli.nn.radial import RADIAL_BASES, SILU_SCALE, AgnesiTransform, SoftTransform, polynomial_cutoff
from eqcli.nn.zbl import ZBL


@pytest.mark.parametrize("p", [3, 5, 6])
def test_envelope_and_its_first_derivatives_vanish_at_the_cutoff(p: int) -> None:
    x = torch.tensor([1.0 - 1e-12], dtype=torch.float64, requires_grad=True)
    value = polynomial_cutoff(x, p)
    first = torch.autograd.grad(value.sum(), x, create_graph=True)[0]
    second = torch.autograd.grad(first.sum(), x)[0]
    assert max(abs(float(v)) for v in (value.detach(), first.detach(), second)) < 1e-9
    assert float(polynomial_cutoff(torch.tensor(0.0), p)) == 1.0
    assert float(polynomial_cutoff(torch.tensor(1.2), p)) == 0.0


def test_silu_scale_normalises_the_second_moment() -> None:
    z = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    density = torch.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    moment = torch.trapezoid(torch.nn.functional.silu(z) ** 2 * density, z)
    assert float(SILU_SCALE**2 * moment) == pytest.approx(1.0, abs=1e-12)


def test_bessel_functions_are_orthonormal_in_the_sphere() -> None:
    basis = RADIAL_BASES["bessel"](5.0, 6).double()
    r = torch.linspace(1e-6, 5.0, 20_001, dtype=torch.float64)
    b = basis(r)
    gram = torch.trapezoid(b.unsqueeze(1) * b.unsqueeze(2) * r.view(-1, 1, 1) ** 2, r, dim=0)
    torch.testing.assert_close(gram, torch.eye(6, dtype=torch.float64), atol=1e-5, rtol=0)


def test_transforms_have_their_limits_and_know_the_pair() -> None:
    r = torch.linspace(0.5, 5.0, 50, dtype=torch.float64)
    carbon, hydrogen = torch.full((50,), 6), torch.full((50,), 1)
    soft, agnesi = SoftTransform().double(), AgnesiTransform().double()
    # Two carbon radii are 1.52 Å: held at 3/4 of that far below, the distance itself far above.
    assert float(soft(r, carbon, carbon)[0]) == pytest.approx(0.75 * 1.52, abs=1e-3)
    assert bool((agnesi(r, carbon, carbon).diff() < 0).all())
    assert not torch.allclose(agnesi(r, carbon, carbon), agnesi(r, carbon, hydrogen))
    assert float(soft(r, carbon, hydrogen)[-1]) == pytest.approx(5.0, abs=1e-6)


def test_zbl_tends_to_the_bare_coulomb_repulsion_and_ends_at_the_bond() -> None:
    zbl = ZBL(6).double()
    r = torch.tensor([1e-4, 1.6], dtype=torch.float64)
    half = zbl(r, torch.tensor([6, 6]), torch.tensor([6, 6]))
    # At 1e-4 Å the screening is 1 - O(r / a) with a = 0.07 Å.
    assert float(half[0] * 2 * r[0]) == pytest.approx(14.3996 * 36, rel=1e-2)
    assert float(half[1]) == 0.0
