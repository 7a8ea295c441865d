"""What a generation is asked for, whatever the model makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import ValidationError

from eqcli.errors import InputError
from eqcli.names import did_you_mean

if TYPE_CHECKING:
    import torch

    from eqcli.engine.memory_budget import MemoryBudget
    from eqcli.io.structure import Structure

LARGEST_FACTOR = 2
"""Structures with so many times the atoms of the largest in training deserve a warning."""

FILES = ("composition_of", "refine", "scaffold")
"""Arguments that are files; they exclude each other."""


@dataclass(frozen=True)
class GenerationRequest:
    """The arguments of :func:`eqcli.tasks.generate.generate` that say what is wanted, and how it is made."""

    n: int = 1
    formula: tuple[str, ...] = ()
    formula_units: int = 1
    composition_of: Path | None = None
    atoms: int | None = None
    system: str | None = None
    value: float | None = None
    guidance: float = 1.0
    refine: Path | None = None
    strength: float = 0.3
    scaffold: Path | None = None
    condition: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    steps: int | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    limit: int | None = None
    precision: str | None = None
    batch_atoms: int | None = None

    @property
    def files(self) -> dict[str, Path]:
        """The files that are given, by the name of the argument."""
        given = {name: getattr(self, name) for name in FILES}
        return {name: Path(path) for name, path in given.items() if path is not None}

    def as_dict(self, *names: str) -> dict[str, Any]:
        """Some of the arguments as plain data; files stand with their contents, not their places."""
        from eqcli.files import sha256

        plain = {name: _plain(getattr(self, name)) for name in names}
        for name, path in self.files.items():
            if name in plain:
                plain[name] = {"name": path.name, "sha256": sha256(path)}
        return plain

    def settings(self) -> dict[str, Any]:
        """Everything but the file, and the argument that it is, as plain data."""
        plain = {one.name: _plain(getattr(self, one.name)) for one in fields(self) if one.name not in FILES}
        return plain | {"file": next(iter(self.files), None)}

    @classmethod
    def restored(cls, settings: Mapping[str, Any], inputs: Sequence[Path]) -> GenerationRequest:
        """The request of these `settings` and its file, if there is one."""
        given = {**settings, "formula": tuple(settings["formula"])}
        if (name := given.pop("file")) is not None:
            given[name] = inputs[0]
        return cls(**given)

    def changed_sampling(self, default: Any, name: str) -> Any:
        """The sampling settings of a model with those that are asked for. Raises InputError for impossible ones."""
        given = dict(self.sampling) | ({"steps": self.steps} if self.steps is not None else {})
        known = type(default).model_fields
        for key in given:
            if key not in known:
                raise InputError(
                    f"{name} has no sampling setting '{key}'", hint=did_you_mean(key, known, f"settings of {name}")
                )
        try:
            return type(default).model_validate(default.model_dump() | given)
        except ValidationError as error:
            detail = error.errors(include_url=False)[0]
            raise InputError(f"sampling setting '{detail['loc'][0]}': {detail['msg']}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value


class Wishes(Protocol):
    """The single structures that a request means, by their numbers in the run."""

    def __len__(self) -> int: ...

    def of(self, samples: Sequence[int]) -> list[Any]:
        """The wishes of these numbers, which ascend; any of them without the others."""
        ...


class Sampler(Protocol):
    """What makes the structures of wishes, batch by batch.

    Attributes
    ----------
    calls
        Network calls for each structure; None before one was made.
    steps
        Of the sampling.
    batch_bytes
        Memory of a full batch, by estimate.
    """

    calls: int | None
    device: torch.device

    @property
    def model(self) -> torch.nn.Module: ...
    @property
    def budget(self) -> MemoryBudget: ...
    @property
    def steps(self) -> int: ...
    @property
    def batch_bytes(self) -> int: ...

    def with_steps(self, steps: int) -> Sampler:
        """The same with another number of steps."""
        ...

    def sample(self, wishes: Sequence[Any], on_failure: Callable[[int, str], None]) -> Iterator[list[Structure]]:
        """The structures, a list for each batch; `on_failure` hears number and reason of those that are none."""
        ...


@dataclass(frozen=True)
class Generation:
    """A request that a model can carry out.

    Attributes
    ----------
    flags_of
        Words on what is wrong with a structure that is kept all the same.
    asked
        The request as plain data, with all settings of the sampling.
    """

    sampler: Sampler
    wishes: Wishes
    flags_of: Callable[[Structure], Sequence[str]]
    asked: dict[str, Any]
