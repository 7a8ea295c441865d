"""How one crystal lies on another: the affine map of lattices and sites that pymatgen's StructureMatcher finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.engine.crystal_primitive import primitive_cell
from eqcli.io.pymatgen_bridge import to_pymatgen
from eqcli.io.structure import Structure, formula

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SYMMETRIC = 0.1
"""Å. Sites of the target may be off its symmetry by so much."""

LIKE = 1e-3
"""Rotations whose traces differ by less are alike."""


@dataclass(frozen=True)
class CrystalTolerances:
    """As those of StructureMatcher, see `register_crystals`."""

    ltol: float
    stol: float
    angle_tol: float
    primitive: bool
    scale: bool


@dataclass(frozen=True)
class CrystalMatch:
    """Crystals that match: y = x A + b takes positions (rows, Å) of the source onto positions of the target.

    Attributes
    ----------
    linear, shift
        A, `[3, 3]`, which takes lattice to lattice exactly and may strain, and b.
    rms
        Å between sites, the larger of those from the atoms of the one cell and of the other.
    normalised
        The same over (V/N)^(1/3), after pymatgen.
    proper
        Whether A turns without a mirror.
    """

    linear: FloatArray
    shift: FloatArray
    rms: float
    normalised: float
    proper: bool


def match_crystals(source: Structure, target: Structure, tolerances: CrystalTolerances) -> CrystalMatch | str:
    """The match, or why there is none. Raises ValueError where one is no crystal."""
    one, other = _counts(source), _counts(target)
    if one != other:
        return f"composition: {formula(source.numbers)} and {formula(target.numbers)}"
    whole = source, target
    if tolerances.primitive:
        source, target = primitive_cell(source), primitive_cell(target)
    matcher = _matcher(tolerances, supercell=len(source) != len(target))
    first, second = to_pymatgen(source), to_pymatgen(target)
    try:
        found = _affine(matcher, source, target, first, second)
    except ValueError as error:
        return f"cells: {error}"
    if found is None:
        return _why(first, second, source, target, tolerances)
    linear, shift = _chosen(*found, target)
    _, shift = _site_rms(*whole, linear, shift)
    # Atoms that one of the cells has several of may be off in different ways.
    back = np.asarray(np.linalg.inv(linear), dtype=np.float64)
    rms = max(_site_rms(*whole, linear, shift)[0], _site_rms(whole[1], whole[0], back, -shift @ back)[0])
    normal = matcher.get_rms_dist(second, first)
    return CrystalMatch(
        linear, shift, rms, float("nan") if normal is None else float(normal[0]), bool(np.linalg.det(linear) > 0)
    )


def _counts(structure: Structure) -> list[tuple[int, int]]:
    kinds, counts = np.unique(structure.numbers, return_counts=True)
    return [(int(z), int(n)) for z, n in zip(kinds, counts // np.gcd.reduce(counts), strict=True)]


def _matcher(tolerances: CrystalTolerances, *, supercell: bool) -> Any:
    from pymatgen.analysis.structure_matcher import StructureMatcher

    return StructureMatcher(
        ltol=tolerances.ltol,
        stol=tolerances.stol,
        angle_tol=tolerances.angle_tol,
        primitive_cell=False,
        scale=tolerances.scale,
        attempt_supercell=supercell,
    )


def _affine(
    matcher: Any, source: Structure, target: Structure, first: Any, second: Any
) -> tuple[FloatArray, FloatArray] | None:
    """A and b by the matcher, which wants the larger cell first."""
    swapped = len(source) > len(target)
    here, there = (target, source) if swapped else (source, target)
    found = matcher.get_transformation(first, second) if swapped else matcher.get_transformation(second, first)
    if found is None:
        return None
    supercell, vector, _ = found
    linear: FloatArray = np.linalg.inv(np.array(supercell, dtype=np.float64) @ here.cell) @ there.cell
    shift = np.asarray(vector, dtype=np.float64) @ there.cell
    if not swapped:
        return linear, shift
    back: FloatArray = np.asarray(np.linalg.inv(linear), dtype=np.float64)
    return back, -shift @ back


def _chosen(linear: FloatArray, shift: FloatArray, target: Structure) -> tuple[FloatArray, FloatArray]:
    """Of all maps that the target's symmetry makes alike, the one that turns least, without a mirror if possible."""
    best: tuple[float, FloatArray, FloatArray] | None = None
    inverse = np.linalg.inv(target.cell)
    for rotation, translation in _symmetry(target):
        turn = inverse @ rotation.T @ target.cell
        whole = linear @ turn
        value = float(np.trace(rotation_of(whole))) if np.linalg.det(whole) > 0 else -10.0
        if best is None or value > best[0] + LIKE:
            best = (value, whole, shift @ turn + translation @ target.cell)
    assert best is not None
    return best[1], best[2]


