"""Energies, forces and stresses of any number of structures, in batches that fit the memory."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from eqcli.engine.batching import BatchBudget
from eqcli.engine.device import out_of_memory
from eqcli.engine.halving import admitted, release
from eqcli.engine.listed import Listed, batch_of, listed
from eqcli.engine.on_cores import evaluate_on_cores
from eqcli.errors import Failure, InputError
from eqcli.graph.distances import closest_contact
from eqcli.models.potentials.properties import properties_of

if TYPE_CHECKING:
    from eqcli.engine.model_file import ModelFile
    from eqcli.io.structure import Structure
    from eqcli.models.potentials.base import Potential
    from eqcli.models.potentials.properties import Property
    from eqcli.progress import Reporter

Values = dict[str, np.ndarray[Any, Any]]


class Predictor:
    """Applies a model to structures, one batch after the other.

    Memory stays bounded whatever the number of structures. A structure that
    cannot be predicted (an element the model does not know, a charge it does not
    take, atoms on top of each other, more memory than there is) does not stop the
    others. When a batch does not fit the memory it is halved and tried again.

    Parameters
    ----------
    model
        The loaded model; its device and precision are used.
    stress
        None predicts the stress of structures that are periodic in three
        directions, False of none; True makes any other structure a failure.
    batch_atoms
        Largest number of atoms in a batch; None chooses by the memory of the device.
    report
        Hears when a batch did not fit and later ones are made smaller.
    """

    def __init__(
        self,
        model: ModelFile,
        *,
        stress: bool | None = None,
        batch_atoms: int | None = None,
        report: Reporter | None = None,
    ) -> None:
        if batch_atoms is not None and batch_atoms < 1:
            raise InputError(f"a batch needs at least one atom, not {batch_atoms}")
        self.potential = model.potential
        self.device = next(self.potential.parameters()).device
        self.stress = stress
        self.properties = properties_of(self.potential.config)
        self.budget = BatchBudget(self.potential, batch_atoms, report=report)

    def predict(
        self, structures: Iterable[Structure], on_failure: Callable[[Failure], None] | None = None
    ) -> Iterator[Structure]:
        """Copies of `structures` with predictions in place of labels, in the same order.

        Each has `energy`, `forces`, `stress` and `arrays["atomic_energies"]` as far as the model
        gives them, and its properties by name among `info` (of the structure) and `arrays` (of
        atoms); labels that it had stand under `REF_energy`, `REF_forces` and so on.
        Structures that fail are left out and go to `on_failure`; without it the
        first failure raises InputError.
        """
        for batch in self.batches(structures):
            for structure, outcome in batch:
                if not isinstance(outcome, InputError):
                    yield outcome
                elif on_failure is not None:
                    failure = Failure.of(structure.name, outcome)
                    on_failure(replace(failure, where=structure.where))
                else:
                    raise replace(outcome, where=structure.where) from outcome

    def batches(
        self, structures: Iterable[Structure], *, ahead: bool = False
    ) -> Generator[list[tuple[Structure, Structure | InputError]], None, None]:
        """Each structure and what `predict` makes of it, or why not: in order, those evaluated together in one list.

        Batches are filled in order: of the structures that follow a batch, the same batches are made when
        they come alone. With `ahead`, `structures` are drawn and their neighbours listed by another thread.
        """
        waiting: list[Listed] = []
        atoms = edges = 0
        for item in listed(structures, self.potential.cutoff, self._require, atoms=self.budget.atoms, ahead=ahead):
            if waiting and not self.budget.admits(atoms + item.atoms, edges + item.edges):
                yield self._finish(waiting)
                waiting, atoms, edges = [], 0, 0
            waiting.append(item)
            atoms, edges = atoms + item.atoms, edges + item.edges
        if waiting:
            yield self._finish(waiting)

    def _finish(self, items: list[Listed]) -> list[tuple[Structure, Structure | InputError]]:
        results = iter(self._evaluate([item for item in items if item.error is None]))
        outcomes = (next(results) if item.error is None else item.error for item in items)
        return [
            (item.structure, one if isinstance(one, InputError) else predicted(item.structure, one, self.properties))
            for item, one in zip(items, outcomes, strict=True)
        ]

    def _require(self, structure: Structure) -> None:
        require_evaluable(self.potential, structure)
        if self.stress and not structure.pbc.all():
            raise InputError("a stress was asked for, and this structure is not periodic in three directions")

    def _evaluate(self, items: Sequence[Listed]) -> list[Values | InputError]:
        if not items:
            return []
        n, e = _size(items)
        if len(items) == 1 and self.budget.hopeless(n, e):
            return [self._too_large(n, e)]
        try:
            values = self._attempt(items)
        except InputError as error:
            if len(items) == 1:
                return [error]
            # One of them fails, and the others are not to blame.
            return [outcome for item in items for outcome in self._evaluate([item])]
        if values is not None:
            return [self._checked(item, one, len(items)) for item, one in zip(items, values, strict=True)]
        if len(items) == 1:
            return [self._too_large(n, e)]
        self.budget.halve(n, e)
        return [outcome for part in admitted(items, _size, self.budget) for outcome in self._evaluate(part)]

    def _too_large(self, atoms: int, edges: int) -> InputError:
        return InputError(
            f"a structure of {atoms} atoms with {edges} neighbour pairs needs more memory than is left on {self.device}"
        )

    def _attempt(self, items: Sequence[Listed]) -> list[Values] | None:
        """The values of each structure, or None when they do not fit the memory together."""
        try:
            with self.budget.watch(*_size(items)):
                batch = batch_of(items).to(self.device)
                stress = self.stress is not False and bool(batch.pbc.all(dim=1).any())
                result = evaluate_on_cores(self.potential, batch, stress=stress)
            per_atom = {"forces", "forces_std", "atomic_energies", *(p.name for p in self.properties if p.per_atom)}
            return _per_structure({key: value.cpu().numpy() for key, value in result.items()}, items, per_atom)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
        # Outside the handler, whose traceback holds on to the tensors.
        release(self.device)
        return None

    def _checked(self, item: Listed, values: Values, companions: int) -> Values | InputError:
        periodic = bool(item.structure.pbc.any())
        defined = [p.name for p in self.properties if not (periodic and p.quantity.molecular)]
        wanted = ["energy", "forces", *defined]
        bad = [key for key in wanted if key in values and not np.isfinite(values[key]).all()]
        if not bad:
            return values
        if companions > 1:
            # Alone, so that no other structure of the batch can be to blame.
            return self._evaluate([item])[0]
        contact = closest_contact(batch_of([item]))
        what = "energy and forces" if set(bad) <= {"energy", "forces"} else ", ".join(bad)
        return InputError(f"the model gives no finite {what}" + (f": {contact}" if contact else ""))


def require_evaluable(potential: Potential, structure: Structure) -> None:
    """Raises InputError for a structure that the potential must not be applied to."""
    if len(structure) == 0:
        raise InputError("this structure has no atoms")
    if structure.charge and not potential.accepts_charge:
        raise InputError(
            f"the structure has charge {structure.charge:+g}, and the model knows neutral structures alone",
            hint="It would give the energy of the neutral structure.",
        )
    potential.require_known(torch.as_tensor(structure.numbers))


def predicted(structure: Structure, values: Values, properties: Sequence[Property] = ()) -> Structure:
    """A copy with predictions in place of labels, and the labels under `REF_` names."""
    info, arrays = dict(structure.info), dict(structure.arrays)
    # A name that is there already holds the older, true reference.
    if structure.energy is not None:
        info.setdefault("REF_energy", structure.energy)
    if structure.stress is not None:
        info.setdefault("REF_stress", structure.stress.reshape(-1).tolist())
    if structure.forces is not None:
        arrays.setdefault("REF_forces", structure.forces)
    if "atomic_energies" in values:
        arrays["atomic_energies"] = values["atomic_energies"]
    if "energy_std" in values:
        info["energy_std"] = float(values["energy_std"])
    if "forces_std" in values:
        arrays["forces_std"] = values["forces_std"]
    stress = values.get("stress")
    found = replace(
        structure,
        energy=float(values["energy"]) if "energy" in values else None,
        forces=values.get("forces"),
        stress=stress if stress is not None and structure.pbc.all() else None,
        info=info,
        arrays=arrays,
    )
    for wanted in properties:
        wanted.put(values[wanted.name], found)
    return found


def _size(items: Sequence[Listed]) -> tuple[int, int]:
    """Atoms and directed edges of several structures."""
    return sum(item.atoms for item in items), sum(item.edges for item in items)


def _per_structure(values: Values, items: Sequence[Listed], per_atom: set[str]) -> list[Values]:
    """The batch taken apart: `energy` a scalar, `forces [N, 3]`, `stress [3, 3]`, `atomic_energies [N]`, properties."""
    ends = np.cumsum([item.atoms for item in items])
    parts = []
    for k, item in enumerate(items):
        rows = slice(int(ends[k]) - item.atoms, int(ends[k]))
        parts.append({key: value[rows] if key in per_atom else value[k] for key, value in values.items()})
    return parts
