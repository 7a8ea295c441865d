"""Guests: models of other packages behind an ASE calculator, as potentials of this tool.

A guest computes one structure at a time, in its own precision and on its own device, and states its forces and
stress itself. Every structure is computed afresh, so that no result depends on what was computed before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from eqcli.elements import SYMBOLS
from eqcli.engine.device import choose_device, out_of_memory
from eqcli.engine.guest_calculator import Scalar, find_factory, make_calculator, silenced, takes, told
from eqcli.engine.guest_name import GuestName, version_facts
from eqcli.engine.model_file import ModelFile
from eqcli.errors import InputError
from eqcli.models.potentials.base import Potential, Statistics
from eqcli.progress import Reporter

if TYPE_CHECKING:
    from ase import Atoms

    from eqcli.graph.atom_graph import AtomGraph

OWN_PRECISION = "its own precision"
OWN_DEVICE = "its own device"
"""Where the calculator decides."""

PROGRAMS = ("command", "profile", "write_input")
"""Attributes of ASE calculators that run other programs."""


class GuestConfig(BaseModel):
    """What a guest was made from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Literal["ase"] = "ase"
    module: str
    attribute: str
    arguments: dict[str, Scalar] = Field(default_factory=dict)
    cutoff: float = 2.0
    """Å. A guest finds its neighbours itself; these serve to tell atoms that fall on each other."""


