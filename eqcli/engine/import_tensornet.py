"""TensorNet models of torchmd-net, read without torchmd-net and without running anything of their file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor

from eqcli.elements import SYMBOLS
from eqcli.engine.imported_model import write_imported
from eqcli.engine.model_file import ModelFile, make_potential
from eqcli.errors import InputError, Where
from eqcli.files import refuse_existing
from eqcli.graph.atom_graph import build_graph
from eqcli.io.inert_pickle import Inert, read_inert
from eqcli.models.potentials.config import TensorNetConfig
from eqcli.models.potentials.tensornet import TensorNet
from eqcli.nn.activation import SILU_SCALE
from eqcli.nn.radial import ExpNormalBasis, GaussianBasis
from eqcli.units import ENERGY

RADIAL_TYPES = {"expnorm": "expnormal", "gauss": "gaussian"}
RENAMED = (
    (re.compile(r"^model\."), ""),
    (re.compile(r"^output_model\.output_network\.([02])\."), r"output_model.output_network.layers.\1."),
)
"""Prefixes of Lightning, and names of earlier versions."""
EMBEDDING = "representation_model.tensor_embedding"
READOUT = "output_model.output_network.layers"


def convert_torchmd_net(path: Path, output: Path, *, overwrite: bool = False, energy_unit: str = "eV") -> ModelFile:
    """Writes a TensorNet of torchmd-net as a model file; `energy_unit` is that of its training data."""
    refuse_existing(output, overwrite)
    return write_imported(import_tensornet(path, energy_unit), output, path, "torchmd-net", energy_unit=energy_unit)


def import_tensornet(path: Path, energy_unit: str = "eV") -> TensorNet:
    """The potential in a checkpoint of torchmd-net, in the precision of the file.

    Torchmd-net does not state units: lengths are taken in Å, energies in `energy_unit`.
    """
    source = _Source.read(path)
    try:
        config = source.config()
    except ValidationError as error:
        raise source.refuse(f"hyper-parameters that are not supported: {error.errors()[0]['msg']}") from error
    potential = make_potential(config, source.elements())
    assert isinstance(potential, TensorNet)
    potential = potential.to(source.tensors[f"{EMBEDDING}.emb.weight"].dtype)
    with torch.no_grad():
        _copy(source, potential, ENERGY[energy_unit])
    return potential.eval()


@dataclass
class _Source:
    """A checkpoint: the hyper-parameters, the tensors by name, and the states of the optimiser."""

    path: Path
    settings: dict[str, Any]
    tensors: dict[str, Tensor]
    optimizer: list[Any]

    @classmethod
    def read(cls, path: Path) -> _Source:
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
        if float(self.tensors.get("mean", torch.tensor(0.0))) != 0.0:
            raise self.refuse(
                f"a constant of {float(self.tensors['mean']):.6g} that is added to every structure, however large "
                "(`standardize`): no sum over atoms gives such energies",
                "Train it without `standardize`, with the prior `Atomref` instead.",
            )

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


def _renamed(name: str) -> str:
    for pattern, replacement in RENAMED:
        name = pattern.sub(replacement, name)
    return name


def _copy(source: _Source, potential: TensorNet, unit: float) -> None:
    t, numbers = source.tensors, potential.elements
    expansion, basis = "representation_model.distance_expansion", potential.basis
    if isinstance(basis, ExpNormalBasis):
        basis.centres.copy_(t[f"{expansion}.means"])
        basis.widths.copy_(t[f"{expansion}.betas"])
    elif isinstance(basis, GaussianBasis):
        basis.centres.copy_(t[f"{expansion}.offset"])
        basis.exponent.copy_(t[f"{expansion}.coeff"])
    _copy_embedding(t, potential.embedding, numbers, source.cross_product)
    for i, layer in enumerate(potential.layers):
        _copy_layer(t, f"representation_model.layers.{i}", layer)
    _copy_linear(t, "representation_model.out_norm", potential.norm)
    _copy_linear(t, "representation_model.linear", potential.linear)
    readout = potential.readout
    assert readout is not None
    _copy_linear(t, f"{READOUT}.0", readout.linear)
    readout.weight.copy_(t[f"{READOUT}.2.weight"].flatten() * (len(readout.weight) ** 0.5 / SILU_SCALE))
    std = t.get("std", torch.tensor(1.0)).double()
    potential.scale.copy_(std * unit)
    atoms = std * (_lone_energies(potential) + t[f"{READOUT}.2.bias"].double())
    priors = source.atom_energies()
    if priors is not None:
        atoms = atoms + priors[numbers]
    potential.reference_energies.copy_(atoms * unit)


def _copy_embedding(t: dict[str, Tensor], embedding: Any, numbers: Tensor, cross_product: float) -> None:
    embedding.elements.copy_(t[f"{EMBEDDING}.emb.weight"][numbers])
    _copy_linear(t, f"{EMBEDDING}.emb2", embedding.pair)
    _copy_linear(t, f"{EMBEDDING}.init_norm", embedding.norm)
    for part, sign in enumerate((1.0, cross_product, 1.0)):
        name = f"{EMBEDDING}.distance_proj{part + 1}"
        weight = torch.cat([t[f"{name}.weight"].T, t[f"{name}.bias"].unsqueeze(0)])
        embedding.radial[part].copy_(sign * weight)
    for i, place in enumerate((0, 2)):
        _copy_linear(t, f"{EMBEDDING}.linears_scalar.{i}", embedding.scalars[place])
    _copy_parts(t, f"{EMBEDDING}.linears_tensor", 0, embedding.tensors)


def _copy_layer(t: dict[str, Tensor], prefix: str, layer: Any) -> None:
    for i, place in enumerate((0, 2, 4)):
        _copy_linear(t, f"{prefix}.linears_scalar.{i}", layer.radial[place])
    _copy_parts(t, f"{prefix}.linears_tensor", 0, layer.tensors_in)
    _copy_parts(t, f"{prefix}.linears_tensor", 3, layer.tensors_out)


def _copy_linear(t: dict[str, Tensor], name: str, module: Any) -> None:
    module.weight.copy_(t[f"{name}.weight"])
    module.bias.copy_(t[f"{name}.bias"])


def _copy_parts(t: dict[str, Tensor], name: str, first: int, module: Any) -> None:
    for part in range(3):
        module.weight[part].copy_(t[f"{name}.{first + part}.weight"].T)


def _lone_energies(potential: TensorNet) -> Tensor:
    """What the readout gives an atom of each element without neighbours, `[n_elements]` float64.

    In torchmd-net that is part of the energy; here it belongs to the reference energy.
    """
    alone = potential.elements[:1].cpu().numpy()
    graph = build_graph(alone, np.zeros((1, 3)), np.zeros((3, 3)), np.zeros(3, dtype=bool), potential.cutoff)
    scalars = potential.states(potential.inputs(graph, torch.zeros(0, 3, dtype=torch.float64))).scalars
    assert potential.readout is not None
    energies: Tensor = potential.readout(scalars[1:]).double()
    return energies