def _symmetry(structure: Structure) -> list[tuple[FloatArray, FloatArray]]:
    """Rotations and translations of the crystal on fractional columns; the identity is the first."""
    import spglib

    cell: Any = (structure.cell, structure.positions @ np.linalg.inv(structure.cell), structure.numbers)
    found = spglib.get_symmetry(cell, symprec=SYMMETRIC)
    own = [(np.eye(3), np.zeros(3))]
    if found is None:
        return own
    pairs = zip(found["rotations"].astype(np.float64), found["translations"], strict=True)
    return own + [pair for pair in pairs if not (pair[0] == np.eye(3)).all()]


def rotation_of(linear: FloatArray) -> FloatArray:
    """The orthogonal matrix nearest to A, for rows."""
    u, _, vh = np.linalg.svd(linear)
    found: FloatArray = u @ vh
    return found


def _site_rms(source: Structure, target: Structure, linear: FloatArray, shift: FloatArray) -> tuple[float, FloatArray]:
    """Root mean square distance of sites with the best translation, and that translation."""
    _, vectors = nearest_sites(source, target, linear, shift)
    mean = vectors.mean(axis=0)
    return float(np.sqrt(((vectors - mean) ** 2).sum(axis=1).mean())), shift + mean


def nearest_sites(
    source: Structure, target: Structure, linear: FloatArray, shift: FloatArray
) -> tuple[IntArray, FloatArray]:
    """For each source atom, the target atom of its element that a periodic image of it lies nearest to, and the vector
    to it; atoms of one cell share none as long as there are enough."""
    inverse = np.linalg.inv(target.cell)
    places = (source.positions @ linear + shift) @ inverse
    images = np.array(np.meshgrid(*[(-1, 0, 1)] * 3, indexing="ij")).reshape(3, -1).T @ target.cell
    chosen = np.empty(len(source), dtype=np.int64)
    vectors = np.empty((len(source), 3))
    sites = target.positions @ inverse
    for i in range(len(source)):
        like = np.flatnonzero(target.numbers == source.numbers[i])
        off = sites[like] - places[i]
        off -= np.round(off)
        all_off = (off @ target.cell)[:, None] + images[None]
        distances = np.linalg.norm(all_off, axis=2)
        k, image = np.unravel_index(int(distances.argmin()), distances.shape)
        chosen[i], vectors[i] = like[k], all_off[k, image]
    return chosen, vectors


def _why(first: Any, second: Any, source: Structure, target: Structure, tolerances: CrystalTolerances) -> str:
    """Which part of two crystals differs."""
    volumes = source.volume / len(source), target.volume / len(target)
    ratio = volumes[0] / volumes[1]
    if not tolerances.scale and not 1 / (1 + tolerances.ltol) ** 3 < ratio < (1 + tolerances.ltol) ** 3:
        return f"volume: {volumes[0]:.2f} and {volumes[1]:.2f} Å^3 per atom, and volumes are not scaled"
    if len(source) == len(target) and not _lattices_map(first, second, ratio if tolerances.scale else 1.0, tolerances):
        return (
            f"lattice: no cell of the source has the lengths of the target within {100 * tolerances.ltol:g} % and its "
            f"angles within {tolerances.angle_tol:g} degrees"
        )
    return (
        f"sites: lattices fit, but atoms stay farther apart than {tolerances.stol:g} (V/N)^(1/3), "
        f"{tolerances.stol * volumes[1] ** (1 / 3):.2f} Å"
    )


def _lattices_map(first: Any, second: Any, ratio: float, tolerances: CrystalTolerances) -> bool:
    scaled = first.lattice.scale(first.lattice.volume / ratio)
    found = scaled.find_all_mappings(
        second.lattice, ltol=tolerances.ltol, atol=tolerances.angle_tol, skip_rotation_matrix=True
    )
    return any(abs(abs(np.linalg.det(scale)) - 1) < 0.5 for _, _, scale in found)
