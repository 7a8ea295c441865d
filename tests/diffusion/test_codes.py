from __future__ import annotations

import torch

from eqcli.diffusion.codes import analog_bits, nearest_code, one_hot
from eqcli.elements import SYMBOLS


def test_bits_are_the_binary_digits_of_every_element() -> None:
    numbers = torch.arange(1, len(SYMBOLS))
    bits = analog_bits(numbers)
    assert bits.shape == (len(numbers), 7)
    assert set(bits.flatten().tolist()) == {-1.0, 1.0}
    read = ["".join("1" if digit > 0 else "0" for digit in row) for row in bits.tolist()]
    assert [int(digits, 2) for digits in read] == numbers.tolist()


def test_the_nearest_code_is_the_nearest() -> None:
    draw = torch.Generator().manual_seed(0)
    for codes in (analog_bits(torch.tensor([1, 8, 22, 26, 57])), one_hot(5), torch.randn(5, 3, generator=draw)):
        points = torch.randn(200, codes.shape[1], generator=draw)
        assert torch.equal(nearest_code(points, codes), torch.cdist(points, codes).argmin(1))
        assert torch.equal(nearest_code(codes, codes), torch.arange(5))


def test_codes_that_are_not_allowed_are_not_taken() -> None:
    draw = torch.Generator().manual_seed(1)
    codes, points = one_hot(4), torch.randn(100, 4, generator=draw)
    allowed = torch.rand(100, 4, generator=draw) < 0.4
    allowed[:, 2] |= ~allowed.any(1)
    found = nearest_code(points, codes, allowed)
    assert bool(allowed.gather(1, found[:, None]).all())
    far = torch.cdist(points, codes).masked_fill(~allowed, torch.inf)
    assert torch.equal(found, far.argmin(1))


def test_ties_go_to_the_first_whatever_the_rounding() -> None:
    """Points clipped to 1.5 differ from several codes in as many digits."""
    codes = analog_bits(torch.tensor([3, 5, 6, 8])).double()
    tied = 1.5 * analog_bits(torch.tensor([7])).double()
    rounding = 1e-12 * torch.randn(50, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    assert set(nearest_code(tied + rounding, codes).tolist()) == {0}
