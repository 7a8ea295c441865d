from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor

from eqcli.geometry.clifford_algebra import CliffordAlgebra, grade_triples, product_table

ALGEBRAS = {
    "Cl(2)": CliffordAlgebra(2),
    "Cl(3)": CliffordAlgebra(3),
    "Cl(1,3)": CliffordAlgebra(1, 3),
    "Cl(4)": CliffordAlgebra(4),
    "Cl(3,0,1)": CliffordAlgebra(3, r=1),
}


def multivectors(algebra: CliffordAlgebra, n: int = 3, seed: int = 0) -> tuple[Tensor, ...]:
    x = torch.randn(n, 5, algebra.dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return x.unbind(0)


def vectors(algebra: CliffordAlgebra, coordinates: Tensor) -> Tensor:
    x = coordinates.new_zeros(*coordinates.shape[:-1], algebra.dim)
    for i in range(algebra.generators):
        x[..., 1 << i] = coordinates[..., i]
    return x


def product_of_words(algebra: CliffordAlgebra, a: tuple[int, ...], b: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    """The product of two blades as words of generators, sorted by exchanging neighbours: the slow reference."""
    word, sign = [*a, *b], 1
    while True:
        for i in range(len(word) - 1):
            if word[i] == word[i + 1]:
                sign *= algebra.squares[word[i]]
                del word[i : i + 2]
                break
            if word[i] > word[i + 1]:
                word[i], word[i + 1] = word[i + 1], word[i]
                sign = -sign
                break
        else:
            return tuple(word), sign


@pytest.mark.parametrize("name", list(ALGEBRAS))
def test_the_table_agrees_with_sorting_words_of_generators(name: str) -> None:
    algebra = ALGEBRAS[name]
    words = [tuple(i for i in range(algebra.generators) if blade >> i & 1) for blade in range(algebra.dim)]
    expected = torch.zeros(algebra.dim, algebra.dim, algebra.dim, dtype=torch.float64)
    for a, b in product(range(algebra.dim), repeat=2):
        word, sign = product_of_words(algebra, words[a], words[b])
        expected[a, b, words.index(word)] = sign
    assert torch.equal(product_table(algebra), expected)
    x, y, _ = multivectors(algebra)
    torch.testing.assert_close(algebra.product(x, y), torch.einsum("ni,nj,ijk->nk", x, y, expected), atol=1e-13, rtol=0)


@pytest.mark.parametrize("name", list(ALGEBRAS))
def test_products_are_associative_and_vectors_square_to_their_norm(name: str) -> None:
    algebra = ALGEBRAS[name]
    x, y, z = multivectors(algebra)
    for multiply in (algebra.product, algebra.outer):
        torch.testing.assert_close(multiply(multiply(x, y), z), multiply(x, multiply(y, z)), atol=1e-12, rtol=0)
    coordinates = x[..., : algebra.generators]
    v = vectors(algebra, coordinates)
    square = (coordinates**2 * torch.tensor(algebra.squares)).sum(-1)
    expected = torch.zeros_like(v)
    expected[..., 0] = square
    torch.testing.assert_close(algebra.product(v, v), expected, atol=1e-13, rtol=0)
    torch.testing.assert_close(algebra.inner(v, v), square, atol=1e-13, rtol=0)


@pytest.mark.parametrize("name", list(ALGEBRAS))
def test_involutions_and_parts_of_the_product(name: str) -> None:
    algebra = ALGEBRAS[name]
    x, y, z = multivectors(algebra)
    reverse, involution = algebra.reverse, algebra.grade_involution
    torch.testing.assert_close(
        reverse(algebra.product(x, y)), algebra.product(reverse(y), reverse(x)), atol=1e-12, rtol=0
    )
    torch.testing.assert_close(
        involution(algebra.product(x, y)), algebra.product(involution(x), involution(y)), atol=1e-12, rtol=0
    )
    torch.testing.assert_close(algebra.inner(x, y), algebra.product(reverse(x), y)[..., 0], atol=1e-12, rtol=0)
    n = algebra.generators
    outer, inner = torch.zeros_like(x), torch.zeros_like(x)
    for a, b in product(range(n + 1), repeat=2):
        whole = algebra.product(algebra.grade(x, a), algebra.grade(y, b))
        outer = outer + (algebra.grade(whole, a + b) if a + b <= n else 0)
        inner = inner + (algebra.grade(whole, b - a) if b >= a else 0)
    torch.testing.assert_close(algebra.outer(x, y), outer, atol=1e-13, rtol=0)
    torch.testing.assert_close(algebra.left_contraction(x, y), inner, atol=1e-13, rtol=0)
    # x contracted onto (y contracted onto z) is (x ^ y) contracted onto z.
    torch.testing.assert_close(
        algebra.left_contraction(algebra.outer(x, y), z),
        algebra.left_contraction(x, algebra.left_contraction(y, z)),
        atol=1e-12,
        rtol=0,
    )


@pytest.mark.parametrize("name", list(ALGEBRAS))
def test_a_blade_and_its_dual_span_space(name: str) -> None:
    algebra = ALGEBRAS[name]
    blades = torch.eye(algebra.dim, dtype=torch.float64)
    spanned = algebra.outer(blades, algebra.dual(blades))
    assert torch.equal(spanned, blades[-1:].expand_as(spanned))
    assert torch.equal(algebra.undual(algebra.dual(blades)), blades)


def test_quaternions_are_the_even_part_of_three_dimensions() -> None:
    from eqcli.geometry.rotations import multiply, random_quaternions

    algebra = ALGEBRAS["Cl(3)"]
    p, q = random_quaternions(6, generator=torch.Generator().manual_seed(0)).split(3)

    def even(quaternion: Tensor) -> Tensor:
        w, x, y, z = quaternion.unbind(-1)
        o = torch.zeros_like(w)
        return torch.stack([w, o, o, -z, o, y, -x, o], dim=-1)

    torch.testing.assert_close(algebra.product(even(p), even(q)), even(multiply(p, q)), atol=1e-14, rtol=0)


def test_the_plane_has_the_complex_numbers() -> None:
    algebra = ALGEBRAS["Cl(2)"]
    z = torch.randn(2, 4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    a, b = (torch.zeros(4, 4, dtype=torch.float64) for _ in range(2))
    a[:, [0, 3]], b[:, [0, 3]] = z[0], z[1]
    expected = torch.view_as_real(torch.view_as_complex(z[0]) * torch.view_as_complex(z[1]))
    torch.testing.assert_close(algebra.product(a, b)[:, [0, 3]], expected, atol=1e-14, rtol=0)


def test_spacetime_has_the_dirac_matrices() -> None:
    """gamma_mu gamma_nu + gamma_nu gamma_mu = 2 eta, and boosts keep the interval."""
    algebra = ALGEBRAS["Cl(1,3)"]
    v, _, _ = multivectors(algebra)
    x = vectors(algebra, v[..., :4])
    boost = torch.zeros(algebra.dim, dtype=torch.float64)
    rapidity = torch.tensor(0.4, dtype=torch.float64)
    boost[0], boost[0b0011] = torch.cosh(rapidity), torch.sinh(rapidity)
    moved = algebra.sandwich(boost.expand_as(x), x)
    torch.testing.assert_close(algebra.inner(moved, moved), algebra.inner(x, x), atol=1e-13, rtol=0)
    torch.testing.assert_close(moved, algebra.grade(moved, 1), atol=1e-13, rtol=0)
    assert float((moved - x).abs().max()) > 0.1


@pytest.mark.parametrize(("name", "count"), [("Cl(2)", 10), ("Cl(3)", 20), ("Cl(4)", 35), ("Cl(3,0,1)", 34)])
def test_numbers_of_interacting_grades(name: str, count: int) -> None:
    assert len(grade_triples(ALGEBRAS[name])) == count
