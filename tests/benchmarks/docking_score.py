"""The score on real complexes: microseconds per pose, seconds for the maps, and how near maps and Vina come.

    python tests/benchmarks/docking_score.py COMPLEXES [--only 1s3v] [--spacing 0.375] [--poses 64 256 1024]

For each complex of a folder, in the box of its ligand with 5 Å on each side: the affinity of the crystal pose, how far
it is from that of the `vina` package where that is installed (the same files; `table` as the package tabulates it,
`smooth` as we report it), and medians of processor time on one thread in single precision. Poses are the crystal pose
with 0.7 Å of noise as a whole. `vina` is one call of the package's `score()` on one pose, which gives no gradient.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from eqcli.data.complex_files import ComplexFiles
from eqcli.data.complex_reading import ComplexReader
from eqcli.data.complexes import find_complexes
from eqcli.engine.docking_box import Box, box_around
from eqcli.engine.docking_receptor import PreparedReceptor
from eqcli.engine.vina_peer import ligand_pdbqt, require_vina
from eqcli.errors import InputError, MissingDependency
from eqcli.io.ligand import Ligand
from eqcli.io.ligand_topology import topology
from eqcli.io.pdbqt import receptor_pdbqt
from eqcli.io.receptor import Receptor
from eqcli.models.docking.affinity_maps import SPACING, AffinityMaps
from eqcli.models.docking.vina_score import VinaScore

CAP = 10.0
REPEATS = 15


def median_seconds(call: Callable[[], Any], repeats: int = REPEATS) -> float:
    """The median processor time of a call, after one that does not count: others may use the machine."""
    call()
    taken = []
    for _ in range(repeats):
        begun = time.process_time()
        call()
        taken.append(time.process_time() - begun)
    return statistics.median(taken)


def package(receptor: Receptor, ligand: Ligand, box: Box) -> tuple[float, float]:
    """Vina's affinity of the pose as it lies, kcal/mol, and the seconds of one call."""
    from vina import Vina

    engine = Vina(cpu=1, verbosity=0)
    with TemporaryDirectory() as folder:
        path = Path(folder, "receptor.pdbqt")
        path.write_text(receptor_pdbqt(receptor), encoding="utf-8")
        engine.set_receptor(str(path))
        engine.set_ligand_from_string(ligand_pdbqt(ligand.structure))
        engine.compute_vina_maps(list(box.centre), list(box.size), spacing=1.0)
        return float(engine._vina.score()[0]), median_seconds(engine._vina.score)


def measured(name: str, receptor: Receptor, ligand: Ligand, spacing: float, counts: list[int], vina: bool) -> None:
    shape = topology(ligand)
    box = box_around(ligand.structure.positions[shape.heavy])
    prepared = PreparedReceptor(receptor)
    exact = VinaScore.of(prepared.site(box, torch.float64), shape)
    crystal = torch.as_tensor(ligand.structure.positions)[None]
    print(
        f"{name}: {shape.heavy.sum()} heavy atoms, {len(shape.pairs)} pairs, {len(exact.site.types)} receptor atoms, "
        f"affinity {exact.affinity(crystal).item():.3f} kcal/mol"
    )
    if vina:
        rounded = crystal.mul(1000).round().div(1000)
        expected, seconds = package(receptor, ligand, box)
        table = VinaScore.of(exact.site, shape, cap=1000.0, binned=True).affinity(rounded).item() - expected
        smooth = exact.affinity(rounded).item() - expected
        print(f"  vina {expected:.3f}: table {table:+.6f}, smooth {smooth:+.4f}; {1e6 * seconds:.0f} us per score()")
    site = prepared.site(box)
    begun = time.process_time()
    maps = AffinityMaps.of(site, exact.types, spacing=spacing)
    print(f"  maps {'x'.join(map(str, maps.shape))} of {len(exact.types.unique())} types: ", end="")
    print(f"{time.process_time() - begun:.2f} s")
    score = VinaScore.of(site, shape, cap=CAP, maps=maps)
    for count in counts:
        poses = (crystal + 0.7 * torch.randn(count, 1, 3)).float()
        seconds = median_seconds(lambda poses=poses: score.energy_and_gradient(poses))  # type: ignore[misc]
        print(f"  {count} poses: {1e6 * seconds / count:.2f} us per pose with gradient")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("complexes", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--spacing", type=float, default=SPACING)
    parser.add_argument("--poses", type=int, nargs="+", default=[64, 256, 1024])
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    try:
        require_vina()
        vina = True
    except MissingDependency as error:
        print(error)
        vina = False
    reader = ComplexReader()
    for files in find_complexes(options.complexes):
        if not isinstance(files, ComplexFiles):
            print(files)
        elif not options.only or files.name in options.only:
            try:
                read = reader.read(files)
                measured(files.name, read.receptor, read.ligand, options.spacing, options.poses, vina)
            except InputError as error:
                print(files.name, error)


if __name__ == "__main__":
    main()
