"""How much work structures are for a model, measured on a few of them before the others are begun."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eqcli.errors import EqcliError
from eqcli.tasks.stream.division import PROCESS_BYTES
from eqcli.tasks.stream.threads import threads_of_this_process

if TYPE_CHECKING:
    from eqcli.engine.model_file import ModelFile
    from eqcli.io.structure import Structure

ATOMS = {"cpu": 256, "cuda": 8192}
"""That are evaluated together, by kind of device: enough to tell what an atom costs in a batch."""

SHORT_SECONDS = 0.05
"""An evaluation that takes less is timed once more."""

BATCH_BYTES = 300_000_000
"""Memory of batches on a CPU: twice what they are bounded to."""

MARGIN = 3
"""By how much the memory of the largest structure may exceed its estimate, the share of memory of a batch included."""


@dataclass(frozen=True)
class MeasuredPace:
    """See `stream.dividing.Pace`; `bytes` are those of an evaluation for each atom, `fixed` those of a worker."""

    seconds: float
    bytes: float
    fixed: int

    def worker_bytes(self, largest: int) -> int:
        """What every worker takes, and the larger of a batch and the largest structure."""
        return self.fixed + int(max(BATCH_BYTES, MARGIN * self.bytes * largest))


@dataclass(frozen=True)
class ModelPilot:
    """Measures one evaluation of a potential on the first structures that it takes.

    Attributes
    ----------
    loaded
        The model as it is used.
    evaluations
        Of each structure.
    stress
        Whether the stress is computed.
    moving
        Whether structures are moved, for which potentials are tabulated.
    """

    loaded: ModelFile
    evaluations: int = 1
    stress: bool = True
    moving: bool = False

    def __call__(self, structures: Sequence[Structure]) -> MeasuredPace | None:
        """The pace; None where the first structures cannot be evaluated, and for models that are not to be shared."""
        if self.loaded.header.get("family", "potentials") != "potentials" or not shareable(self.loaded):
            return None
        try:
            return self._measured(structures)
        except (EqcliError, RuntimeError, MemoryError):  # those who do the work will see it and say so
            return None

    def _measured(self, structures: Sequence[Structure]) -> MeasuredPace | None:
        from eqcli.engine.batching import BatchBudget
        from eqcli.engine.listed import batch_of, listed
        from eqcli.engine.predictor import require_evaluable
        from eqcli.engine.tabulated import tabulate

        potential = self.loaded.potential
        device = next(potential.parameters()).device
        few = _few(structures, ATOMS.get(device.type, ATOMS["cpu"]), one=potential.one_by_one)
        items = listed(few, potential.cutoff, lambda structure: require_evaluable(potential, structure))
        sound = [item for item in items if item.error is None]
        budget = BatchBudget(potential)
        atoms, edges = sum(item.atoms for item in sound), sum(item.edges for item in sound)
        if not sound or budget.model.needs(atoms, edges) > budget.room:
            return None
        if self.moving:
            tabulate(potential)
        seconds = self._seconds(batch_of(sound).to(device))
        weights = sum(weight.numel() * weight.element_size() for weight in potential.parameters())
        fixed = PROCESS_BYTES.get(device.type, PROCESS_BYTES["cpu"]) + 2 * weights
        return MeasuredPace(self.evaluations * seconds / atoms, budget.model.estimate(atoms, edges) / atoms, fixed)

    def _seconds(self, graph: object) -> float:
        """Of one evaluation after a first one, with one thread.

        On a CPU it is processor time, which does not depend on what else the machine does.
        """
        on_gpu = next(self.loaded.potential.parameters()).is_cuda
        clock = time.perf_counter if on_gpu else time.process_time
        taken = []
        with threads_of_this_process(1):
            for _ in range(3):
                begin = clock()
                self._evaluate(graph)
                taken.append(clock() - begin)
                # The first evaluation prepares things; one that is long all the same tells enough.
                if taken[-1] > SHORT_SECONDS and (len(taken) > 1 or taken[0] > 100 * SHORT_SECONDS):
                    break
        return min(taken)

    def _evaluate(self, graph: object) -> None:
        import torch

        from eqcli.engine.on_cores import evaluate_on_cores

        evaluate_on_cores(self.loaded.potential, graph, stress=self.stress)  # type: ignore[arg-type]
        if next(self.loaded.potential.parameters()).is_cuda:
            torch.cuda.synchronize()


def shareable(loaded: ModelFile) -> bool:
    """Whether several processes may use a model without being asked to.

    Not compiled ones, which each process would compile for itself; not calculators that run other programs, whose
    files would be in each other's way, nor those that may all choose the same GPU.
    """
    import torch

    from eqcli.engine.guest import GuestPotential

    if isinstance(loaded.potential, GuestPotential):
        return not (torch.cuda.is_available() or loaded.potential.runs_programs)
    return "compute" not in vars(loaded.potential)


def _few(structures: Sequence[Structure], atoms: int, *, one: bool) -> list[Structure]:
    """The first structures, of so many atoms together; the smallest where none is that small."""
    found: list[Structure] = []
    for structure in structures:
        if 0 < len(structure) <= atoms - sum(map(len, found)):
            found.append(structure)
            if one:
                break
    return found or sorted((one for one in structures if len(one)), key=len)[:1]
