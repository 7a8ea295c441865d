"""A model as a metatomic file, which LAMMPS, GROMACS, i-PI, ASE and other engines run without this program."""

from __future__ import annotations

import math
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from eqcli.engine.device import precision_name
from eqcli.engine.torchscript import to_torchscript
from eqcli.engine.traced_check import require_equal
from eqcli.engine.tracing import trace_potential
from eqcli.errors import MissingDependency
from eqcli.files import atomic_path

if TYPE_CHECKING:
    from eqcli.engine.model_file import ModelFile
    from eqcli.models.potentials.base import Potential

SIGNATURE = (
    "vectors: Tensor, edge_index: Tensor, numbers: Tensor, batch: Tensor, charge: Tensor, spin: Tensor, "
    "weights: Tensor, members: List[Tensor]"
)
"""Arguments of the traced energy in TorchScript."""


def export_metatomic(model: ModelFile, path: str | Path) -> Path:
    """Writes a model as TorchScript with metatomic's interface: output `energy` in eV, lengths in Å.

    Forces and stress come from the engine, which differentiates the energy. Positions are taken in float64 whatever
    the precision of the model, so edges and sums of energies lose nothing. The file is written only when its energies
    and forces equal those of the model on graphs of different sizes, the empty one included.

    Raises
    ------
    InputError
        A model that cannot be traced, or whose trace differs from it.
    MissingDependency
        The package metatomic-torch is not installed.
    """
    with torchs_own_functions():
        return _export(model, Path(path))


def _export(model: ModelFile, target: Path) -> Path:
    try:
        from metatomic.torch import AtomisticModel

        from eqcli.engine.metatomic_shell import MetatomicShell
    except ModuleNotFoundError as error:
        raise MissingDependency(
            f"the package {error.name} is not installed", hint="Install it: pip install 'eqcli[metatomic]'."
        ) from error
    potential = model.potential
    with warnings.catch_warnings():
        # That TorchScript is deprecated is metatomic's concern; no word of it helps the person who exports.
        warnings.simplefilter("ignore", DeprecationWarning)
        script = to_torchscript(trace_potential(potential), SIGNATURE)
        require_equal(potential, script, "the exported model")
        shell = MetatomicShell(script, potential.elements.tolist(), potential.cutoff, potential.accepts_charge)
        exported = AtomisticModel(shell.eval(), _metadata(model), _capabilities(potential))
        with atomic_path(target) as temporary, tempfile.TemporaryDirectory() as folder:
            # metatomic insists on the ending.
            written = Path(folder) / "model.pt"
            exported.save(written)
            Path(temporary).write_bytes(written.read_bytes())
    return target


@contextmanager
def torchs_own_functions() -> Iterator[None]:
    """Within the block, `torch.select` and `torch.index_select` are torch's own.

    torch-geometric puts functions in their place that TorchScript cannot read; what metatomic compiles, also when
    it is first imported, uses them.
    """
    names = ("select", "index_select")
    replaced = {name: getattr(torch, name) for name in names}
    try:
        for name in names:
            setattr(torch, name, getattr(torch._C._VariableFunctions, name))
        yield
    finally:
        for name, function in replaced.items():
            setattr(torch, name, function)


def _capabilities(potential: Potential) -> Any:
    from metatomic.torch import ModelCapabilities, ModelOutput

    known = potential.capabilities()
    reach = potential.cutoff * known.depth if known is not None else math.inf
    return ModelCapabilities(
        outputs={"energy": ModelOutput(unit="eV", sample_kind="atom", description="Potential energy.")},
        atomic_types=potential.elements.tolist(),
        interaction_range=reach,
        length_unit="angstrom",
        supported_devices=["cpu", "cuda"],
        dtype="float64",
    )


def _metadata(model: ModelFile) -> Any:
    from metatomic.torch import ModelMetadata

    name = str(model.header.get("config", {}).get("name", type(model.potential).__name__))
    recipe = model.header.get("training", {}).get("recipe") or {}
    title = recipe.get("name") if isinstance(recipe, dict) else None
    from eqcli import __version__

    precision = precision_name(model.potential.dtype)
    return ModelMetadata(
        name=f"{title or name}",
        description=f"{name}, {precision}, {sum(p.numel() for p in model.potential.parameters())} parameters; "
        f"exported by eqcli {__version__} with torch {torch.__version__}",
    )
