"""What the header of a model file says, by the family that the model belongs to, and how a model is made from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import BaseModel, ValidationError

from eqcli.elements import SYMBOLS
from eqcli.errors import InputError, Where
from eqcli.models.docking.build import make_docking_network
from eqcli.models.docking.config import DOCKING
from eqcli.models.dynamics.config import DYNAMICS
from eqcli.models.generators.build import make_generator
from eqcli.models.generators.config import GENERATORS
from eqcli.models.molecules.build import make_molecule_generator
from eqcli.models.molecules.config import MOLECULE_GENERATORS
from eqcli.models.molecules.vocabulary import Vocabulary
from eqcli.models.pointcloud.build import make_registration_network
from eqcli.models.pointcloud.config import POINT_CLOUD_MODELS
from eqcli.models.potentials.build import make_potential
from eqcli.models.potentials.config import POTENTIALS
from eqcli.models.potentials.uncertainty import LastLayerUncertainty

if TYPE_CHECKING:
    from torch import nn

    from eqcli.models.docking.base import DockingNetwork
    from eqcli.models.dynamics.base import DynamicsModel
    from eqcli.models.generators.base import CrystalGenerator
    from eqcli.models.molecules.base import MoleculeGenerator
    from eqcli.models.pointcloud.base import RegistrationNetwork
    from eqcli.models.potentials.base import Potential

Header = dict[str, Any]

VOCABULARY = ("elements", "charges", "hybridisations", "bonds")
"""What a generator of molecules knows a list of."""


@dataclass(frozen=True)
class Family:
    """How models of one family are written down and made again.

    Attributes
    ----------
    describe
        A model -> entries of its header besides those of every model.
    make
        A header and the file it is from -> the model, with fresh weights. Raises InputError for a damaged header.
    required
        Entries of the header without which `make` cannot do.
    """

    describe: Callable[[Any], Header]
    make: Callable[[Header, Path], nn.Module]
    required: tuple[str, ...] = ()


def make_dynamics(config: Any, *, node_features: int, edge_features: int) -> DynamicsModel:
    """A model of motion of the class that `config` belongs to, with fresh weights, in float64.

    The weights are drawn in torch's default precision, whatever the model is trained in.
    """
    module, name, _ = DYNAMICS[config.name]
    model: DynamicsModel = getattr(import_module(module), name)(
        config, node_features=node_features, edge_features=edge_features
    )
    return model.to(torch.float64)


def config_in(header: Header, table: dict[str, tuple[str, str, type[BaseModel]]], source: Path) -> BaseModel:
    """The hyper-parameters that a header states, for one of the models in a table. Raises InputError."""
    name = header["config"].get("name")
    if name not in table:
        raise InputError(
            f"the model is of a kind '{name}' that this eqcli does not know", Where(source), "Update eqcli."
        )
    try:
        return table[name][2].model_validate(header["config"])
    except ValidationError as error:
        raise InputError(f"the header of this model is damaged: {error}", Where(source)) from error


def _describe_potential(potential: Potential) -> Header:
    symbols = [SYMBOLS[z] for z in potential.elements.tolist()]
    return {
        "elements": symbols,
        "reference_energies": dict(zip(symbols, potential.reference_energies.tolist(), strict=True)),
        "last_layer": potential.uncertainty.size if potential.uncertainty is not None else None,
        "units": {"length": "Angstrom", "energy": "eV", "forces": "eV/Angstrom", "stress": "eV/Angstrom^3"}
        | {name: quantity.unit for name, quantity in potential.quantities.items()},
    }


def _potential(header: Header, source: Path) -> nn.Module:
    config = config_in(header, POTENTIALS, source)
    unknown = [symbol for symbol in header["elements"] if symbol not in SYMBOLS[1:]]
    if unknown:
        raise InputError(f"the header of this model is damaged: elements {', '.join(unknown)}", Where(source))
    potential = make_potential(config, [SYMBOLS.index(symbol) for symbol in header["elements"]])
    if size := header.get("last_layer"):
        potential.uncertainty = LastLayerUncertainty(int(size))
    return potential


def _describe_dynamics(model: DynamicsModel) -> Header:
    return {"inputs": {"node_features": model.node_features, "edge_features": model.edge_features}}


def _dynamics(header: Header, source: Path) -> nn.Module:
    config, inputs = config_in(header, DYNAMICS, source), header["inputs"]
    try:
        return make_dynamics(config, **{name: int(inputs[name]) for name in ("node_features", "edge_features")})
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"the header of this model is damaged: its inputs are {inputs}", Where(source)) from error


def _describe_generator(model: CrystalGenerator) -> Header:
    return {
        "elements": [SYMBOLS[z] for z in model.elements.tolist()],
        "sizes": {str(n): count for n, count in enumerate(model.sizes.tolist()) if count},
        "units": {"length": "Angstrom"},
    }


def _generator(header: Header, source: Path) -> nn.Module:
    config = config_in(header, GENERATORS, source)
    try:
        numbers = [SYMBOLS.index(symbol) for symbol in header["elements"]]
        sizes = _sizes(header)
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"the header of this model is damaged: {error}", Where(source)) from error
    return make_generator(config, elements=numbers, sizes=sizes)


def _sizes(header: Header) -> list[int]:
    """How many training structures had 0, 1, 2 ... atoms."""
    counts = {int(n): int(count) for n, count in header["sizes"].items()}
    return [counts.get(n, 0) for n in range(max(counts) + 1)]


def _describe_molecules(model: MoleculeGenerator) -> Header:
    return {
        "elements": [SYMBOLS[z] for z in model.vocabulary.elements],
        "vocabulary": model.vocabulary.as_dict(),
        "sizes": {str(n): count for n, count in enumerate(model.sizes.tolist()) if count},
        "units": {"length": "Angstrom"},
    }


def _molecules(header: Header, source: Path) -> nn.Module:
    config = config_in(header, MOLECULE_GENERATORS, source)
    try:
        codes = {name: tuple(int(code) for code in header["vocabulary"][name]) for name in VOCABULARY}
        return make_molecule_generator(config, vocabulary=Vocabulary(**codes), sizes=_sizes(header))
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"the header of this model is damaged: {error}", Where(source)) from error


def _describe_docking(model: DockingNetwork) -> Header:
    return {
        "inputs": {"ligand_codes": list(model.ligand_codes), "receptor_codes": list(model.receptor_codes)},
        "units": {"length": "Angstrom"},
    }


def _docking(header: Header, source: Path) -> nn.Module:
    config, inputs = config_in(header, DOCKING, source), header["inputs"]
    try:
        codes = {name: tuple(int(n) for n in inputs[name]) for name in ("ligand_codes", "receptor_codes")}
        return make_docking_network(config, **codes)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"the header of this model is damaged: its inputs are {inputs}", Where(source)) from error


def _describe_registration(model: RegistrationNetwork) -> Header:
    return {"units": {"length": "voxel"}}


def _registration(header: Header, source: Path) -> nn.Module:
    return make_registration_network(config_in(header, POINT_CLOUD_MODELS, source))


FAMILIES: dict[str, Family] = {
    "potentials": Family(_describe_potential, _potential, ("elements",)),
    "dynamics": Family(_describe_dynamics, _dynamics, ("inputs",)),
    "generators": Family(_describe_generator, _generator, ("elements", "sizes")),
    "molecules": Family(_describe_molecules, _molecules, ("vocabulary", "sizes")),
    "docking": Family(_describe_docking, _docking, ("inputs",)),
    "pointcloud": Family(_describe_registration, _registration),
}
"""By the `family` of a header."""
