"""The search for poses against AutoDock Vina: same receptor, ligand, start and box around the crystal ligand.

    python tests/benchmarks/docking_search.py COMPLEXES --vina vina.json --effort 1 --seeds 3

docks every complex of a folder from an RDKit conformer. Vina's outcomes are kept in the file of `--vina` and only made
where they are missing; without the option Vina is left out. Seconds are those of one core (processor time), with the
maps and without reading the receptor; `share` lines give poses within 2 Å of the crystal pose (symmetry corrected).
Energies are Vina's own sum in the ligand and with the receptor, by exact sums for both.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eqcli.data.complex_files import ComplexFiles
from eqcli.data.complex_reading import ComplexReader
from eqcli.data.complexes import find_complexes
from eqcli.engine.docking_box import Box, box_around
from eqcli.engine.docking_receptor import PreparedReceptor
from eqcli.engine.vina_peer import VinaJob, vina_dock
from eqcli.errors import InputError
from eqcli.io.ligand import Ligand
from eqcli.io.ligand_conformers import conformers
from eqcli.io.ligand_topology import LigandTopology, topology
from eqcli.io.receptor import Receptor
from eqcli.metrics.docking.symmetric_rmsd import symmetric_rmsd, symmetry
from eqcli.models.docking.search import search
from eqcli.models.docking.search_settings import SearchSettings
from eqcli.models.docking.vina_score import VinaScore

CAP = 10.0
NEAR = 2.0

FloatArray = NDArray[np.float64]


@dataclass
class Work:
    """One complex and what both programs need of it."""

    name: str
    ligand: Ligand
    box: Box
    topology: LigandTopology
    prepared: PreparedReceptor

    @classmethod
    def of(cls, name: str, receptor: Receptor, ligand: Ligand) -> Work:
        shape = topology(ligand)
        box = box_around(ligand.structure.positions[shape.heavy])
        return cls(name, ligand, box, shape, PreparedReceptor(receptor))

    def judged(self, poses: FloatArray, seconds: float) -> dict[str, Any]:
        """Distances from the crystal pose and energies of poses `[n, N, 3]`, the best first."""
        structure = self.ligand.structure
        rmsd = symmetric_rmsd(symmetry(structure), structure.positions, poses)
        score = VinaScore.of(self.prepared.site(self.box, torch.float64), self.topology)
        energy = score.energy(torch.as_tensor(poses, dtype=torch.float64))
        return {"rmsd": rmsd.tolist(), "energy": energy.tolist(), "seconds": seconds}

    def ours(self, effort: float, seed: int) -> dict[str, Any]:
        begun = time.process_time()
        shapes = torch.as_tensor(conformers(self.ligand, 4, seed), dtype=torch.float32)
        score = VinaScore.of(self.prepared.site(self.box), self.topology, cap=CAP)
        generator = torch.Generator().manual_seed(seed)
        found = search(score, shapes, self.topology, SearchSettings(effort=effort, poses=9), generator)
        return self.judged(found.positions.double().numpy(), time.process_time() - begun)

    def vina(self, receptor: str) -> dict[str, Any]:
        structure = replace(self.ligand.structure, positions=conformers(self.ligand, 1, 0)[0])
        begun, wall = time.process_time(), time.perf_counter()
        outcome = vina_dock(VinaJob(receptor, structure, self.box, poses=9, cpu=1))
        seconds, wall = time.process_time() - begun, time.perf_counter() - wall
        poses = np.stack([pose.positions for pose in outcome.poses])
        return {**self.judged(poses, seconds), "wall_seconds": wall, "cpu": 1, "exhaustiveness": 8}


def works(folder: Path, names: list[str]) -> Iterator[Work]:
    reader = ComplexReader()
    for files in find_complexes(folder):
        if not isinstance(files, ComplexFiles):
            print(files)
        elif not names or files.name in names:
            try:
                read = reader.read(files)
                yield Work.of(files.name, read.receptor, read.ligand)
            except InputError as error:
                print(files.name, error)


def rival(work: Work, known: dict[str, Any], path: Path) -> dict[str, Any]:
    """Vina's outcome, from the file or made now and put there."""
    from eqcli.io.pdbqt import receptor_pdbqt

    if work.name not in known:
        try:
            known[work.name] = work.vina(receptor_pdbqt(work.prepared.receptor))
        except InputError as error:
            known[work.name] = {"error": str(error)}
        path.write_text(json.dumps(known, indent=1), encoding="utf-8")
    return known[work.name]


def line(result: dict[str, Any]) -> str:
    if "error" in result:
        return result["error"]
    rmsd = result["rmsd"]
    return f"{rmsd[0]:6.2f} {min(rmsd):6.2f} {result['energy'][0]:8.2f} {result['seconds']:7.2f}"


def shares(name: str, results: list[dict[str, Any]]) -> None:
    if not results:
        return
    top = np.mean([r["rmsd"][0] < NEAR for r in results])
    best = np.mean([min(r["rmsd"]) < NEAR for r in results])
    seconds = [r["seconds"] for r in results]
    print(
        f"share {name}: top-1 {top:.3f}, best of 9 {best:.3f}, runs {len(results)}, "
        f"seconds mean {np.mean(seconds):.2f} median {np.median(seconds):.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--vina", type=Path, help="file of Vina's outcomes")
    parser.add_argument("--effort", type=float, default=1.0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[], help="names of complexes")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    known = json.loads(arguments.vina.read_text()) if arguments.vina and arguments.vina.exists() else {}
    mine: list[dict[str, Any]] = []
    theirs: list[dict[str, Any]] = []
    print(f"{'':24s}    top-1   best   energy seconds")
    for work in works(arguments.folder, arguments.only):
        label = f"{work.name:18s} {int(work.topology.heavy.sum()):2d} {len(work.topology.rotatable):2d}"
        found = [work.ours(arguments.effort, seed) for seed in range(arguments.seeds)]
        mine += found
        for result in found:
            print(label, "ours", line(result), flush=True)
        if arguments.vina:
            result = rival(work, known, arguments.vina)
            theirs += [result] if "rmsd" in result else []
            print(label, "vina", line(result), flush=True)
    shares("ours", mine)
    shares("vina", theirs)


if __name__ == "__main__":
    main()
