"""What has gone wrong on the way of a relaxation, in the words of `engine.relaxation`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from eqcli.engine.batched.fixed_symmetry import space_groups, symmetry_loss
from eqcli.engine.batched.relaxing import fmax, smax
from eqcli.engine.relaxation import MAX_VOLUME_CHANGE, MIN_CONTACT
from eqcli.graph.atom_graph import build_graph
from eqcli.graph.distances import closest_contact

if TYPE_CHECKING:
    from eqcli.engine.batched.state import BatchState
    from eqcli.engine.relaxation import RelaxSettings
    from eqcli.graph.distances import Contact

CONTACT_CUTOFF = 2.0
"""Å: pairs that have fallen into each other are closer, whatever their elements."""


def sound(state: BatchState, settings: RelaxSettings) -> Tensor:
    """Whether each structure goes somewhere, `[B]` bool; `faults` says what is wrong with the others."""
    good = _finite(state, settings) & ~_fallen(state) & ~_exploded(state)
    return good & ~(symmetry_loss(state) > settings.symprec) if settings.keep_symmetry else good


def faults(state: BatchState, settings: RelaxSettings) -> dict[int, str]:
    """What is wrong, for each structure (by its place in the state) whose path leads nowhere: values that are not
    finite, atoms that fell into each other, a cell that exploded, a symmetry that is lost.
    """
    bad = (~sound(state, settings)).nonzero().squeeze(1)
    if not len(bad):
        return {}
    places = bad.tolist()
    return {k: _reason(state.select(bad[i : i + 1]), settings) for i, k in enumerate(places)}


def _finite(state: BatchState, settings: RelaxSettings) -> Tensor:
    return torch.isfinite(torch.stack([state.energy, fmax(state), smax(state, settings)])).all(0)


def _fallen(state: BatchState) -> Tensor:
    return (state.systems["relax/closest"] < MIN_CONTACT) & (state.systems["relax/contact"] >= MIN_CONTACT)


def _volume_change(state: BatchState) -> Tensor:
    change = torch.linalg.det(state.cell).abs() / state.systems["relax/volume"]
    return torch.where(state.pbc.all(1), change, torch.ones_like(change))


def _exploded(state: BatchState) -> Tensor:
    change = _volume_change(state)
    return ~((change > 1 / MAX_VOLUME_CHANGE) & (change < MAX_VOLUME_CHANGE))


def _reason(one: BatchState, settings: RelaxSettings) -> str:
    """What is wrong with the only structure of a state."""
    step = int(one.step[0])
    if not bool(_finite(one, settings)[0]):
        contact = _contact(one)
        return f"energy or forces are not finite at step {step}" + (f": {contact}" if contact else "")
    if bool(_fallen(one)[0]):
        return f"the atoms fell into each other at step {step}: {_contact(one)}"
    if bool(_exploded(one)[0]):
        return f"the volume changed by a factor of {float(_volume_change(one)[0]):.3g} by step {step}"
    before, after = space_groups(one, settings.symprec)
    return f"the relaxation lost the symmetry {before} by {float(symmetry_loss(one)[0]):.2g} Å; it is now {after}"


def _contact(one: BatchState) -> Contact | None:
    cpu = one.to("cpu")
    arrays = (cpu.numbers.numpy(), cpu.positions.numpy(), cpu.cell[0].numpy(), cpu.pbc[0].numpy())
    return closest_contact(build_graph(*arrays, CONTACT_CUTOFF))
