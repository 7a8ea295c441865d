"""TensorNet models of torchmd-net, read without torchmd-net and without running anything of their file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor

from eqcli.engine.imported_model import write_imported
from eqcli.engine.model_file import ModelFile, make_potential
from eqcli.engine.torchmd_checkpoint import EMBEDDING, Checkpoint
from eqcli.files import refuse_existing
from eqcli.graph.atom_graph import build_graph
from eqcli.models.potentials.tensornet import TensorNet
from eqcli.nn.activation import SILU_SCALE
from eqcli.nn.radial import ExpNormalBasis, GaussianBasis
from eqcli.units import ENERGY

READOUT = "output_model.output_network.layers"


def convert_torchmd_net(
    path: Path, output: Path, *, overwrite: bool = False, energy_unit: str = "eV", formula: str | None = None
) -> ModelFile:
    """Writes a TensorNet of torchmd-net as a model file, see :func:`import_tensornet`."""
    refuse_existing(output, overwrite)
    potential = import_tensornet(path, energy_unit, formula)
    return write_imported(potential, output, path, "torchmd-net", energy_unit=energy_unit, formula=formula)


def import_tensornet(path: Path, energy_unit: str = "eV", formula: str | None = None) -> TensorNet:
    """The potential in a checkpoint of torchmd-net, in the precision of the file.

    Torchmd-net does not state units: lengths are taken in Å, energies in `energy_unit`, that of the training data.

    Parameters
    ----------
    path
        The checkpoint.
    energy_unit
        A name of :data:`eqcli.units.ENERGY`.
    formula
        Composition of the structures of a model that was trained with `standardize`, such as C2H6O. The constant
        that it adds to every structure is shared evenly among these atoms.

    Raises
    ------
    InputError
        The file is no checkpoint of torchmd-net, or holds what would change energies and is not known here.
    """
    source = Checkpoint.read(path)
    try:
        config = source.config()
    except ValidationError as error:
        raise source.refuse(f"hyper-parameters that are not supported: {error.errors()[0]['msg']}") from error
    potential = make_potential(config, source.elements())
    assert isinstance(potential, TensorNet)
    potential = potential.to(source.tensors[f"{EMBEDDING}.emb.weight"].dtype)
    with torch.no_grad():
        _copy(source, potential, ENERGY[energy_unit], source.constant_per_atom(formula))
    return potential.eval()


def _copy(source: Checkpoint, potential: TensorNet, unit: float, constant: float) -> None:
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
    potential.reference_energies.copy_((atoms + constant) * unit)


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
