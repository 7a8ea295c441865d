"""Constants keep their exact values through every cast, and refuse numbers more precise than they are."""

from __future__ import annotations

import pytest
import torch

from eqcli.geometry.edge_frame import align
from eqcli.geometry.spherical_harmonics import SphericalHarmonics
from eqcli.geometry.wigner import WignerD


def test_writing_to_a_constant_does_not_spoil_later_casts() -> None:
    module = SphericalHarmonics(3).double()
    factor = module.factor.clone()
    module.factor.zero_()
    assert torch.equal(module.float().double().factor, factor)
    assert torch.equal(SphericalHarmonics(3).double().factor, factor)


@pytest.mark.parametrize(("kind", "width"), [(SphericalHarmonics, 3), (WignerD, 4)])
def test_numbers_more_precise_than_the_constants_are_refused(kind: type[torch.nn.Module], width: int) -> None:
    module = kind(2).float()
    numbers = torch.ones(5, width, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"in torch.float32 got numbers in torch.float64"):
        module(numbers)
    module.double()(numbers)


def test_wrong_shapes_and_degrees_are_refused() -> None:
    with pytest.raises(ValueError, match=r"vectors \[..., 3\], got the shape \(5, 6\)"):
        SphericalHarmonics(2)(torch.ones(5, 6))
    with pytest.raises(ValueError, match=r"quaternions \[..., 4\], got the shape \(4, 3\)"):
        WignerD(2)(torch.ones(4, 3))
    with pytest.raises(ValueError, match=r"vectors \[..., 3\], got the shape \(5, 4\)"):
        align(torch.ones(5, 4))
    for kind in (SphericalHarmonics, WignerD):
        with pytest.raises(ValueError, match="lmax = -1"):
            kind(-1)


@pytest.mark.parametrize("leading", [(), (0,), (2, 3), (2, 0)])
def test_harmonics_take_any_leading_dimensions(leading: tuple[int, ...]) -> None:
    for lmax in (0, 3):
        assert SphericalHarmonics(lmax)(torch.ones(*leading, 3)).shape == (*leading, (lmax + 1) ** 2)
