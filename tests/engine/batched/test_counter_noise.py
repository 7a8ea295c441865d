"""Random numbers of dynamics: nothing but their own structure decides them, and they are normal and independent."""

from __future__ import annotations

import torch
from scipy import stats

from eqcli.engine.batched.counter_noise import Purpose, atom_normals, structure_normals
from tests.engine.batched.analytic import atoms_state


def test_numbers_do_not_depend_on_companions() -> None:
    state = atoms_state([3, 5, 2, 4])
    step = torch.tensor([7, 0, 7, 123456])
    together = atom_normals(state, step, 5, Purpose.LANGEVIN)
    for k in range(4):
        index = torch.tensor([k])
        alone = atom_normals(state.select(index), step[index], 5, Purpose.LANGEVIN)
        assert torch.equal(alone, together[state.batch == k])


def test_a_larger_structure_has_the_numbers_of_a_smaller_one_first() -> None:
    step = torch.tensor([3])
    few = atom_normals(atoms_state([2]), step, 1, Purpose.LANGEVIN)
    assert torch.equal(atom_normals(atoms_state([6]), step, 1, Purpose.LANGEVIN)[:2], few)


def test_each_argument_changes_all_numbers() -> None:
    state, step = atoms_state([4]), torch.tensor([9])
    first = atom_normals(state, step, 0, Purpose.LANGEVIN)
    others = [
        atom_normals(state, step + 1, 0, Purpose.LANGEVIN),
        atom_normals(state, step, 1, Purpose.LANGEVIN),
        atom_normals(state, step, 0, Purpose.VELOCITIES),
        atom_normals(atoms_state([4], first=1), step, 0, Purpose.LANGEVIN),
        atom_normals(state, step, -1, Purpose.LANGEVIN),
    ]
    assert all((first != other).all() for other in others)


def test_item_and_step_are_told_apart() -> None:
    """Item 1 of step 0 is not item 0 of a later step, whichever of the first 2^31 it is."""
    one = atom_normals(atoms_state([1], first=1), torch.tensor([0]), 0, Purpose.LANGEVIN)
    for step in (1, 2**16, 2**31, 2**32 - 1):
        assert (atom_normals(atoms_state([1]), torch.tensor([step]), 0, Purpose.LANGEVIN) != one).all()


def test_numbers_stay_what_they_are() -> None:
    """A trajectory can be repeated with a later version."""
    found = atom_normals(atoms_state([1, 1]), torch.tensor([0, 1]), 2026, Purpose.LANGEVIN)
    expected = [
        [0.9328677573279415, 0.15742811012003244, -1.0896028962257887],
        [-0.857507719826017, -0.5952152022073696, 0.7774666461119378],
    ]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=0)


def test_numbers_are_normal() -> None:
    numbers = atom_normals(atoms_state([50] * 400), torch.arange(400), 3, Purpose.LANGEVIN).flatten()
    assert stats.kstest(numbers.numpy(), "norm").pvalue > 1e-3
    n = len(numbers)
    for power, expected, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96), (6, 15, 10170)):
        assert abs(float(numbers.pow(power).mean()) - expected) < 4 * (variance / n) ** 0.5
    assert 3.5 < float(numbers.abs().max()) < 6.5


def test_every_way_to_count_gives_independent_numbers() -> None:
    """Neighbours in step, item, atom, direction, seed and purpose are uncorrelated, as are their squares."""
    items, steps, atoms = 20, 60, 25
    state = atoms_state([atoms] * items)
    block = torch.stack(
        [
            torch.stack(
                [
                    atom_normals(state, torch.full((items,), s), seed, purpose).view(items, atoms, 3)
                    for s in range(steps)
                ]
            )
            for seed, purpose in ((0, Purpose.LANGEVIN), (1, Purpose.LANGEVIN), (0, Purpose.VELOCITIES))
        ]
    )
    for axis in range(block.ndim):
        pairs = block.unfold(axis, 2, 1)
        for first, second in (
            (pairs[..., 0], pairs[..., 1]),
            (pairs[..., 0] ** 2 - 1, pairs[..., 1] ** 2 - 1),
        ):
            n = first.numel()
            correlation = float((first * second).mean() / (first.square().mean() * second.square().mean()).sqrt())
            assert abs(correlation) < 4 / n**0.5, f"axis {axis}"


def test_spectrum_over_steps_is_white() -> None:
    """Sums over many steps grow like a random walk: no slow correlation that a thermostat would heat or cool by."""
    state = atoms_state([10] * 40)
    walk = torch.zeros(400, 3, dtype=torch.float64)
    for step in range(500):
        walk += atom_normals(state, torch.full((40,), step), 8, Purpose.LANGEVIN)
    spread = float(walk.square().mean()) / 500
    assert abs(spread - 1) < 4 * (2 / walk.numel()) ** 0.5


def test_bits_of_neighbouring_counters_are_fair() -> None:
    """Signs of the numbers of consecutive steps: as many runs as coins give."""
    state = atoms_state([1] * 500)
    signs = torch.stack([atom_normals(state, torch.full((500,), s), 4, Purpose.LANGEVIN)[:, 0] > 0 for s in range(200)])
    changes = int((signs[1:] != signs[:-1]).sum())
    n = 199 * 500
    assert abs(changes - n / 2) < 4 * (n / 4) ** 0.5
    assert abs(int(signs.sum()) - 50_000) < 4 * (100_000 / 4) ** 0.5


def test_numbers_of_structures() -> None:
    state = atoms_state([1] * 3000)
    numbers = structure_normals(state, torch.zeros(3000, dtype=torch.int64), 0, Purpose.CELL, 9)
    assert numbers.shape == (3000, 9)
    assert stats.kstest(numbers.flatten().numpy(), "norm").pvalue > 1e-3
    covariance = numbers.T @ numbers / 3000
    assert float((covariance - torch.eye(9, dtype=torch.float64)).abs().max()) < 5 / 3000**0.5 * 2**0.5
