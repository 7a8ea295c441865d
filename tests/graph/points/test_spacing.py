"""Spacing and the automatic voxel."""

from __future__ import annotations

import pytest
import torch

from eqcli.errors import InputError
from eqcli.graph.points.spacing import automatic_voxel, spacing
from eqcli.graph.points.voxels import voxel_means
from tests.graph.points.clouds import blob, bumpy, permutation, rotation


def test_spacing_of_a_lattice_is_its_constant():
    lattice = torch.cartesian_prod(*[torch.arange(12.0) * 0.3] * 3)
    assert spacing(lattice) == pytest.approx(0.3, rel=1e-5)


def test_spacing_is_the_median_of_all_nearest_distances():
    x = blob(400)
    distance = torch.cdist(x, x).fill_diagonal_(torch.inf).min(1).values
    assert spacing(x) == pytest.approx(float(distance.median()), rel=1e-12)


def test_duplicates_do_not_make_it_zero():
    x = blob(400)
    assert spacing(torch.cat([x, x])) == pytest.approx(spacing(x), rel=1e-12)
    assert spacing(x.repeat(20, 1)) > 0
    with pytest.raises(InputError, match="single distinct point"):
        spacing(torch.ones(30, 3))


def test_the_voxel_scales_with_the_unit_and_turns_away():
    (source, _), (target, _) = bumpy(20000, 0), bumpy(15000, 1)
    size = automatic_voxel(source, target)
    assert automatic_voxel(source * 1000, target * 1000) == pytest.approx(1000 * size, rel=1e-6)
    assert automatic_voxel(target, source) == size
    assert automatic_voxel(source @ rotation().T + 9, target) == pytest.approx(size, rel=1e-6)
    assert automatic_voxel(source[permutation(20000)], target) == pytest.approx(size, rel=1e-6)


def test_thinned_clouds_are_neither_tiny_nor_huge():
    source = bumpy(60000)[0]
    size = automatic_voxel(source, source)
    assert 1000 <= len(voxel_means(source, size).points) <= 8000


def test_far_outliers_hardly_change_it():
    source = bumpy(20000)[0]
    far = torch.randn(5, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64) * 1e5
    plain = automatic_voxel(source, source)
    assert automatic_voxel(torch.cat([source, far]), source) == pytest.approx(plain, rel=0.2)
