"""What a checkpoint of torchmd-net says of a TensorNet, read without running anything of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eqcli.elements import SYMBOLS
from eqcli.errors import InputError, Where
from eqcli.io.inert_pickle import Inert, read_inert
from eqcli.models.potentials.config import TensorNetConfig

RADIAL_TYPES = {"expnorm": "expnormal", "gauss": "gaussian"}
RENAMED = (
    (re.compile(r"^model\."), ""),
    (re.compile(r"^output_model\.output_network\.([02])\."), r"output_model.output_network.layers.\1."),
)
"""Prefixes of Lightning, and names of earlier versions."""
EMBEDDING = "representation_model.tensor_embedding"


@dataclass
class Checkpoint:
    """A checkpoint: the hyper-parameters, the tensors by name, and the states of the optimiser."""

    path: Path
    settings: dict[str, Any]
    tensors: dict[str, Tensor]
    optimizer: list[Any]

    @classmethod
    def read(cls, path: Path) -> Checkpoint:
        content = read_inert(path)
        if not isinstance(content, dict) or not {"state_dict", "hyper_parameters"} <= content.keys():
            raise InputError(
                "this is not a checkpoint of torchmd-net: it has no hyper-parameters and weights",
                Where(path),
                "Give a .ckpt file that `torchmd-train` wrote.",
            )
        settings = content["hyper_parameters"]
        settings = dict(settings.items) if isinstance(settings, Inert) else dict(settings)
        tensors = {_renamed(name): value for name, value in content["state_dict"].items()}
        self = cls(Path(path), settings, tensors, content.get("optimizer_states") or [])
        self._require_supported()
        if self.is_old:
            self._reorder()
        return self

    def refuse(self, found: str, hint: str = "") -> InputError:
        return InputError(f"this torchmd-net model has {found}", Where(self.path), hint)

    @property
    def cross_product(self) -> float:
        """Sign of torchmd-net's antisymmetric tensors of edges; energies feel it for SO(3) alone.

        Its edges go from neighbour to centre, here the other way. Its kernels since version 3 take the transpose.
        """
        return -1.0 if self.is_old else 1.0

    @property
    def is_old(self) -> bool:
        """Whether a version before 3 wrote the file: those stated whether errors were checked."""
        return "check_errors" in self.settings

    def _require_supported(self) -> None:
        """Raises InputError for what would change energies and is not known here."""
        given = self.settings
        if given.get("model") != "tensornet":
            raise self.refuse(f"the architecture {given.get('model')!r}", "TensorNet alone can be imported.")
        wanted = {
            "output_model": ("Scalar",),
            "activation": ("silu",),
            "reduce_op": ("sum", "add"),
            "cutoff_lower": (0,),
        }
        for name, values in wanted.items():
            if given.get(name, values[0]) not in values:
                raise self.refuse(f"{name} = {given[name]!r}", f"Supported: {values[0]!r}.")
        if given.get("atom_filter", -1) > -1:
            raise self.refuse("an atom filter", "Energies of all atoms are summed here.")

    def _reorder(self) -> None:
        """Old files have the three factors of a channel side by side."""
        last = [f"{EMBEDDING}.linears_scalar.1"]
        last += [f"representation_model.layers.{i}.linears_scalar.2" for i in range(self.settings["num_layers"])]
        for name in last:
            for kind in ("weight", "bias"):
                value = self.tensors[f"{name}.{kind}"]
                self.tensors[f"{name}.{kind}"] = value.unflatten(0, (-1, 3)).transpose(0, 1).flatten(0, 1)

    def config(self) -> TensorNetConfig:
        given = self.settings
        if given["rbf_type"] not in RADIAL_TYPES:
            raise self.refuse(f"a radial basis {given['rbf_type']!r}", f"Supported are {', '.join(RADIAL_TYPES)}.")
        return TensorNetConfig.model_validate({
            "cutoff": float(given["cutoff_upper"]),
            "channels": given["embedding_dimension"],
            "num_layers": given["num_layers"],
            "num_radial_basis": given["num_rbf"],
            "radial_type": RADIAL_TYPES[given["rbf_type"]],
            "trainable_basis": given["trainable_rbf"],
            "envelope": "cosine",
            "group": given.get("equivariance_invariance_group", "O(3)"),
            "charge": bool(given.get("charge", False)),
        })  # fmt: skip

    def elements(self) -> list[int]:
        """Elements that the training moved, those with reference energies, or else all that have an embedding."""
        table = self.tensors[f"{EMBEDDING}.emb.weight"]
        known = torch.arange(1, min(len(table), len(SYMBOLS)))
        moved = self._squared_gradients(table.shape)
        if moved is not None:
            known = known[moved[known].any(dim=1)]
        elif (energies := self.atom_energies()) is not None:
            energies = torch.nn.functional.pad(energies, (0, max(0, len(table) - len(energies))))
            known = known[energies[known] != 0]
        found: list[int] = known.tolist()
        if not found:
            raise self.refuse("no element that was trained")
        return found

    def _squared_gradients(self, shape: torch.Size) -> Tensor | None:
        """What Adam has seen of the gradient of the embeddings; None where the file has no states of it."""
        for optimizer in self.optimizer:
            states = optimizer.get("state", {}).values() if isinstance(optimizer, dict) else ()
            for state in states:
                seen = state.get("exp_avg_sq") if isinstance(state, dict) else None
                if isinstance(seen, Tensor) and seen.shape == shape:
                    return seen
        return None

    def constant_per_atom(self, formula: str | None) -> float:
        """What each atom has of the constant that is added to every structure, in the unit of the file."""
        mean = float(self.tensors.get("mean", torch.tensor(0.0)))
        if mean == 0.0:
            return 0.0
        if formula is None:
            raise self.refuse(
                f"a constant of {mean:.6g} that is added to every structure, however large (`standardize`)",
                "Say with --formula, such as C2H6O, what it was trained on: these atoms then share the constant.",
            )
        return mean / _count_atoms(formula)

    def atom_energies(self) -> Tensor | None:
        """Energies by atomic number that a prior adds, in the unit of the file. Raises InputError for other priors."""
        total = None
        for i, (name, options) in enumerate(self._priors()):
            if name not in ("Atomref", "LearnableAtomref"):
                raise self.refuse(f"a prior {name!r}", "Supported is Atomref.")
            if options.get("enable", True):
                part = self.tensors[f"prior_model.{i}.atomref.weight"].flatten().double()
                total = part if total is None else total + part
        return total

    def _priors(self) -> list[tuple[str, dict[str, Any]]]:
        """Name and options of each prior, in the three ways that torchmd-net writes them."""
        given = self.settings.get("prior_model") or []
        found: list[tuple[str, dict[str, Any]]] = []
        for prior in given if isinstance(given, list) else [given]:
            found += (
                [(name, options or {}) for name, options in prior.items()] if isinstance(prior, dict) else [(prior, {})]
            )
        options = self.settings.get("prior_args") or []
        options = options if isinstance(options, list) else [options]
        return [(name, options[i] if i < len(options) else own) for i, (name, own) in enumerate(found)]


def _count_atoms(formula: str) -> int:
    """Number of atoms of a formula. Raises InputError when it is none."""
    parts = re.findall(r"([A-Z][a-z]?)([1-9]\d*)?", formula)
    written = "".join(symbol + count for symbol, count in parts)
    if not parts or written != formula or any(symbol not in SYMBOLS[1:] for symbol, _ in parts):
        raise InputError(f"'{formula}' is no formula", hint="Write elements and numbers of atoms, such as C2H6O.")
    return sum(int(count or 1) for _, count in parts)


def _renamed(name: str) -> str:
    for pattern, replacement in RENAMED:
        name = pattern.sub(replacement, name)
    return name
