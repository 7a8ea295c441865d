"""The methods of an evaluation of docking: the network's outputs, the search, both together, and AutoDock Vina."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from eqcli.engine.docking_pose import PoseResult
from eqcli.errors import Failure, InputError
from eqcli.metrics.work import available_cores
from eqcli.tasks.evaluate_docking_methods import Method

if TYPE_CHECKING:
    from eqcli.engine.docker import Docker
    from eqcli.engine.docking_box import Box
    from eqcli.engine.docking_receptor import PreparedReceptor
    from eqcli.engine.model_file import ModelFile
    from eqcli.engine.pose_network import PoseNetwork
    from eqcli.io.ligand import Ligand
    from eqcli.io.receptor import Receptor

FloatArray = NDArray[np.float64]

POCKETS: Final = ("blind", "reference", "both")
VINA_TIMEOUT: Final = 1800.0
"""Seconds for one ligand."""

OUTPUTS: Final = {
    "equibind": "EquiBind alone, flexible",
    "equibind-rigid": "EquiBind alone, rigid",
    "equibind-uncorrected": "EquiBind alone, uncorrected",
}
PHYSICS_NAME: Final = "physics only"
REFINED_NAME: Final = "EquiBind with refinement"
VINA_NAME: Final = "Vina"


class Timed(list[PoseResult]):
    """Poses of a program that keeps its own time, without that of starting its process.

    Attributes
    ----------
    seconds
        That the docking took.
    """

    def __init__(self, poses: Sequence[PoseResult], seconds: float) -> None:
        super().__init__(poses)
        self.seconds = seconds


def docking_methods(
    loaded: ModelFile | None,
    pocket: str,
    *,
    vina: bool,
    poses: int,
    effort: float,
    seed: int,
    device: str = "auto",
    cpu: int | None = None,
) -> list[Method]:
    """The methods, for a blind search, for a known pocket, or for both.

    Raises
    ------
    InputError
        `pocket` is none of `POCKETS`, or the model is no docking model.
    MissingDependency
        `vina` needs vina and meeko, which are not installed.
    """
    from eqcli.engine.device import choose_device
    from eqcli.engine.docker import Docker, DockSettings
    from eqcli.engine.pose_network import network_of

    if pocket not in POCKETS:
        raise InputError(f"unknown pocket '{pocket}'", hint=f"Use {', '.join(POCKETS)}.")
    place = choose_device(device)
    network = None if loaded is None else network_of(loaded)
    settings = DockSettings(poses=poses, effort=effort)
    found: list[Method] = []
    for known in (False, True):
        if pocket == ("blind" if known else "reference"):
            continue
        found.append(docker_method(PHYSICS_NAME, lambda: Docker(None, settings, device=place), seed, known))
        if network is not None:
            found += network_methods(network, lambda: Docker(network, settings, device=place), known)
            found.append(docker_method(REFINED_NAME, lambda: Docker(network, settings, device=place), seed, known))
        if vina:
            found.append(vina_method(poses, seed, cpu or available_cores(), known))
    return found


class _Prepared:
    """A docker with the receptor that it prepared last; pockets and maps are found while the clock runs."""

    def __init__(self, make: Callable[[], Docker]) -> None:
        self._make = make
        self._docker: Docker | None = None
        self._last: tuple[Receptor, PreparedReceptor] | None = None

    @property
    def docker(self) -> Docker:
        if self._docker is None:
            self._docker = self._make()
        return self._docker

    def __call__(self, receptor: Receptor) -> PreparedReceptor:
        if self._last is None or self._last[0] is not receptor:
            self._last = receptor, self.docker.prepare(receptor)
        return self._last[1]


def docker_method(name: str, make: Callable[[], Docker], seed: int, known_pocket: bool) -> Method:
    """What `eqcli predict` does, with the settings of the docker."""
    prepared = _Prepared(make)

    def dock(receptor: Receptor, ligand: Ligand, conformer: FloatArray, site: Box | None) -> Sequence[PoseResult]:
        (found,) = prepared.docker.dock(prepared(receptor), [ligand], site, seeds=[seed])
        if isinstance(found, Failure):
            raise InputError(found.reason, found.where)
        return found

    return Method(name, dock, known_pocket, prepared)


def network_methods(network: PoseNetwork, make: Callable[[], Docker], known_pocket: bool) -> list[Method]:
    """Each output of the network as it is, one pose for the start conformer.

    Before the first call that is timed there is one that is not: libraries load then.
    """
    prepared = _Prepared(make)
    called: set[str] = set()

    def method(output: str, name: str) -> Method:
        def dock(receptor: Receptor, ligand: Ligand, conformer: FloatArray, site: Box | None) -> Timed:
            ready = prepared(receptor)
            if not called:
                network.poses(ready, [(ligand, conformer)], site)
                called.add(output)
            begun = perf_counter()
            (found,) = network.poses(ready, [(ligand, conformer)], site)
            positions = np.asarray(found[output], dtype=np.float64)
            return Timed([PoseResult(positions, output, float("nan"))], perf_counter() - begun)

        return Method(name, dock, known_pocket, prepared)

    return [method(output, name) for output, name in OUTPUTS.items()]


def vina_method(poses: int, seed: int, cpu: int, known_pocket: bool) -> Method:
    """AutoDock Vina on the same prepared receptor; without a known pocket in the best one that geometry shows."""
    from eqcli.engine.vina_peer import require_vina

    require_vina()
    texts: dict[int, tuple[Receptor, str]] = {}

    def prepare(receptor: Receptor) -> str:
        from eqcli.io.pdbqt import receptor_pdbqt

        if id(receptor) not in texts:
            texts.clear()
            texts[id(receptor)] = receptor, receptor_pdbqt(receptor)
        return texts[id(receptor)][1]

    def dock(receptor: Receptor, ligand: Ligand, conformer: FloatArray, site: Box | None) -> Timed:
        from dataclasses import replace

        from eqcli.engine.docking_receptor import PreparedReceptor
        from eqcli.engine.vina_peer import VinaJob, vina_dock
        from eqcli.metrics.pool import measure_in_processes
        from eqcli.progress import Silent

        box = site or PreparedReceptor(receptor).pocket_boxes(1)[0]
        start = replace(ligand.structure, positions=conformer)
        job = VinaJob(prepare(receptor), start, box, poses, cpu=cpu, seed=seed)
        (outcome,) = measure_in_processes(vina_dock, [job], 1, VINA_TIMEOUT, Silent())
        if outcome.value is None:
            raise InputError(outcome.failure or "Vina gave no pose")
        return Timed(outcome.value.poses, outcome.value.seconds)

    return Method(VINA_NAME if known_pocket else f"{VINA_NAME} in the best pocket", dock, known_pocket, prepare)
