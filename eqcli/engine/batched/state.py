"""Many structures in one set of tensors: what steppers take and give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from eqcli.elements import MASSES
from eqcli.graph.segments import segment_counts, segment_sum

if TYPE_CHECKING:
    from eqcli.io.structure import Structure

ATOMS = ("positions", "numbers", "masses", "free", "forces", "velocities", "atomic_energies")
"""What a state may say of each atom, besides what a stepper remembers."""

SYSTEMS = ("cell", "pbc", "energy", "stress", "charge", "spin", "item", "step")
"""What a state may say of each structure, besides what a stepper remembers."""


@dataclass(frozen=True)
class BatchState:
    """B structures with N atoms in all.

    What a stepper remembers stands among `atoms` and `systems` under names with a prefix of its own, such as
    `systems["fire/dt"]`, so that it enters, leaves and is saved with its structure.

    Attributes
    ----------
    atoms
        Tensors with one row for each atom, `[N, ...]`.
    systems
        Tensors with one row for each structure, `[B, ...]`.
    batch
        The structure of each atom, `[N]` int64, ascending.
    """

    atoms: dict[str, Tensor]
    systems: dict[str, Tensor]
    batch: Tensor

    @property
    def positions(self) -> Tensor:
        """Å, `[N, 3]`, never wrapped into the cell."""
        return self.atoms["positions"]

    @property
    def numbers(self) -> Tensor:
        """Atomic numbers, `[N]` int64."""
        return self.atoms["numbers"]

    @property
    def masses(self) -> Tensor:
        """u, `[N]`."""
        return self.atoms["masses"]

    @property
    def free(self) -> Tensor:
        """Directions along which each atom may move, `[N, 3]` bool."""
        return self.atoms["free"]

    @property
    def forces(self) -> Tensor:
        """eV/Å, `[N, 3]`, those of held atoms too; NaN before the first evaluation."""
        return self.atoms["forces"]

    @property
    def velocities(self) -> Tensor:
        """Å/fs, `[N, 3]`; NaN where a structure states none."""
        return self.atoms["velocities"]

    @property
    def cell(self) -> Tensor:
        """Å, `[B, 3, 3]`, rows are the lattice vectors."""
        return self.systems["cell"]

    @property
    def pbc(self) -> Tensor:
        """Whether each lattice vector is a period, `[B, 3]` bool."""
        return self.systems["pbc"]

    @property
    def energy(self) -> Tensor:
        """eV, `[B]`; NaN before the first evaluation."""
        return self.systems["energy"]

    @property
    def stress(self) -> Tensor:
        """eV/Å^3, `[B, 3, 3]`, tensile positive; NaN without three periods and before the first evaluation."""
        return self.systems["stress"]

    @property
    def charge(self) -> Tensor:
        """Total charge in e, `[B]`; zero where a structure states none."""
        return self.systems["charge"]

    @property
    def spin(self) -> Tensor:
        """Spin multiplicity 2S + 1, `[B]`; NaN where a structure states none."""
        return self.systems["spin"]

    @property
    def item(self) -> Tensor:
        """The number of each structure in the request, `[B]` int64."""
        return self.systems["item"]

    @property
    def step(self) -> Tensor:
        """Steps that each structure has taken, `[B]` int64."""
        return self.systems["step"]

    @property
    def n_structures(self) -> int:
        """B."""
        return len(self.systems["item"])

    @property
    def counts(self) -> Tensor:
        """Atoms of each structure, `[B]` int64."""
        return segment_counts(self.batch, self.n_structures)

    def with_(
        self, *, atoms: Mapping[str, Tensor] | None = None, systems: Mapping[str, Tensor] | None = None, **known: Tensor
    ) -> BatchState:
        """The state with some tensors replaced: by their names, or as `atoms` and `systems` where others are meant."""
        unknown = set(known) - set(ATOMS) - set(SYSTEMS)
        if unknown:
            raise KeyError(f"a state has no {sorted(unknown)}")
        return replace(
            self,
            atoms={**self.atoms, **{k: v for k, v in known.items() if k in ATOMS}, **(atoms or {})},
            systems={**self.systems, **{k: v for k, v in known.items() if k in SYSTEMS}, **(systems or {})},
        )

    def select(self, keep: Tensor) -> BatchState:
        """The structures where `keep`, `[B]` bool, is true; or those of the numbers `keep`, int64, in that order."""
        index = keep.nonzero().squeeze(1) if keep.dtype == torch.bool else keep
        counts = self.counts
        chosen = counts[index]
        batch = torch.repeat_interleave(chosen)
        starts = (counts.cumsum(0) - counts)[index] - (chosen.cumsum(0) - chosen)
        rows = torch.arange(len(batch), device=batch.device) + starts[batch]
        return BatchState(
            {name: value[rows] for name, value in self.atoms.items()},
            {name: value[index] for name, value in self.systems.items()},
            batch,
        )

    def to(self, device: torch.device | str) -> BatchState:
        """The same on a device."""
        return BatchState(
            {name: value.to(device) for name, value in self.atoms.items()},
            {name: value.to(device) for name, value in self.systems.items()},
            self.batch.to(device),
        )

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name, from which :meth:`from_tensors` makes the same state."""
        return {
            "batch": self.batch,
            **{f"atoms/{name}": value for name, value in self.atoms.items()},
            **{f"systems/{name}": value for name, value in self.systems.items()},
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> BatchState:
        """The state whose :meth:`tensors` these are; other names are left aside."""

        def among(prefix: str) -> dict[str, Tensor]:
            return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

        return cls(among("atoms/"), among("systems/"), tensors["batch"])


def join(states: Sequence[BatchState]) -> BatchState:
    """One state of all structures, in order. Raises ValueError unless all hold the same tensors."""
    if not states:
        raise ValueError("a batch needs at least one state")
    if len(states) == 1:
        return states[0]
    first = states[0]
    for state in states[1:]:
        differing = (state.atoms.keys() ^ first.atoms.keys()) | (state.systems.keys() ^ first.systems.keys())
        if differing:
            raise ValueError(f"states to be joined differ in {sorted(differing)}")
    counts = torch.cat([state.counts for state in states])
    return BatchState(
        {name: torch.cat([state.atoms[name] for state in states]) for name in first.atoms},
        {name: torch.cat([state.systems[name] for state in states]) for name in first.systems},
        torch.repeat_interleave(counts),
    )


def sums(state: BatchState, values: Tensor) -> Tensor:
    """Sum over the atoms of each structure in their order, `[N, ...] -> [B, ...]`."""
    return segment_sum(values, state.batch, state.n_structures)


def per_atom(state: BatchState, values: Tensor) -> Tensor:
    """What the structure of each atom has, `[B, ...] -> [N, ...]`."""
    return values.index_select(0, state.batch)


def from_structure(structure: Structure, item: int) -> BatchState:
    """One structure, not evaluated yet, as number `item` of the request.

    Velocities are those of `arrays["velocities"]` (Å/fs), masses the natural ones.
    """
    n, nan = len(structure), float("nan")
    velocities = structure.arrays.get("velocities")
    spin = structure.spin
    atoms = {
        "positions": _float64(structure.positions),
        "numbers": torch.tensor(structure.numbers, dtype=torch.int64),
        "masses": torch.tensor(MASSES, dtype=torch.float64)[torch.as_tensor(structure.numbers)],
        "free": torch.tensor(structure.free_directions),
        "forces": torch.full((n, 3), nan, dtype=torch.float64),
        "velocities": torch.full((n, 3), nan, dtype=torch.float64)
        if velocities is None or np.shape(velocities) != (n, 3)
        else _float64(velocities),
        "atomic_energies": torch.full((n,), nan, dtype=torch.float64),
    }
    systems = {
        "cell": _float64(structure.cell).reshape(1, 3, 3),
        "pbc": torch.tensor(structure.pbc).reshape(1, 3),
        "energy": torch.full((1,), nan, dtype=torch.float64),
        "stress": torch.full((1, 3, 3), nan, dtype=torch.float64),
        "charge": torch.tensor([structure.charge or 0.0], dtype=torch.float64),
        "spin": torch.tensor([nan if spin is None else spin], dtype=torch.float64),
        "item": torch.tensor([item], dtype=torch.int64),
        "step": torch.zeros(1, dtype=torch.int64),
    }
    return BatchState(atoms, systems, torch.zeros(n, dtype=torch.int64))


def to_structure(state: BatchState, k: int, original: Structure) -> Structure:
    """Structure number `k` of a state, with all else that `original` has but its labels.

    Energy, forces and atomic energies are those of the state; the stress too where there are three periods, and the
    velocities (Å/fs, among `arrays`) where there are any. `REF_` labels of the original are dropped: they belong to
    another geometry.
    """
    one = state.select(torch.tensor([k], device=state.batch.device)).to("cpu")
    values = {name: one.atoms[name].numpy() for name in ("positions", "forces", "velocities", "atomic_energies")}
    stress = one.stress[0].numpy()
    added: dict[str, Any] = {
        name: values[name] for name in ("velocities", "atomic_energies") if np.isfinite(values[name]).all()
    }
    return replace(
        original,
        positions=values["positions"],
        cell=one.cell[0].numpy(),
        energy=float(one.energy[0]),
        forces=values["forces"],
        stress=stress if original.pbc.all() and np.isfinite(stress).all() else None,
        info={name: value for name, value in original.info.items() if not name.startswith("REF_")},
        arrays={**{name: v for name, v in original.arrays.items() if not name.startswith("REF_")}, **added},
    )


def _float64(values: Any) -> Tensor:
    return torch.tensor(np.asarray(values), dtype=torch.float64)
