"""AutoDock Vina (Eberhardt et al., J. Chem. Inf. Model. 61, 3891 (2021)) on the same receptor and ligand, as a peer.

The ligand is prepared by meeko, with its bonds turned as meeko chooses. Hydrogens that Vina does not see (those of
carbon) are put back where the conformer has them relative to the atoms that they are rigidly joined to.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from eqcli.engine.docking_pose import PoseResult
from eqcli.errors import InputError, MissingDependency
from eqcli.io.rdkit_molecule import molecule_of, sanitised

if TYPE_CHECKING:
    from eqcli.engine.docking_box import Box
    from eqcli.io.structure import Structure

FloatArray = NDArray[np.float64]

EXHAUSTIVENESS: Final = 8
"""Vina's own choice."""
ENERGY_RANGE: Final = 100.0
"""kcal/mol above the best; wide enough to leave out no pose."""


@dataclass(frozen=True)
class VinaJob:
    """One ligand, one receptor.

    Attributes
    ----------
    receptor
        PDBQT text of the rigid receptor, which `eqcli.io.pdbqt.receptor_pdbqt` writes.
    ligand
        With explicit hydrogens, `info["bonds"]` and a conformer: the start.
    cpu
        Threads.
    """

    receptor: str
    ligand: Structure
    box: Box
    poses: int = 9
    exhaustiveness: int = EXHAUSTIVENESS
    cpu: int = 1
    seed: int = 0


@dataclass(frozen=True)
class VinaOutcome:
    """Poses, the best first, and the seconds that maps, search and preparation of the ligand took."""

    poses: tuple[PoseResult, ...]
    seconds: float


def require_vina() -> None:
    """Raises MissingDependency where vina or meeko is not installed."""
    missing = [name for name in ("vina", "meeko") if find_spec(name) is None]
    if missing:
        message = f"docking by AutoDock Vina needs {' and '.join(missing)}, not installed here"
        raise MissingDependency(message, hint="pip install 'eqcli[docking]'")


def vina_dock(job: VinaJob) -> VinaOutcome:
    """Docks by Vina.

    Raises
    ------
    MissingDependency
        vina or meeko is not installed.
    InputError
        meeko or Vina refuses the ligand or the receptor; the message is theirs.
    """
    require_vina()
    from vina import Vina

    begun = perf_counter()
    text = ligand_pdbqt(job.ligand)
    atoms = _atom_of_line(text, job.ligand.positions)
    engine = Vina(sf_name="vina", cpu=job.cpu, seed=job.seed + 1, verbosity=0)
    try:
        with TemporaryDirectory(prefix="eqcli-vina-") as folder:
            receptor = Path(folder, "receptor.pdbqt")
            receptor.write_text(job.receptor, encoding="utf-8")
            engine.set_receptor(str(receptor))
            engine.set_ligand_from_string(text)
            engine.compute_vina_maps(center=list(job.box.centre), box_size=list(job.box.size))
            engine.dock(exhaustiveness=job.exhaustiveness, n_poses=job.poses)
            written = engine.poses(n_poses=job.poses, energy_range=ENERGY_RANGE)
    except (RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"Vina: {' '.join(str(error).split())}", job.ligand.where) from error
    found = tuple(
        PoseResult(with_hydrogens(job.ligand, _placed(job.ligand, atoms, coordinates), atoms), "vina", energy)
        for energy, coordinates in _models(written)
    )
    return VinaOutcome(found, perf_counter() - begun)


def ligand_pdbqt(ligand: Structure) -> str:
    """The ligand as meeko prepares it. Raises InputError where it cannot."""
    from meeko import MoleculePreparation, PDBQTWriterLegacy

    molecule: Any = sanitised(molecule_of(ligand))
    try:
        setups = MoleculePreparation().prepare(molecule)
        text, done, reason = PDBQTWriterLegacy.write_string(setups[0])
    except (RuntimeError, ValueError, KeyError, IndexError) as error:
        raise InputError(f"meeko: {error}", ligand.where) from error
    if not done:
        raise InputError(f"meeko: {reason.strip()}", ligand.where)
    return str(text)


def _atom_lines(text: str) -> list[str]:
    """Lines of atoms, without the pseudo-atoms that hold opened rings together."""
    lines = [line for line in text.splitlines() if line.startswith(("ATOM", "HETATM"))]
    return [line for line in lines if not _is_glue(line)]


def _is_glue(line: str) -> bool:
    kind = line.split()[-1]
    return kind[:1] == "G" and kind[1:].isdigit()


def _coordinates(lines: list[str]) -> FloatArray:
    return np.array([[float(line[k : k + 8]) for k in (30, 38, 46)] for line in lines], dtype=np.float64).reshape(-1, 3)


def _atom_of_line(text: str, positions: FloatArray) -> NDArray[np.int64]:
    """The atom of the ligand that each line is; lines keep positions to three decimals."""
    lines = _coordinates(_atom_lines(text))
    apart = np.linalg.norm(lines[:, None] - positions[None], axis=-1)
    nearest = apart.argmin(axis=1)
    if apart.min(axis=1).max() > 2e-3 or len(set(nearest.tolist())) != len(nearest):
        raise InputError("the atoms of the prepared ligand are not found again: some lie upon each other")
    return nearest.astype(np.int64)


def _models(written: str) -> list[tuple[float, FloatArray]]:
    """Affinity (kcal/mol) and coordinates of each pose."""
    found = []
    for model in written.split("MODEL")[1:]:
        result = next(line for line in model.splitlines() if line.startswith("REMARK VINA RESULT"))
        found.append((float(result.split(":", 1)[1].split()[0]), _coordinates(_atom_lines(model))))
    return found


def _placed(ligand: Structure, atoms: NDArray[np.int64], coordinates: FloatArray) -> FloatArray:
    positions = np.full_like(ligand.positions, np.nan)
    positions[atoms] = coordinates
    return positions


def with_hydrogens(ligand: Structure, positions: FloatArray, known: NDArray[np.int64]) -> FloatArray:
    """Positions of all atoms, of which only those of `known` are given; the others are hydrogens.

    Each is moved with its neighbour and the atoms around that, as the rigid body that they are in the conformer.
    """
    near: dict[int, list[int]] = {}
    for i, j, _ in ligand.info["bonds"]:
        near.setdefault(int(i), []).append(int(j))
        near.setdefault(int(j), []).append(int(i))
    given = set(known.tolist())
    whole = positions.copy()
    for atom in range(len(ligand)):
        if atom not in given:
            (parent, *_) = near[atom]
            body = [parent, *(k for k in near[parent] if k in given)]
            if len(body) < 3:
                body += [k for j in body[1:] for k in near[j] if k in given and k not in body]
            rotation, shift = _rigid_motion(ligand.positions[body], positions[body])
            whole[atom] = rotation @ ligand.positions[atom] + shift
    return whole


def _rigid_motion(start: FloatArray, end: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Rotation and shift that take `start` to `end`; mirror images are none."""
    centre1, centre2 = start.mean(axis=0), end.mean(axis=0)
    u, _, vh = np.linalg.svd((end - centre2).T @ (start - centre1))
    rotation = u @ np.diag([1.0, 1.0, float(np.sign(np.linalg.det(u @ vh)))]) @ vh
    return rotation, centre2 - rotation @ centre1
