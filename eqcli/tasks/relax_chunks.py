"""Relaxations of a chunk of structures: all in flight together, or one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from eqcli.engine.batched.relaxing import converged, fmax, make_relaxing, smax
from eqcli.engine.batched.relaxing_checks import faults, sound
from eqcli.engine.batched.state import to_structure
from eqcli.engine.relaxation import RelaxSettings, require_relaxable
from eqcli.engine.space_group import space_group
from eqcli.errors import InputError, Where
from eqcli.io.ase_bridge import to_ase
from eqcli.tasks.in_batches import InBatches, Row
from eqcli.tasks.inference import load_for_inference
from eqcli.tasks.relax_result import RelaxRow, relax_figures
from eqcli.tasks.relax_singly import RelaxSingly

if TYPE_CHECKING:
    from torch import Tensor

    from eqcli.engine.batched.state import BatchState
    from eqcli.engine.model_file import ModelFile
    from eqcli.io.structure import Structure
    from eqcli.progress import Reporter
    from eqcli.tasks.stream.request import StreamRequest


class RelaxInBatches(InBatches):
    """Relaxes the structures of a chunk together, each along the path that it takes alone."""

    def __init__(
        self, loaded: ModelFile, settings: RelaxSettings, *, batch_atoms: int | None, trajectory: Path | None
    ) -> None:
        super().__init__(loaded, make_relaxing(settings), batch_atoms=batch_atoms, trajectory=trajectory)
        self.settings = settings

    def require(self, structure: Structure) -> None:
        """Raises InputError for a structure that cannot be relaxed as the settings ask."""
        require_relaxable(structure, self.settings)
        super().require(structure)

    def ended(self, state: BatchState) -> Tensor:
        """Converged, out of steps, or on a path that leads nowhere."""
        out_of_steps = state.step >= self.settings.steps
        return out_of_steps | converged(state, self.settings) | ~sound(state, self.settings)

    def due(self, state: BatchState) -> Tensor:
        """Every step is a frame."""
        return torch.ones_like(state.step, dtype=torch.bool)

    def fault(self, one: BatchState) -> str | None:
        """See `relaxing_checks.faults`."""
        return faults(one, self.settings).get(0)

    def present(self, state: BatchState, originals: Sequence[Structure]) -> list[Structure]:
        """The structures with how far each is from converged among `info`."""
        there, force = converged(state, self.settings).tolist(), fmax(state).tolist()
        stress = smax(state, self.settings).tolist() if self.settings.cell != "none" else None
        steps, items = state.step.tolist(), state.item.tolist()
        found = []
        for k, original in enumerate(originals):
            structure = to_structure(state, k, original)
            structure.info |= {"converged": there[k], "relax_steps": steps[k], "fmax": force[k]}
            if stress is not None:
                structure.info["smax"] = stress[k]
            if self.trajectory is not None:
                structure.info["relax_item"] = items[k]
            found.append(structure)
        return found

    def row(self, name: str, one: BatchState, original: Structure, end: Structure) -> Row:
        """The fields of `RelaxRow`."""
        energy, before = float(one.energy[0]), float(one.systems["relax/energy"][0])
        periodic = bool(original.pbc.all())
        groups = [space_group(to_ase(structure), self.settings.symprec) for structure in (original, end)]
        row = RelaxRow(
            item=name,
            converged=end.info["converged"],
            steps=end.info["relax_steps"],
            # Noted at the first step; there is none for a structure that was converged from the start.
            energy_start=before if end.info["relax_steps"] else energy,
            energy=energy,
            fmax=end.info["fmax"],
            smax=end.info.get("smax"),
            volume_start=float(one.systems["relax/volume"][0]) if periodic else None,
            volume=end.volume if periodic else None,
            space_group_before=groups[0],
            space_group_after=groups[1],
        )
        end.info.pop("relax_item", None)
        end.info["start_energy"] = row.energy_start
        return asdict(row)

    def words(self, row: Row) -> str:
        """Steps, energy and forces."""
        return str(RelaxRow(**row))

    def told(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Sums and extremes, and the first rows of a request."""
        return relax_figures(rows)

    def figures(self, state: BatchState) -> Mapping[str, float]:
        """Energy and largest force."""
        return {"energy": float(state.energy[0]), "fmax": float(fmax(state)[0])}


def open_relax(request: StreamRequest, report: Reporter | None = None) -> RelaxInBatches | RelaxSingly:
    """The processor of a request. Raises InputError for a model that cannot relax what is asked for."""
    given = dict(request.settings)
    settings = RelaxSettings(**given["relax"])
    model = Path(str(request.model))
    loaded = load_for_inference(model, request.device, given["precision"], given["model_arguments"], report)
    _require_outputs(loaded, settings, model)
    if given["compile"]:
        from eqcli.engine.compiled import compile_potential

        compile_potential(loaded.potential)
    trajectory = None if given["trajectory"] is None else Path(given["trajectory"])
    if given["one_by_one"] or "guest" in loaded.header:
        return RelaxSingly(loaded, settings, trajectory)
    return RelaxInBatches(loaded, settings, batch_atoms=given["batch_atoms"], trajectory=trajectory)


def _require_outputs(loaded: ModelFile, settings: RelaxSettings, model: Path) -> None:
    if "forces" not in loaded.potential.outputs:
        raise InputError("relaxation needs forces, and this model gives none", Where(model))
    if settings.cell != "none" and "stress" not in loaded.potential.outputs:
        raise InputError("a cell moves by its stress, and this model gives none", Where(model), "Leave out --cell.")
