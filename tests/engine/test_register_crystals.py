"""Registration of crystals: any cell, any frame, any origin."""

from __future__ import annotations

import numpy as np
import pytest

from eqcli.engine.registered_structures import moved_structure
from eqcli.errors import InputError
from eqcli.io.structure import Structure
from tests.geometry.made_chains import turned

pytest.importorskip("pymatgen", reason="pymatgen is not installed")

from eqcli.engine.crystal_primitive import primitive_cell
from eqcli.engine.register_crystals import register_crystals


def of_ase(atoms):
    return Structure(atoms.numbers, atoms.positions, atoms.cell.array, True)


def rocksalt(a, *, cubic=False, name="NaCl"):
    from ase.build import bulk

    return of_ase(bulk(name, "rocksalt", a=a, cubic=cubic))


def triclinic(seed=0):
    rng = np.random.default_rng(seed)
    cell = np.array([[6.0, 0, 0], [1, 7, 0], [0.5, 1.2, 8]])
    return Structure([6, 7, 8, 9, 16], rng.random((5, 3)) @ cell, cell, True)


def lie_on_each_other(found, target, within):
    """Whether every moved source atom has the target atom that the mapping names, up to a lattice vector."""
    off = found.moved.positions[found.matched[:, 0]] - target.positions[found.matched[:, 1]]
    fractions = off @ np.linalg.inv(target.cell)
    return np.linalg.norm((fractions - np.round(fractions)) @ target.cell, axis=1).max() < within


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_crystal_without_symmetry_gets_its_motion_back(seed):
    rng = np.random.default_rng(seed)
    source, turn = triclinic(), turned(rng)
    target = moved_structure(source, turn, rng.normal(size=3) * 4)
    order = rng.permutation(5)
    target = Structure(target.numbers[order], target.positions[order], target.cell, True)
    found = register_crystals(source, target)
    assert found.reliable
    np.testing.assert_allclose(found.motion.rotation.numpy(), turn, atol=1e-8)
    assert found.rmsd < 1e-8
    assert lie_on_each_other(found, target, 1e-6)
    assert found.facts["lattice_mapping"] == [["1", "0", "0"], ["0", "1", "0"], ["0", "0", "1"]]


def test_other_cells_of_one_crystal():
    from ase.build import bulk, make_supercell

    conventional, primitive = rocksalt(5.64, cubic=True), rocksalt(5.64)
    found = register_crystals(conventional, primitive)
    assert found.facts["lattice_mapping"] == [["0", "1/2", "1/2"], ["1/2", "0", "1/2"], ["1/2", "1/2", "0"]]
    assert np.abs(found.motion.rotation.numpy() - np.eye(3)).max() < 1e-9
    assert len(found.matched) == 8
    rng = np.random.default_rng(0)
    hcp = bulk("Ti", "hcp", a=2.95, c=4.68)
    noisy = of_ase(make_supercell(hcp, [[2, 1, 0], [0, 1, 0], [0, 0, 3]]))
    noisy.positions += rng.normal(size=noisy.positions.shape) * 0.02
    noisy = moved_structure(noisy, turned(rng), np.ones(3))
    for pair in ((of_ase(hcp), noisy), (noisy, of_ase(hcp))):
        found = register_crystals(*pair)
        assert found.reliable
        assert 0.01 < found.rmsd < 0.06
        assert np.allclose(found.facts["stretches"], 1, atol=1e-6)
        assert lie_on_each_other(found, pair[1], 0.15)


def test_strain_is_told_and_taken_out():
    found = register_crystals(rocksalt(5.64), rocksalt(5.80))
    assert found.rmsd < 1e-8
    assert "volume +8.75 %" in found.notes[0]
    assert not register_crystals(rocksalt(4.5), rocksalt(5.80), scale=False).reliable
    assert register_crystals(rocksalt(4.5), rocksalt(5.80)).reliable


def test_different_structures_say_why():
    from ase.build import bulk

    caesium = of_ase(bulk("NaCl", "cesiumchloride", a=3.5))
    reasons = [register_crystals(rocksalt(5.64), other).reasons[0] for other in (rocksalt(6.3, name="KCl"), caesium)]
    assert "composition: ClNa and ClK" in reasons[0]
    assert "lattice" in reasons[1]
    moved_site = triclinic()
    moved_site.positions[:3] += [[3.0, 3.0, 3.0], [-3.0, 2.0, 0.0], [0.0, -3.0, 3.0]]
    found = register_crystals(triclinic(), moved_site)
    assert "sites" in found.reasons[0]
    assert found.as_dict()["matrix"] is None


def test_mirror_images():
    source = triclinic()
    found = register_crystals(source, moved_structure(source, -np.eye(3), np.zeros(3)))
    assert not found.reliable
    assert "mirror" in found.reasons[0]
    # A crystal with an inversion is its own mirror image.
    mirrored = moved_structure(rocksalt(5.64), -np.eye(3), np.ones(3))
    found = register_crystals(rocksalt(5.64), mirrored)
    assert found.reliable
    assert np.linalg.det(found.motion.rotation.numpy()) == pytest.approx(1)


def test_the_normalised_figure_is_that_of_the_matcher():
    from pymatgen.analysis.structure_matcher import StructureMatcher

    from eqcli.io.pymatgen_bridge import to_pymatgen

    rng = np.random.default_rng(4)
    source, target = triclinic(), triclinic()
    target.positions += rng.normal(size=(5, 3)) * 0.1
    found = register_crystals(source, target)
    wanted = StructureMatcher().get_rms_dist(to_pymatgen(target), to_pymatgen(source))[0]
    assert found.score["rmsd_normalised"] == pytest.approx(wanted, rel=1e-6)
    assert found.rmsd == pytest.approx(wanted * (target.volume / 5) ** (1 / 3), rel=0.01)


def test_primitive_cells_keep_their_frame():
    found = primitive_cell(rocksalt(5.64, cubic=True))
    assert len(found) == 2
    assert abs(np.linalg.det(found.cell)) == pytest.approx(5.64**3 / 4)
    assert len(primitive_cell(triclinic())) == 5


def test_no_crystal():
    with pytest.raises(InputError, match="no crystal"):
        register_crystals(Structure([6], [[0, 0, 0]]), rocksalt(5.64))