class GuestPotential(Potential):
    """A potential whose energies, forces and stress come from an ASE calculator.

    What the calculator does not state is not among `outputs`. Where it has no energies of atoms, the energy is
    shared equally among them; where these do not add up to the energy, what they lack is.

    Parameters
    ----------
    config
        What the calculator was made from.
    calculator
        An ASE calculator of energies.

    Attributes
    ----------
    elements
        All: a calculator does not tell which it knows, and fails for others.
    shares_energy
        Whether the calculator has no energies of atoms.
    """

    accepts_charge = True
    one_by_one = True
    config: GuestConfig

    def __init__(self, config: GuestConfig, calculator: Any) -> None:
        super().__init__(config, list(range(1, len(SYMBOLS))))
        given = calculator.implemented_properties
        self.direct = tuple(name for name in ("forces", "stress") if name in given)
        self.outputs = ("energy", *self.direct)
        self.shares_energy = "energies" not in given
        # In a tuple, since a calculator that is a module itself would become a part of this one.
        self._calculator = (calculator,)
        self._heeds_charge: bool | None = True if "charge" in config.arguments else None
        self._n_threads = torch.get_num_threads()
        # Every potential tells device and precision by its parameters: results are float64 on the CPU.
        self.place = nn.Parameter(torch.empty(0, dtype=torch.float64), requires_grad=False)

    @property
    def label(self) -> str:
        """How messages call it."""
        return self.config.attribute

    @property
    def runs_programs(self) -> bool:
        """Whether the calculator runs other programs, whose files lie in one folder for all processes."""
        return any(hasattr(self._calculator[0], name) for name in PROGRAMS)

    def initialise(self, statistics: Statistics) -> None:
        raise InputError("a calculator of another package cannot be trained here")

    def interaction_energies(self, graph: AtomGraph, vectors: Tensor) -> Tensor:
        return self.compute(graph, vectors)["atomic_energies"]

    def compute(self, graph: AtomGraph, vectors: Tensor) -> dict[str, Tensor]:
        """Energies of atoms `[N]`, forces `[N, 3]` and stress `[B, 3, 3]`, as far as the calculator states them.

        Raises InputError, with what the calculator said, when it fails on a structure.
        """
        found = [self._one(atoms) for atoms in members(graph)]
        joined = {name: np.concatenate([one[name] for one in found]) for name in ("atomic_energies", *self.direct)}
        return {name: torch.as_tensor(values, dtype=torch.float64) for name, values in joined.items()}

    def _one(self, atoms: Atoms) -> dict[str, np.ndarray[Any, Any]]:
        charge = atoms.info["charge"]
        if charge and not self._takes_charge(atoms):
            raise InputError(
                f"the structure has charge {charge:+g}, and {self.label} gives it the energy that it gives without",
                hint="Give the charge as an argument of the calculator, e.g. --model-arg charge=1, if it takes one.",
            )
        try:
            return self._results(atoms)
        except Exception as error:
            if out_of_memory(error):
                raise
            raise InputError(f"{self.label} failed: {told(error)}") from error

    def _results(self, atoms: Atoms) -> dict[str, np.ndarray[Any, Any]]:
        from ase.stress import voigt_6_to_full_3x3_stress

        (calculator,) = self._calculator
        n = len(atoms)
        with silenced(), torch.enable_grad(), self._threads():
            if hasattr(calculator, "reset"):
                calculator.reset()
            # Forces first: what they need gives the energy too, and some calculators compute no more than asked for.
            wanted = [name for name in ("stress", "forces") if name in self.direct]
            if not atoms.pbc.all():
                wanted = [name for name in wanted if name != "stress"]
            values = {name: np.asarray(calculator.get_property(name, atoms), dtype=np.float64) for name in wanted}
            energy = float(calculator.get_property("energy", atoms))
            parts = np.zeros(n)
            if not self.shares_energy:
                parts = np.asarray(calculator.get_property("energies", atoms), dtype=np.float64).reshape(n)
        found = {"atomic_energies": parts + (energy - parts.sum()) / n}
        if "forces" in values:
            found["forces"] = values["forces"].reshape(n, 3)
        if "stress" in self.direct:
            stress = values.get("stress", np.full(6, np.nan))
            full = stress if stress.shape == (3, 3) else voigt_6_to_full_3x3_stress(stress)
            found["stress"] = np.asarray(full).reshape(1, 3, 3)
        return found

    @contextmanager
    def _threads(self) -> Iterator[None]:
        """All threads of torch: who evaluates a graph of few edges leaves few, and guests have other edges."""
        before = torch.get_num_threads()
        torch.set_num_threads(self._n_threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def _takes_charge(self, atoms: Atoms) -> bool:
        """Whether the charge makes a difference: most calculators leave it aside without a word. Tried once."""
        if self._heeds_charge is None:
            neutral = atoms.copy()
            neutral.info["charge"] = 0
            neutral.set_initial_charges(None)
            charged, plain = self._energy(atoms), self._energy(neutral)
            if charged is None:
                return True  # it fails, and says why when asked again
            self._heeds_charge = charged != plain
        return self._heeds_charge

    def _energy(self, atoms: Atoms) -> float | None:
        """The energy in eV, None where the calculator fails."""
        try:
            return float(self._results(atoms)["atomic_energies"].sum())
        except Exception as error:
            if out_of_memory(error):
                raise
            return None


def members(graph: AtomGraph) -> Iterator[Atoms]:
    """The structures of a graph as ASE's Atoms.

    The total charge (e) and the spin multiplicity, where stated, are in `info` under `charge` and `spin`; the
    initial charges, shared equally, add up to the charge, the initial magnetic moments to the unpaired electrons.
    """
    from ase import Atoms

    numbers, positions = graph.numbers.cpu().numpy(), graph.positions.detach().cpu().numpy()
    counts = graph.atom_counts.tolist()
    ends = np.cumsum(counts)
    for k, (n, end) in enumerate(zip(counts, ends, strict=True)):
        rows = slice(int(end) - n, int(end))
        cell, pbc = graph.cell[k].detach().cpu().numpy(), graph.pbc[k].cpu().numpy()
        atoms = Atoms(numbers=numbers[rows], positions=positions[rows], cell=cell, pbc=pbc)
        charge = float(graph.charge[k])
        atoms.info["charge"] = int(charge) if charge.is_integer() else charge
        if charge:
            atoms.set_initial_charges(np.full(n, charge / n))
        spin = float(graph.spin[k])
        if not np.isnan(spin):
            atoms.info["spin"] = int(spin) if spin.is_integer() else spin
            atoms.set_initial_magnetic_moments(np.full(n, (spin - 1) / n))
        yield atoms


def open_guest(
    text: str,
    arguments: Mapping[str, Scalar],
    *,
    device: str = "auto",
    precision: str | None = None,
    report: Reporter,
) -> ModelFile:
    """The guest of that name, made from `arguments`, as if loaded from a file.

    `device` is passed on to a calculator whose constructor names it and is not given it; otherwise device and
    precision are the calculator's own, and a warning says so where they were asked for.

    Raises
    ------
    InputError
        The name, the module, the arguments or the device cannot be used.
    """
    name = GuestName.parse(text)
    given, runs_on = dict(arguments), str(arguments.get("device", OWN_DEVICE))
    if device != "auto":
        chosen = str(choose_device(device))
        if "device" not in given and takes(find_factory(name), "device"):
            given["device"] = runs_on = chosen
        elif "device" not in given:
            report.warning(f"{name} chooses its device itself: --device {device} has no effect")
    if precision is not None:
        report.warning(
            f"{name} computes in its own precision: --precision {precision} has no effect. "
            "Where the calculator has an argument for it, give that with --model-arg"
        )
    facts = version_facts(name)
    potential = GuestPotential(
        GuestConfig(module=name.module, attribute=name.attribute, arguments=given),
        make_calculator(name, given, report),
    )
    potential.eval()
    if potential.shares_energy:
        report.message(f"{potential.label} has no energies of atoms: they are the energy shared equally")
    header = {
        "config": potential.config.model_dump(mode="json"),
        "precision": OWN_PRECISION,
        "device": runs_on,
        "guest": {"calculator": str(name), **facts, "arguments": given, "outputs": list(potential.outputs)}
        | {"atomic_energies": "shared equally" if potential.shares_energy else "of the calculator"},
    }
    return ModelFile(potential, header)
