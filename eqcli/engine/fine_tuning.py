"""Training that starts from a trained potential: weights taken over, elements added, energies shifted, parts frozen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from eqcli.elements import SYMBOLS
from eqcli.errors import InputError, Where
from eqcli.models.potentials.derive import evaluate
from eqcli.names import did_you_mean

if TYPE_CHECKING:
    from torch import Tensor, nn

    from eqcli.data.statistics import DataStatistics
    from eqcli.graph.atom_graph import AtomGraph
    from eqcli.models.potentials.base import Potential

HEADS = "heads."
"""Parameters of properties may be new, or left behind; all others must fit."""

SAMPLE = 300
"""Structures that the shift of reference energies is fitted to."""


def adopt(potential: Potential, base: Potential, source: Path) -> list[str]:
    """Gives a fresh potential the weights and constants of a trained one.

    Elements that the trained one knows keep what belongs to them: on structures of these the two give the same
    energies. Elements that are new start from the mean of the others.

    Returns
    -------
    Names of the parameters that stay fresh: those of new heads.

    Raises
    ------
    InputError
        A parameter does not fit: the architecture is another one.
    """
    base.uncertainty = None  # it was fitted to the errors of the base, and says nothing about what comes of it
    kept, fresh = dict(base.state_dict()), []
    rows = _rows(potential, base)
    tables = _element_tables(base) if len(rows) else set()
    growth = (len(potential.elements) / len(base.elements)) ** 0.5
    with torch.no_grad():
        for name, value in potential.state_dict(keep_vars=True).items():
            if name == "elements":
                continue
            if name not in kept:
                if not name.startswith(HEADS):
                    raise InputError(f"the model to start from has no parameter '{name}'", Where(source), _HINT)
                fresh.append(name)
                continue
            old = kept.pop(name)
            if name in tables:
                old = _extended(old, rows) * (growth if _is_scaled(potential, name) else 1.0)
            if old.shape != value.shape:
                raise InputError(
                    f"'{name}' is {list(old.shape)} in the model to start from, {list(value.shape)} by the recipe",
                    Where(source),
                    _HINT,
                )
            value.copy_(old)
    left = [name for name in kept if name != "elements" and not name.startswith(HEADS)]
    if left:
        raise InputError(f"the model to start from has a parameter '{left[0]}' too many", Where(source), _HINT)
    return fresh


_HINT = "Leave `model` out of the recipe, or change nothing in it but `heads`."


def _rows(potential: Potential, base: Potential) -> Tensor:
    """Row of each of the potential's elements in the tables of the base, -1 where it is new; empty where all agree."""
    old = base.elements.tolist()
    new = potential.elements.tolist()
    if old == new:
        return torch.zeros(0, dtype=torch.int64)
    return torch.tensor([old.index(z) if z in old else -1 for z in new])


def _is_scaled(potential: Potential, name: str) -> bool:
    return any(part in name for part in potential.element_scaled)


def _element_tables(base: Potential) -> set[str]:
    """Names of the tensors whose first axis counts elements: those that change shape when an element is added."""
    from eqcli.models.potentials.build import make_potential

    more = [*base.elements.tolist(), next(z for z in range(1, 119) if z not in base.elements.tolist())]
    with torch.random.fork_rng(devices=[]):
        other = make_potential(base.config, more).state_dict()
    return {name for name, value in base.state_dict().items() if value.shape != other[name].shape}


def _extended(old: Tensor, rows: Tensor) -> Tensor:
    """A table by element with rows in the order of the new elements; the mean of all where an element is new."""
    table = torch.cat([old, old.mean(dim=0, keepdim=True)])
    return table[torch.where(rows < 0, torch.full_like(rows, len(old)), rows)]


def freeze(model: nn.Module, patterns: Sequence[str]) -> int:
    """Lets the parameters that the patterns name keep their values; returns how many numbers they hold.

    Raises InputError for a pattern that names nothing, and when nothing is left to train.
    """
    names = dict(model.named_parameters())
    for pattern in patterns:
        chosen = [name for name in names if matches(name, pattern)]
        if not chosen:
            parts = sorted({part for name in names for part in _parts(name)})
            raise InputError(
                f"no part of the model is called '{pattern}'",
                Where(key="fine_tune.freeze"),
                did_you_mean(pattern, parts) or f"Parts: {', '.join(p for p in parts if '.' not in p)}.",
            )
        for name in chosen:
            names[name].requires_grad_(False)
    if not any(parameter.requires_grad for parameter in names.values()):
        raise InputError("every parameter is frozen: there is nothing to train", Where(key="fine_tune.freeze"))
    return sum(p.numel() for p in names.values() if not p.requires_grad)


def matches(name: str, pattern: str) -> bool:
    """Whether a pattern names a parameter, or something that it belongs to."""
    return any(fnmatch(part, pattern) for part in _parts(name))


def _parts(name: str) -> list[str]:
    """`layers.0.weight` and what it belongs to: `layers`, `layers.0`."""
    words = name.split(".")
    return [".".join(words[: k + 1]) for k in range(len(words))]


def refit_references(potential: Potential, graphs: Iterable[AtomGraph]) -> dict[str, float]:
    """Shifts the reference energies so that the energies of labelled structures fit best; returns the shifts in eV.

    Least squares of the error per atom over the composition, of least norm where compositions leave it open.
    """
    shares, errors = [], []
    for graph in graphs:
        energy = evaluate(potential, graph, forces=False)["energy"]
        counts = torch.zeros(graph.n_structures, len(potential.elements), dtype=torch.float64)
        counts.index_put_((graph.batch, potential.species(graph)), torch.ones(1, dtype=torch.float64), accumulate=True)
        atoms = counts.sum(1)
        known = torch.isfinite(graph.energy)
        shares.append((counts / atoms[:, None])[known].numpy())
        errors.append(((graph.energy - energy) / atoms)[known].numpy())
    share, error = np.concatenate(shares), np.concatenate(errors)
    if not len(error):
        return {}
    shift, *_ = np.linalg.lstsq(share, error, rcond=1e-6)
    with torch.no_grad():
        potential.reference_energies += torch.from_numpy(shift)
    return {SYMBOLS[z]: float(s) for z, s in zip(potential.elements.tolist(), shift, strict=True)}


def set_references(
    potential: Potential, base: Potential, section: Any, statistics: DataStatistics, graphs: Iterable[AtomGraph]
) -> str:
    """Sets the reference energies as the recipe's `fine_tune` section wants them; returns what was done, in words.

    `graphs` are labelled structures, read only where a shift is fitted.
    """
    wanted = wanted_references(section, statistics.reference.source.values())
    known = base.elements.tolist()
    with torch.no_grad():
        for symbol, energy in statistics.reference.energies.items():
            z = SYMBOLS.index(symbol)
            if wanted == "data" or z not in known:
                potential.reference_energies[potential.element_index[z]] = energy  # type: ignore[index]
    if wanted != "refit":
        return f"reference energies: {'those of the model' if wanted == 'keep' else 'those of the data'}"
    shifts = refit_references(potential, graphs)
    listed = ", ".join(f"{symbol} {shift:+.4g}" for symbol, shift in shifts.items())
    return f"reference energies of the model shifted by {listed} eV"


def wanted_references(section: Any, sources: Iterable[str]) -> str:
    """`keep`, `refit` or `data`: what `auto` means for reference energies from these sources."""
    if section.reference_energies != "auto":
        return str(section.reference_energies)
    return "data" if set(sources) <= {"isolated", "explicit"} else "refit"
