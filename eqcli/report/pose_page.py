"""One page per pair of receptor and ligand: the poses in their pocket in three dimensions, beside the crystal pose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from eqcli.elements import COVALENT_RADII, SYMBOLS
from eqcli.files import atomic_path
from eqcli.io.structure import Structure
from eqcli.report.depictions import depiction
from eqcli.report.html import Markup, facts, page, tag
from eqcli.report.pose_viewer import CSS, Layer, viewer

FloatArray = NDArray[np.float64]

POCKET: Final = 5.0
"""Å. Residues with an atom this near to the crystal pose or to the pose that is shown first are drawn as sticks."""

CHAIN_BREAK: Final = 4.3
"""Å. CA atoms farther apart than this are not joined."""

STRETCH: Final = 1.25
"""Atoms of a residue nearer than this times the sum of their covalent radii are joined."""

POSE_COLOURS: Final = ("#c9601d", "#8a4fa3", "#2b8a5f", "#2468a8", "#b3557a", "#6b7a1f", "#1f7a8a", "#8f6106")
CRYSTAL: Final = "#17a05a"
RESIDUE: Final = "#9098a1"
TRACE: Final = "#c9a227"


@dataclass(frozen=True)
class PagePose:
    """A pose to draw: its name beside the box, and the ligand with `info["bonds"]`."""

    name: str
    structure: Structure


def pose_page(
    receptor: Structure,
    poses: Sequence[PagePose],
    path: str | Path,
    *,
    title: str,
    crystal: Structure | None = None,
    given: Structure | None = None,
    first: int = -1,
    rows: Mapping[str, Any] | None = None,
) -> int:
    """Writes a page that needs nothing but itself, and returns its size in bytes.

    Parameters
    ----------
    receptor
        Atoms with the arrays of a :class:`eqcli.io.receptor.Receptor`.
    poses
        In the order of their boxes.
    crystal
        The reference pose, where it is known: shown at first, in the middle of the picture.
    given
        A pose that may be a reference: shown at first, but the picture is of the pose `first`.
    first
        Which of the poses is shown at first.
    rows
        Names and values below the picture.

    Raises
    ------
    ValueError
        There is neither a pose nor a crystal pose.
    """
    shown = poses[first].structure if poses else None
    # Around poses that are not shown at first, residues would hide the pocket.
    near = [one for one in (crystal, shown) if one is not None]
    if not near:
        raise ValueError("a page needs a pose")
    heavy = [one.positions[_heavy(one)] for one in near]
    references = {"Crystal pose": crystal, "Given pose": given}
    layers = [
        *(_ligand_layer(name, one, CRYSTAL, shown=True) for name, one in references.items() if one is not None),
        *_pose_layers(poses, shown),
        *_receptor_layers(receptor, np.concatenate(heavy)),
    ]
    centre = heavy[0].mean(axis=0)
    radius = float(np.linalg.norm(heavy[0] - centre, axis=1).max()) + 6.0
    text = page(title, [tag("style", Markup(CSS)), *_body(title, near[0], viewer(layers, centre, radius), rows)])
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return len(text.encode())


def _body(title: str, ligand: Structure, picture: Markup, rows: Mapping[str, Any] | None) -> Iterator[Markup]:
    yield tag("header", tag("p", "Poses in their pocket", cls="eyebrow"), tag("h1", title), cls="top")
    yield picture
    yield tag("div", tag("figure", Markup(depiction(ligand, width=320, height=220))), cls="molecules")
    if rows:
        yield facts(rows.items())


def _heavy(structure: Structure) -> NDArray[np.bool_]:
    heavy: NDArray[np.bool_] = structure.numbers > 1
    return heavy if heavy.any() else np.ones_like(heavy)


def _pose_layers(poses: Sequence[PagePose], shown: Structure | None) -> Iterator[Layer]:
    for k, pose in enumerate(poses):
        colour = POSE_COLOURS[k % len(POSE_COLOURS)]
        yield _ligand_layer(pose.name, pose.structure, colour, shown=pose.structure is shown)


def _ligand_layer(name: str, structure: Structure, colour: str, *, shown: bool) -> Layer:
    """Heavy atoms and their bonds, and hydrogens of other atoms than carbon."""
    carbon = structure.numbers == 6
    bonds = [(int(i), int(j)) for i, j, *_ in structure.info.get("bonds", [])]
    of_carbon = {j for a, b in bonds for i, j in ((a, b), (b, a)) if carbon[i] and structure.numbers[j] == 1}
    kept = [i for i in range(len(structure)) if i not in of_carbon]
    return _layer(name, structure, kept, bonds, colour, width=0.3, shown=shown)


def _layer(
    name: str,
    structure: Structure,
    kept: Sequence[int],
    bonds: Sequence[tuple[int, int]],
    colour: str,
    *,
    width: float,
    shown: bool,
    labels: Mapping[int, str] | None = None,
) -> Layer:
    place = {atom: k for k, atom in enumerate(kept)}
    symbols = [SYMBOLS[int(number)] for number in structure.numbers[list(kept)]]
    return Layer(
        name,
        structure.positions[list(kept)],
        [colour if symbol == "C" else symbol for symbol in symbols],
        [(place[i], place[j]) for i, j in bonds if i in place and j in place],
        width,
        shown,
        colour,
        {place[i]: words for i, words in (labels or {}).items() if i in place},
    )


def _receptor_layers(receptor: Structure, heavy: FloatArray) -> Iterator[Layer]:
    from scipy.spatial import cKDTree

    arrays = receptor.arrays
    residues = np.asarray(arrays["residue"])
    solid = receptor.numbers > 1
    near = (cKDTree(heavy).query(receptor.positions)[0] <= POCKET) & solid
    pocket = np.flatnonzero(np.isin(residues, np.unique(residues[near])) & solid)
    if len(pocket):
        bonds = _bonds(receptor, pocket)
        words = f"Residues within {POCKET:g} Å"
        labels = _labels(receptor, pocket)
        yield _layer(words, receptor, pocket.tolist(), bonds, RESIDUE, width=0.14, shown=True, labels=labels)
    trace = _trace(receptor)
    if len(trace):
        lines = [
            (k, k + 1)
            for k, (i, j) in enumerate(pairwise(trace))
            if arrays["chain"][i] == arrays["chain"][j]
            and np.linalg.norm(receptor.positions[i] - receptor.positions[j]) < CHAIN_BREAK
        ]
        points = receptor.positions[trace]
        yield Layer("CA trace", points, [TRACE] * len(trace), lines, 0.1, True, TRACE)


def _trace(receptor: Structure) -> list[int]:
    """CA atoms of amino acids in the order of the file; calcium is none."""
    names = np.char.strip(np.asarray(receptor.arrays["atom_name"], dtype=np.str_))
    return [int(i) for i in np.flatnonzero((names == "CA") & (receptor.numbers == 6))]


def _bonds(receptor: Structure, atoms: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Neighbours by their distance."""
    from scipy.spatial import cKDTree

    positions, numbers = receptor.positions[atoms], receptor.numbers[atoms]
    radii = np.array([COVALENT_RADII[int(number)] for number in numbers])
    pairs = cKDTree(positions).query_pairs(STRETCH * 2 * float(radii.max()), output_type="ndarray")
    apart = np.linalg.norm(positions[pairs[:, 0]] - positions[pairs[:, 1]], axis=1)
    joined = pairs[apart < STRETCH * (radii[pairs[:, 0]] + radii[pairs[:, 1]])]
    return [(int(atoms[i]), int(atoms[j])) for i, j in joined]


def _labels(receptor: Structure, atoms: NDArray[np.int64]) -> dict[int, str]:
    """The name of each residue at its CA atom, or else at its first atom."""
    arrays = receptor.arrays
    found: dict[int, tuple[bool, int]] = {}
    for i in atoms.tolist():
        residue, is_ca = int(arrays["residue"][i]), str(arrays["atom_name"][i]).strip() == "CA"
        if residue not in found or (is_ca and not found[residue][0]):
            found[residue] = is_ca, i
    return {
        i: f"{str(arrays['residue_name'][i]).strip().capitalize()} {str(arrays['residue_number'][i]).strip()}"
        for _, i in found.values()
    }
