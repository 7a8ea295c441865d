from __future__ import annotations

import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from eqcli.geometry.kabsch import align
from tests.rotations import random_rotation


def points(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_agrees_with_scipy_for_noisy_weighted_points() -> None:
    x, y = points(4, 7), points(4, 7, seed=1)
    weights = points(4, 7, seed=2)[..., 0].abs()
    found = align(x, y, weights=weights)
    for b in range(4):
        w = weights[b] / weights[b].sum()
        a, c = x[b] - w @ x[b], y[b] - w @ y[b]
        rotation, rssd = Rotation.align_vectors(c.numpy(), a.numpy(), weights=w.numpy())
        torch.testing.assert_close(found.rotation[b], torch.from_numpy(rotation.as_matrix()), atol=1e-10, rtol=0)
        assert float(found.rmsd[b]) == pytest.approx(rssd, abs=1e-10)
    assert not bool(found.undetermined.any())


def test_finds_a_rigid_motion_and_a_scale_again() -> None:
    x = points(2, 5)
    rotation, shift = torch.stack([random_rotation(1), random_rotation(2)]), points(2, seed=4)
    y = 1.7 * torch.einsum("bij,bnj->bni", rotation, x) + shift[:, None]
    found = align(x, y, scale=True)
    torch.testing.assert_close(found.rotation, rotation, atol=1e-13, rtol=0)
    torch.testing.assert_close(found.translation, shift, atol=1e-13, rtol=0)
    torch.testing.assert_close(found.scale, torch.full((2,), 1.7, dtype=torch.float64), atol=1e-13, rtol=0)
    torch.testing.assert_close(found.apply(x), y, atol=1e-13, rtol=0)
    assert float(found.rmsd.max()) < 1e-14


def test_ragged_batches_give_what_each_structure_gives_alone() -> None:
    sizes = [4, 1, 6]
    batch = torch.repeat_interleave(torch.arange(3), torch.tensor(sizes))
    x, y = points(11), points(11, seed=1)
    together = align(x, y, batch=batch, n_structures=4)
    assert together.rotation.shape == (4, 3, 3)
    assert bool(together.rotation.isfinite().all())
    for b in (0, 2):
        alone = align(x[batch == b][None], y[batch == b][None])
        torch.testing.assert_close(together.rotation[b], alone.rotation[0], atol=1e-13, rtol=0)
        torch.testing.assert_close(together.rmsd[b], alone.rmsd[0], atol=1e-13, rtol=0)
        assert torch.allclose(together.apply(x, batch)[batch == b], alone.apply(x[batch == b][None])[0])
    assert together.undetermined.tolist() == [False, True, False, True]


def test_a_mirror_image_needs_a_reflection() -> None:
    x = points(1, 6)
    mirrored = -x
    proper = align(x, mirrored)
    assert float(torch.linalg.det(proper.rotation)) == pytest.approx(1)
    assert float(proper.rmsd) > 0.1
    improper = align(x, mirrored, reflections=True)
    assert float(improper.rmsd) < 1e-14
    torch.testing.assert_close(improper.rotation[0], -torch.eye(3, dtype=torch.float64), atol=1e-14, rtol=0)


def rotation_of(x: Tensor, y: Tensor) -> Tensor:
    return align(x, y).rotation


@pytest.mark.parametrize("options", [{}, {"reflections": True}, {"scale": True}])
def test_gradients_to_second_order(options: dict[str, bool]) -> None:
    x, y = points(1, 4).requires_grad_(True), points(1, 4, seed=1).requires_grad_(True)

    def numbers(a: Tensor, b: Tensor) -> Tensor:
        found = align(a, b, **options)  # type: ignore[arg-type]
        return torch.cat([found.rotation.flatten(), found.translation.flatten(), found.rmsd, found.scale])

    assert torch.autograd.gradcheck(numbers, (x, y))
    assert torch.autograd.gradgradcheck(numbers, (x, y))


def regular_but_special() -> dict[str, tuple[Tensor, Tensor]]:
    """Cases in which singular values vanish or are equal while the rotation is still unique."""
    planar = points(1, 5) * torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64)
    cube = torch.cat([torch.eye(3), -torch.eye(3)]).double()[None]
    square = cube[:, [0, 1, 3, 4]]
    turned = {"planar": planar, "equal singular values": cube, "planar and equal": square}
    return {name: (x, x @ random_rotation(3).T) for name, x in turned.items()} | {
        "identical": (cube + points(1, 6, seed=8), cube + points(1, 6, seed=8))
    }


@pytest.mark.parametrize("name", list(regular_but_special()))
def test_gradients_are_right_where_singular_values_vanish_or_are_equal(name: str) -> None:
    x, y = regular_but_special()[name]
    x, y = x.clone().requires_grad_(True), y.clone().requires_grad_(True)
    assert torch.autograd.gradcheck(rotation_of, (x, y))
    assert torch.autograd.gradgradcheck(rotation_of, (x, y))
    assert not bool(align(x, y).undetermined)


def open_cases() -> dict[str, tuple[Tensor, Tensor]]:
    """Cases with many best rotations."""
    line = torch.linspace(-1, 1, 4, dtype=torch.float64)[None, :, None] * torch.tensor([1.0, 2.0, -1.0])
    cube = torch.cat([torch.eye(3), -torch.eye(3)]).double()[None]
    tetrahedron = torch.tensor([[[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]], dtype=torch.float64)
    return {
        "collinear": (line, line @ random_rotation(2).T),
        "one point": (points(1, 1), points(1, 1, seed=1)),
        "coincident": (torch.ones(1, 3, 3).double(), points(1, 3)),
        "all at the origin": (torch.zeros(1, 3, 3).double(), torch.zeros(1, 3, 3).double()),
        "mirror image of a tetrahedron": (tetrahedron, -tetrahedron),
        "swapped": (cube, cube[:, [3, 4, 5, 0, 1, 2]]),
    }


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", list(open_cases()))
def test_gradients_are_finite_where_the_rotation_is_open(name: str, dtype: torch.dtype) -> None:
    x, y = (t.to(dtype).clone().requires_grad_(True) for t in open_cases()[name])
    found = align(x, y, scale=True)
    assert float((torch.linalg.det(found.rotation.detach()) - 1).abs()) < 1e-5
    loss = found.rmsd.sum() + found.rotation.square().sum() + found.apply(x).square().sum() + found.scale.sum()
    first = torch.autograd.grad(loss, (x, y), create_graph=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in first), (x, y))
    for gradient in (*first, *second):
        assert bool(gradient.isfinite().all())
    if name in ("collinear", "one point", "coincident", "all at the origin", "mirror image of a tetrahedron"):
        assert bool(found.undetermined)


def test_the_rmsd_of_two_lines_has_its_true_gradient() -> None:
    """The turn about the line is open, the distance that is left is not."""
    x, y = open_cases()["collinear"]
    y = (y * torch.tensor([1.0, 1.5, 0.8, 1.2], dtype=torch.float64)[:, None]).requires_grad_(True)
    x = x.clone().requires_grad_(True)
    assert torch.autograd.gradcheck(lambda a, b: align(a, b).rmsd, (x, y))


def test_single_precision_and_compile_agree() -> None:
    x = points(3, 8)
    y = torch.einsum("ij,bnj->bni", random_rotation(5), x)
    exact = align(x, y).rotation
    single = align(x.float(), y.float()).rotation
    assert float((single.double() - exact).abs().max()) < 1e-6
    torch.compiler.reset()
    compiled = torch.compile(rotation_of, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x, y), exact, atol=1e-13, rtol=0)
